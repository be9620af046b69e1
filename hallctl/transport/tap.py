"""What crosses a terminal's port, kept for whoever asks later: the last bytes both ways, and counters.

Nobody can say at 9:05 what a printer answered at 9:04 unless it was kept. A tap costs a terminal some ten thousand
bytes of memory and a call a chunk; it never delays, and never keeps a byte from passing.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from hallctl.clock import Clock
from hallctl.errors import TransportError
from hallctl.transport.base import PortAddress, Transport
from hallctl.transport.uart import UartState

KEEP_CHUNKS = 512
KEEP_BYTES = 64 * 1024
PIECE_BYTES = 4096  # a long write is kept in pieces, so that a ring keeps the end of a picture that is larger than it

Opener = Callable[[PortAddress, Clock], Awaitable[Transport]]


class Direction(StrEnum):
    """Which way bytes went, as seen from the controller; a note carries none."""

    OUT = "out"
    IN = "in"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of what passed. ``number`` counts from 1, so that a gap shows; ``at``: wall; ``seconds``: monotonic."""

    number: int
    at: datetime
    seconds: float
    direction: Direction
    data: bytes = b""
    note: str = ""


@dataclass(slots=True)
class Counters:
    """Since the daemon's start, or since the terminal was made. ``errors``: openings that failed, ports lost."""

    bytes_in: int = 0
    bytes_out: int = 0
    openings: int = 0
    errors: int = 0
    last_in: datetime | None = None


class Tap:
    """One terminal's (or bus's) ring and counters."""

    def __init__(self, name: str, clock: Clock, *, port: str = "") -> None:
        self.name = name
        self.port = port
        self.counters = Counters()
        self._clock = clock
        self._number = 0
        self._ring: deque[Chunk] = deque()
        self._size = 0
        self._passed = asyncio.Event()

    @property
    def number(self) -> int:
        """Of the newest chunk; 0 before the first."""
        return self._number

    def ring(self, after: int = 0) -> tuple[Chunk, ...]:
        """What is kept, oldest first, of what came after chunk ``after``."""
        return tuple(chunk for chunk in self._ring if chunk.number > after)

    def sent(self, data: bytes) -> None:
        """Bytes that are being handed to the port."""
        self.counters.bytes_out += len(data)
        self._keep(Direction.OUT, data)

    def received(self, data: bytes) -> None:
        """Bytes that have come."""
        if not data:
            return
        self.counters.bytes_in += len(data)
        self.counters.last_in = self._keep(Direction.IN, data)

    def opened(self, port: str) -> None:
        """The port was opened."""
        self.counters.openings += 1
        self.note(f"opened {port}")

    def failed(self, why: str) -> None:
        """The port was lost, or could not be opened."""
        self.counters.errors += 1
        self.note(why)

    def note(self, text: str) -> None:
        """What is no byte, but says why there are none; said again at once it is kept once (a port tried for hours)."""
        if self._ring and self._ring[-1].note == text:
            return
        self._add(Chunk(self._next(), self._clock.now(), self._clock.monotonic(), Direction.NOTE, note=text))

    async def newer(self, than: int) -> None:
        """Wait until a chunk behind number ``than`` has passed."""
        while self._number <= than:
            self._passed.clear()
            await self._passed.wait()

    def _keep(self, direction: Direction, data: bytes) -> datetime:
        now, seconds = self._clock.now(), self._clock.monotonic()
        if len(data) <= PIECE_BYTES:
            self._add(Chunk(self._next(), now, seconds, direction, bytes(data)))
            return now
        for start in range(0, len(data), PIECE_BYTES):
            self._add(Chunk(self._next(), now, seconds, direction, bytes(data[start : start + PIECE_BYTES])))
        return now

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _add(self, chunk: Chunk) -> None:
        self._ring.append(chunk)
        self._size += len(chunk.data)
        while len(self._ring) > KEEP_CHUNKS or self._size > KEEP_BYTES:
            self._size -= len(self._ring.popleft().data)
        self._passed.set()


class TappedTransport(Transport):
    """A transport whose bytes a tap sees; a write as it begins, so that no answer stands before its question."""

    def __init__(self, inner: Transport, tap: Tap) -> None:
        self.name = inner.name
        self._inner = inner
        self._tap = tap
        self._told = False

    @classmethod
    async def open(cls, opener: Opener, address: PortAddress, clock: Clock, tap: Tap) -> Self:
        """Open a port and tap it. Raises what ``opener`` raises, and notes it."""
        try:
            inner = await opener(address, clock)
        except TransportError as exc:
            tap.failed(exc.message)
            raise
        tap.opened(str(address))
        return cls(inner, tap)

    async def read(self, limit: int = 4096) -> bytes:
        """As the port's own."""
        try:
            data = await self._inner.read(limit)
        except TransportError as exc:
            self._lost(exc)
            raise
        self._tap.received(data)
        return data

    async def write(self, data: bytes) -> None:
        """As the port's own."""
        self._tap.sent(data)
        try:
            await self._inner.write(data)
        except TransportError as exc:
            self._lost(exc)
            raise
        except asyncio.CancelledError:
            self._tap.note("the write was given up: the port took no bytes, or nobody wanted it any more")
            raise

    async def drain_input(self) -> bytes:
        """As the port's own."""
        data = await self._inner.drain_input()
        self._tap.received(data)
        return data

    def uart(self) -> UartState:
        """As the port behind it."""
        return self._inner.uart()

    async def close(self) -> None:
        """As the port's own."""
        await self._inner.close()

    def _lost(self, exc: TransportError) -> None:
        if not self._told:
            self._tap.failed(exc.message)
        self._told = True
