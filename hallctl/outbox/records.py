"""Values of the model as JSON rows and back."""

import json
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from hallctl.model import Alert, AlertKind, AlertState, Evidence, Reply, ReplyState, Severity
from hallctl.outbox.schema import EntryKind, Stored

MAX_ARGUMENTS_BYTES = 2048  # what an audit keeps of a command's arguments


def dumps(value: object) -> str:
    """Compact JSON; Chinese stays readable."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)


def alert_body(alert: Alert) -> dict[str, Any]:
    """An alert as it is kept. Paths stay on this box: link leaves them out of what it publishes."""
    body = asdict(alert)
    body["data"] = dict(alert.data)
    return body


def alert_of(body: dict[str, Any]) -> Alert:
    """The alert that ``alert_body`` wrote. Raises ``ValueError`` for one of a kind that only a newer hallctl knows."""
    return Alert(
        id=body["id"],
        kind=AlertKind(body["kind"]),
        subject=body["subject"],
        state=AlertState(body["state"]),
        raised_at=datetime.fromisoformat(body["raised_at"]),
        severity=Severity(body["severity"]),
        cleared_at=datetime.fromisoformat(body["cleared_at"]) if body["cleared_at"] else None,
        message=body["message"],
        data=body["data"],
        evidence=tuple(_evidence_of(item) for item in body["evidence"]),
    )


def audit_body(reply: Reply, name: str, by: str, at: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Data of ``command.finished``: who sent which command, when it came, what became of it."""
    return {
        "command": reply.command,
        "name": name,
        "by": by,
        "received_at": at,
        "state": reply.state,
        "code": reply.code,
        "message": reply.message[:500],
        "arguments": bounded(arguments),
    }


def bounded(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments as they stand in the log: whole where they are short, else the beginning of each long one."""
    if len(dumps(arguments).encode()) <= MAX_ARGUMENTS_BYTES:
        return arguments
    cut: dict[str, Any] = {"cut_from_bytes": len(dumps(arguments).encode())}
    for key, value in arguments.items():
        text = value if isinstance(value, str) else dumps(value)
        cut[key[:50]] = value if len(text) <= 100 else f"{text[:50]}..."
        if len(dumps(cut).encode()) > MAX_ARGUMENTS_BYTES:
            del cut[key[:50]]
            break
    return cut


def reply_body(reply: Reply) -> str:
    """A reply as it is stored with its command."""
    return dumps(asdict(reply) | {"data": dict(reply.data)})


def reply_of(text: str) -> Reply:
    """The reply that ``reply_body`` wrote."""
    body = _known(json.loads(text), Reply)
    return Reply(**{**body, "state": ReplyState(body["state"])})


def stored_of(row: tuple[Any, ...]) -> Stored:
    """A row of the log."""
    seq, boot, at, kind, type_, subject, high, body = row
    return Stored(seq, boot, datetime.fromisoformat(at), EntryKind(kind), type_, subject, bool(high), json.loads(body))


def _evidence_of(body: dict[str, Any]) -> Evidence:
    covers = body["covers"]
    start_end = (datetime.fromisoformat(covers[0]), datetime.fromisoformat(covers[1])) if covers else None
    return Evidence(**{**_known(body, Evidence), "covers": start_end})


def _known(body: dict[str, Any], kind: type[Evidence | Reply]) -> dict[str, Any]:
    """Without what a newer hallctl has added; this one may run again on its log."""
    names = {one.name for one in fields(kind)}
    return {key: value for key, value in body.items() if key in names}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} can't be kept as JSON")
