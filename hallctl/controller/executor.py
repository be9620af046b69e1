"""Carries out what the hall decided: shows and asks first, all at once, then the facts into the log."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hallctl.driver import EvaluationPad, Keypad, NumberDisplay, StaffCard
from hallctl.errors import Fault, HallctlError, TerminalOffline
from hallctl.hall import Ask, EndEvaluation, Hall, Note, Plan, Show, ShowQueue, StandStill
from hallctl.hall.message import DisplayKind, DisplayMessage
from hallctl.model import Event, EventType, JsonObject
from hallctl.terminal.supervisor import TerminalSupervisor

_NO_COMMAND = "its protocol has no such command"

Commit = Callable[[Event], Awaitable[None]]
Later = Callable[[Awaitable[object]], None]


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
    """The hall's hands. A dead display delays no other and loses no fact. ``later`` runs what nobody waits for."""

    def __init__(
        self,
        hall: Hall,
        terminals: Mapping[str, TerminalSupervisor],
        commit: Commit,
        *,
        staff: Mapping[str, StaffCard],
        later: Later,
    ) -> None:
        self._hall = hall
        self._terminals = terminals
        self._commit = commit
        self._staff = staff
        self._later = later

    async def carry_out(self, plan: Plan) -> Outcome:
        """Do everything in the plan; the outcome says which terminals failed."""
        work = [(show.display, self._show(show)) for show in plan.shows]
        work += [(ask.pad, self._ask(ask)) for ask in plan.asks]
        for note in plan.notes:
            self._later(self._tell(note))
        results = await asyncio.gather(*(one for _, one in work))
        pairs = list(zip((terminal for terminal, _ in work), results, strict=True))
        failed = {terminal: exc for terminal, exc in pairs if exc is not None}
        for event in plan.events:
            await self._commit(event)
        for terminal, exc in failed.items():
            await self._commit(Event(EventType.DISPLAY_FAILED, {"terminal": terminal, **describe_error(exc)}))
        return Outcome(tuple(terminal for terminal, exc in pairs if exc is None), failed)

    async def restore(self, terminal: str) -> None:
        """A terminal is back: give it what it has to show now. A failure is seen by its supervisor."""
        if (message := self._hall.message_for(terminal)) is not None:
            await self._show(Show(terminal, message))
        if (note := self._hall.queue_of(terminal)) is not None:
            await self._tell(note)
        if (card := self._staff.get(terminal)) is not None:
            await self._try(terminal, lambda driver: driver.show_staff(card))
        if (question := self._hall.question_of(terminal)) is not None:
            await self._ask(question)

    async def blank(self, display: str) -> None:
        """A display that belongs to nobody any more shows nothing."""
        await self._show(Show(display, DisplayMessage(DisplayKind.TEXT, ("",))))

    async def set_display(self, display: str, *, on: bool | None, brightness: int | None) -> Outcome:
        """Light, darken or dim a display by hand. Raises ``Fault`` where the display can't."""

        async def adjust(driver: NumberDisplay) -> None:
            if on is not None and not await driver.set_power(on):
                raise Fault("display.unsupported", f"{display} can't be switched on and off", hint=_NO_COMMAND)
            if brightness is not None and not await driver.set_brightness(brightness):
                raise Fault("display.unsupported", f"{display} can't be dimmed", hint=_NO_COMMAND)

        return _outcome(display, await self._try(display, adjust))

    async def beep(self, keypad: str) -> Outcome:
        """Make a keypad sound. Fails with ``keypad.unsupported`` where it can't."""

        async def sound(driver: Keypad) -> None:
            if not await driver.beep():
                raise Fault("keypad.unsupported", f"{keypad} has no sound")

        return _outcome(keypad, await self._try(keypad, sound))

    async def _show(self, show: Show) -> HallctlError | None:
        async def newest(driver: NumberDisplay) -> None:
            # Another call may have come while this one waited for its turn: only the newest matters.
            await driver.show(self._hall.message_for(show.display) or show.message)

        return await self._try(show.display, newest)

    async def _ask(self, ask: Ask) -> HallctlError | None:
        async def start(driver: EvaluationPad) -> None:
            await driver.start_evaluation(ask.request)

        return await self._try(ask.pad, start)

    async def _tell(self, note: Note) -> None:
        """What is true in its turn: while it waited for the terminal more may have happened."""

        async def tell(driver: Any) -> None:
            match note:
                case StandStill(display=display):
                    message = self._hall.message_for(display)
                    if message is not None and not message.blink:  # it may have been called again
                        await driver.show(message)
                case ShowQueue(keypad=keypad):
                    newest = self._hall.queue_of(keypad) or note
                    await driver.show_queue(newest.waiting, newest.ticket)
                case EndEvaluation(pad=pad):
                    if self._hall.question_of(pad) is None:
                        await driver.end_evaluation()

        await self._try(_told(note), tell)

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


def _told(note: Note) -> str:
    match note:
        case ShowQueue(keypad=terminal) | EndEvaluation(pad=terminal) | StandStill(display=terminal):
            return terminal


def _outcome(terminal: str, failure: HallctlError | None) -> Outcome:
    return Outcome((terminal,)) if failure is None else Outcome(failed={terminal: failure})


def describe_error(exc: HallctlError) -> JsonObject:
    """An error as it goes into events and replies."""
    return {"code": getattr(exc, "code", "error"), "message": exc.message, "hint": exc.hint}
