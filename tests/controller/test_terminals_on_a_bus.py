"""Terminals on a bus whose port comes back: nobody waits for a back-off that the port's absence has made long."""

import asyncio

from hallctl_drivers.pinganlihe import PLUGIN
from hallctl_drivers.pinganlihe.sim import PingAnLiHeSimulator

from hallctl.clock import ManualClock
from hallctl.config.hall import Terminal
from hallctl.controller.parts import connect_to, supervise
from hallctl.driver import TerminalContext
from hallctl.errors import TransportUnavailable
from hallctl.model import TerminalStatus
from hallctl.terminal import Bus
from hallctl.transport import PortAddress, null_modem


class Log:
    def debug(self, event, **_fields): ...

    info = warning = debug


async def nobody(*_args):
    return


async def test_terminals_are_asked_as_soon_as_their_bus_is_open_however_long_it_was_gone():
    clock, plugged_in = ManualClock(), asyncio.Event()
    near, far = null_modem()
    bar = PingAnLiHeSimulator(address=3)
    bar.now = clock.monotonic

    async def open_port(_address, _clock):
        if not plugged_in.is_set():
            raise TransportUnavailable("no such port", code="port.absent")
        return near

    async def device():
        while True:
            if answer := bar.feed(await far.read()):
                await far.write(answer)

    bus = Bus("line", PortAddress.parse("tcp://line:4001"), clock, Log(), open_port, plugged=plugged_in.is_set)
    terminal = Terminal(id="bar-3", driver="pinganlihe", bus="line", address=3)
    driver = PLUGIN.make(TerminalContext("bar-3", clock, Log(), nobody), PLUGIN.options())
    connect, _line = connect_to(terminal, PLUGIN, {"line": bus}, clock)
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
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
