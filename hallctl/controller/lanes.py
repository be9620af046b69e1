"""Who prints a ticket: a queue a printer with a limit and an expiry, and the printers that take over.

Nothing here knows what a ticket is. A lane takes jobs in their order, tries the printer and its fallbacks, and waits
for the first of them that can print again; what began once is never begun again.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hallctl.clock import Clock
from hallctl.driver import PrintOutcome, PrintState, TicketPrinter
from hallctl.errors import HallctlError, LocalCodecError, RequestRefused, TerminalBusy, TerminalError, TerminalOffline
from hallctl.model import Severity, TerminalStatus
from hallctl.terminal.supervisor import TerminalSupervisor

PRINT_TIMEOUT_S = 90.0
LOOK_S = 0.25  # between two looks whether a printer can print again
LONGEST_LOOK_S = 2.0  # after a printer that looked able refused again and again

Action = Callable[[TicketPrinter], Awaitable[PrintOutcome]]


@dataclass(frozen=True, slots=True)
class Job:
    """One ticket. ``mark(True)`` is awaited before it waits, ``mark(False)`` before it is tried after that.

    ``expires`` is wall time; ``patience_s`` is how long it may wait, by a clock that nobody sets.
    """

    action: Action
    expires: datetime
    patience_s: float
    mark: Callable[[bool], Awaitable[None]]
    on_wait: Callable[[HallctlError], None]


@dataclass(frozen=True, slots=True)
class Printed:
    """How a job ended: on which printer, and why not on the first one (empty: it was the first one)."""

    printer: str
    outcome: PrintOutcome
    instead_of: str = ""
    because: str = ""


class Refusal(HallctlError):
    """No printer took the job; nothing is on paper. ``reason`` is what kept the printers from it."""

    def __init__(self, reason: HallctlError) -> None:
        super().__init__(reason.message, hint=reason.hint)
        self.reason = reason


class Lane:
    """One printer's queue. ``printers``: the printer itself, then those that take over, in their order."""

    def __init__(
        self, printers: Sequence[str], supervisors: Mapping[str, TerminalSupervisor], clock: Clock, limit: int
    ) -> None:
        self.name = printers[0]
        self.printers = tuple(printers)
        self._supervisors = supervisors
        self._clock = clock
        self._limit = limit
        self._queue: deque[asyncio.Future[None]] = deque()  # one place a job; the first one has its turn
        self._stopping = False
        self._why = ""

    def adopt(self, printers: Sequence[str], limit: int) -> None:
        """Who takes over from now on, and how many may wait; tickets that wait go on waiting."""
        self.printers = tuple(printers)
        self._limit = limit

    def stop(self, why: str = "the controller stops") -> None:
        """Let every job that has not begun fail now: nothing of it was printed. The one that prints is finished."""
        self._stopping, self._why = True, why
        for place in self._queue:
            _wake(place)

    async def run(self, job: Job) -> Printed:
        """Print in turn. Raises ``Refusal`` when no printer took it in time, or none ever will."""
        if self._stopping or len(self._queue) >= self._limit:
            raise Refusal(self._stopped() if self._stopping else self._full())
        deadline = self._clock.monotonic() + job.patience_s
        async with self._place(job, deadline) as waited:
            return await self._try_until(job, deadline, waited)

    def _stopped(self) -> HallctlError:
        return TerminalBusy(f"{self.name}: {self._why}; nothing was printed", hint="send it again")

    def _full(self) -> HallctlError:
        return TerminalBusy(f"{self.name}: {len(self._queue)} tickets wait already", hint="try again later")

    @contextlib.asynccontextmanager
    async def _place(self, job: Job, deadline: float) -> AsyncIterator[bool]:
        """A place in the queue, taken before anything is awaited; gives whether the turn had to be waited for."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(place)
        waits = self._queue[0] is not place
        try:
            if waits:
                await job.mark(True)
                await self._turn_of(place, job, deadline)
            yield waits
        finally:
            self._queue.remove(place)
            if self._queue:
                _wake(self._queue[0])

    async def _turn_of(self, place: "asyncio.Future[None]", job: Job, deadline: float) -> None:
        left_s = min(deadline - self._clock.monotonic(), (job.expires - self._clock.now()).total_seconds())
        try:
            async with self._clock.timeout(left_s):
                await place
        except TimeoutError as exc:
            busy = TerminalBusy(f"{self.name}: other tickets were not finished in time", hint="try again later")
            raise Refusal(busy) from exc

    async def _try_until(self, job: Job, deadline: float, waited: bool) -> Printed:
        told, pause_s = "", LOOK_S
        while True:
            if self._stopping:
                raise Refusal(self._stopped())
            if waited:
                await job.mark(False)
            reason = await self._try_all(job.action)
            if isinstance(reason, Printed):
                return reason
            if not isinstance(reason, TerminalError) or self._is_over(job, deadline):
                raise Refusal(reason)
            await job.mark(True)
            if reason.message != told:
                job.on_wait(reason)
            told, waited = reason.message, True
            await self._until_able(job, deadline, reason, pause_s)
            pause_s = min(LONGEST_LOOK_S, 2 * pause_s)

    async def _try_all(self, action: Action) -> Printed | HallctlError:
        """The first printer that takes it; else why none did: a reason that may pass before one that never will."""
        reasons: list[HallctlError] = []
        for name in self.printers:
            supervisor = self._supervisors.get(name)
            if supervisor is None:
                continue
            try:
                outcome = await supervisor.act(action, timeout_s=PRINT_TIMEOUT_S)
            except (TerminalError, LocalCodecError, RequestRefused) as exc:  # surely nothing is on paper
                reasons.append(exc)
                continue
            except HallctlError as exc:
                outcome = PrintOutcome(PrintState.UNKNOWN, reason=exc.message)
            because = reasons[0].message if reasons else ""
            return Printed(name, outcome, self.name if reasons else "", because)
        if not reasons:
            return TerminalOffline(
                f"{self.name} does not run", code="terminal.quarantined", hint="hallctl check says why"
            )
        return next((reason for reason in reasons if isinstance(reason, TerminalError)), reasons[0])

    async def _until_able(self, job: Job, deadline: float, reason: HallctlError, pause_s: float) -> None:
        """Wait for a printer of this lane that seems able to print, and at least ``pause_s``.

        Raises ``Refusal`` with ``reason`` when that takes too long.
        """
        able_at = self._clock.monotonic() + pause_s
        while self._clock.monotonic() < able_at or not any(self._seems_able(name) for name in self.printers):
            if self._stopping or self._is_over(job, deadline):
                raise Refusal(reason)
            await self._clock.sleep(LOOK_S)

    def _is_over(self, job: Job, deadline: float) -> bool:
        return self._clock.monotonic() >= deadline or self._clock.now() >= job.expires

    def _seems_able(self, name: str) -> bool:
        supervisor = self._supervisors.get(name)
        if supervisor is None or supervisor.state.status is not TerminalStatus.ONLINE:
            return False
        return not any(fault.severity is Severity.ERROR for fault in supervisor.state.faults)


def _wake(place: "asyncio.Future[None]") -> None:
    if not place.done():
        place.set_result(None)
