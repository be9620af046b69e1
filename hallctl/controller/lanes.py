"""Who prints a ticket: a queue a printer with a limit and an expiry, and the printers that take over.

Nothing here knows what a ticket is. A lane takes jobs in their order, tries the printer and its fallbacks, and waits
for the first of them that can print again; what began once is never begun again.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hallctl.clock import Clock
from hallctl.driver import PrintOutcome, PrintState, TicketPrinter
from hallctl.errors import HallctlError, LocalCodecError, RequestRefused, TerminalBusy, TerminalError
from hallctl.model import Severity, TerminalStatus
from hallctl.terminal.supervisor import TerminalSupervisor

PRINT_TIMEOUT_S = 90.0
LOOK_S = 0.25  # between two looks whether a printer can print again

Action = Callable[[TicketPrinter], Awaitable[PrintOutcome]]
Mark = Callable[[bool], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Printed:
    """How a job ended: on which printer, and why not on the first one (empty: it was the first one)."""

    printer: str
    outcome: PrintOutcome
    instead_of: str = ""
    because: str = ""


class Refusal(HallctlError):
    """No printer took the job; nothing is on paper. ``reason`` is what kept the first printer from it."""

    def __init__(self, reason: HallctlError, *, expired: bool = False) -> None:
        super().__init__(reason.message, hint=reason.hint)
        self.reason = reason
        self.expired = expired


class Lane:
    """One printer's queue. ``printers``: the printer itself, then those that take over, in their order."""

    def __init__(
        self, printers: Sequence[str], supervisors: Mapping[str, TerminalSupervisor], clock: Clock, limit: int
    ):
        self.name = printers[0]
        self._printers = tuple(printers)
        self._supervisors = supervisors
        self._clock = clock
        self._limit = limit
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._stopping = False

    def stop(self) -> None:
        """Let every job that waits fail now: nothing of it was printed."""
        self._stopping = True

    async def run(
        self, action: Action, until: datetime, mark: Mark, on_wait: Callable[[HallctlError], None]
    ) -> Printed:
        """Print in turn. ``mark(True)`` is awaited before a job waits, ``mark(False)`` before it is tried after that.

        Raises ``Refusal`` when no printer took it by ``until``, or none ever will.
        """
        if self._waiting >= self._limit:
            busy = TerminalBusy(f"{self.name}: {self._waiting} tickets wait already", hint="try again later")
            raise Refusal(busy)
        self._waiting += 1
        try:
            return await self._in_turn(action, until, mark, on_wait)
        finally:
            self._waiting -= 1

    async def _in_turn(
        self, action: Action, until: datetime, mark: Mark, on_wait: Callable[[HallctlError], None]
    ) -> Printed:
        waited = self._turn.locked()
        if waited:
            await mark(True)
        async with self._own_turn(until):
            while True:
                if waited:
                    await mark(False)
                reason = await self._try_all(action)
                if isinstance(reason, Printed):
                    return reason
                if not isinstance(reason, TerminalError) or self._clock.now() >= until:
                    raise Refusal(reason)
                waited = True
                await mark(True)
                on_wait(reason)
                await self._until_able(until, reason)

    @contextlib.asynccontextmanager
    async def _own_turn(self, until: datetime) -> AsyncIterator[None]:
        try:
            async with self._clock.timeout((until - self._clock.now()).total_seconds()):
                await self._turn.acquire()
        except TimeoutError as exc:
            reason = TerminalBusy(f"{self.name}: other tickets were not finished in time", hint="try again later")
            raise Refusal(reason, expired=True) from exc
        try:
            yield
        finally:
            self._turn.release()

    async def _try_all(self, action: Action) -> Printed | HallctlError:
        """The first printer that takes it; else why the first one did not."""
        reasons: list[HallctlError] = []
        for name in self._printers:
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
        return reasons[0]

    async def _until_able(self, until: datetime, reason: HallctlError) -> None:
        """Wait for a printer of this lane that seems able to print; at ``until`` raise ``Refusal`` with ``reason``."""
        while not any(self._seems_able(name) for name in self._printers):
            if self._stopping or self._clock.now() >= until:
                break
            await self._clock.sleep(LOOK_S)
        else:
            await self._clock.sleep(LOOK_S)
        if self._stopping or self._clock.now() >= until:
            raise Refusal(reason, expired=not self._stopping)

    def _seems_able(self, name: str) -> bool:
        supervisor = self._supervisors.get(name)
        if supervisor is None or supervisor.state.status is not TerminalStatus.ONLINE:
            return False
        return not any(fault.severity is Severity.ERROR for fault in supervisor.state.faults)
