"""Calls to displays on TCP, one after another: from a command's bytes to the changed picture.

Run: python bench/tcp_calls.py [--calls N]. Asserts no time.

The command comes as the broker would bring it and goes through intake, outbox (on disk), hall, executor, supervisor and
driver. "plain" writes a ready frame to a socket and waits for the card's answer. The difference is our own time.

The 20 cards are the driver's simulator in a process of its own.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from hallctl_drivers.onbon_bx import codec, frame
from hallctl_drivers.onbon_bx.sim import OnbonSimulator

from hallctl.clock import SystemClock
from hallctl.config import HallDocument
from hallctl.controller.executor import Executor
from hallctl.controller.requests import CallNumber, read_request
from hallctl.driver import TerminalContext, load_driver, on_tcp
from hallctl.hall import Hall
from hallctl.link import CommandIntake
from hallctl.link.payloads import command_envelope
from hallctl.model import Command, Reply, ReplyState
from hallctl.outbox import Outbox
from hallctl.terminal import TerminalSupervisor
from hallctl.transport import PortAddress, open_port

WINDOWS = 20


class Quiet:
    """Logs nothing."""

    def debug(self, event: str, **fields: object) -> None: ...

    info = warning = debug


class Watched(OnbonSimulator):
    """A card that notes when its picture last changed."""

    last = 0.0

    def feed(self, data: bytes) -> bytes:
        before = self.shown
        answer = super().feed(data)
        if self.shown != before:
            self.last = time.monotonic()
        return answer


def device_on_tcp(pipe: Pipe) -> None:
    """20 cards on TCP: tells their addresses, then when each one's picture last changed, whenever it is asked."""

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


async def _nobody(*_args: object) -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser(description="Time calls to displays on TCP.")
    parser.add_argument("--calls", type=int, default=1000)
    calls = parser.parse_args().calls
    print(f"{calls} calls to displays on TCP, one after another: milliseconds")
    print(f"{'':10} {'p50':>8} {'p99':>8} {'max':>8}")
    for row in tcp_rows(calls):
        print(row, flush=True)


if __name__ == "__main__":
    main()
