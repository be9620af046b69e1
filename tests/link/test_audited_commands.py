"""Every command that acts ends in the audit, whatever became of it; what only asks does not."""

import asyncio
from datetime import timedelta

import pytest
import structlog

from hallctl.clock import ManualClock
from hallctl.link import CommandIntake
from hallctl.link.commands import WITHOUT_SIDE_EFFECT
from hallctl.link.payloads import command_envelope
from hallctl.model import Command, EventType, Reply, ReplyState
from hallctl.outbox import Outbox

pytestmark = pytest.mark.rule("MQ-25")


class Bench:
    """An intake on a real log; what the handler answers is the test's word."""

    def __init__(self, folder, *, synchronised=True):
        self.clock = ManualClock(synchronised=synchronised)
        self.outbox = Outbox.open(folder / "outbox.db", "hall", "box", self.clock)
        self.intake = CommandIntake(self.outbox, self.clock, self.handle, structlog.get_logger())
        self.replies = []
        self.state = ReplyState.SUCCEEDED

    async def handle(self, command, _progress):
        return Reply(command.id, self.state)

    async def publish(self, reply):
        self.replies.append(reply)

    async def send(self, name="number.call", expires_s=60.0, payload=None):
        now = self.clock.now()
        command = Command("c-1", name, now + timedelta(seconds=expires_s), {"window": "w1"}, "wang@desk-2")
        await self.intake.take(name, payload or command_envelope(command, "desk", now).encode(), self.publish)
        async with asyncio.timeout(10):
            await self.intake.drain(10)

    async def audits(self):
        entries = await self.outbox.read_range(1, 10**6)
        return [one.data for one in entries if one.type == EventType.COMMAND_FINISHED]


@pytest.fixture
async def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    await bench.outbox.close()


@pytest.mark.parametrize("state", [ReplyState.SUCCEEDED, ReplyState.FAILED, ReplyState.REJECTED, ReplyState.UNKNOWN])
async def test_each_end_of_a_command_is_audited(bench, state):
    bench.state = state
    await bench.send()
    (audit,) = await bench.audits()
    assert (audit["name"], audit["by"], audit["state"]) == ("number.call", "wang@desk-2", state.value)
    assert audit["arguments"] == {"window": "w1"}


async def test_a_repeat_is_answered_and_not_audited_again(bench):
    await bench.send()
    await bench.send()
    assert len(bench.replies) == 2
    assert len(await bench.audits()) == 1


@pytest.mark.rule("MQ-11")
async def test_an_expired_command_is_audited(bench):
    await bench.send(expires_s=-1)
    (audit,) = await bench.audits()
    assert (audit["state"], audit["code"]) == ("expired", "command.expired")


@pytest.mark.rule("MQ-11")
async def test_a_refusal_because_of_the_clock_is_audited(tmp_path):
    bench = Bench(tmp_path, synchronised=False)
    await bench.send()
    (audit,) = await bench.audits()
    assert (audit["state"], audit["code"]) == ("rejected", "clock.unsynchronised")
    await bench.outbox.close()


async def test_a_handler_that_raises_rubbish_is_audited_as_unknown(bench):
    async def rubbish(_command, _progress):
        raise ValueError("oh")

    bench.intake._default = rubbish
    await bench.send()
    (audit,) = await bench.audits()
    assert (audit["state"], audit["code"], audit["by"]) == ("unknown", "controller.interrupted", "wang@desk-2")


@pytest.mark.parametrize(("payload", "command"), [(b"{not json", ""), (b'{"id": "c-9", "data": {}}', "c-9")])
async def test_what_nobody_can_read_is_audited_as_refused(bench, payload, command):
    await bench.send(payload=payload)
    (audit,) = await bench.audits()
    assert (audit["command"], audit["state"], audit["code"]) == (command, "rejected", "command.malformed")


@pytest.mark.parametrize("name", sorted(WITHOUT_SIDE_EFFECT))
async def test_what_only_asks_is_not_audited(bench, name):
    await bench.send(name)
    await bench.send(name, payload=b"{not json")
    assert bench.replies
    assert await bench.audits() == []
