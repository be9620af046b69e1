"""20 windows on one bus at 9600 baud that are called at once: time until the last one shows its number.

Run: python bench/bus_calls.py [--rounds N]. Asserts no time.

Each window's display is called by its driver under its supervisor, while all of them are polled. "minimum" is what the
wire itself needs: every frame and answer byte for byte at the line's speed, the device's 5 ms before its answer, and
the silence that the family demands, with nothing between them. "plain" is a loop that writes the same frames, reads
the answers and sleeps, and polls nobody. "amid": polls that were served before the last call.

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
import time
import tty
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from typing import Any

import serial

from hallctl.clock import SystemClock
from hallctl.driver import DisplayKind, DisplayMessage, DriverPlugin, TerminalContext, WireSimulator, load_driver
from hallctl.terminal import Bus, TerminalSupervisor
from hallctl.transport import PortAddress

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
    """One exchange as the line saw it: when the request's last byte was there, the answer's length, what changed."""

    at: float
    request: bytes
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
        seen.append(Seen(at, bytes(heard), len(answer), changed))
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


def plain_calls(far: Far, calls: list[Seen], gap_s: float) -> float:
    """Seconds until the last of the same frames is there, written by a loop of pyserial's."""
    far.seen()
    with serial.Serial(far.path, 115200, timeout=1) as port:
        start = time.monotonic()
        for call in calls:
            port.write(call.request)
            time.sleep(len(call.request) * BYTE_S)  # pyserial's flush() knows nothing of a pty's speed
            port.read(call.answer)
            time.sleep(gap_s)
    return far.seen()[-1].at - start


def minimum_s(calls: list[Seen], gap_s: float) -> float:
    """What the wire needs until the last of these frames is there."""
    whole = sum(_exchange_s(one) + gap_s for one in calls[:-1])
    return whole + len(calls[-1].request) * BYTE_S


def _exchange_s(one: Seen) -> float:
    return len(one.request) * BYTE_S + (TURNAROUND_S + one.answer * BYTE_S if one.answer else 0.0)


async def _nobody(*_args: object) -> None: ...


def bus_row(name: str, poll_every_s: float, rounds: int) -> str:
    plugin = load_driver(name)
    measured, least, plain, polls = [], [], [], []
    with bus_of(plugin) as far:
        for one in asyncio.run(supervised_calls(far, plugin, poll_every_s, rounds)):
            last = max(index for index, seen in enumerate(one) if seen.changed)
            calls = [seen for seen in one[: last + 1] if _of_call(seen, one)]
            measured.append(one[last].at)
            least.append(minimum_s(calls, plugin.bus_gap_s))
            polls.append(last + 1 - len(calls))
            plain.append(plain_calls(far, calls, plugin.bus_gap_s))
    ratios = [took / bound for took, bound in zip(measured, least, strict=True)]
    times = " ".join(f"{1000 * statistics.median(values):9.0f}" for values in (measured, least, plain))
    worst = f"{statistics.median(ratios):8.3f} {max(ratios):8.3f}"
    return f"{name:14} {poll_every_s:7.0f} {times} {worst} {statistics.mean(polls):6.1f}"


def _of_call(seen: Seen, of: list[Seen]) -> bool:
    """A frame that belongs to a call: it changed a display, or is of the size of those that did."""
    sizes = {len(one.request) for one in of if one.changed}
    return bool(seen.changed) or len(seen.request) in sizes


def main() -> None:
    parser = argparse.ArgumentParser(description="Time 20 calls at once on one bus.")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{WINDOWS} windows on one bus, 9600 baud, called at once: milliseconds until the last is shown")
    heads = ("hallctl", "minimum", "plain")
    print(
        f"{'driver':14} {'poll s':>7} {' '.join(f'{head:>9}' for head in heads)} {'median x':>8} {'worst x':>8}   amid"
    )
    for name in FAMILIES:
        for poll_every_s in (10.0, 2.0):
            print(bus_row(name, poll_every_s, arguments.rounds), flush=True)


if __name__ == "__main__":
    main()
