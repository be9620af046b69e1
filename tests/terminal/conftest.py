"""A tiny wire family, a bus on a null modem, and the far end of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from hallctl.clock import ManualClock
from hallctl.driver import BusLine
from hallctl.errors import TransportUnavailable
from hallctl.terminal import Bus
from hallctl.transport import MemoryTransport, PortAddress, null_modem


class TinyFraming:
    """``head address length payload... sum``; another head makes another family."""

    def __init__(self, head: int) -> None:
        self.head = head

    def build(self, address: int, payload: bytes = b"") -> bytes:
        body = bytes([address, len(payload)]) + payload
        return bytes([self.head]) + body + bytes([sum(body) & 0xFF])

    def probe(self, buffer: bytes) -> int:
        if buffer[0] != self.head or (len(buffer) > 2 and buffer[2] > 16):
            return -1
        if len(buffer) < 3 or len(buffer) < buffer[2] + 4:
            return 0
        length = buffer[2] + 4
        return length if sum(buffer[1 : length - 1]) & 0xFF == buffer[length - 1] else -1

    def address_of(self, frame: bytes) -> int | None:
        return frame[1]


class Nameless(TinyFraming):
    """A family whose answers name nobody."""

    def address_of(self, frame: bytes) -> int | None:
        return None


@dataclass
class Log:
    """Keeps what was logged."""

    lines: list[str] = field(default_factory=list)

    def debug(self, event: str, **_fields: object) -> None:
        self.lines.append(event)

    info = warning = debug


class Hall:
    """A bus on null modems that the test can unplug; ``devices`` is the far end of the present one."""

    def __init__(self, options: str = "", waiting_limit: int = 64) -> None:
        self.clock = ManualClock()
        self.log = Log()
        self.tiny = TinyFraming(0xA0)
        self.other = TinyFraming(0xF5)
        self.nameless = Nameless(0xC0)
        self.devices: MemoryTransport | None = None
        self.refusal: TransportUnavailable | None = None
        self.heard = bytearray()
        address = PortAddress.parse(f"tcp://serial-server:4001{options}")
        self.bus = Bus("bus-1", address, self.clock, self.log, self._open, waiting_limit=waiting_limit)

    async def _open(self, _address: PortAddress, _clock: object) -> MemoryTransport:
        if self.refusal is not None:
            raise self.refusal
        near, self.devices = null_modem()
        return near

    def line(self, address: int, gap_s: float = 0.0) -> BusLine:
        return self.bus.attach(address, self.tiny, gap_s)

    async def say(self, data: bytes) -> None:
        """A device speaks."""
        assert self.devices is not None
        await self.devices.write(data)
        await self.clock.settle()

    async def hear(self) -> bytes:
        """What the bus has sent since the last time."""
        assert self.devices is not None
        await self.clock.settle()
        return await self.devices.drain_input()

    async def unplug(self) -> None:
        assert self.devices is not None
        await self.devices.close()
        await self.clock.settle()


Build = Callable[..., Awaitable[Hall]]


@pytest.fixture
async def make_hall() -> AsyncIterator[Build]:
    tasks = []

    async def build(options: str = "", waiting_limit: int = 64, running: bool = True) -> Hall:
        hall = Hall(options, waiting_limit)
        if running:
            tasks.append(asyncio.create_task(hall.bus.run()))
            await hall.clock.settle()
        return hall

    yield build
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def hall(make_hall: Build) -> Hall:
    return await make_hall()
