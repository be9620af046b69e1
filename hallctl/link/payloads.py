"""What stands in the messages: pydantic models, written by one side and read leniently by the other.

Readers ignore unknown attributes, so that a newer box and an older desk understand each other; a breaking change is
a new root ``hall/v2``.
"""

import json
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hallctl.errors import LinkError
from hallctl.link.topics import ROOT, Topics
from hallctl.model import Alert, Command, Evidence, Identity, Reply, ReplyState, TerminalState
from hallctl.outbox import EntryKind, Stored, dumps

MAX_BYTES = 8 * 1024
ENVELOPE_BYTES = 1024  # what the envelope adds to its data, at most
MAX_REPLY_BYTES = 128 * 1024  # a chunk of evidence


class Payload(BaseModel):
    """Base: frozen, unknown attributes ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    def encode(self, limit: int = MAX_BYTES) -> bytes:
        """JSON in UTF-8. Raises ``LinkError`` when it is larger than the contract allows."""
        data = self.model_dump_json(exclude_none=False).encode()
        if len(data) > limit:
            raise LinkError(
                f"a {type(self).__name__} of {len(data)} bytes is over the contract's {limit}", code="link.size"
            )
        return data


class ControllerState(Payload):
    """``state``: birth and lease while online, death otherwise. A reader ignores a death of another boot."""

    status: Literal["online", "offline"]
    boot: int = Field(description="which run of the daemon this is about")
    since: datetime | None = Field(None, description="start of this run")
    at: datetime | None = Field(None, description="when this was said; a will has none")
    reason: str = Field("", description="stopped, connection_lost, or empty")
    lease_s: float = Field(0, description="the controller is offline when nothing came for this long")
    last_seq: int = Field(0, description="newest number of the event log")
    version: str = Field("", description="version of hallctl")
    name: str = Field("", description="what people call the controller")
    groups: list[str] = Field(default_factory=list, description="grid groups of the hall that it serves")
    tags: list[str] = Field(default_factory=list, description="what operations call it together with others")


class FaultPayload(Payload):
    """One fault of a terminal."""

    code: str = Field(description="stable code: paper.end, cover.open ...")
    severity: str = Field(description="warning: it still works; error: it does not")
    message: str = ""
    hint: str = Field("", description="what a technician can do")
    since: datetime | None = None


class TerminalPayload(Payload):
    """``terminal/{terminal}/state``."""

    terminal: str
    driver: str
    status: str = Field(description="starting, online, offline or quarantined; its controller has to be online, too")
    since: datetime = Field(description="since when its status is this one")
    boot: int = Field(description="which run of the daemon says so")
    reason: str | None = Field(None, description="stable code: why it is not online")
    message: str = ""
    hint: str = Field("", description="what a technician can do")
    faults: list[FaultPayload] = Field(default_factory=list, description="what is wrong although it is online")
    info: dict[str, Any] = Field(default_factory=dict, description="what the device says of itself")
    counters: dict[str, int] = Field(default_factory=dict, description="they only grow within one boot")


class Envelope(Payload):
    """CloudEvents 1.0 in structured JSON, with the extensions ``boot`` and ``seq``."""

    specversion: str = "1.0"
    id: str = Field(description="who gets the same id from the same source twice drops one")
    source: str = Field(description="the controller's root topic, or who sends a command")
    type: str = Field(description="hallctl.event.*, hallctl.alert.*, hallctl.command.* or hallctl.reply.*")
    time: datetime = Field(description="when it happened")
    datacontenttype: str = "application/json"
    dataschema: str = Field(default="", description="name of the schema of this message")
    boot: int | None = Field(default=None, description="run of the daemon that says it")
    seq: int | None = Field(default=None, description="number in the controller's log; null: it is not in the log")
    data: dict[str, Any] = Field(default_factory=dict)


class CommandData(Payload):
    """``data`` of a command's envelope."""

    expires: datetime = Field(description="absolute; a command that arrives later is refused")
    arguments: dict[str, Any] = Field(default_factory=dict, description="what the command takes")
    by: str = Field("", max_length=100, description="who sends it; kept with what came of it")


class ReplyData(Payload):
    """``data`` of a reply's envelope."""

    command: str = Field(description="id of the command")
    state: ReplyState
    code: str = Field("", description="stable code: why it is not simply succeeded")
    message: str = ""
    hint: str = Field("", description="what to do about it")
    result: dict[str, Any] = Field(default_factory=dict, description="by command; empty where nothing was done")


def terminal_payload(state: TerminalState, boot: int) -> TerminalPayload:
    """A terminal's state as it is published; what a driver says of its device is cut where it is too long."""
    info = (
        dict(state.info) if _size(dict(state.info)) <= MAX_BYTES // 4 else {"cut_from_bytes": _size(dict(state.info))}
    )
    faults = [
        FaultPayload(
            code=fault.code,
            severity=fault.severity,
            message=fault.message[:200],
            hint=fault.hint[:200],
            since=fault.since,
        )
        for fault in state.faults
    ]
    return TerminalPayload(
        terminal=state.terminal,
        driver=state.driver,
        status=state.status,
        since=state.since,
        boot=boot,
        reason=state.reason,
        message=state.message[:500],
        hint=state.hint[:500],
        faults=faults[:8],
        info=info,
        counters=dict(state.counters),
    )


def entry_envelope(entry: Stored, identity: Identity) -> Envelope:
    """An entry of the log as it is published; paths of evidence stay on the box."""
    topics = Topics(identity.site, identity.controller)
    data = dict(entry.data)
    if entry.kind is EntryKind.ALERT:
        data["evidence"] = [_public(item) for item in entry.data.get("evidence", [])]  # type: ignore[attr-defined]  # a list in every alert body
    kind = f"{entry.kind.value}.{entry.type}"
    return Envelope(
        id=f"{identity.controller}:{entry.boot}:{entry.seq}",
        source=topics.prefix,
        type=f"hallctl.{kind}",
        time=entry.at,
        dataschema=f"{ROOT}/schema/{kind}",
        boot=entry.boot,
        seq=entry.seq,
        data=_fitting(data),
    )


def command_envelope(command: Command, source: str, now: datetime) -> Envelope:
    """A command as the centre sends it."""
    data = CommandData(expires=command.expires, arguments=dict(command.data), by=command.by)
    return Envelope(
        id=command.id,
        source=source,
        type=f"hallctl.command.{command.name}",
        time=now,
        dataschema=f"{ROOT}/schema/command.{command.name}",
        data=data.model_dump(mode="json"),
    )


def read_command(name: str, payload: bytes) -> Command:
    """A command that arrived. Raises ``LinkError`` that says what is wrong with it."""
    try:
        envelope = Envelope.model_validate_json(payload)
        data = CommandData.model_validate(envelope.data)
    except ValidationError as exc:
        wrong = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors())
        raise LinkError(f"command {name!r} can't be read: {wrong}", code="link.unreadable") from exc
    if not _fits_topic(envelope.id):
        raise LinkError(
            f"command {name!r}: its id {envelope.id[:100]!r} can't be part of a topic",
            code="link.unreadable",
            hint="use a UUID",
        )
    if data.expires.tzinfo is None:
        raise LinkError(
            f"command {name!r}: expires has no time zone",
            code="link.unreadable",
            hint="write it as 2026-03-02T01:00:00Z",
        )
    return Command(envelope.id, name, data.expires, data.arguments, data.by)


def command_id(payload: bytes) -> str | None:
    """The id of a command that can't be read otherwise; ``None`` when there is none that fits a topic."""
    try:
        found = json.loads(payload).get("id")
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, str) and _fits_topic(found) else None


def _fits_topic(command: str) -> bool:
    """The reply to a command is published under its id."""
    return 0 < len(command) <= 100 and not set(command) & set("/+#\0")


def reply_envelope(reply: Reply, identity: Identity, now: datetime) -> Envelope:
    """A reply as it is published; ``id`` names command and state, so that a repeat is the same message."""
    data = ReplyData(
        command=reply.command,
        state=reply.state,
        code=reply.code,
        message=reply.message,
        hint=reply.hint,
        result=dict(reply.data),
    )
    return Envelope(
        id=f"{reply.command}:{reply.state.value}",
        source=Topics(identity.site, identity.controller).prefix,
        type=f"hallctl.reply.{reply.state.value}",
        time=now,
        dataschema=f"{ROOT}/schema/reply",
        boot=identity.boot,
        data=data.model_dump(mode="json"),
    )


def read_reply(payload: bytes) -> Reply:
    """A reply that arrived. Raises ``LinkError`` when it can't be read."""
    try:
        data = ReplyData.model_validate(Envelope.model_validate_json(payload).data)
    except ValidationError as exc:
        raise LinkError(f"a reply can't be read: {exc.errors()[0]['msg']}", code="link.unreadable") from exc
    return Reply(data.command, data.state, data.code, data.message, data.hint, data.result)


def alert_envelope(alert: Alert, identity: Identity, now: datetime) -> Envelope:
    """An open alert as it is published again after a connect; it has no number of its own."""
    body: dict[str, Any] = {
        "id": alert.id,
        "kind": alert.kind,
        "subject": alert.subject,
        "state": alert.state,
        "raised_at": alert.raised_at.isoformat(),
        "severity": alert.severity,
        "cleared_at": None,
        "message": alert.message,
        "data": dict(alert.data),
        "evidence": [_public(_evidence(item)) for item in alert.evidence],
    }
    return Envelope(
        id=f"{identity.controller}:{alert.id}:{alert.state.value}",
        source=Topics(identity.site, identity.controller).prefix,
        type=f"hallctl.alert.{alert.kind}",
        time=now,
        dataschema=f"{ROOT}/schema/alert.{alert.kind}",
        boot=identity.boot,
        data=_fitting(body),
    )


def _evidence(item: Evidence) -> dict[str, Any]:
    covers = [moment.isoformat() for moment in item.covers] if item.covers else None
    return {
        "kind": item.kind,
        "path": item.path,
        "size": item.size,
        "sha256": item.sha256,
        "media_type": item.media_type,
        "covers": covers,
    }


def _fitting(data: dict[str, Any]) -> dict[str, Any]:
    """Data that fits a message: the facts stay, long texts are cut, then the last keys go. Nothing blocks the log."""
    size, room = _size(data), MAX_BYTES - ENVELOPE_BYTES
    if size <= room:
        return data
    cut: dict[str, Any] = {"cut_from_bytes": size}
    for key, value in data.items():
        short = {key: _cut(value)}
        if _size(cut | short) <= room:
            cut |= short
    return cut


def _size(data: object) -> int:
    return len(dumps(data).encode())


def _cut(value: object) -> object:
    text = value if isinstance(value, str) else dumps(value)
    return value if len(text.encode()) <= 200 else f"{text[:50]}..."


def _public(item: dict[str, Any]) -> dict[str, Any]:
    name = str(item.get("path", "")).rsplit("/", 1)[-1]
    return {**{key: value for key, value in item.items() if key != "path"}, "name": name}
