"""Fetches a clip or a snapshot from a controller, chunk by chunk, and proves that it came whole."""

import base64
import binascii
import hashlib
from collections.abc import Callable
from typing import Any

from hallctl.clock import Clock
from hallctl.errors import LinkError
from hallctl.fleet.request import send_command
from hallctl.link.session import Session
from hallctl.link.topics import Topics
from hallctl.model import Reply, ReplyState

MAX_BYTES = 512 * 1024 * 1024


async def fetch_evidence(
    session: Session,
    topics: Topics,
    alert: str,
    kind: str,
    clock: Clock,
    *,
    on_chunk: Callable[[int, int], None] = lambda _have, _size: None,
) -> bytes:
    """The whole file. ``kind`` is clip or snapshot; ``on_chunk`` gets bytes so far and in all.

    Raises ``LinkError`` when the controller refuses, or when what came is not what it promised.
    """
    data = bytearray()
    while True:
        request = {"alert": alert, "kind": kind, "offset": len(data)}
        reply = await send_command(session, topics, "evidence.fetch", request, clock)
        chunk = _read_chunk(reply, len(data))
        data += chunk["bytes"]
        on_chunk(len(data), chunk["size"])
        if chunk["last"]:
            return _proved(bytes(data), chunk)
        if not chunk["bytes"] or len(data) >= chunk["size"]:
            raise LinkError("the controller's chunks do not add up to the size that it names", code="evidence.broken")


def _read_chunk(reply: Reply, offset: int) -> dict[str, Any]:
    if reply.state is not ReplyState.SUCCEEDED:
        message = f"the controller gives no evidence: {reply.message or reply.state.value}"
        raise LinkError(message, code=reply.code, hint=reply.hint)
    try:
        chunk = {**reply.data, "bytes": base64.b64decode(reply.data["data"], validate=True)}
        wrong = chunk["offset"] != offset or not 0 <= chunk["size"] <= MAX_BYTES
        chunk["last"], chunk["sha256"] = bool(chunk["last"]), str(chunk["sha256"])
    except (KeyError, TypeError, binascii.Error) as exc:
        raise LinkError(
            "the controller's answer is no chunk of evidence",
            code="evidence.broken",
            hint="do both run the same release?",
        ) from exc
    if wrong:
        raise LinkError(
            "the controller's answer is another chunk than the one that was asked for", code="evidence.broken"
        )
    return chunk


def _proved(data: bytes, chunk: dict[str, Any]) -> bytes:
    if len(data) != chunk["size"] or hashlib.sha256(data).hexdigest() != chunk["sha256"]:
        raise LinkError(
            "the file that came is not the one whose sha256 the controller named",
            code="evidence.broken",
            hint="fetch it again; if that does not help, the file on the box is damaged",
        )
    return data
