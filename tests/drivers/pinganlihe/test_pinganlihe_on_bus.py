"""Two bars on the house's own bus, over a real pseudo-terminal."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from hallctl_drivers.pinganlihe import PLUGIN
from hallctl_drivers.pinganlihe.driver import PingAnLiHeBar
from hallctl_drivers.pinganlihe.sim import PingAnLiHeSimulator

from hallctl.clock import SystemClock
from hallctl.driver import DisplayKind, DisplayMessage, TerminalContext, on_pty
from hallctl.terminal import Bus
from hallctl.transport import PortAddress


class Log:
    def debug(self, event: str, **_fields: object) -> None: ...

    info = warning = debug


async def nobody(_signal: object, /) -> None: ...


@contextlib.asynccontextmanager
async def running(bus: Bus) -> AsyncIterator[None]:
    task = asyncio.create_task(bus.run())
    try:
        while not bus.is_open:  # what is watched is a plain attribute
            await asyncio.sleep(0.005)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def bar(bus: Bus, clock: SystemClock, address: int, **options: Any) -> tuple[PingAnLiHeBar, Any]:
    context = TerminalContext(f"bar-{address}", clock, Log(), nobody)
    driver = PLUGIN.make(context, PLUGIN.options(**options))
    assert isinstance(driver, PingAnLiHeBar)
    assert PLUGIN.framing is not None
    return driver, bus.attach(address, PLUGIN.framing, PLUGIN.bus_gap_s)


async def test_two_bars_on_one_real_bus_show_their_own_messages() -> None:
    devices = PingAnLiHeSimulator(address=1), PingAnLiHeSimulator("echo", 2)
    clock = SystemClock()
    async with asyncio.timeout(15), on_pty(devices) as path:
        bus = Bus("bus-1", PortAddress.parse(f"serial://{path}"), clock, Log())
        first, first_line = bar(bus, clock, 1)
        second, second_line = bar(bus, clock, 2, digits=3)
        async with running(bus):
            await asyncio.gather(first.start(first_line), second.start(second_line))
            text = DisplayMessage(DisplayKind.TEXT, ("请保持安静",))
            call = DisplayMessage(DisplayKind.CALL, ("请A001号到3号窗口",), ticket="A001", window="3")
            await asyncio.gather(first.show(text), second.show(call))
            await asyncio.gather(first.poll(), second.poll())
    assert [device.shown.lines for device in devices] == [("请保持安静",), ("请A001号到3号窗口",)]
    assert [device.refused for device in devices] == [[], []]
