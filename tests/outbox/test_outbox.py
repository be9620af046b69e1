"""The durable log: what was accepted is there, under one unbroken sequence, whatever dies."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from hallctl.clock import ManualClock
from hallctl.errors import OutboxError
from hallctl.model import (
    Alert,
    AlertKind,
    AlertState,
    Command,
    Event,
    EventType,
    Evidence,
    Priority,
    Reply,
    ReplyState,
)
from hallctl.outbox import EntryKind, Outbox, Quota


def key(number):
    return Event(EventType.KEY_PRESSED, {"n": number, "text": "号" * 20})


def rating(number):
    return Event(EventType.RATING_GIVEN, {"n": number, "text": "号" * 20}, Priority.HIGH)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "outbox.db"


def opened(path, clock, **quota):
    return Outbox.open(path, "hall-1", "box-1", clock, Quota(**quota) if quota else None)


@pytest.mark.rule("MQ-05")
async def test_numbers_are_unbroken_over_concurrent_appends_and_boots(path, clock):
    first = opened(path, clock)
    stored = await asyncio.gather(*(first.append(key(n)) for n in range(700)))
    assert sorted(one.seq for one in stored) == list(range(1, 701))
    await first.close()
    second = opened(path, clock)
    assert (second.identity.boot, second.last_seq) == (2, 700)
    assert (await second.append(key(0))).seq == 701
    await second.close()


async def test_what_was_not_sent_is_still_there_after_a_restart(path, clock):
    outbox = opened(path, clock)
    for n in range(10):
        await outbox.append(key(n))
    await outbox.mark_sent(4)
    await outbox.close()
    outbox = opened(path, clock)
    assert [one.seq for one in await outbox.unsent()] == [5, 6, 7, 8, 9, 10]
    assert [one.seq for one in await outbox.read_range(1, 4)] == [1, 2, 3, 4]
    await outbox.mark_sent(2)
    assert await outbox.sent() == 4
    await outbox.close()


async def test_what_waits_is_counted_with_the_age_of_its_oldest(path, clock):
    outbox = opened(path, clock)
    assert (await outbox.backlog()).waiting == 0
    await outbox.append(key(0))
    await clock.advance(60)
    began = clock.now()
    for n in range(3):
        await outbox.append(key(n))
    await outbox.mark_sent(1)
    backlog = await outbox.backlog()
    assert (backlog.waiting, backlog.oldest) == (3, began)
    assert backlog.size_bytes > 0
    await outbox.mark_sent(4)
    assert ((await outbox.backlog()).waiting, (await outbox.backlog()).oldest) == (0, None)
    await outbox.close()


async def test_recorded_entries_are_trimmed_and_their_numbers_never_reused(path, clock):
    outbox = opened(path, clock)
    for n in range(10):
        await outbox.append(key(n))
    await outbox.mark_recorded(10)
    assert await outbox.trim() == []
    assert await outbox.read_range(1, 10) == []
    await outbox.close()
    outbox = opened(path, clock)
    assert (await outbox.append(key(0))).seq == 11
    await outbox.close()


async def test_age_trims_only_what_was_sent(path, clock):
    outbox = opened(path, clock)
    await outbox.append(key(1))
    await outbox.append(key(2))
    await outbox.mark_sent(1)
    await clock.advance(timedelta(days=15).total_seconds(), rounds=1)
    await outbox.trim()
    kept = [(one.seq, one.type) for one in await outbox.read_range(1, 9)]
    assert kept == [(2, EventType.KEY_PRESSED), (3, EventType.GAP)]
    await outbox.close()


@pytest.mark.rule("MQ-08")
async def test_the_quota_drops_the_oldest_ordinary_events_and_says_so(path, clock):
    outbox = opened(path, clock, ordinary=100_000, high=10_000_000)
    for n in range(50):
        await outbox.append(rating(n))
    await asyncio.gather(*(outbox.append(key(n)) for n in range(1500)))
    gaps = await outbox.trim()
    assert gaps
    assert all(gap.type == EventType.GAP for gap in gaps)
    dropped = sum(gap.data["count"] for gap in gaps)
    kept = await outbox.read_range(1, 10**9, limit=10**6)
    assert dropped == 1500 - sum(one.type == EventType.KEY_PRESSED for one in kept)
    assert sum(one.type == EventType.RATING_GIVEN for one in kept) == 50
    numbers = [one.data["n"] for one in kept if one.type == EventType.KEY_PRESSED]
    assert numbers == list(range(dropped, 1500))
    await outbox.close()


@pytest.mark.rule("MQ-08")
async def test_ratings_have_a_quota_of_their_own(path, clock):
    outbox = opened(path, clock, ordinary=10_000_000, high=50_000)
    await asyncio.gather(*(outbox.append(rating(n)) for n in range(700)))
    (gap, *_rest) = await outbox.trim()
    assert gap.data["high"] is True
    await outbox.close()


async def test_an_alert_is_open_until_it_is_cleared_also_over_a_restart(path, clock):
    proof = Evidence("clip", "/x/a-clip.mp4", 3, "ab", "video/mp4", (clock.now(), clock.now()))
    alert = Alert("a-1", AlertKind.POST_EMPTY, "w1", AlertState.RAISED, clock.now(), evidence=(proof,))
    outbox = opened(path, clock)
    stored = await outbox.append(alert)
    assert (stored.kind, stored.subject, stored.high) == (EntryKind.ALERT, "a-1", True)
    await outbox.close()
    outbox = opened(path, clock)
    assert await outbox.open_alerts() == [alert]
    await outbox.append(alert.cleared(clock.now()))
    assert await outbox.open_alerts() == []
    await outbox.close()


async def test_a_command_is_begun_once_and_its_reply_kept(path, clock):
    outbox = opened(path, clock)
    command = Command("c-1", "ticket.print", clock.now(), {})
    assert await outbox.begin_command(command) is None
    assert (await outbox.begin_command(command)).state is ReplyState.IN_PROGRESS
    reply = Reply("c-1", ReplyState.FAILED, "paper.end", "没有纸", "put in a roll", {"printer": "p"})
    await outbox.finish_command(reply)
    await outbox.close()
    outbox = opened(path, clock)
    assert await outbox.begin_command(command) == reply
    assert await outbox.settle_doubtful() == []
    await outbox.close()


async def test_a_corrupt_log_is_set_aside_and_the_boot_number_still_grows(path, clock):
    outbox = opened(path, clock)
    await outbox.append(key(1))
    await outbox.close()
    path.write_bytes(b"no database " * 1000)
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    outbox = opened(path, clock)
    assert outbox.identity.boot == 2
    assert (await outbox.append(key(1))).boot == 2
    await outbox.close()
    assert path.with_name("outbox.db.corrupt-1").read_bytes().startswith(b"no database")


async def test_small_state_is_kept_and_removed(path, clock):
    outbox = opened(path, clock)
    await outbox.save_state("post:w1", {"seen": "absent"})
    await outbox.close()
    outbox = opened(path, clock)
    assert await outbox.load_state("post:w1") == {"seen": "absent"}
    await outbox.save_state("post:w1", None)
    assert await outbox.load_state("post:w1") is None
    await outbox.close()


def test_a_state_directory_that_is_a_file_is_an_error_with_a_hint(tmp_path, clock):
    (tmp_path / "state").write_text("x")
    with pytest.raises((OutboxError, OSError)):
        opened(tmp_path / "state" / "outbox.db", clock)


APPENDER = """
import asyncio, sys
from pathlib import Path
from hallctl.clock import SystemClock
from hallctl.model import Event, EventType, Priority
from hallctl.outbox import Outbox

async def main():
    outbox = Outbox.open(Path(sys.argv[1]), "hall-1", "box-1", SystemClock())
    async def work(name):
        n = 0
        while True:
            n += 1
            priority = Priority.HIGH if n % 3 else Priority.NORMAL
            stored = await outbox.append(Event(EventType.KEY_PRESSED, {"who": name, "n": n}, priority))
            print(stored.seq, flush=True)
    await asyncio.gather(*(work(name) for name in range(8)))

asyncio.run(main())
"""


@pytest.mark.rule("MQ-05")
async def test_a_process_killed_while_it_appends_has_lost_nothing_that_it_acknowledged(path, clock):
    acknowledged: set[int] = set()
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", APPENDER, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _, line in zip(range(300), process.stdout, strict=False):
            acknowledged.add(int(line))
        os.kill(process.pid, signal.SIGKILL)
        acknowledged |= {int(line) for line in process.stdout if line.endswith("\n")}
        process.wait()
    outbox = opened(path, clock)
    kept = {one.seq for one in await outbox.read_range(1, 10**9, limit=10**6)}
    assert acknowledged <= kept
    assert kept == set(range(1, max(kept) + 1))
    assert outbox.identity.boot == 4
    await outbox.close()


async def test_chinese_survives_as_it_is(path, clock):
    outbox = opened(path, clock)
    await outbox.append(Event(EventType.TEXT_SHOWN, {"text": "请A001号到3号窗口㐀𠀀"}))
    (stored,) = await outbox.unsent()
    assert stored.data == {"text": "请A001号到3号窗口㐀𠀀"}
    assert "请" in json.dumps(stored.data, ensure_ascii=False)
    await outbox.close()


async def test_an_entry_that_can_not_be_kept_takes_no_other_along(path, clock):
    outbox = opened(path, clock)
    bad = Event(EventType.KEY_PRESSED, {"n": object()})
    results = await asyncio.gather(
        outbox.append(key(1)), outbox.append(bad), outbox.append(key(2)), return_exceptions=True
    )
    assert isinstance(results[1], OutboxError)
    assert [results[0].seq, results[2].seq] == [1, 2]
    await outbox.close()


async def test_a_page_that_was_overwritten_is_noticed_at_the_start(path, clock):
    outbox = opened(path, clock)
    await asyncio.gather(*(outbox.append(key(n)) for n in range(800)))
    await outbox.close()
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 40_000)
    outbox = opened(path, clock)
    assert outbox.identity.boot == 2
    assert path.with_name("outbox.db.corrupt-1").exists()
    await outbox.append(key(1))
    await outbox.close()


async def test_what_is_too_old_to_wait_for_its_recorder_is_said_in_a_gap(path, clock):
    outbox = opened(path, clock)
    for n in range(3):
        await outbox.append(key(n))
    await outbox.mark_sent(3)
    await clock.advance(timedelta(days=15).total_seconds(), rounds=1)
    (gap,) = await outbox.trim()
    assert (gap.data["from"], gap.data["to"], gap.data["count"]) == (1, 3, 3)
    await outbox.close()


async def test_a_command_that_only_waited_when_the_controller_stopped_has_failed_and_not_become_doubtful(path, clock):
    outbox = opened(path, clock)
    for name in ("waits", "acts", "waited"):
        await outbox.begin_command(Command(name, "ticket.print", clock.now(), {"fields": {"number": name}}))
    await outbox.mark_command("waits", untouched=True)
    await outbox.mark_command("waited", untouched=True)
    await outbox.mark_command("waited", untouched=False)
    await outbox.close()
    outbox = opened(path, clock)
    doubtful = await outbox.doubtful()
    assert {one.command: one.untouched for one in doubtful} == {"waits": True, "acts": False, "waited": False}
    assert doubtful[0].data == {"fields": {"number": "waits"}}
    states = {reply.command: reply.state for reply in await outbox.settle_doubtful()}
    assert states == {"waits": ReplyState.FAILED, "acts": ReplyState.UNKNOWN, "waited": ReplyState.UNKNOWN}
    assert await outbox.doubtful() == []
    await outbox.close()


async def test_a_log_of_the_first_layout_is_taken_over_with_its_commands(path, clock):
    outbox = opened(path, clock)
    await outbox.begin_command(Command("c-1", "ticket.print", clock.now(), {}))
    await outbox.append(key(1))
    await outbox.close()
    with sqlite3.connect(path) as database:
        database.executescript(
            "ALTER TABLE commands DROP COLUMN data; ALTER TABLE commands DROP COLUMN untouched;"
            "ALTER TABLE commands DROP COLUMN sender; PRAGMA user_version=1"
        )
    outbox = opened(path, clock)
    (one,) = await outbox.doubtful()
    assert (one.command, one.data, one.untouched) == ("c-1", {}, False)
    assert outbox.last_seq == 1
    await outbox.close()
