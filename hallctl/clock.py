"""Wall and monotonic time behind one injectable object, so that nothing sleeps in a test.

Every wait in hallctl goes through a clock: ``sleep``, ``timeout`` and the two readings. ``ManualClock`` is the
one for tests: time stands still until the test moves it.
"""

import asyncio
import contextlib
import heapq
import itertools
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

_ADJTIMEX_UNSYNC = 0x0040  # STA_UNSYNC, linux/timex.h
_ASK_TIMEOUT_S = 30.0  # the first question starts timedated
_TOLD_KEPT_S = 30.0


class Clock(ABC):
    """What hallctl asks of time."""

    @abstractmethod
    def now(self) -> datetime:
        """Wall time, aware, UTC."""

    @abstractmethod
    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""

    @abstractmethod
    def synchronised(self) -> bool:
        """Whether wall time can be trusted for expiry (disciplined by NTP, or set by the test)."""

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Wait; zero or less only yields to other tasks."""

    @abstractmethod
    def timeout(self, seconds: float | None) -> contextlib.AbstractAsyncContextManager[None]:
        """Raise ``TimeoutError`` out of the block when it lasts longer than ``seconds`` (None: never)."""


class SystemClock(Clock):
    """The real one."""

    def __init__(self, *, trust_wall_clock: bool = False) -> None:
        self._trust = trust_wall_clock

    def now(self) -> datetime:
        """Wall time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """CLOCK_MONOTONIC in seconds."""
        return time.monotonic()

    def synchronised(self) -> bool:
        """True unless the kernel says STA_UNSYNC; a kernel that can't be asked counts as synchronised."""
        return self._trust or not _kernel_says_unsynchronised()

    async def sleep(self, seconds: float) -> None:
        """Real waiting."""
        await asyncio.sleep(max(0.0, seconds))

    @contextlib.asynccontextmanager
    async def timeout(self, seconds: float | None) -> AsyncIterator[None]:
        """``asyncio.timeout`` itself."""
        async with asyncio.timeout(seconds):
            yield


class ManualClock(Clock):
    """Time that a test moves with ``advance``. Starts at 2026-03-02 01:00:00 UTC, a Monday, 9:00 in Beijing."""

    def __init__(self, start: datetime | None = None, *, synchronised: bool = True) -> None:
        self._start = start or datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
        self._elapsed = 0.0
        self._synchronised = synchronised
        self._order = itertools.count()
        self._wakers: list[tuple[float, int, asyncio.Future[None] | asyncio.Timeout]] = []

    def now(self) -> datetime:
        """Start plus what the test has advanced."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Seconds advanced so far."""
        return self._elapsed

    def synchronised(self) -> bool:
        """As set at construction."""
        return self._synchronised

    async def sleep(self, seconds: float) -> None:
        """Wait until the test has advanced far enough."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._push(seconds, waker)
        await waker

    @contextlib.asynccontextmanager
    async def timeout(self, seconds: float | None) -> AsyncIterator[None]:
        """A timeout that fires when the test has advanced past it."""
        async with asyncio.timeout(None) as scope:
            if seconds is not None:
                self._push(seconds, scope)
            yield

    async def advance(self, seconds: float, *, rounds: int = 20) -> None:
        """Move time forward, waking sleepers in order; between two wakings other tasks get ``rounds`` turns."""
        target = self._elapsed + seconds
        await self.settle(rounds)
        while self._wakers and self._wakers[0][0] <= target:
            self._elapsed, _, waker = heapq.heappop(self._wakers)
            _wake(waker)
            await self.settle(rounds)
        self._elapsed = target
        await self.settle(rounds)

    def step(self, by: timedelta) -> None:
        """Somebody sets the wall clock; what waits is not disturbed."""
        self._start += by

    async def settle(self, rounds: int = 20) -> None:
        """Let other tasks run without moving time."""
        for _ in range(rounds):
            await asyncio.sleep(0)

    def _push(self, seconds: float, waker: "asyncio.Future[None] | asyncio.Timeout") -> None:
        heapq.heappush(self._wakers, (self._elapsed + seconds, next(self._order), waker))


def _wake(waker: "asyncio.Future[None] | asyncio.Timeout") -> None:
    if isinstance(waker, asyncio.Future):
        if not waker.done():
            waker.set_result(None)
        return
    with contextlib.suppress(RuntimeError):  # the block has already been left
        waker.reschedule(asyncio.get_running_loop().time())


def _kernel_says_unsynchronised() -> bool:
    """Ask adjtimex(2); where a sandbox forbids that, ask systemd, which may ask it."""
    status = _adjtimex_status()
    if status is None:
        return _timedated.unsynchronised()
    return bool(status & _ADJTIMEX_UNSYNC)


def _adjtimex_status() -> int | None:
    """The kernel's clock status; ``None`` where it can't be asked. linux/timex.h: it stands behind five long words."""
    import ctypes  # noqa: PLC0415  # only asked when a command with a side effect arrives

    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(512)
    if libc.adjtimex(buffer) < 0:
        return None
    return int(ctypes.c_int.from_buffer(buffer, ctypes.sizeof(ctypes.c_long) * 5).value)


class _Timedated:
    """What timedated(8) last said. It is asked in a thread: an answer takes a process, and seconds on a slow box."""

    def __init__(self) -> None:
        self._unsynchronised = False
        self._asked_at: float | None = None
        self._asking: threading.Thread | None = None

    def unsynchronised(self) -> bool:
        """Its last answer; what can't be asked, or has not been answered yet, counts as synchronised."""
        now = time.monotonic()
        if self._asking is not None and self._asking.is_alive():
            return self._unsynchronised
        if self._asked_at is None or now - self._asked_at >= _TOLD_KEPT_S:
            self._asked_at = now
            self._asking = threading.Thread(target=self._ask, name="timedatectl", daemon=True)
            self._asking.start()
        return self._unsynchronised

    def _ask(self) -> None:
        self._unsynchronised = _ask_timedatectl()


_timedated = _Timedated()


def _ask_timedatectl() -> bool:
    command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return said.stdout.strip() == "no"
