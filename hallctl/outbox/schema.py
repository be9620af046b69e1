"""Tables of the event log, how an entry is written down, and which hallctl may use which log.

A box goes back to the release before when an upgrade does harm, and that one has to use the log that the newer one has
left. So a log says two numbers: its layout (``PRAGMA user_version``) and the least layout that a hallctl has to know
to use it. What only adds (a table, an index, a column with a default) raises ``LAYOUT`` and leaves ``LEAST``; an older
hallctl then reads and writes what it knows and leaves the rest as it is. That is why statements name their columns,
and why a newer one has to do with the defaults in rows that an older one wrote. Bodies may gain keys and alerts kinds,
too. Whatever else changes (a column, table or key goes or means something else, ``EntryKind`` or ``ReplyState`` grows)
breaks, and takes ``LEAST`` along.
"""

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hallctl import __version__
from hallctl.errors import OutboxError

LAYOUT = 3
LEAST = 3

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

_LEAST_KEY, _WRITER_KEY = "layout.least", "layout.writer"

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
    """Open the database for one thread, in WAL mode, with the tables in place.

    Raises ``OutboxError`` for the log of another hallctl that this one can't use; nothing of it is changed then.
    """
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        layout = database.execute("PRAGMA user_version").fetchone()[0]
        ours = layout in (0, *_STEPS, LAYOUT)
        if not ours:
            _check_usable(database, path, layout)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA busy_timeout=5000")
        if ours:
            _bring_up(database, layout)
    except BaseException:
        database.close()
        raise
    return database


def _check_usable(database: sqlite3.Connection, path: str, layout: int) -> None:
    """Raises ``OutboxError`` unless the newer hallctl has said that one of our layout will do."""
    least, writer = _said_by_writer(database)
    if layout > LAYOUT and least is not None and least <= LAYOUT:
        return
    raise OutboxError(
        f"the event log {path} has layout {layout}, this hallctl {__version__} knows {LAYOUT}",
        hint=f"it was written by {writer}: install that one again. To go on without the events that are still in it, "
        "move outbox.db, outbox.db-wal and outbox.db-shm to another folder and leave outbox.boot where it is",
    )


def _said_by_writer(database: sqlite3.Connection) -> tuple[int | None, str]:
    """The least layout that its writer asks for, if it says so, and who that was."""
    try:
        row = database.execute("SELECT value FROM numbers WHERE name=?", (_LEAST_KEY,)).fetchone()
        by = database.execute("SELECT value FROM state WHERE key=?", (_WRITER_KEY,)).fetchone()
        return (int(row[0]) if row else None), (f"hallctl {json.loads(by[0])}" if by else "a newer hallctl")
    except (sqlite3.OperationalError, ValueError):  # not even these tables are what they were
        return None, "a newer hallctl"


def _bring_up(database: sqlite3.Connection, layout: int) -> None:
    """From an older layout, or from nothing, to ours; all of it or nothing."""
    steps = "".join(_STEPS[step] for step in range(layout, LAYOUT)) if layout else ""
    try:
        database.executescript(f"BEGIN IMMEDIATE; {steps} {SCHEMA} PRAGMA user_version={LAYOUT};")
        database.execute("INSERT OR REPLACE INTO numbers (name, value) VALUES (?,?)", (_LEAST_KEY, LEAST))
        written = (_WRITER_KEY, json.dumps(__version__))
        database.execute("INSERT OR REPLACE INTO state (key, value) VALUES (?,?)", written)
        database.execute("COMMIT")
    except sqlite3.Error:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
