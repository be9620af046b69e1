"""Commands as they arrive: at most once, answered last with what is final, and left to the next boot by a dying one."""

import asyncio
from datetime import timedelta

import pytest
import structlog

from hallctl.clock import SystemClock
from hallctl.link import CommandIntake
from hallctl.link.payloads import command_envelope
from hallctl.model import Command, Reply, ReplyState
from hallctl.outbox import Outbox

CLOCK = SystemClock(trust_wall_clock=True)


class Bench:
    """An intake on a real log, with a handler that waits for the test's word."""

    def __init__(self, folder):
        self.outbox = Outbox.open(folder / "outbox.db", "hall", "box", CLOCK)
        self.intake = CommandIntake(self.outbox, CLOCK, self.handle, structlog.get_logger())
        self.go_on = asyncio.Event()
        self.replies = []
        self.handled = []

    async def handle(self, command, progress):
        self.handled.append(command.id)
        progress(Reply(command.id, ReplyState.IN_PROGRESS, "paper.end"))
        await self.go_on.wait()
        progress(Reply(command.id, ReplyState.IN_PROGRESS, "too.late"))
        return Reply(command.id, ReplyState.SUCCEEDED)

    async def take(self, name="c-1"):
        command = Command(name, "ticket.print", CLOCK.now() + timedelta(seconds=60), {})
        await self.intake.take("ticket.print", command_envelope(command, "desk", CLOCK.now()).encode(), self.publish)

    async def publish(self, reply):
        self.replies.append((reply.command, reply.state, reply.code))

    async def until(self, wanted):
        async with asyncio.timeout(10):
            while not wanted():
                await asyncio.sleep(0.005)


@pytest.fixture
async def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    await bench.outbox.close()


async def test_progress_is_told_before_the_final_reply_and_never_after_it(bench):
    await bench.take()
    await bench.until(lambda: bench.replies)
    await bench.take()
    await bench.until(lambda: len(bench.replies) == 2)
    bench.go_on.set()
    await bench.intake.drain(10)
    assert [state for _, state, _ in bench.replies[:2]] == [ReplyState.IN_PROGRESS] * 2
    assert bench.replies[-1] == ("c-1", ReplyState.SUCCEEDED, "")
    assert bench.handled == ["c-1"]


async def test_a_repeat_that_arrives_with_the_end_of_the_command_is_not_answered_with_progress_afterwards(bench):
    await bench.take()
    await bench.until(lambda: bench.replies)
    repeat = asyncio.ensure_future(bench.take())
    bench.go_on.set()
    await repeat
    await bench.intake.drain(10)
    assert bench.replies[-1][1] is ReplyState.SUCCEEDED


async def test_a_command_that_is_cancelled_is_left_to_the_next_boot_which_knows_what_to_say(bench, tmp_path):
    await bench.take()
    await bench.until(lambda: bench.handled)
    for task in set(bench.intake._running):
        task.cancel()
    await bench.intake.drain(10)
    assert not [reply for reply in bench.replies if reply[1].final]
    again = Outbox.open(tmp_path / "outbox.db", "hall", "box", CLOCK)
    assert [one.command for one in await again.doubtful()] == ["c-1"]
    await again.close()


async def test_a_handler_that_raises_rubbish_is_answered_as_unknown(bench):
    async def rubbish(_command, _progress):
        raise ValueError("oh")

    bench.intake._default = rubbish
    await bench.take()
    await bench.until(lambda: bench.replies)
    assert bench.replies == [("c-1", ReplyState.UNKNOWN, "controller.interrupted")]


@pytest.mark.parametrize("name", ["a/b", "+", "#", "x" * 101])
async def test_an_id_that_can_not_be_part_of_a_topic_is_refused_before_anything_is_done(bench, name):
    await bench.take(name)
    await bench.intake.drain(10)
    assert bench.handled == []
    assert await bench.outbox.doubtful() == []


@pytest.mark.rule("MQ-10")
@pytest.mark.rule("MQ-23")
@pytest.mark.parametrize("turns", range(6))
async def test_a_session_that_is_lost_while_a_command_is_committed_does_not_leave_it_begun_for_ever(bench, turns):
    bench.go_on.set()
    taking = asyncio.ensure_future(bench.take())
    for _ in range(turns):
        await asyncio.sleep(0)
    taking.cancel()  # the uplink does so; the broker delivers the message again
    await asyncio.gather(taking, return_exceptions=True)
    await bench.take()
    await bench.intake.drain(10)
    assert bench.handled == ["c-1"]
    assert bench.replies[-1][1] is ReplyState.SUCCEEDED
