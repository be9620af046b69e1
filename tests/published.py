"""The published schemas (docs/schemas) as tests use them: what is said fits them, and has no field that they lack.

Two fixtures hold everything against them that the code writes in any test: events where they are made, and the event
logs that controllers leave behind, daemons in a process of their own included.
"""

import functools
import importlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker, ValidationError

from hallctl.link.payloads import entry_envelope
from hallctl.model import Event, Identity
from hallctl.outbox.records import dumps, stored_of

TESTS = Path(__file__).parent
SCHEMAS = TESTS.parent / "docs/schemas"
# Modules that make events; tests/contract/test_reference.py holds this list against the code.
MAKERS = (
    "hallctl.controller.attendance",
    "hallctl.controller.build",
    "hallctl.controller.executor",
    "hallctl.controller.postroom",
    "hallctl.controller.printing",
    "hallctl.fleet.simulate.box",
    "hallctl.hall.hall",
    "hallctl.link.commands",
    "hallctl.terminal.changes",
    "hallctl.twin.facts",
)
# Folders whose tests write nothing into a log that the code would not.
TRUE_LOGS = ("camera", "cli", "controller", "twin")
_LOG = "SELECT seq, boot, at, kind, type, subject, high, body FROM log ORDER BY seq"


@pytest.fixture(autouse=True)
def events_are_as_published(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After each test: every event that the code has made fits its schema."""
    made: list[Event] = []

    def record(*args: Any, **named: Any) -> Event:
        made.append(Event(*args, **named))
        return made[-1]

    for name in MAKERS:
        monkeypatch.setattr(importlib.import_module(name), "Event", record)
    yield
    told = {dumps([event.type, event.data]): event for event in made}
    wrong = [line for event in told.values() for line in _wrong_with_event(event)]
    assert not wrong, "\n".join(wrong)


@pytest.fixture(autouse=True)
def logs_are_as_published(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test of a whole controller: every event and alert in its log fits its schema."""
    watched = "tmp_path" in request.fixturenames and request.path.relative_to(TESTS).parts[0] in TRUE_LOGS
    folder = request.getfixturevalue("tmp_path") if watched else None
    yield
    wrong = wrong_in_logs(folder) if folder is not None else []
    assert not wrong, "\n".join(wrong)


def wrong_with(name: str, message: Any) -> list[str]:
    """What is wrong with a message of the schema ``name``; readers would let unknown fields pass, this does not."""
    return [_told(name, one) for one in _validator(name).iter_errors(message)]


def wrong_in_logs(folder: Path) -> list[str]:
    """What is wrong with the events and alerts in every event log below a folder, as they are published."""
    return [line for path in sorted(folder.rglob("outbox.db")) for line in _wrong_in(path)]


def _told(name: str, error: ValidationError) -> str:
    inner = "; ".join(one.message for one in error.context or ())
    return f"{name} {'/'.join(map(str, error.absolute_path))}: {error.message[:300]} {inner[:300]}"


def _wrong_with_event(event: Event) -> list[str]:
    about = {"id": "box-1:1:1", "source": "hall/v1/hall-1/box-1", "time": "2026-03-02T01:00:00Z"}
    envelope = {**about, "type": f"hallctl.event.{event.type.value}", "data": json.loads(dumps(event.data))}
    return wrong_with(f"event.{event.type.value}", envelope)


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
