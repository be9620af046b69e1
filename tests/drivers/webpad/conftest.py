"""Pads on real sockets, tablets from the simulator, and a real Chromium."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable

import pytest
from browser import devtools, page  # noqa: F401  # fixtures
from hallctl_drivers.webpad.config import WebPadOptions
from hallctl_drivers.webpad.driver import WebPad

from hallctl.clock import Clock, SystemClock
from hallctl.driver import Signal, TerminalContext


async def until(condition: Callable[[], object], within_s: float = 15.0) -> None:
    """Wait for a condition, at most so long."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


class Log:
    """Keeps what was logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def debug(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))

    info = warning = debug

    def said(self, event: str) -> list[dict[str, object]]:
        return [fields for line, fields in self.lines if line == event]


class Desk:
    """What the house gives to pads. ``disk_fails`` is raised by every emit; ``slow`` holds it until it is set."""

    def __init__(self) -> None:
        self.log = Log()
        self.signals: list[Signal] = []
        self.disk_fails: Exception | None = None
        self.slow = asyncio.Event()
        self.slow.set()

    async def emit(self, signal: Signal) -> None:
        await self.slow.wait()
        if self.disk_fails is not None:
            raise self.disk_fails
        self.signals.append(signal)

    def context(self, terminal: str = "pad-1", clock: Clock | None = None) -> TerminalContext:
        return TerminalContext(terminal, clock or SystemClock(), self.log, self.emit)

    def pad(self, port: int, terminal: str = "pad-1", clock: Clock | None = None, **options: object) -> WebPad:
        parsed = WebPadOptions.model_validate({"listen": f"127.0.0.1:{port}", **options})
        return WebPad(self.context(terminal, clock), parsed)


@contextlib.asynccontextmanager
async def running(*pads: WebPad) -> AsyncIterator[None]:
    """Start pads as a supervisor does, and stop them."""
    for pad in pads:
        await pad.start(None)
    listening = [asyncio.create_task(pad.listen()) for pad in pads]
    try:
        yield
    finally:
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
        for pad in pads:
            await pad.stop()


@pytest.fixture
async def desk() -> Desk:
    return Desk()


@pytest.fixture(name="until")
def _until():
    return until


@pytest.fixture(name="running")
def _running():
    return running


@pytest.fixture
def port() -> int:
    return _free_port()


@pytest.fixture
def other_port() -> int:
    return _free_port()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
