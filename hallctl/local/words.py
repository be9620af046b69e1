"""The lines that go over the socket: one JSON object each, the same replies as over MQTT."""

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hallctl.errors import LocalError
from hallctl.link.payloads import Payload, ReplyData
from hallctl.model import Reply

MAX_REQUEST_BYTES = 64 * 1024
MAX_LINE_BYTES = 1024 * 1024  # of what the daemon says: a reply has 128 KiB, a record may be longer
EXPIRES_S = 60.0


class Request(BaseModel):
    """What a client asks, one line. An unknown field is refused, so that a typing error is never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=100, description="of the command or stream")
    data: dict[str, Any] = Field(default_factory=dict, description="what it takes")
    id: str | None = Field(default=None, description="of the command; a repeated one acts no second time")
    expires_s: float = Field(default=EXPIRES_S, gt=0, le=86400, description="how long it is wanted, seconds")
    by: str = Field(default="", max_length=100, description="who asks, in his own words; the kernel's are added")


class Hello(Payload):
    """The daemon's first line: whose socket this is."""

    protocol: Literal[1] = 1
    site: str
    controller: str
    version: str
    boot: int


def read_request(line: bytes) -> Request:
    """A line that arrived. Raises ``LocalError`` that says what is wrong with it."""
    try:
        return Request.model_validate_json(line)
    except ValidationError as exc:
        wrong = "; ".join(f"{'.'.join(map(str, error['loc'])) or 'line'}: {error['msg']}" for error in exc.errors())
        hint = 'one JSON object a line: {"name": "printer.test", "data": {"printer": "printer-1"}}'
        raise LocalError(f"the line can't be read: {wrong}", code="command.malformed", hint=hint) from exc


def line_of(kind: str, value: dict[str, Any]) -> bytes:
    """One line: ``{"hello": ...}``, ``{"reply": ...}`` or ``{"record": ...}``."""
    return json.dumps({kind: value}, ensure_ascii=False, separators=(",", ":"), default=str).encode() + b"\n"


def reply_line(reply: Reply) -> bytes:
    """A reply as it stands in the data of an MQTT reply."""
    data = ReplyData(
        command=reply.command,
        state=reply.state,
        code=reply.code,
        message=reply.message,
        hint=reply.hint,
        result=dict(reply.data),
    )
    return line_of("reply", data.model_dump(mode="json"))


def read_line(line: bytes) -> tuple[str, Any]:
    """What a daemon said: its kind, and a ``Hello``, a ``Reply`` or a record. Raises ``LocalError``."""
    try:
        ((kind, value),) = json.loads(line).items()
        if kind == "hello":
            return kind, Hello.model_validate(value)
        if kind == "reply":
            data = ReplyData.model_validate(value)
            return kind, Reply(data.command, data.state, data.code, data.message, data.hint, data.result)
    except (ValueError, AttributeError) as exc:  # pydantic's ValidationError is a ValueError
        hint = "is this the socket of a hallctl daemon, and of the same version?"
        raise LocalError("what the socket says can't be read", code="local.garbage", hint=hint) from exc
    return kind, value
