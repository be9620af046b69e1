"""Tables of the event log, and how an entry is written down."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hallctl.errors import OutboxError

SCHEMA_VERSION = 3

# seq: INTEGER PRIMARY KEY AUTOINCREMENT never gives a number out twice, even after the newest row was deleted.
SCHEMA = """
CREATE TABLE IF NOT EXISTS log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    boot INTEGER NOT NULL,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    high INTEGER NOT NULL,
    body TEXT NOT NULL,
    bytes INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS log_by_priority ON log (high, seq);
CREATE TABLE IF NOT EXISTS numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS commands (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    boot INTEGER NOT NULL,
    accepted_at TEXT NOT NULL,
    reply TEXT,
    data TEXT NOT NULL DEFAULT '{}',
    untouched INTEGER NOT NULL DEFAULT 0,
    sender TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS alerts (id TEXT PRIMARY KEY, body TEXT NOT NULL);
"""
# What leads from each layout to the next one.
_STEPS = {
    1: """
ALTER TABLE commands ADD COLUMN data TEXT NOT NULL DEFAULT '{}';
ALTER TABLE commands ADD COLUMN untouched INTEGER NOT NULL DEFAULT 0;
""",
    2: "ALTER TABLE commands ADD COLUMN sender TEXT NOT NULL DEFAULT '';",
}

KEPT_BYTES = 96  # what a row costs beside its body: measured on rows of the demo


class EntryKind(StrEnum):
    """What an entry of the log is."""

    EVENT = "event"
    ALERT = "alert"


@dataclass(frozen=True, slots=True)
class Stored:
    """A committed entry. ``subject`` is the alert's id for an alert, empty for an event; ``data`` is JSON."""

    seq: int
    boot: int
    at: datetime
    kind: EntryKind
    type: str
    subject: str
    high: bool
    data: dict[str, object]


@dataclass(frozen=True, slots=True)
class Backlog:
    """``waiting``: numbers that were not sent, also those trimmed meanwhile; ``oldest``: of what is kept.

    ``size_bytes``: of the database. Cheap at any length of the log.
    """

    waiting: int
    oldest: datetime | None
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A command that an earlier boot began and did not finish. ``untouched``: it surely had not been acted upon."""

    command: str
    name: str
    accepted_at: datetime
    data: dict[str, object]
    untouched: bool


def connect(path: str) -> sqlite3.Connection:
    """Open the database for one thread, in WAL mode, with the tables in place."""
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA busy_timeout=5000")
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, *_STEPS, SCHEMA_VERSION):
        database.close()
        raise OutboxError(
            f"the event log has layout {version}, this hallctl knows {SCHEMA_VERSION}",
            hint="it was written by a newer hallctl: install that one again, or set the state directory aside",
        )
    if version:
        steps = "".join(_STEPS[step] for step in range(version, SCHEMA_VERSION))
        database.executescript(f"BEGIN; {steps} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
    database.executescript(SCHEMA)
    database.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    return database
