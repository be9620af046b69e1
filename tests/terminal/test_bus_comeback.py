"""A device that comes back is found within 10 s, however long it was away, and costs its neighbours little."""

import asyncio

import pytest
from hallctl_drivers.pinganlihe import PLUGIN
from hallctl_drivers.pinganlihe.sim import PingAnLiHeSimulator

from hallctl.clock import ManualClock
from hallctl.driver import TerminalContext
from hallctl.model import TerminalStatus
from hallctl.terminal import Bus, TerminalSupervisor
from hallctl.transport import PortAddress, null_modem


class Log:
    def debug(self, event, **_fields): ...

    info = warning = debug


async def nobody(*_args):
    return


class Line:
    """Bars on one bus, each under a supervisor, all on a clock that the test moves."""

    def __init__(self, count):
        self.clock = ManualClock()
        self.near, self.far = null_modem()
        self.bars = [PingAnLiHeSimulator(address=number) for number in range(1, count + 1)]
        self.bus = Bus("line", PortAddress.parse("tcp://line:4001"), self.clock, Log(), self._open)
        self.supervisors = [self._supervise(bar) for bar in self.bars]
        self.tasks = []

    async def _open(self, _address, _clock):
        return self.near

    def _supervise(self, bar):
        bar.now = self.clock.monotonic
        driver = PLUGIN.make(TerminalContext(f"bar-{bar.address}", self.clock, Log(), nobody), PLUGIN.options())
        line = self.bus.attach(bar.address, PLUGIN.framing, PLUGIN.bus_gap_s)

        class Connection:
            async def __aenter__(self):
                return line

            async def __aexit__(self, *_exc): ...

        return TerminalSupervisor(
            f"bar-{bar.address}", "pinganlihe", driver, Connection, clock=self.clock, log=Log(), on_state=nobody
        )

    async def _devices(self):
        while True:
            heard = await self.far.read()
            for bar in self.bars:
                if answer := bar.feed(heard):
                    await self.far.write(answer)

    async def __aenter__(self):
        work = (self._devices(), self.bus.run(), *(one.run() for one in self.supervisors))
        self.tasks = [asyncio.create_task(one) for one in work]
        await self.clock.settle()
        return self

    async def __aexit__(self, *_exc):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def advance(self, seconds):
        for _ in range(round(seconds / 0.25)):
            await self.clock.advance(0.25)
            await self.clock.settle()

    def online(self, index):
        return self.supervisors[index].state.status is TerminalStatus.ONLINE


@pytest.mark.parametrize("away_s", [5, 11, 47, 300, 1201])
async def test_a_bar_that_comes_back_is_online_within_ten_seconds(away_s):
    async with Line(3) as line:
        await line.advance(10)
        assert all(line.online(index) for index in range(3))
        line.bars[1].fault = "mute"
        await line.advance(away_s + 12)
        assert [line.online(index) for index in range(3)] == [True, False, True]
        line.bars[1].fault = None
        await line.advance(10)
        assert line.online(1)


async def test_half_of_the_bars_being_dead_keeps_the_others_online():
    async with Line(20) as line:
        for bar in line.bars[10:]:
            bar.fault = "mute"
        await line.advance(120)
        assert [line.online(index) for index in range(20)] == [True] * 10 + [False] * 10
        assert line.bus.stats["timeouts"] <= 10 * 120 / 5  # each about every 6 s
        for bar in line.bars[10:]:
            bar.fault = None
        await line.advance(12)
        assert all(line.online(index) for index in range(20))
