"""The database's side of the outbox: plain functions on one connection, run in the outbox's own thread."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from hallctl.model import Alert, AlertState, Command, Event, EventType, Priority, Reply, ReplyState
from hallctl.outbox.records import alert_body, alert_of, audit_body, dumps, reply_body, reply_of, stored_of
from hallctl.outbox.schema import KEPT_BYTES, Backlog, Doubtful, EntryKind, Stored

_LOG = structlog.get_logger()
Entry = Event | Alert
_COLUMNS = "seq, boot, at, kind, type, subject, high, body"
_TRIM_STEP = 500
_NEWEST = 10_000  # rows in which events are looked for of what a crash interrupted


class Store:
    """One open database of one boot."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self.boot = 0

    def begin_boot(self, floor: int) -> int:
        """Take the next boot number, above ``floor`` (numbers that a lost database may have given out)."""
        self._synchronous("FULL")
        self.boot = max(self._number("boot"), floor) + 1
        self._set_number("boot", self.boot)
        return self.boot

    def append(self, entries: Sequence[Entry], now: datetime) -> list[Stored]:
        """Commit entries in one transaction under the next numbers; FULL when any of them is of high priority."""
        rows = [row_of(entry) for entry in entries]
        self._synchronous("FULL" if any(row[3] for row in rows) else "NORMAL")
        stored = []
        with self._transaction():
            for entry, (kind, type_, subject, high, data) in zip(entries, rows, strict=True):
                stored.append(self._insert(now, kind, type_, subject, high, data))
                if isinstance(entry, Alert):
                    self._remember_alert(entry)
        return stored

    def last_seq(self) -> int:
        """The newest number ever given out, also when its row is trimmed; 0: none."""
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name='log'").fetchone()
        return int(row[0]) if row else 0

    def read(self, after: int, up_to: int | None, limit: int) -> list[Stored]:
        """Entries ``after < seq <= up_to``, oldest first."""
        bound = up_to if up_to is not None else 2**63 - 1
        query = f"SELECT {_COLUMNS} FROM log WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"  # noqa: S608  # constants
        return [stored_of(row) for row in self._db.execute(query, (after, bound, limit))]

    def backlog(self) -> Backlog:
        """What is kept, and what of it the broker has not acknowledged."""
        first = self._db.execute(
            "SELECT seq, at FROM log WHERE seq > ? ORDER BY seq LIMIT 1", (self.cursor("sent"),)
        ).fetchone()
        pages, page = (self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        if first is None:
            return Backlog(0, None, pages * page)
        return Backlog(self.last_seq() - first[0] + 1, datetime.fromisoformat(first[1]), pages * page)

    def cursor(self, name: str) -> int:
        """A cursor: everything up to it is ``sent`` or ``recorded``."""
        return self._number(f"cursor.{name}")

    def move_cursor(self, name: str, seq: int) -> None:
        """Move a cursor forward; it never goes back."""
        self._set_number(f"cursor.{name}", max(seq, self.cursor(name)))

    def trim(self, now: datetime, max_age: timedelta, quota: int, high_quota: int) -> list[Stored]:
        """Drop what is recorded or too old, then what is over quota; gives the ``gap`` entries that say so."""
        recorded, sent = self.cursor("recorded"), self.cursor("sent")
        oldest = (now - max_age).isoformat()
        with self._transaction():
            self._db.execute("DELETE FROM log WHERE seq <= ?", (recorded,))
            gaps = [*self._too_old(sent, oldest), *self._over_quota(0, quota), *self._over_quota(1, high_quota)]
            week_ago = (now - timedelta(days=7)).isoformat()
            self._db.execute("DELETE FROM commands WHERE accepted_at < ? AND reply IS NOT NULL", (week_ago,))
            return [self._insert(now, EntryKind.EVENT, EventType.GAP, "", 0, gap) for gap in gaps]

    def begin_command(self, command: Command, now: datetime) -> Reply | None:
        """Commit a command's id before the act. For a repeated id: its reply, or ``in_progress`` while it runs."""
        self._synchronous("FULL")
        row = self._db.execute("SELECT reply FROM commands WHERE id=?", (command.id,)).fetchone()
        if row is not None:
            return reply_of(row[0]) if row[0] else Reply(command.id, ReplyState.IN_PROGRESS)
        values = (command.id, command.name, self.boot, now.isoformat(), dumps(dict(command.data)), command.by)
        columns = "id, name, boot, accepted_at, data, sender"
        self._db.execute(f"INSERT INTO commands ({columns}) VALUES (?,?,?,?,?,?)", values)  # noqa: S608  # constants
        return None

    def mark_command(self, command: str, *, untouched: bool) -> None:
        """Keep whether a command that waits for its terminal has surely done nothing yet."""
        self._synchronous("FULL")
        self._db.execute("UPDATE commands SET untouched=? WHERE id=?", (int(untouched), command))

    def finish_command(self, reply: Reply, now: datetime) -> Stored | None:
        """Keep a final reply for repeats of the command, and in the same commit the event that says who, what, when.

        ``None`` where no such command waits for its end: it is over, or was never begun.
        """
        self._synchronous("FULL")
        with self._transaction():
            query = "SELECT name, sender, accepted_at, data FROM commands WHERE id=? AND reply IS NULL"
            row = self._db.execute(query, (reply.command,)).fetchone()
            self._db.execute("UPDATE commands SET reply=?, data='{}' WHERE id=?", (reply_body(reply), reply.command))
            if row is None:
                return None
            name, by, at, data = row
            body = audit_body(reply, name, by, at, json.loads(data))
            return self._insert(now, EntryKind.EVENT, EventType.COMMAND_FINISHED, "", 0, body)

    def doubtful(self) -> list[Doubtful]:
        """Commands that an earlier boot began and never finished."""
        query = "SELECT id, name, accepted_at, data, untouched FROM commands WHERE reply IS NULL AND boot < ?"
        rows = self._db.execute(query, (self.boot,)).fetchall()
        return [
            Doubtful(id_, name, datetime.fromisoformat(at), json.loads(data), bool(untouched))
            for id_, name, at, data, untouched in rows
        ]

    def events_of_commands(self, types: Sequence[str], commands: Sequence[str]) -> dict[str, Event]:
        """The last event of one of these types that the log's newest rows have of each command."""
        marks = ",".join("?" * len(types))
        query = f"SELECT type, body FROM log WHERE seq > ? AND type IN ({marks}) ORDER BY seq"  # noqa: S608  # marks
        found: dict[str, Event] = {}
        for type_, body in self._db.execute(query, (self.last_seq() - _NEWEST, *types)):
            data = json.loads(body)
            if data.get("command") in commands:
                found[data["command"]] = Event(EventType(type_), data)
        return found

    def newest_events(self, kind: EventType) -> list[Event]:
        """The events of one type that the log's newest rows have, oldest first."""
        query = "SELECT body FROM log WHERE seq > ? AND kind = ? AND type = ? ORDER BY seq"
        rows = self._db.execute(query, (self.last_seq() - _NEWEST, EntryKind.EVENT, kind))
        return [Event(kind, json.loads(body)) for (body,) in rows]

    def settle_doubtful(self, known: Mapping[str, Reply], now: datetime) -> tuple[list[Reply], list[Stored]]:
        """Answer them: what surely had not begun has failed, of the rest nobody knows; nothing is done again.

        ``known``: replies to commands whose fate is known all the same. Gives the entries that tell of them too.
        """
        replies = [known.get(one.command) or _settled(one) for one in self.doubtful()]
        stored = [self.finish_command(reply, now) for reply in replies]
        return replies, [one for one in stored if one is not None]

    def open_alerts(self) -> list[Alert]:
        """Alerts that were raised and not cleared, of any boot.

        One of a kind that only a newer hallctl knows stays in the log for that one; it is nothing to stop for.
        """
        alerts = []
        for id_, body in self._db.execute("SELECT id, body FROM alerts ORDER BY rowid"):
            try:
                alerts.append(alert_of(json.loads(body)))
            except ValueError as exc:
                _LOG.warning("an open alert of a newer hallctl is left to it", alert=id_, why=str(exc))
        return alerts

    def load_state(self, key: str) -> Any:
        """A small durable value, ``None`` when it was never saved."""
        row = self._db.execute("SELECT value FROM state WHERE key=?", (key,)).fetchone()
        return json.loads(row[0]) if row else None

    def save_state(self, key: str, value: object) -> None:
        """Keep a small JSON value; ``None`` removes it."""
        self._synchronous("NORMAL")
        if value is None:
            self._db.execute("DELETE FROM state WHERE key=?", (key,))
        else:
            self._db.execute("INSERT OR REPLACE INTO state (key, value) VALUES (?,?)", (key, dumps(value)))

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def _insert(self, now: datetime, kind: str, type_: str, subject: str, high: int, data: dict[str, Any]) -> Stored:
        body = dumps(data)
        values = (self.boot, now.isoformat(), kind, type_, subject, high, body, len(body.encode()) + KEPT_BYTES)
        cursor = self._db.execute(
            "INSERT INTO log (boot, at, kind, type, subject, high, body, bytes) VALUES (?,?,?,?,?,?,?,?)", values
        )
        return stored_of((cursor.lastrowid, *values[:-1]))

    def _remember_alert(self, alert: Alert) -> None:
        if alert.state is AlertState.CLEARED:
            self._db.execute("DELETE FROM alerts WHERE id=?", (alert.id,))
        else:
            self._db.execute(
                "INSERT OR REPLACE INTO alerts (id, body) VALUES (?,?)", (alert.id, dumps(alert_body(alert)))
            )

    def _too_old(self, sent: int, oldest: str) -> list[dict[str, Any]]:
        """What was sent, was never recorded by anybody, and is too old to wait for it any longer."""
        query = "SELECT min(seq), max(seq), count(*) FROM log WHERE seq <= ? AND at < ? AND type <> ?"
        first, last, count = self._db.execute(query, (sent, oldest, EventType.GAP)).fetchone()
        self._db.execute("DELETE FROM log WHERE seq <= ? AND at < ?", (sent, oldest))
        return [{"from": first, "to": last, "count": count, "too_old": True}] if count else []

    def _over_quota(self, high: int, quota: int) -> list[dict[str, Any]]:
        gaps: list[dict[str, Any]] = []
        while True:
            used = self._db.execute("SELECT coalesce(sum(bytes),0) FROM log WHERE high=?", (high,)).fetchone()[0]
            if used <= quota:
                return gaps
            query = "SELECT seq FROM log WHERE high=? ORDER BY seq LIMIT ?"
            doomed = [row[0] for row in self._db.execute(query, (high, _TRIM_STEP))]
            self._db.executemany("DELETE FROM log WHERE seq=?", [(seq,) for seq in doomed])
            gaps.append({"from": doomed[0], "to": doomed[-1], "count": len(doomed), "high": bool(high)})

    def _synchronous(self, level: str) -> None:
        self._db.execute(f"PRAGMA synchronous={level}")

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._db)

    def _number(self, name: str) -> int:
        row = self._db.execute("SELECT value FROM numbers WHERE name=?", (name,)).fetchone()
        return int(row[0]) if row else 0

    def _set_number(self, name: str, value: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO numbers (name, value) VALUES (?,?)", (name, value))


def _settled(one: Doubtful) -> Reply:
    if one.untouched:
        message = "the controller stopped while the command waited; nothing was done"
        return Reply(one.command, ReplyState.FAILED, "controller.restarted", message, "send it again")
    hint = "look at the terminal; send a new command only if nothing was done"
    message = "the controller stopped while it carried the command out"
    return Reply(one.command, ReplyState.UNKNOWN, "controller.restarted", message, hint)


class _Transaction:
    """BEGIN IMMEDIATE ... COMMIT, or ROLLBACK when the block raises."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")


def row_of(entry: Entry) -> tuple[EntryKind, str, str, int, dict[str, Any]]:
    """Kind, type, subject, priority and data of an entry."""
    if isinstance(entry, Alert):
        return EntryKind.ALERT, entry.kind, entry.id, 1, alert_body(entry)
    return EntryKind.EVENT, entry.type, "", int(entry.priority is Priority.HIGH), dict(entry.data)
