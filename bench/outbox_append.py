"""Appends a second: grouped commits of the outbox against a commit for each event, both fully synchronous.

Run: python bench/outbox_append.py [EVENTS]. Prints both rates of the same run and their ratio.
"""

import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from hallctl.clock import SystemClock
from hallctl.model import Event, EventType, Priority
from hallctl.outbox import Outbox


def naive(folder: Path, count: int) -> float:
    """A plain table, synchronous=FULL, one transaction an event."""
    database = sqlite3.connect(folder / "naive.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE log (seq INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT)")
    began = time.perf_counter()
    for number in range(count):
        database.execute("INSERT INTO log (body) VALUES (?)", (json.dumps({"n": number}),))
    return count / (time.perf_counter() - began)


async def grouped(folder: Path, count: int, at_once: int) -> float:
    """The outbox with so many writers."""
    outbox = Outbox.open(folder / f"outbox-{at_once}.db", "hall", "box", SystemClock())
    began = time.perf_counter()

    async def writer(share: int) -> None:
        for number in range(share):
            await outbox.append(Event(EventType.KEY_PRESSED, {"n": number}, Priority.HIGH))

    await asyncio.gather(*(writer(count // at_once) for _ in range(at_once)))
    rate = count / (time.perf_counter() - began)
    await outbox.close()
    return rate


def main() -> None:
    """Print the rates."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        baseline = naive(folder, count)
        print(f"one commit an event: {baseline:8.0f} events/s   1.00 x")
        for at_once in (1, 20, 200):
            rate = asyncio.run(grouped(folder, count, at_once))
            print(f"outbox, {at_once:3} writers: {rate:8.0f} events/s   {rate / baseline:.2f} x")


if __name__ == "__main__":
    main()
