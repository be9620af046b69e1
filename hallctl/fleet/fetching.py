"""Asks controllers for the document that they run (``config.get``), chunk by chunk, many controllers at once."""

import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from hallctl.errors import LinkError
from hallctl.fleet.calls import Answer, Calls
from hallctl.fleet.documents import Document
from hallctl.link.configuration import MAX_DESIRED_BYTES, document_hash
from hallctl.link.topics import Topics
from hallctl.model import ReplyState

TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """The document that a controller runs, or why it can't be had."""

    document: Document | None = None
    hash: str = ""
    problem: str = ""


@dataclass(slots=True)
class _Coming:
    """What has come of one controller's document."""

    hash: str = ""
    data: bytearray = field(default_factory=bytearray)


async def fetch_documents(
    calls: Calls, whom: Iterable[Topics], *, timeout_s: float = TIMEOUT_S
) -> dict[Topics, Fetched]:
    """The documents that these run. Raises ``LinkError`` only when the link is lost."""
    coming = {topics: _Coming() for topics in whom}
    done: dict[Topics, Fetched] = {}
    while len(done) < len(coming):
        by_offset: dict[int, list[Topics]] = defaultdict(list)
        for topics, one in coming.items():
            if topics not in done:
                by_offset[len(one.data)].append(topics)
        for offset, ones in by_offset.items():
            async for answer in calls.ask_all(ones, "config.get", {"offset": offset}, timeout_s=timeout_s):
                found = _take(coming[answer.topics], answer, offset)
                if found is not None:
                    done[answer.topics] = found
    return done


def _take(coming: _Coming, answer: Answer, offset: int) -> Fetched | None:
    """Add a chunk; gives the end of the matter, good or bad."""
    reply = answer.reply
    if reply is None:
        return Fetched(problem=answer.problem)
    if reply.state is not ReplyState.SUCCEEDED:
        return Fetched(problem=reply.message or reply.state.value)
    try:
        chunk = base64.b64decode(reply.data["data"], validate=True)
        last, hash_, at = bool(reply.data["last"]), str(reply.data["hash"]), reply.data["offset"]
    except (KeyError, TypeError, binascii.Error):
        return Fetched(problem="its answer is no part of a document; do both run the same release?")
    if at != offset or (coming.hash and coming.hash != hash_):
        return Fetched(problem="its document changed while it was fetched")
    coming.hash = hash_
    coming.data += chunk
    if last:
        return _whole(bytes(coming.data), hash_)
    too_much = not chunk or len(coming.data) > MAX_DESIRED_BYTES
    return Fetched(problem="its document does not end") if too_much else None


def _whole(data: bytes, hash_: str) -> Fetched:
    try:
        document = json.loads(data)
        if not isinstance(document, dict) or document_hash(document) != hash_:
            return Fetched(problem="what came is not the document whose hash it names")
    except (ValueError, LinkError):
        return Fetched(problem="what came is no document")
    return Fetched(document, hash_)
