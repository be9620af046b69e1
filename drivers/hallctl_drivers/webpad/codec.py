"""What the page and the daemon say to each other: JSON texts <-> values, no IO. README.md has the protocol.

The page is a browser on somebody's network: whatever is not exactly an answer is refused as a whole.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hallctl.errors import RemoteCodecError

VERSION = 1
LONGEST = 4096  # bytes of a message from the page
NOT_ASKED = "not-asked"

_ANSWER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KEYS = frozenset({"v", "rate", "answer", "request", "ticket"})
_LONGEST_REQUEST = 128
_LONGEST_TICKET = 64


@dataclass(frozen=True, slots=True)
class Rate:
    """One answer of a citizen. ``answer`` is the page's own id of it; ``request`` is empty where nothing was asked."""

    score: int
    answer: str
    request: str = ""
    ticket: str | None = None

    def to_text(self) -> str:
        """As the page says it."""
        said = {"v": VERSION, "rate": self.score, "answer": self.answer}
        return json.dumps(said | {"request": self.request, "ticket": self.ticket})


@dataclass(frozen=True, slots=True)
class Staff:
    """Who serves, as the page shows it. ``photo`` is a path on this server."""

    number: str
    name: str = ""
    stars: int | None = None
    photo: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What is being asked. ``seconds`` are left of ``of``."""

    request: str
    ticket: str | None
    seconds: float
    of: float


def read_rate(message: str | bytes) -> Rate:
    """Read what the page said. Raises ``RemoteCodecError`` for anything that is not exactly an answer."""
    said = _json_object(message)
    if said.get("v") != VERSION:
        raise RemoteCodecError("another version of the page")
    if not said.keys() <= _KEYS:
        raise RemoteCodecError("unknown keys")
    return Rate(
        _score(said.get("rate")),
        _answer(said.get("answer")),
        _request(said.get("request")),
        _ticket(said.get("ticket")),
    )


def state(question: Question | None, staff: Staff | None, page: Mapping[str, Any]) -> str:
    """The whole picture, to be shown until the next one. ``page``: title, languages, thanks_s, unasked, build."""
    asked: dict[str, Any] = {"state": "idle"}
    if question is not None:
        asked = {"state": "asking", "request": question.request, "ticket": question.ticket}
        asked |= {"seconds": round(question.seconds, 1), "of": question.of}
    card = None
    if staff is not None:
        card = {"number": staff.number, "name": staff.name, "stars": staff.stars, "photo": staff.photo}
    return json.dumps({"v": VERSION, **asked, "staff": card, "page": dict(page)}, ensure_ascii=False)


def thanks(answer: str) -> str:
    """The answer is on disk: the page may thank the citizen and forget it."""
    return json.dumps({"v": VERSION, "thanks": answer})


def refused(answer: str, reason: str) -> str:
    """The answer will never be taken: the page forgets it and says so politely."""
    return json.dumps({"v": VERSION, "refused": answer, "reason": reason})


def _json_object(message: str | bytes) -> dict[str, Any]:
    if not isinstance(message, str):
        raise RemoteCodecError("a binary message")
    try:
        said = json.loads(message)
    except (ValueError, RecursionError) as exc:
        raise RemoteCodecError("no JSON") from exc
    if not isinstance(said, dict):
        raise RemoteCodecError("no JSON object")
    return said


def _score(value: object) -> int:
    if type(value) is not int or not 1 <= value <= 5:  # true is an int too
        raise RemoteCodecError("rate is not 1 to 5")
    return value


def _answer(value: object) -> str:
    if not isinstance(value, str) or not _ANSWER.fullmatch(value):
        raise RemoteCodecError("answer is no UUID")
    return value


def _request(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST_REQUEST or not value.isprintable():
        raise RemoteCodecError("request is no id")
    return value


def _ticket(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > _LONGEST_TICKET or not value.isprintable():
        raise RemoteCodecError("ticket is no ticket")
    return value
