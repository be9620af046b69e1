"""A line that records what is sent, and a driver's context on a clock that stands still."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from hallctl.clock import ManualClock
from hallctl.driver import BusLine, Signal, TerminalContext
from hallctl.errors import TransportTimeout


class ScriptedLine(BusLine):
    """The test says what arrives; ``events`` keeps the order of what happened."""

    def __init__(self, address: int, events: list[object]) -> None:
        self.name = f"line/{address}"
        self.address = address
        self.events = events
        self.arrivals: asyncio.Queue[bytes] = asyncio.Queue()
        self.repeats_frames = False
        self.closed: Exception | None = None

    def check(self) -> None:
        if self.closed is not None:
            raise self.closed

    async def send(self, frame: bytes, *, urgent: bool = True) -> None:
        self.check()
        self.events.append(frame)

    async def exchange(
        self, frame: bytes, accept: Callable[[bytes], bool], *, timeout_s: float, urgent: bool = True
    ) -> bytes:
        await self.send(frame, urgent=urgent)
        if not (self.repeats_frames and accept(frame)):
            raise TransportTimeout("no answer")
        return frame

    async def receive(self) -> bytes:
        return await self.arrivals.get()


@dataclass
class Log:
    """Keeps what was logged."""

    lines: list[str] = field(default_factory=list)

    def debug(self, event: str, **_fields: object) -> None:
        self.lines.append(event)

    info = warning = debug


class Desk:
    """A driver's surroundings. ``disk_fails`` makes the next emit raise."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.log = Log()
        self.events: list[object] = []
        self.disk_fails: Exception | None = None
        self.context = TerminalContext("pad-1", self.clock, self.log, self.emit)

    async def emit(self, signal: Signal) -> None:
        if self.disk_fails is not None:
            raise self.disk_fails
        await asyncio.sleep(0)
        self.events.append(signal)

    def line(self, address: int = 1) -> ScriptedLine:
        return ScriptedLine(address, self.events)

    def taken(self) -> list[object]:
        """What happened since the last time, in order."""
        events, self.events[:] = list(self.events), []
        return events


@pytest.fixture
def desk() -> Desk:
    return Desk()
