"""The audit: with a command's final reply the log gets who sent it, when it came and what came of it."""

import sqlite3

import pytest

from hallctl.clock import ManualClock
from hallctl.model import Command, Event, EventType, Reply, ReplyState
from hallctl.outbox import Outbox
from hallctl.outbox.records import MAX_ARGUMENTS_BYTES, bounded, dumps

pytestmark = pytest.mark.rule("MQ-25")


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outbox.db"


def opened(path, clock):
    return Outbox.open(path, "hall-1", "box-1", clock)


async def audits(outbox):
    return [one.data for one in await outbox.read_range(1, 10**9) if one.type == EventType.COMMAND_FINISHED]


async def test_who_sent_what_when_and_what_came_of_it_is_in_the_log(path, clock):
    outbox = opened(path, clock)
    came = clock.now()
    await outbox.begin_command(Command("c-1", "number.call", came, {"window": "w1"}, "李娜@desk-1"))
    await clock.advance(3, rounds=1)
    await outbox.finish_command(Reply("c-1", ReplyState.FAILED, "window.paused", "paused", "wait"))
    assert await audits(outbox) == [
        {
            "command": "c-1",
            "name": "number.call",
            "by": "李娜@desk-1",
            "received_at": came.isoformat(),
            "state": "failed",
            "code": "window.paused",
            "message": "paused",
            "arguments": {"window": "w1"},
        }
    ]
    (entry,) = await outbox.unsent()
    assert (entry.seq, entry.at) == (outbox.last_seq, clock.now())
    await outbox.close()


async def test_a_repeated_end_is_told_once(path, clock):
    outbox = opened(path, clock)
    await outbox.begin_command(Command("c-1", "number.call", clock.now(), {}))
    for _ in range(2):
        await outbox.finish_command(Reply("c-1", ReplyState.SUCCEEDED))
    await outbox.finish_command(Reply("never-begun", ReplyState.SUCCEEDED))
    assert len(await audits(outbox)) == 1
    await outbox.close()


async def test_what_a_crash_left_in_doubt_is_audited_by_the_next_boot_with_its_sender(path, clock):
    outbox = opened(path, clock)
    for name in ("acts", "waits", "known"):
        await outbox.begin_command(Command(name, "ticket.print", clock.now(), {"printer": "p"}, "ops@desk"))
    await outbox.mark_command("waits", untouched=True)
    await outbox.close()
    outbox = opened(path, clock)
    await outbox.settle_doubtful({"known": Reply("known", ReplyState.SUCCEEDED)})
    told = {one["command"]: (one["state"], one["by"], one["arguments"]) for one in await audits(outbox)}
    assert told == {
        "acts": ("unknown", "ops@desk", {"printer": "p"}),
        "waits": ("failed", "ops@desk", {"printer": "p"}),
        "known": ("succeeded", "ops@desk", {"printer": "p"}),
    }
    await outbox.settle_doubtful()
    assert len(await audits(outbox)) == 3
    await outbox.close()


async def test_reply_and_audit_are_one_commit(path, clock):
    outbox = opened(path, clock)
    await outbox.begin_command(Command("c-1", "number.call", clock.now(), {}))
    with sqlite3.connect(path) as other:
        other.execute("CREATE TRIGGER no BEFORE INSERT ON log BEGIN SELECT raise(ABORT, 'the disk refuses'); END")
    with pytest.raises(Exception, match="the disk refuses"):
        await outbox.finish_command(Reply("c-1", ReplyState.SUCCEEDED))
    await outbox.close()
    with sqlite3.connect(path) as other:
        other.execute("DROP TRIGGER no")
    outbox = opened(path, clock)
    assert [one.command for one in await outbox.doubtful()] == ["c-1"]
    await outbox.close()


async def test_a_log_of_the_second_layout_is_taken_over_with_its_commands(path, clock):
    outbox = opened(path, clock)
    await outbox.begin_command(Command("c-1", "ticket.print", clock.now(), {"printer": "p"}, "lost@with-the-column"))
    await outbox.append(Event(EventType.KEY_PRESSED, {"n": 1}))
    await outbox.close()
    with sqlite3.connect(path) as database:
        database.executescript("ALTER TABLE commands DROP COLUMN sender; PRAGMA user_version=2")
    outbox = opened(path, clock)
    assert [(one.command, one.data) for one in await outbox.doubtful()] == [("c-1", {"printer": "p"})]
    await outbox.settle_doubtful()
    (audit,) = await audits(outbox)
    assert (audit["by"], audit["state"]) == ("", "unknown")
    await outbox.begin_command(Command("c-2", "ticket.print", clock.now(), {}, "now@desk"))
    await outbox.finish_command(Reply("c-2", ReplyState.SUCCEEDED))
    assert (await audits(outbox))[-1]["by"] == "now@desk"
    await outbox.close()
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA user_version").fetchone()[0] == 3


@pytest.mark.parametrize(
    "arguments",
    [{"text": "长" * 5000}, {f"key-{n}": "x" * 90 for n in range(500)}, {"k" * 5000: 1}, {"deep": [["x" * 99] * 99]}],
    ids=["long text", "many", "long key", "deep"],
)
def test_long_arguments_are_kept_to_their_beginning(arguments):
    kept = bounded(arguments)
    assert len(dumps(kept).encode()) <= MAX_ARGUMENTS_BYTES
    assert kept["cut_from_bytes"] == len(dumps(arguments).encode())


def test_short_arguments_are_kept_whole():
    arguments = {"window": "w1", "fields": {"name": "王"}}
    assert bounded(arguments) is arguments
