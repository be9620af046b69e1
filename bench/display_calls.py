"""Calls to displays beside plainer ways of the same run: a full bus, and the way of one call to a display on TCP.

Run: python bench/display_calls.py [--calls N]. Asserts no time.

First table: 20 windows on one bus at 9600 baud are called at once, each by its driver under its supervisor, while all
of them are polled. "minimum" is what the wire itself needs: every frame and answer byte for byte at the line's speed,
the device's 5 ms before its answer, and the silence that the maker demands, with nothing between them. "plain" is a
loop that writes, reads and sleeps, and polls nobody. Second table: from the command's bytes (as they come from the
broker) to its frame's last byte at the display, through intake, outbox, hall, executor, supervisor and driver; "plain"
writes the same frame to a socket.

The devices are the drivers' simulators in a process of their own. A pty has no speed, so its far end takes and gives
bytes at the line's, 10 bits a byte.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import select
import statistics
import tempfile
import time
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import serial
import structlog

from hallctl.clock import SystemClock
from hallctl.config import HallDocument
from hallctl.controller.executor import Executor
from hallctl.controller.requests import CallNumber, read_request
from hallctl.driver import (
    DisplayKind,
    DisplayMessage,
    DriverPlugin,
    TerminalContext,
    WireSimulator,
    load_driver,
    on_tcp,
)
from hallctl.hall import Hall
from hallctl.link import CommandIntake
from hallctl.link.payloads import command_envelope
from hallctl.model import Command, Reply, ReplyState
from hallctl.outbox import Outbox
from hallctl.terminal import Bus, TerminalSupervisor
from hallctl.transport import PortAddress, open_port

WINDOWS = 20
BYTE_S = 10 / 9600
TURNAROUND_S = 0.005
FAMILIES = ("pinganlihe", "xinrui", "onbon-bx-bus")


class Quiet:
    """Logs nothing."""

    def debug(self, event: str, **fields: object) -> None: ...

    info = warning = debug


@dataclass(frozen=True, slots=True)
class Seen:
    """One exchange as the line saw it: when the request's last byte was there, both lengths, what was shown then."""

    at: float
    request: int
    answer: int
    changed: tuple[int, ...]


def line(master: int, plugin: DriverPlugin, pipe: Pipe) -> None:
    """The far end of the bus: bytes take their time, one direction at a time. Tells what it saw when it is asked."""
    devices = [device for number in range(1, WINDOWS + 1) if (device := _device(plugin, number))]
    seen: list[Seen] = []
    while True:
        if pipe.poll():
            if not pipe.recv():
                return
            pipe.send(seen)
            seen = []
        if not select.select([master], [], [], 0.001)[0]:
            continue
        began = time.monotonic()
        heard = bytearray(os.read(master, 4096))
        while (done := began + len(heard) * BYTE_S) > time.monotonic():
            time.sleep(max(0.0, min(0.0005, done - time.monotonic())))
            if select.select([master], [], [], 0)[0]:
                heard += os.read(master, 4096)
        at = time.monotonic()
        before = [_picture(device) for device in devices]
        answer = b"".join(device.feed(bytes(heard)) for device in devices)
        changed = tuple(n for n, device in enumerate(devices, 1) if _picture(device) != before[n - 1])
        seen.append(Seen(at, len(heard), len(answer), changed))
        if answer:
            _sleep_until(at + TURNAROUND_S + len(answer) * BYTE_S)
            os.write(master, answer)


def _device(plugin: DriverPlugin, number: int) -> WireSimulator | None:
    device = plugin.simulate(None, number)
    assert isinstance(device, WireSimulator)
    device.emit = lambda _data: None
    device.connected()
    return device


def _picture(device: WireSimulator) -> str:
    return repr(vars(device).get("shown"))


def _sleep_until(moment: float) -> None:
    while (left := moment - time.monotonic()) > 0:
        time.sleep(left)


class Far:
    """The line's process, seen from this one."""

    def __init__(self, pipe: Pipe, path: str) -> None:
        self._pipe = pipe
        self.path = path

    def seen(self) -> list[Seen]:
        self._pipe.send(True)
        found: list[Seen] = self._pipe.recv()
        return found


@contextlib.contextmanager
def bus_of(plugin: DriverPlugin) -> Iterator[Far]:
    master, slave = os.openpty()
    tty.setraw(slave)
    near, far = multiprocessing.Pipe()
    process = multiprocessing.Process(target=line, args=(master, plugin, far))
    process.start()
    try:
        yield Far(near, os.ttyname(slave))
        near.send(False)
        process.join(5)
    finally:
        process.kill()
        process.join()
        os.close(slave)
        os.close(master)


async def supervised_calls(far: Far, plugin: DriverPlugin, poll_every_s: float, rounds: int) -> list[list[Seen]]:
    """What the line saw of each round of 20 calls at once."""
    clock, log = SystemClock(), Quiet()
    bus = Bus("bench", PortAddress.parse(f"serial://{far.path}?baud=9600"), clock, log)
    terminals = [_terminal(bus, plugin, number, poll_every_s) for number in range(1, WINDOWS + 1)]
    tasks = [asyncio.create_task(one.run()) for one in (bus, *terminals)]
    for terminal in terminals:
        await terminal.first_pass.wait()
        assert terminal.state.ready, terminal.state
    found = []
    for number in range(rounds):
        await asyncio.sleep(0.37)  # the polls come when they come
        far.seen()
        tickets = range(100 * (number + 1), 100 * (number + 1) + WINDOWS)
        calls = [
            _show(terminal, f"A{ticket}", n)
            for n, (terminal, ticket) in enumerate(zip(terminals, tickets, strict=True), 1)
        ]
        start = time.monotonic()
        await asyncio.gather(*calls)
        found.append([Seen(one.at - start, one.request, one.answer, one.changed) for one in far.seen()])
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return found


def _terminal(bus: Bus, plugin: DriverPlugin, number: int, poll_every_s: float) -> TerminalSupervisor:
    clock, log = SystemClock(), Quiet()
    options = {"poll_every_s": poll_every_s} if "poll_every_s" in plugin.options.model_fields else {}
    context = TerminalContext(f"display-{number}", clock, log, _nobody)
    driver: Any = plugin.make(context, plugin.options.model_validate(options))
    assert plugin.framing is not None
    attached = bus.attach(number, plugin.framing, plugin.bus_gap_s)

    @contextlib.asynccontextmanager
    async def connect() -> AsyncIterator[Any]:
        await bus.tried.wait()
        yield attached

    return TerminalSupervisor(f"display-{number}", plugin.name, driver, connect, clock=clock, log=log, on_state=_nobody)


async def _show(terminal: TerminalSupervisor, ticket: str, window: int) -> None:
    await terminal.act(lambda driver: driver.show(_call(ticket, window)), timeout_s=120)


def _call(ticket: str, window: int) -> DisplayMessage:
    text = f"请{ticket}号到{window}号窗口"
    return DisplayMessage(DisplayKind.CALL, (text,), ticket=ticket, window=str(window), blink=True)


def plain_calls(far: Far, frames: list[tuple[bytes, int]], gap_s: float) -> float:
    """Seconds until the last of the same frames is there, written by a loop of pyserial's."""
    far.seen()
    with serial.Serial(far.path, 115200, timeout=1) as port:
        start = time.monotonic()
        for frame, answer in frames:
            port.write(frame)
            time.sleep(len(frame) * BYTE_S)  # pyserial's flush() knows nothing of a pty's speed
            port.read(answer)
            time.sleep(gap_s)
    return far.seen()[-1].at - start


def minimum_s(calls: list[Seen], gap_s: float) -> float:
    """What the wire needs until the last of these frames is there."""
    whole = sum(_exchange_s(one) + gap_s for one in calls[:-1])
    return whole + calls[-1].request * BYTE_S


def _exchange_s(one: Seen) -> float:
    return one.request * BYTE_S + (TURNAROUND_S + one.answer * BYTE_S if one.answer else 0.0)


async def _nobody(*_args: object) -> None: ...


def bus_row(name: str, poll_every_s: float, rounds: int) -> str:
    plugin = load_driver(name)
    with bus_of(plugin) as far:
        found = asyncio.run(supervised_calls(far, plugin, poll_every_s, rounds))
    measured, least, polls = [], [], []
    for one in found:
        last = max(index for index, seen in enumerate(one) if seen.changed)
        calls = [seen for seen in one[: last + 1] if _of_call(seen, one)]
        measured.append(one[last].at)
        least.append(minimum_s(calls, plugin.bus_gap_s))
        polls.append(last + 1 - len(calls))
    ratios = [took / bound for took, bound in zip(measured, least, strict=True)]
    took_ms, least_ms = 1000 * statistics.median(measured), 1000 * statistics.median(least)
    return (
        f"{name:14} {poll_every_s:7.0f} {took_ms:10.0f} {least_ms:10.0f} {statistics.median(ratios):8.3f}"
        f" {max(ratios):8.3f} {statistics.mean(polls):6.1f}"
    )


def _of_call(seen: Seen, of: list[Seen]) -> bool:
    """A frame that belongs to a call: it changed a display, or is of the size of those that did (or its check)."""
    sizes = {one.request for one in of if one.changed}
    return bool(seen.changed) or seen.request in sizes


def device_on_tcp(pipe: Pipe) -> None:
    """20 cards on TCP: tells their addresses, then when each one's picture last changed, whenever it is asked."""

    class Watched(load_driver("onbon-bx").simulate(None, 1).__class__):  # type: ignore[misc]  # a base made at run time
        last = 0.0

        def feed(self, data: bytes) -> bytes:
            before = _picture(self)
            answer: bytes = super().feed(data)
            if _picture(self) != before:
                self.last = time.monotonic()
            return answer

    async def serve() -> None:
        cards = [Watched() for _ in range(WINDOWS)]
        async with contextlib.AsyncExitStack() as stack:
            pipe.send([await stack.enter_async_context(on_tcp(card)) for card in cards])
            while (asked := await asyncio.to_thread(pipe.recv)) is not None:
                pipe.send(cards[asked].last)

    asyncio.run(serve())


async def commands_to_tcp(addresses: list[str], pipe: Pipe, calls: int) -> list[float]:
    """Milliseconds from a command's bytes to the picture, one call after another."""
    clock, log = SystemClock(trust_wall_clock=True), Quiet()
    windows = [{"id": f"w{n}", "label": str(n), "display": f"d{n}"} for n in range(1, WINDOWS + 1)]
    hall = Hall(HallDocument.model_validate({"windows": windows}))
    terminals = {f"d{n}": _on_tcp(f"d{n}", address) for n, address in enumerate(addresses, 1)}
    tasks = [asyncio.create_task(terminal.run()) for terminal in terminals.values()]
    for terminal in terminals.values():
        await terminal.first_pass.wait()
    with tempfile.TemporaryDirectory() as folder:
        outbox = Outbox.open(Path(folder) / "outbox.db", "hall", "box", clock)

        async def commit(event: Any) -> None:
            await outbox.append(event)

        executor = Executor(hall, terminals, commit, staff={}, later=_drop)

        async def handle(command: Command, _progress: Callable[[Reply], None]) -> Reply:
            request = read_request(command)
            assert isinstance(request, CallNumber)
            outcome = await executor.carry_out(hall.call(request.window, request.ticket, clock.now()))
            assert not outcome.failed, outcome
            return Reply(command.id, ReplyState.SUCCEEDED)

        intake = CommandIntake(outbox, clock, handle, log)
        delays = []
        for number in range(calls):
            window = number % WINDOWS
            payload = _command(number, f"w{window + 1}")
            replied = asyncio.Event()

            async def publish(_reply: Reply, replied: asyncio.Event = replied) -> None:
                replied.set()

            start = time.monotonic()
            await intake.take("number.call", payload, publish)
            await replied.wait()
            delays.append(1000 * (_ask(pipe, window) - start))
        await outbox.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return delays


def _drop(_work: object) -> None:
    """There is no keypad that could be told anything."""


def _command(number: int, window: str) -> bytes:
    expires = datetime.now(UTC) + timedelta(minutes=1)
    command = Command(f"call-{number}", "number.call", expires, {"window": window, "ticket": f"A{number % 1000:03}"})
    return command_envelope(command, "bench", datetime.now(UTC)).encode()


def _on_tcp(name: str, address: str) -> TerminalSupervisor:
    clock, log = SystemClock(), Quiet()
    plugin = load_driver("onbon-bx")
    driver: Any = plugin.make(TerminalContext(name, clock, log, _nobody), plugin.options())

    @contextlib.asynccontextmanager
    async def connect() -> AsyncIterator[Any]:
        async with await open_port(PortAddress.parse(address), clock) as transport:
            yield transport

    return TerminalSupervisor(name, plugin.name, driver, connect, clock=clock, log=log, on_state=_nobody)


async def plain_to_tcp(address: str, pipe: Pipe, calls: int) -> list[float]:
    """Milliseconds from the write of a ready frame to the picture."""
    from hallctl_drivers.onbon_bx import codec, frame  # noqa: PLC0415  # only what is to be written

    port = PortAddress.parse(address)
    reader, writer = await asyncio.open_connection(port.host, port.port)
    delays = []
    for number in range(calls):
        text = codec.compose((f"请B{number % 1000:03}号到1号窗口",), codec.CardColour.RED)
        request = codec.encode_request(codec.show_area(codec.Area(width=128, height=16, text=text, pixels=True)))
        packet = frame.encode_packet(frame.Packet(frame.WILDCARD_ADDRESS, frame.CLIENT_ADDRESS, request))
        start = time.monotonic()
        writer.write(packet)
        await reader.readuntil(b"\x5a")
        delays.append(1000 * (_ask(pipe, 0) - start))
    writer.close()
    return delays


def _ask(pipe: Pipe, card: int) -> float:
    pipe.send(card)
    return float(pipe.recv())


def tcp_rows(calls: int) -> Iterator[str]:
    near, far = multiprocessing.Pipe()
    process = multiprocessing.Process(target=device_on_tcp, args=(far,))
    process.start()
    try:
        addresses = near.recv()
        ours = asyncio.run(commands_to_tcp(addresses, near, calls))
        plain = asyncio.run(plain_to_tcp(addresses[0], near, calls))
        near.send(None)
        process.join(5)
    finally:
        process.kill()
        process.join()
    for name, delays in (("hallctl", ours), ("plain", plain)):
        yield f"{name:10} {_at(delays, 50):8.2f} {_at(delays, 99):8.2f} {max(delays):8.2f}"
    yield f"{'own time':10} {_at(ours, 50) - _at(plain, 50):8.2f} {_at(ours, 99) - _at(plain, 99):8.2f}"


def _at(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description="Time calls to displays.")
    parser.add_argument("--calls", type=int, default=1000, help="calls of the second table")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the first table")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    print(f"{WINDOWS} windows on one bus, 9600 baud, called at once: milliseconds until the last is shown")
    print(f"{'driver':14} {'poll s':>7} {'hallctl':>10} {'minimum':>10} {'median x':>8} {'worst x':>8} {'amid':>6}")
    for name in FAMILIES:
        for poll_every_s in (10.0, 2.0):
            print(bus_row(name, poll_every_s, arguments.rounds), flush=True)
    print(f"\n{arguments.calls} calls to displays on TCP, one after another: milliseconds")
    print(f"{'':10} {'p50':>8} {'p99':>8} {'max':>8}")
    for row in tcp_rows(arguments.calls):
        print(row, flush=True)


if __name__ == "__main__":
    main()
