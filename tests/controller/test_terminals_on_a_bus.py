"""Terminals on a bus whose port comes and goes: nobody waits for a back-off, or for the next poll, to notice."""

import asyncio
import contextlib

from hallctl_drivers.pinganlihe import PLUGIN
from hallctl_drivers.pinganlihe.sim import PingAnLiHeSimulator

from hallctl.clock import ManualClock
from hallctl.config.hall import Terminal
from hallctl.controller.parts import connect_to, supervise
from hallctl.driver import TerminalContext
from hallctl.errors import TransportLost, TransportUnavailable
from hallctl.model import TerminalStatus
from hallctl.terminal import Bus
from hallctl.transport import PortAddress, Tap, null_modem


class Log:
    def debug(self, event, **_fields): ...

    info = warning = debug


async def nobody(*_args):
    return


async def test_terminals_are_asked_as_soon_as_their_bus_is_open_and_lost_as_soon_as_it_is():
    clock, plugged_in = ManualClock(), asyncio.Event()
    near, far = null_modem()
    bar = PingAnLiHeSimulator(address=3)
    bar.now = clock.monotonic

    async def open_port(_address, _clock):
        if not plugged_in.is_set():
            raise TransportUnavailable("no such port", code="port.absent")
        return near

    async def device():
        with contextlib.suppress(TransportLost):
            while True:
                if answer := bar.feed(await far.read()):
                    await far.write(answer)

    bus = Bus("line", PortAddress.parse("tcp://line:4001"), clock, Log(), open_port, plugged=plugged_in.is_set)
    terminal = Terminal(id="bar-3", driver="pinganlihe", bus="line", address=3)
    driver = PLUGIN.make(TerminalContext("bar-3", clock, Log(), nobody), PLUGIN.options())
    connect, _line = connect_to(terminal, PLUGIN, {"line": bus}, clock, Tap("bar-3", clock))
    wiring = {"buses": {"line": bus}, "clock": clock, "log": Log(), "on_state": nobody, "waiting_limit": 4}
    supervisor = supervise(terminal, driver, connect, **wiring)
    tasks = [asyncio.create_task(work) for work in (device(), bus.run(), supervisor.run())]
    for _ in range(240):
        await clock.advance(0.5)
    assert supervisor.state.reason == "port.absent"
    plugged_in.set()
    for _ in range(4):  # one look of the bus, one of the terminal, and the exchange
        await clock.advance(0.5)
    assert supervisor.state.status is TerminalStatus.ONLINE
    plugged_in.clear()
    await far.close()
    await clock.settle()  # nobody has asked the terminal anything since
    assert (supervisor.state.status, supervisor.state.reason) == (TerminalStatus.OFFLINE, "port.lost")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
