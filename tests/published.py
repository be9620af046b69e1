"""The published schemas (docs/schemas) as tests use them: what is said fits them, and has no field that they lack."""

import functools
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, ValidationError

from hallctl.link.payloads import entry_envelope
from hallctl.model import Identity
from hallctl.outbox.records import stored_of

SCHEMAS = Path(__file__).parents[1] / "docs/schemas"
_LOG = "SELECT seq, boot, at, kind, type, subject, high, body FROM log ORDER BY seq"


def wrong_with(name: str, message: Any) -> list[str]:
    """What is wrong with a message of the schema ``name``; readers would let unknown fields pass, this does not."""
    return [_told(name, one) for one in _validator(name).iter_errors(message)]


def wrong_in_logs(folder: Path) -> list[str]:
    """What is wrong with the events and alerts in every event log below a folder, as they are published."""
    return [line for path in sorted(folder.rglob("outbox.db")) for line in _wrong_in(path)]


def _told(name: str, error: ValidationError) -> str:
    inner = "; ".join(one.message for one in error.context or ())
    return f"{name} {'/'.join(map(str, error.absolute_path))}: {error.message[:300]} {inner[:300]}"


def _wrong_in(path: Path) -> Iterator[str]:
    identity = Identity("hall-1", "box-1")
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        rows = database.execute(_LOG).fetchall()
    finally:
        database.close()
    for row in rows:
        envelope = entry_envelope(stored_of(row), identity).model_dump(mode="json")
        yield from wrong_with(envelope["type"].removeprefix("hallctl."), envelope)


@functools.cache
def _validator(name: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    return Draft202012Validator(_closed(schema), format_checker=FormatChecker())


def _closed(schema: Any) -> Any:
    """The same schema, but an object has the fields that it names and no other."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    return {"additionalProperties": False, **closed} if isinstance(schema.get("properties"), dict) else closed
