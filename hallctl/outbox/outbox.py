"""The outbox: a durable log with cursors. An entry is on disk before anything says that it happened.

A PUBACK moves the ``sent`` cursor and forgets nothing; the centre's ``recorded`` cursor lets the log be trimmed
(docs/mqtt-contract.md, rule 3). One thread owns the database. What is appended while that thread commits is
gathered and committed together, so that a busy hall costs few disk flushes.
"""

import asyncio
import contextlib
import functools
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from hallctl.clock import Clock
from hallctl.errors import OutboxError
from hallctl.model import Alert, Command, Event, EventType, Identity, Reply
from hallctl.outbox.records import dumps
from hallctl.outbox.schema import Backlog, Doubtful, Stored, connect
from hallctl.outbox.store import Entry, Store, row_of

T = TypeVar("T")
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Quota:
    """What the log may keep: bytes of ordinary entries, bytes of alerts and ratings, age of what was sent."""

    ordinary: int = 256 * MIB
    high: int = 64 * MIB
    max_age: timedelta = timedelta(days=14)


class Outbox:
    """Open it with ``Outbox.open``; every method raises ``OutboxError`` when the disk refuses."""

    def __init__(
        self, store: Store, identity: Identity, clock: Clock, quota: Quota, executor: ThreadPoolExecutor, shared: bool
    ) -> None:
        self.identity = identity
        self.last_seq = store.last_seq()
        self._store = store
        self._clock = clock
        self._quota = quota
        self._executor = executor
        self._shared = shared
        self._pending: list[tuple[Entry, asyncio.Future[Stored]]] = []
        self._committer: asyncio.Task[None] | None = None
        self._appended = asyncio.Event()

    @classmethod
    def open(
        cls,
        path: Path,
        site: str,
        controller: str,
        clock: Clock,
        quota: Quota | None = None,
        *,
        executor: ThreadPoolExecutor | None = None,
    ) -> "Outbox":
        """Open or create the log and begin a boot. A corrupt file is set aside under a new name, never deleted.

        ``executor``: one thread that many logs of one process share (a simulated fleet); it is not shut down here.
        The boot number is also kept in a file beside the database, so that it grows even over a lost database and
        an event id, which contains it, is never given out twice.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        floor_file = path.with_suffix(".boot")
        shared = executor is not None
        executor = executor or ThreadPoolExecutor(1, thread_name_prefix="outbox")
        try:
            store, boot = executor.submit(_open_store, path, _read_floor(floor_file)).result()
            _write_floor(floor_file, boot)
        except (sqlite3.Error, OSError) as exc:
            if not shared:
                executor.shutdown()
            raise _translated(exc, path) from exc
        return cls(store, Identity(site, controller, boot), clock, quota or Quota(), executor, shared)

    async def append(self, entry: Entry) -> Stored:
        """Commit an event or alert; returns once it is on disk under its number."""
        try:
            dumps(row_of(entry)[4])
        except (TypeError, ValueError) as exc:  # here, so that it can't take others of its batch along
            raise OutboxError(f"a {type(entry).__name__} can't be kept: {exc}") from exc
        future: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        self._pending.append((entry, future))
        if self._committer is None or self._committer.done():
            self._committer = asyncio.create_task(self._commit_pending())
        return await asyncio.shield(future)

    async def wait_beyond(self, seq: int) -> None:
        """Return as soon as an entry with a number above ``seq`` is committed."""
        while self.last_seq <= seq:
            self._appended.clear()
            await self._appended.wait()

    async def unsent(self, limit: int = 100, after: int | None = None) -> list[Stored]:
        """Entries beyond the ``sent`` cursor (or ``after``), oldest first."""
        return await self._call(lambda: self._store.read(self._or_cursor(after), None, limit))

    async def read_range(self, first: int, last: int, limit: int = 100) -> list[Stored]:
        """Entries ``first <= seq <= last`` that are still kept, oldest first."""
        return await self._call(lambda: self._store.read(first - 1, last, limit))

    async def sent(self) -> int:
        """The ``sent`` cursor."""
        return await self._call(lambda: self._store.cursor("sent"))

    async def backlog(self) -> Backlog:
        """How much is kept, and waits to be sent."""
        return await self._call(self._store.backlog)

    async def mark_sent(self, seq: int) -> None:
        """Everything up to ``seq`` has been acknowledged by the broker."""
        await self._call(lambda: self._store.move_cursor("sent", seq))

    async def mark_recorded(self, seq: int) -> None:
        """The centre has recorded everything up to ``seq``: it may be trimmed."""
        await self._call(lambda: self._store.move_cursor("recorded", seq))

    async def trim(self) -> list[Stored]:
        """Keep the log within its quotas; gives the ``gap`` entries that say what was dropped."""
        now, quota = self._clock.now(), self._quota
        gaps = await self._call(lambda: self._store.trim(now, quota.max_age, quota.ordinary, quota.high))
        self._advance(gaps)
        return gaps

    async def begin_command(self, command: Command) -> Reply | None:
        """Commit a command's id before the act; for a repeated id its reply (``in_progress`` while it still runs)."""
        now = self._clock.now()
        return await self._call(lambda: self._store.begin_command(command, now))

    async def finish_command(self, reply: Reply) -> None:
        """Keep a command's final reply, and the event ``command.finished`` that tells of it; one commit."""
        now = self._clock.now()
        stored = await self._call(lambda: self._store.finish_command(reply, now))
        self._advance([stored] if stored else [])

    async def mark_command(self, command: str, *, untouched: bool) -> None:
        """Keep whether a command that waits for its terminal has surely done nothing yet; on disk when this returns."""
        await self._call(lambda: self._store.mark_command(command, untouched=untouched))

    async def doubtful(self) -> list[Doubtful]:
        """What an earlier boot began and left unfinished."""
        return await self._call(self._store.doubtful)

    async def events_of_commands(self, types: Sequence[str], commands: Sequence[str]) -> dict[str, Event]:
        """The last event of one of these types that the log has of each command."""
        return await self._call(lambda: self._store.events_of_commands(types, commands))

    async def newest_events(self, kind: EventType) -> list[Event]:
        """The events of one type that the log has still, of its newest 10,000 entries; oldest first."""
        return await self._call(lambda: self._store.newest_events(kind))

    async def settle_doubtful(self, known: Mapping[str, Reply] = MappingProxyType({})) -> list[Reply]:
        """Answer what an earlier boot left unfinished (``known``, ``failed`` or ``unknown``), and give it."""
        now = self._clock.now()
        replies, stored = await self._call(lambda: self._store.settle_doubtful(known, now))
        self._advance(stored)
        return replies

    async def open_alerts(self) -> list[Alert]:
        """Alerts that are open, of this boot and earlier ones."""
        return await self._call(self._store.open_alerts)

    async def load_state(self, key: str) -> Any:
        """A small durable value; ``None`` when there is none."""
        return await self._call(lambda: self._store.load_state(key))

    async def save_state(self, key: str, value: object) -> None:
        """Keep a small JSON value under a key; ``None`` removes it."""
        await self._call(lambda: self._store.save_state(key, value))

    async def close(self) -> None:
        """Commit what waits, then close the database."""
        if self._committer is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._committer
        await self._call(self._store.close)
        if not self._shared:
            self._executor.shutdown()

    def _or_cursor(self, after: int | None) -> int:
        return after if after is not None else self._store.cursor("sent")

    async def _commit_pending(self) -> None:
        while self._pending:
            batch, self._pending = self._pending[:500], self._pending[500:]
            entries = [entry for entry, _ in batch]
            now = self._clock.now()
            try:
                stored = await self._call(functools.partial(self._store.append, entries, now))
            except OutboxError as exc:
                for _, future in batch:
                    _settle(future, exc)
                continue
            self._advance(stored)
            for one, (_, future) in zip(stored, batch, strict=True):
                if not future.done():
                    future.set_result(one)

    def _advance(self, stored: list[Stored]) -> None:
        if stored:
            self.last_seq = max(self.last_seq, stored[-1].seq)
            self._appended.set()

    async def _call(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except sqlite3.Error as exc:
            raise _translated(exc, None) from exc


def _settle(future: "asyncio.Future[Stored]", exc: OutboxError) -> None:
    if not future.done():
        future.set_exception(OutboxError(exc.message, hint=exc.hint))


def _open_store(path: Path, floor: int) -> tuple[Store, int]:
    try:
        database = connect(str(path))
        found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            database.close()
            raise sqlite3.DatabaseError(found)
        store = Store(database)
        return store, store.begin_boot(floor)
    except sqlite3.DatabaseError as exc:
        if isinstance(exc, sqlite3.OperationalError) or not path.exists():
            raise
        _set_aside(path)
        store = Store(connect(str(path)))
        return store, store.begin_boot(floor)


def _set_aside(path: Path) -> None:
    number = sum(1 for _ in path.parent.glob(f"{path.name}.corrupt-*")) + 1
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(part.with_name(f"{part.name}.corrupt-{number}"))


def _read_floor(path: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text(encoding="ascii"))
    return 0


def _write_floor(path: Path, boot: int) -> None:
    aside = path.with_suffix(".boot-new")
    with aside.open("w", encoding="ascii") as file:
        file.write(f"{boot}\n")
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def _translated(exc: Exception, path: Path | None) -> OutboxError:
    where = f" {path}" if path else ""
    return OutboxError(
        f"the event log{where} can't be used: {exc}",
        hint="check free space (df) and the owner of the state directory",
    )
