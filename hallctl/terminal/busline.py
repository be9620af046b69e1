"""One address on a bus: its inbox, and how long it has been silent."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hallctl.driver import BusLine, Framing
from hallctl.errors import HallctlError
from hallctl.transport import Tap

INBOX_LIMIT = 32
INBOX_KEEP_S = 30.0  # a key press that nobody took for so long is no wish any more
MISSES_ALLOWED = 2
LONGEST_SILENCE_S = 4.0  # below the supervisor's own longest waits, so that its next attempt is never refused
SUSPECT_TIMEOUT_S = 0.15  # of an address that does not answer: others wait no longer for it; a later word is heard


@dataclass(slots=True)
class Silence:
    """Consecutive time-outs of an address, and until when it is not asked again."""

    misses: int = 0
    until: float = 0.0

    def missed(self, now: float) -> None:
        """One more time-out: the first ones cost nothing more, then the pause doubles."""
        self.misses += 1
        if self.misses >= MISSES_ALLOWED:
            doubled: float = 2.0 ** min(self.misses - MISSES_ALLOWED, 16)
            self.until = now + min(LONGEST_SILENCE_S, doubled)

    def heard(self) -> None:
        """The address has spoken."""
        self.misses, self.until = 0, 0.0

    @property
    def suspect(self) -> bool:
        """Whether it probably won't answer: it comes last, and costs the bus less."""
        return self.misses >= MISSES_ALLOWED

    def remaining_s(self, now: float) -> float:
        """How long the address is still left alone; 0: ask it."""
        return max(0.0, self.until - now)


class Owner(Protocol):
    """What a line needs of its bus."""

    def error(self, line: "Line") -> HallctlError | None:
        """Why the line can't be used now."""

    def now(self) -> float:
        """Monotonic seconds."""

    def dropped(self, line: "Line", why: str) -> None:
        """A frame was thrown away."""

    def withdraw(self, line: "Line") -> None:
        """Take the line's polls out of the queue."""

    async def transact(
        self, line: "Line", frame: bytes, accept: Callable[[bytes], bool] | None, timeout_s: float, urgent: bool
    ) -> bytes:
        """Queue a request and wait for its outcome."""


class Line(BusLine):
    """What a driver holds. Every call raises the port's own reason while the bus is closed."""

    def __init__(
        self, owner: Owner, name: str, address: int, framing: Framing, gap_s: float, tap: Tap | None = None
    ) -> None:
        self.name = name
        self.address = address
        self.framing = framing
        self.gap_s = gap_s
        self.silence = Silence()
        self._tap = tap
        self._owner = owner
        self._inbox: deque[tuple[float, bytes]] = deque()
        self._changed = asyncio.Event()

    def check(self) -> None:
        """Raise the reason why the bus is closed, if it is."""
        if (error := self._owner.error(self)) is not None:
            raise error

    async def send(self, frame: bytes, *, urgent: bool = True) -> None:
        """Put a frame on the wire; returns when its last byte has left."""
        await self._owner.transact(self, frame, None, 0.0, urgent)

    async def exchange(
        self, frame: bytes, accept: Callable[[bytes], bool], *, timeout_s: float, urgent: bool = True
    ) -> bytes:
        """Send and wait for the reply. A silent address is refused at once unless the request is urgent."""
        return await self._owner.transact(self, frame, accept, timeout_s, urgent)

    async def lost(self) -> None:
        """See ``BusLine``: a terminal that is not just being asked notices a pulled plug as well."""
        while True:
            self._changed.clear()
            self.check()
            await self._changed.wait()

    def withdraw(self) -> None:
        """Take polls out of the queue that are not on the wire yet."""
        self._owner.withdraw(self)

    async def receive(self) -> bytes:
        """The next frame that no exchange waited for; what arrived before the port was lost comes first."""
        while True:
            self._changed.clear()
            self._forget_old()
            if self._inbox:
                return self._inbox.popleft()[1]
            self.check()
            await self._changed.wait()

    # What its tap is told: the wire's bytes as far as they are this line's.

    def opened(self, port: str) -> None:
        """The bus is open."""
        if self._tap is not None:
            self._tap.opened(port)

    def failed(self, why: str) -> None:
        """The bus is closed."""
        if self._tap is not None:
            self._tap.failed(why)

    def sent(self, data: bytes) -> None:
        """A frame of this line goes out."""
        if self._tap is not None:
            self._tap.sent(data)

    def received(self, data: bytes) -> None:
        """Bytes came in this line's turn, or a frame of its address outside of it."""
        if self._tap is not None:
            self._tap.received(data)

    def deliver(self, frame: bytes) -> None:
        """Put a frame into the inbox; the oldest one makes room."""
        if len(self._inbox) >= INBOX_LIMIT:
            self._inbox.popleft()
            self._owner.dropped(self, "nobody takes the frames of this address")
        self._inbox.append((self._owner.now(), frame))
        self._changed.set()

    def wake(self) -> None:
        """The bus has opened or closed: whoever waits looks again."""
        self._changed.set()

    def _forget_old(self) -> None:
        oldest = self._owner.now() - INBOX_KEEP_S
        while self._inbox and self._inbox[0][0] < oldest:
            self._inbox.popleft()
            self._owner.dropped(self, f"older than {INBOX_KEEP_S:g} s")
