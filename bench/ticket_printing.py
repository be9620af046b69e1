"""Ticket printing beside plainer ways of the same run: bytes, tickets a minute, and the delay to the first byte.

Run: python bench/ticket_printing.py [--tickets N]. Asserts no time. A ratio below 1 in the second table is what the
status before each ticket and the printer's own word behind it cost; "x line" is the share of what the line's speed
alone would allow. In the third, "desk" counts from TicketDesk.print_ticket to the ticket's ESC @ in the printer.

The printer is ``EscposSimulator`` in a process of its own, on TCP or on a pty. A pty has no speed, so its far end takes
and gives bytes at the line's, 10 bits a byte. Paper, ink and a printer's own buffer are not simulated. A pty reports an
empty output queue at once: a real UART adds the wait of ``SerialTransport.write`` for its last byte.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import select
import socket
import statistics
import threading
import time
import tty
from collections import deque
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial
from multiprocessing.connection import Connection as Pipe
from typing import Any

import serial
import structlog
from escpos.printer import Dummy
from hallctl_drivers.escpos import codec
from hallctl_drivers.escpos.config import EscposOptions
from hallctl_drivers.escpos.driver import EscposPrinter
from hallctl_drivers.escpos.paper import Font
from hallctl_drivers.escpos.raster import draw_line
from hallctl_drivers.escpos.sim import EscposSimulator
from hallctl_drivers.escpos.style import style_of
from PIL import Image, ImageOps

from hallctl.clock import SystemClock
from hallctl.config import HallDocument
from hallctl.controller.printing import TicketDesk
from hallctl.controller.requests import PrintTicket
from hallctl.driver import PrintJob, PrintState, TerminalContext, on_tcp
from hallctl.model import Command, ReplyState
from hallctl.terminal.supervisor import TerminalSupervisor
from hallctl.ticket import Align, lay_out
from hallctl.transport import PortAddress, Transport, open_port

URL = "https://ticket.example.invalid/t/A001-7f"
COLUMNS = (("办理业务", "不动产登记"), ("前面等候", "5 人"), ("取号时间", "2026-03-02 09:05"))
HEADING, NOTICE = "政务服务中心", "请在休息区等候叫号，过号请重新取号。"
LAYOUT = {
    "id": "queue",
    "lines": [
        {"text": HEADING, "align": "center", "size": [2, 2], "bold": True},
        {"text": "{number}", "align": "center", "size": [3, 3]},
        {"rule": True},
        *({"columns": pair} for pair in COLUMNS),
        {"qr": URL},
        {"text": NOTICE},
    ],
}
HALL = HallDocument.model_validate({"tickets": [LAYOUT]})
TICKET = lay_out(HALL.tickets[0], {"number": "A001"})
WIRES = (("19200 baud", 19200), ("115200 baud", 115200), ("TCP", None))
CLOCK = SystemClock()
LOG = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(50))


def encoded(profile: str = "generic") -> bytes:
    return codec.INIT + codec.encode_ticket(TICKET, style_of(EscposOptions(profile=profile).resolved))


BODY = encoded()
CONFIRM = codec.ask_when_printed(b"hall")


def python_escpos(*, images: bool) -> bytes:
    """The same ticket as users of python-escpos print it: Chinese as raw GB18030, or every Chinese line a picture."""
    printer = Dummy(profile="TM-T88V")
    printer.profile.profile_data["media"]["width"]["pixels"] = 576  # the paper of hallctl's ticket

    def line(text: str, size: int = 1) -> None:
        if text.isascii() or not images:
            return printer._raw(f"{text}\n".encode("gb18030"))
        ink = draw_line(text, Font(size, size, bold=size == 2), Align.LEFT, "auto")  # hallctl's own font
        dots = (ink.stride * 8, len(ink.rows) // ink.stride)
        return printer.image(ImageOps.invert(Image.frombytes("1", dots, ink.rows)))

    printer.hw("INIT")
    printer.set(align="center", bold=True, custom_size=True, width=2, height=2)
    line(HEADING, 2)
    printer.set(bold=False, custom_size=True, width=3, height=3)
    line("A001", 3)
    printer.set(align="left", normal_textsize=True)
    line("-" * 48)
    for left, right in COLUMNS:
        line(left + " " * (48 - len((left + right).encode("gb18030"))) + right)
    printer.set(align="center")
    printer.qr(URL, ec=1, size=6, native=not images)
    printer.set(align="left")
    line(NOTICE)
    printer.cut(mode="PART")
    return bytes(printer.output)


class Watched(EscposSimulator):
    """Notes when each ESC @ has arrived, how many bytes came, and when the last one did."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[float] = []
        self.bytes, self.last, self._tail = 0, 0.0, b""

    def feed(self, data: bytes) -> bytes:
        self.last = time.monotonic()
        self.bytes += len(data)
        self.begun += [self.last] * (self._tail + data).count(codec.INIT)
        self._tail = data[-1:]
        return super().feed(data)


def paced(simulator: Watched, master: int, rate: float, stop: threading.Event) -> None:
    """A serial line: a byte has come when its ten bits have passed, and an answer likewise."""
    free, answers_free, answers = time.monotonic(), 0.0, deque[tuple[float, bytes]]()
    while not stop.is_set():
        while answers and answers[0][0] <= time.monotonic():
            os.write(master, answers.popleft()[1])
        if not select.select([master], [], [], 0)[0]:
            select.select([master], [], [], 0.0002)
            free = time.monotonic()  # the line was idle: that time is not made up for
            continue
        data = os.read(master, max(1, int(rate / 2000)))
        free += len(data) / rate
        time.sleep(max(0.0, free - time.monotonic()))
        if answer := simulator.feed(data):
            answers_free = max(answers_free, time.monotonic()) + len(answer) / rate
            answers.append((answers_free, answer))


@contextlib.asynccontextmanager
async def on_line(simulator: Watched, baud: int) -> AsyncIterator[str]:
    master, slave = os.openpty()
    tty.setraw(slave)
    stop = threading.Event()
    line = asyncio.create_task(asyncio.to_thread(paced, simulator, master, baud / 10, stop))
    try:
        yield f"serial://{os.ttyname(slave)}?baud={baud}"
    finally:
        stop.set()
        await line
        os.close(slave)
        os.close(master)


async def device(pipe: Pipe, baud: int | None) -> None:
    """The printer's process: tells its address, then what it has seen whenever it is asked."""
    simulator = Watched()
    async with on_line(simulator, baud) if baud else on_tcp(simulator) as address:
        pipe.send(address)
        while await asyncio.to_thread(pipe.recv):
            assert not simulator.refused, simulator.refused
            pipe.send((simulator.bytes, simulator.last, simulator.begun, len(simulator.tickets)))


class Printer:
    """The device, seen from this process."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self.address: str = pipe.recv()

    def seen(self) -> Any:
        """How many bytes came, when the last one did, when each ESC @ did, how many tickets there are."""
        self._pipe.send(True)
        return self._pipe.recv()

    def when_taken(self, count: int) -> float:
        while self.seen()[0] < count:
            time.sleep(0.002)
        return float(self.seen()[1])

    def delays(self, starts: list[float]) -> list[float]:
        """Milliseconds from each start to the ESC @ of its ticket: the last ones that came."""
        return [1000 * (came - start) for start, came in zip(starts, self.seen()[2][-len(starts) :], strict=True)]


@contextlib.contextmanager
def printer_on(baud: int | None) -> Iterator[Printer]:
    near, far = multiprocessing.Pipe()
    process = multiprocessing.Process(target=lambda: asyncio.run(device(far, baud)))
    process.start()
    try:
        yield Printer(near)
        near.send(False)
        process.join(5)
    finally:
        process.kill()
        process.join()


def plain_serial(printer: Printer, count: int, *, one_by_one: bool = False) -> tuple[float, list[float]]:
    """Seconds until the bytes of a loop of pyserial writes are taken, and each write's way to the printer."""
    before, starts, end = printer.seen()[0], [], 0.0
    with serial.Serial(PortAddress.parse(printer.address).path, 115200) as port:
        for number in range(1, count + 1):
            starts.append(time.monotonic())
            port.write(BODY)
            if one_by_one or number == count:
                end = printer.when_taken(before + number * len(BODY))
    return end - starts[0], printer.delays(starts)


def plain_socket(printer: Printer, count: int) -> tuple[float, list[float]]:
    """The same with a socket, that waits for the ``GS ( H`` behind each ticket."""
    address, starts = PortAddress.parse(printer.address), []
    with socket.create_connection((address.host, address.port)) as port, port.makefile("rb") as answers:
        for _ in range(count):
            starts.append(time.monotonic())
            port.sendall(BODY + CONFIRM)
            assert answers.read(7) == b"\x37\x22hall\x00"
        end = time.monotonic()
    return end - starts[0], printer.delays(starts)


async def _nobody(*_args: object) -> None: ...


def _driver() -> EscposPrinter:
    """Patient: a pty takes at once what start() sends, and a line of 19200 baud needs up to 2 s for it."""
    return EscposPrinter(TerminalContext("p1", CLOCK, LOG, _nobody), EscposOptions(reply_timeout_s=3))


@contextlib.asynccontextmanager
async def _connected(address: str) -> AsyncIterator[Transport]:
    async with await open_port(PortAddress.parse(address), CLOCK) as port:
        yield port


async def driven(printer: Printer, count: int) -> float:
    """Seconds for so many tickets through the driver, one after another, each confirmed by GS ( H."""
    async with _connected(printer.address) as port:
        driver = _driver()
        await driver.start(port)
        health = await driver.poll()  # as the supervisor does: finds out how tickets are confirmed
        assert health.info["status_queries"] == [1, 2, 3, 4], health
        began = time.monotonic()
        for number in range(count):
            outcome = await driver.print_ticket(PrintJob(f"job-{number}", TICKET))
            assert (outcome.state, outcome.confirmed_by) == (PrintState.PRINTED, "gs_h"), outcome
        return time.monotonic() - began


async def through_desk(printer: Printer, count: int) -> list[float]:
    """Milliseconds from the desk's call to the ticket's first byte at the printer; it polls as ever meanwhile."""
    connect = partial(_connected, printer.address)
    supervisor = TerminalSupervisor("p1", "escpos", _driver(), connect, clock=CLOCK, log=LOG, on_state=_nobody)
    desk = TicketDesk(HALL, {"p1": supervisor}, _nobody, CLOCK)
    running = asyncio.create_task(supervisor.run())
    starts = []
    try:
        await supervisor.first_pass.wait()
        for number in range(count):
            command = Command(f"c-{number}", "ticket.print", CLOCK.now() + timedelta(seconds=30), {})
            starts.append(time.monotonic())
            reply = await desk.print_ticket(command, PrintTicket(fields={"number": "A001"}), lambda _reply: None)
            assert reply.state is ReplyState.SUCCEEDED, reply
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return printer.delays(starts)


def table_of_bytes() -> None:
    text, images = len(python_escpos(images=False)), len(python_escpos(images=True))
    print(f"bytes per ticket: python-escpos 3.1 with raw GB18030 {text}, with pictures {images}")
    for profile in ("generic", "no-chinese", "pos-58"):
        size = len(encoded(profile))
        print(f"  hallctl {profile:11} {size:6}   {size / text:6.2f} x raw   {size / images:5.2f} x pictures")


def table_of_rates(count: int) -> None:
    print(f"tickets per minute, {len(BODY)} bytes each")
    for name, baud in WIRES:
        tickets = max(5, count // 10) if baud == 19200 else count
        with printer_on(baud) as printer:
            loop = 60 * tickets / (plain_serial if baud else plain_socket)(printer, tickets)[0]
            ours = 60 * tickets / asyncio.run(driven(printer, tickets))
            assert printer.seen()[3] == 2 * tickets
        line = 6 * (baud or 0) / len(BODY)
        share = f"{ours / line:.2f} x line ({line:.0f})" if line else "(plain waits for GS ( H, too)"
        print(f"  {name:11} plain {loop:7.0f}   hallctl {ours:7.0f}   {ours / loop:.2f} x plain   {share}")


def table_of_delays(count: int) -> None:
    print(f"job to first byte at the printer, ms, {count} jobs")
    for name, baud in (WIRES[2], WIRES[1]):
        with printer_on(baud) as printer:
            _, loop = plain_serial(printer, count, one_by_one=True) if baud else plain_socket(printer, count)
            ours = asyncio.run(through_desk(printer, count))
            assert printer.seen()[3] == 2 * count
        for way, times in (("plain", sorted(loop)), ("desk", sorted(ours))):
            p50, p99 = statistics.median(times), times[-(-99 * count // 100) - 1]
            print(f"  {name:11} {way:5} p50 {p50:6.2f}   p99 {p99:6.2f}   {p50 / statistics.median(loop):.2f} x plain")


def main() -> None:
    parser = argparse.ArgumentParser(description="Ticket printing beside plainer ways of the same run.")
    parser.add_argument("--tickets", type=int, default=200, help="tickets a measurement (a tenth of it at 19200 baud)")
    count = max(1, parser.parse_args().tickets)
    table_of_bytes()
    table_of_rates(count)
    table_of_delays(count)


if __name__ == "__main__":
    main()
