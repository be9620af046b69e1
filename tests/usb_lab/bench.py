"""What the tests share: a list of tests, a ticket, a driver on an open port, a supervised terminal, and patience."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hallctl_drivers.escpos import PLUGIN
from hallctl_drivers.escpos.config import EscposOptions
from hallctl_drivers.escpos.driver import EscposPrinter

from hallctl.clock import SystemClock
from hallctl.config.hall import Terminal
from hallctl.controller.parts import connect_to, supervise
from hallctl.driver import PrintJob, PrintOutcome, PrintState, TerminalContext
from hallctl.model import TerminalState, TerminalStatus
from hallctl.terminal.supervisor import TerminalSupervisor
from hallctl.ticket import Columns, QrCode, Rule, TextLine, Ticket
from hallctl.transport import PortAddress, Tap, Transport, is_plugged, open_port
from usb_lab.gadget import Gadget

LP = Path("/dev/usb/lp0")
FILE_URL = "file:///dev/usb/lp0"
CLOCK = SystemClock()

CASES: dict[str, Callable[[], Awaitable[None]]] = {}


def case(name: str) -> Callable[[Callable[[], Awaitable[None]]], Callable[[], Awaitable[None]]]:
    """Put a test on the list; its name is the sentence that it proves."""

    def put(function: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        CASES[name] = function
        return function

    return put


class Log:
    """The driver's log goes to the guest's console."""

    def debug(self, event: str, **fields: object) -> None: ...

    def info(self, event: str, **fields: object) -> None:
        print(event, fields, file=sys.stderr)

    warning = info


async def until(what: str, condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for it, in real time; a condition of the kernel's comes when it comes."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {what}") from None


async def seen(url: str) -> None:
    """Wait until kernel and udev have done all that a plug makes them do."""
    await until(f"{url} is seen", lambda: is_plugged(PortAddress.parse(url)))
    settle = await asyncio.create_subprocess_exec("udevadm", "settle")
    await settle.wait()


def opened(url: str) -> Awaitable[Transport]:
    """Open a port by its URL."""
    return open_port(PortAddress.parse(url), CLOCK)


def job(number: str = "A001", lines: int = 1) -> PrintJob:
    """A ticket as a hall prints it; more lines make it larger than the device's buffers."""
    text = TextLine("请在休息区等候叫号，过号请重新取号。")
    number_line = TextLine(number, width=4, height=4)
    picture = QrCode(f"https://example.invalid/t/{number}")
    return PrintJob(
        f"job-{number}", Ticket((number_line, Rule(), Columns("个人业务", "等候 5 人"), *[text] * lines, picture))
    )


def numbers(gadget: Gadget) -> list[str]:
    """Which tickets are on its paper."""
    return [ticket.lines[0] for ticket in gadget.sim.tickets]


def once(gadget: Gadget, *expected: str) -> bool:
    """Whether each of these numbers stands on the paper once, wherever what was begun has been cut off."""
    lines = [line for ticket in gadget.sim.tickets for line in ticket.lines]
    return [lines.count(number) for number in expected] == [1] * len(expected)


def printer(**options: Any) -> EscposPrinter:
    """A driver as the house makes it."""
    context = TerminalContext("printer-1", CLOCK, Log(), _nobody)
    return EscposPrinter(context, EscposOptions(**options))


async def started(transport: Transport, **options: Any) -> EscposPrinter:
    """A driver that has shaken hands."""
    driver = printer(**options)
    await driver.start(transport)
    await driver.poll()
    return driver


async def prints(url: str, gadget: Gadget, number: str = "A001") -> None:
    """Open, print one ticket, close: the printer's word and its paper agree."""
    before = numbers(gadget)
    async with await opened(url) as port:
        outcome = await (await started(port)).print_ticket(job(number))
    assert outcome == PrintOutcome(PrintState.PRINTED, "gs_h"), outcome
    assert numbers(gadget) == [*before, number], numbers(gadget)
    assert gadget.sim.refused == [], gadget.sim.refused


@dataclass
class Watched:
    """A supervised terminal and all that it has been."""

    supervisor: TerminalSupervisor
    history: list[TerminalState] = field(default_factory=list)

    @property
    def state(self) -> TerminalState:
        """How it is now."""
        return self.supervisor.state

    @property
    def faults(self) -> list[str]:
        """What is wrong with it, by code."""
        return [fault.code for fault in self.state.faults]

    async def online(self, seconds: float = 25.0) -> None:
        """Wait until it is online."""
        await until("the terminal is online", lambda: self.state.status is TerminalStatus.ONLINE, seconds)

    async def offline(self, seconds: float = 10.0) -> None:
        """Wait until it is off-line, because of its port."""
        await until("the terminal is offline", lambda: self.state.status is TerminalStatus.OFFLINE, seconds)
        assert (self.state.reason or "").startswith("port."), self.state

    async def prints(self, number: str, lines: int = 1) -> PrintOutcome:
        """Print one ticket in its turn."""
        return await self.supervisor.act(lambda driver: driver.print_ticket(job(number, lines)), timeout_s=30.0)


@contextlib.asynccontextmanager
async def supervised(url: str, **options: Any) -> AsyncIterator[Watched]:
    """A terminal as the controller runs it, for as long as the block lasts."""
    settings = {"poll_every_s": 0.5, **options}
    terminal = Terminal(id="printer-1", driver="escpos", port=url, options=settings)

    async def note(_old: TerminalState, new: TerminalState) -> None:
        watched.history.append(new)

    connect, _line = connect_to(terminal, PLUGIN, {}, CLOCK, Tap(terminal.id, CLOCK))
    driver = printer(**settings)
    wiring = {"buses": {}, "clock": CLOCK, "log": Log(), "on_state": note, "waiting_limit": 4}
    watched = Watched(supervise(terminal, driver, connect, **wiring))
    task = asyncio.create_task(watched.supervisor.run())
    try:
        yield watched
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _nobody(_signal: object) -> None: ...
