"""Ticket printing: bytes a ticket, tickets a minute against the line's own rate, and how soon the first byte leaves.

Run: python bench/ticket_printing.py [TICKETS]. Three tables; every figure of hallctl stands beside a baseline of the
same run: python-escpos for the bytes, a plain loop that writes the same bytes and asks nothing for rate and delay.
hallctl's side is the real driver on the real transport, each ticket confirmed by the printer; the printer is the
simulator, which prints as fast as bytes come. A pseudo-terminal has no speed: its far end is read at the line's here.
"""

import asyncio
import contextlib
import os
import statistics
import sys
import time
import tty
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import structlog
from escpos.printer import Dummy
from hallctl_drivers.escpos import codec
from hallctl_drivers.escpos.config import EscposOptions
from hallctl_drivers.escpos.driver import EscposPrinter
from hallctl_drivers.escpos.sim import EscposSimulator
from hallctl_drivers.escpos.style import style_of

from hallctl.clock import SystemClock
from hallctl.config import HallDocument
from hallctl.controller.parts import connect_to, supervise
from hallctl.controller.printing import TicketDesk
from hallctl.controller.requests import PrintTicket
from hallctl.driver import PrintJob, PrintState, TerminalContext, load_driver, on_tcp
from hallctl.model import Command, ReplyState
from hallctl.ticket import Align, Columns, QrCode, Rule, TextLine, Ticket
from hallctl.transport import PortAddress, open_port

URL = "https://hall.example.org/q/A001?t=4f9c1e7"
TICKET = Ticket(
    (
        TextLine("政务服务大厅", Align.CENTER, 2, 2, True),
        Rule(),
        TextLine("A001", Align.CENTER, 3, 3, True),
        Columns("业务", "不动产登记"),
        Columns("前面等候", "5 人"),
        Columns("取号时间", "2026-03-02 09:05"),
        QrCode(URL),
        TextLine("过号请重新取号，谢谢配合", Align.CENTER),
    )
)
CLOCK = SystemClock(trust_wall_clock=True)
LAYOUT = {
    "id": "queue",
    "lines": [{"text": "{number}", "align": "center", "size": [3, 3]}, {"columns": ["业务", "户籍"]}],
}


async def _nobody(_signal: object) -> None: ...


def ours(profile: str = "generic") -> bytes:
    return codec.INIT + codec.encode_ticket(TICKET, style_of(EscposOptions(profile=profile).resolved))


def theirs() -> bytes:
    """The same ticket as python-escpos' users print Chinese: raw bytes between its own commands."""
    dummy = Dummy(profile="TM-T88V")

    def line(text: str, align: str = "left", width: int = 1, height: int = 1, bold: bool = False) -> None:
        dummy.set(align=align, width=width, height=height, bold=bold, custom_size=True)
        dummy._raw(f"{text}\n".encode("gb18030"))

    dummy._raw(b"\x1b@\x1c&")
    line("政务服务大厅", "center", 2, 2, True)
    line("-" * 48)
    line("A001", "center", 3, 3, True)
    for left, right in (("业务", "不动产登记"), ("前面等候", "5 人"), ("取号时间", "2026-03-02 09:05")):
        columns = 48 - len((left + right).encode("gb18030"))
        line(left + " " * columns + right)
    dummy.set(align="center")
    dummy.qr(URL, ec=1, size=6, native=True)
    line("过号请重新取号，谢谢配合", "center")
    dummy.cut(mode="PART", feed=False)
    return bytes(dummy.output)


class Line:
    """A pseudo-terminal whose far end takes and gives bytes at a serial line's speed: 10 bits a byte."""

    def __init__(self, simulator: EscposSimulator, baud: int) -> None:
        self.rate = baud / 10
        self._simulator = simulator
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)

    async def run(self) -> None:
        allowed, last = 0.0, time.perf_counter()
        while True:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            allowed, last = min(allowed + (now - last) * self.rate, self.rate / 50), now
            with contextlib.suppress(BlockingIOError):
                data = os.read(self._master, int(allowed)) if allowed >= 1 else b""
                allowed -= len(data)
                if answer := self._simulator.feed(data) if data else b"":
                    await asyncio.sleep(len(answer) / self.rate)
                    os.write(self._master, answer)

    def close(self) -> None:
        os.close(self._master)
        os.close(self._slave)


@contextlib.asynccontextmanager
async def wire(simulator: EscposSimulator, baud: int | None) -> AsyncIterator[str]:
    """The printer's address: a serial line of this speed, or TCP."""
    if baud is None:
        async with on_tcp(simulator) as address:
            yield address
        return
    line = Line(simulator, baud)
    simulator.connected()
    task = asyncio.create_task(line.run())
    try:
        yield f"serial://{line.path}?baud={baud}"
    finally:
        task.cancel()
        line.close()


async def until(wanted: Callable[[], object]) -> None:
    while not wanted():  # noqa: ASYNC110  # the simulator's attributes tell nobody when they change
        await asyncio.sleep(0.001)


async def plain_minute(baud: int | None, count: int) -> float:
    """Tickets a minute of a loop that writes and asks nothing: until the printer has the last one."""
    simulator = EscposSimulator()
    async with wire(simulator, baud) as address, await open_port(PortAddress.parse(address), CLOCK) as port:
        began = time.perf_counter()
        for _ in range(count):
            await port.write(ours())
        await until(lambda: len(simulator.tickets) == count)
        return 60 * count / (time.perf_counter() - began)


async def confirmed_minute(baud: int | None, count: int) -> float:
    """Tickets a minute of the driver: status before each, the printer's own word after it."""
    simulator = EscposSimulator()
    context = TerminalContext("printer-1", CLOCK, structlog.get_logger(), _nobody)
    printer = EscposPrinter(context, EscposOptions(confirm_timeout_s=40, reply_timeout_s=3))
    async with wire(simulator, baud) as address, await open_port(PortAddress.parse(address), CLOCK) as port:
        await printer.start(port)
        await printer.poll()
        began = time.perf_counter()
        for number in range(count):
            outcome = await printer.print_ticket(PrintJob(str(number), TICKET))
            assert (outcome.state, outcome.confirmed_by) == (PrintState.PRINTED, "gs_h")
        minute = 60 * count / (time.perf_counter() - began)
    assert len(simulator.tickets) == count
    return minute


class Watched(EscposSimulator):
    """Notes when the first byte of a ticket arrives: everything but status questions."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = 0.0

    def feed(self, data: bytes) -> bytes:
        if not self.arrived and codec.INIT[:1] in data:
            self.arrived = time.perf_counter()
        return super().feed(data)


async def delays(baud: int | None, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds to the first byte at the printer: from the desk's call, and from a plain write."""
    simulator = Watched()
    async with wire(simulator, baud) as address:
        through_desk = await _desk_delays(simulator, address, count)
        async with await open_port(PortAddress.parse(address), CLOCK) as port:
            plain = [await _delay(simulator, lambda: port.write(ours())) for _ in range(count)]
    return through_desk, plain


async def _desk_delays(simulator: Watched, address: str, count: int) -> list[float]:
    terminal = {"id": "printer-1", "driver": "escpos", "port": address, "options": {"poll_every_s": 30}}
    document = HallDocument.model_validate({"tickets": [LAYOUT], "terminals": [terminal]})
    plugin, config = load_driver("escpos"), document.terminals[0]
    driver = plugin.make(TerminalContext("printer-1", CLOCK, structlog.get_logger(), _nobody), EscposOptions())
    connect = connect_to(config, plugin, {}, CLOCK)
    assert isinstance(driver, EscposPrinter)
    supervisor = supervise(
        config, driver, connect, clock=CLOCK, log=structlog.get_logger(), on_state=_no_state, waiting_limit=16
    )
    desk = TicketDesk(document, {"printer-1": supervisor}, _nobody, CLOCK)
    task = asyncio.create_task(supervisor.run())
    await supervisor.first_pass.wait()

    async def job() -> None:
        command = Command("c", "ticket.print", CLOCK.now() + timedelta(seconds=60), {})
        reply = await desk.print_ticket(command, PrintTicket(fields={"number": "A001"}), lambda _reply: None)
        assert reply.state is ReplyState.SUCCEEDED, reply

    try:
        return [await _delay(simulator, job) for _ in range(count)]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _no_state(_old: object, _new: object) -> None: ...


async def _delay(simulator: Watched, work: Callable[[], Awaitable[Any]]) -> float:
    printed = len(simulator.tickets)
    simulator.arrived = 0.0
    began = time.perf_counter()
    await work()
    await until(lambda: len(simulator.tickets) > printed)
    return 1000 * (simulator.arrived - began)


def _percentiles(values: list[float]) -> str:
    ordered = sorted(values)
    return f"p50 {statistics.median(ordered):6.2f}  p99 {ordered[int(len(ordered) * 0.99)]:6.2f} ms"


async def tables(count: int) -> None:
    """Print all three."""
    baseline = len(theirs())
    print(f"bytes a ticket       python-escpos: {baseline}   1.00 x")
    for profile in ("generic", "no-chinese", "pos-58"):
        print(f"  hallctl, {profile:11} {len(ours(profile)):6}   {len(ours(profile)) / baseline:.2f} x")
    print("tickets a minute     plain loop   hallctl   hallctl/plain   of the line's arithmetic rate")
    for name, baud, share in (("19200 baud", 19200, 5), ("115200 baud", 115200, 1), ("TCP", None, 1)):
        tickets = max(3, count // share)
        plain, minute = await plain_minute(baud, tickets), await confirmed_minute(baud, tickets)
        rate = f"{minute / (60 * baud / 10 / len(ours())):.2f} x" if baud else "-"
        print(f"  {name:16} {plain:12.0f} {minute:9.0f}   {minute / plain:10.2f} x   {rate:>10}")
    print("job to first byte at the printer")
    for name, baud in (("TCP", None), ("115200 baud", 115200)):
        through_desk, plain = await delays(baud, count)
        print(f"  {name:16} hallctl {_percentiles(through_desk)}   plain write {_percentiles(plain)}")


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    asyncio.run(tables(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
