"""Carries out what the hall decided: shows and asks first, all at once, then the facts into the log."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from hallctl.driver import EvaluationPad, NumberDisplay
from hallctl.errors import HallctlError, TerminalOffline
from hallctl.hall import Ask, Hall, Plan, Show
from hallctl.model import Event, EventType, JsonObject
from hallctl.terminal.supervisor import TerminalSupervisor

Commit = Callable[[Event], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Which terminals did their part, and why the others did not."""

    done: tuple[str, ...] = ()
    failed: Mapping[str, HallctlError] = field(default_factory=dict)

    def describe(self) -> JsonObject:
        """For a reply: what each terminal did."""
        failed = {terminal: describe_error(exc) for terminal, exc in self.failed.items()}
        return {"done": list(self.done), "failed": failed}


class Executor:
    """The hall's hands. A dead display delays no other and loses no fact."""

    def __init__(self, hall: Hall, terminals: Mapping[str, TerminalSupervisor], commit: Commit) -> None:
        self._hall = hall
        self._terminals = terminals
        self._commit = commit

    async def carry_out(self, plan: Plan) -> Outcome:
        """Do everything in the plan; the outcome says which terminals failed."""
        work = [(show.display, self._show(show)) for show in plan.shows]
        work += [(ask.pad, self._ask(ask)) for ask in plan.asks]
        results = await asyncio.gather(*(one for _, one in work))
        pairs = list(zip((terminal for terminal, _ in work), results, strict=True))
        failed = {terminal: exc for terminal, exc in pairs if exc is not None}
        for event in plan.events:
            await self._commit(event)
        for terminal, exc in failed.items():
            await self._commit(Event(EventType.DISPLAY_FAILED, {"terminal": terminal, **describe_error(exc)}))
        return Outcome(tuple(terminal for terminal, exc in pairs if exc is None), failed)

    async def restore(self, display: str) -> None:
        """A display is back: show what it has to show now. A failure is seen by its supervisor."""
        message = self._hall.message_for(display)
        if message is not None:
            await self._show(Show(display, message))

    async def _show(self, show: Show) -> HallctlError | None:
        async def newest(driver: NumberDisplay) -> None:
            # Another call may have come while this one waited for its turn: only the newest matters.
            await driver.show(self._hall.message_for(show.display) or show.message)

        return await self._try(show.display, newest)

    async def _ask(self, ask: Ask) -> HallctlError | None:
        async def start(driver: EvaluationPad) -> None:
            await driver.start_evaluation(ask.request)

        return await self._try(ask.pad, start)

    async def _try(self, terminal: str, action: Callable[..., Awaitable[None]]) -> HallctlError | None:
        supervisor = self._terminals.get(terminal)
        if supervisor is None:
            return TerminalOffline(
                f"{terminal} is not running", code="terminal.quarantined", hint="hallctl check says what is wrong"
            )
        try:
            await supervisor.act(action)
        except HallctlError as exc:
            return exc
        return None


def describe_error(exc: HallctlError) -> JsonObject:
    """An error as it goes into events and replies."""
    return {"code": getattr(exc, "code", "error"), "message": exc.message, "hint": exc.hint}
