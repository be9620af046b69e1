"""Commands: each one is validated, carried out in its room, and answered."""

from collections.abc import Awaitable, Callable, Mapping

from hallctl.clock import Clock
from hallctl.controller.alerts import AlertBook
from hallctl.controller.attendance import Attendance
from hallctl.controller.diagnosis.desk import Diagnosis
from hallctl.controller.diagnosis.exercise import Exerciser
from hallctl.controller.evidence import EvidenceStore
from hallctl.controller.executor import Executor, Outcome
from hallctl.controller.printing import TicketDesk
from hallctl.controller.requests import (
    AcceptScene,
    AcknowledgeAlert,
    BeepKeypad,
    CallNumber,
    Diagnose,
    Exercise,
    FetchEvidence,
    GetConfig,
    PrintTicket,
    RecallNumber,
    SetDisplay,
    SetDuty,
    SetWindow,
    ShowQueue,
    ShowText,
    StartEvaluation,
    TestPrinter,
    read_request,
)
from hallctl.errors import HallctlError, RequestRefused
from hallctl.hall import Hall, Plan
from hallctl.link import Progress
from hallctl.model import Command, JsonObject, Reply, ReplyState


class CommandHandler:
    """Turns a command into a reply. It never raises: what goes wrong is the reply's state, code and hint."""

    def __init__(
        self,
        *,
        hall: Hall,
        executor: Executor,
        tickets: TicketDesk,
        alerts: AlertBook,
        evidence: EvidenceStore,
        displays: Mapping[str, object],
        clock: Clock,
        on_window: Callable[[str], Awaitable[None]],
        changed: Callable[[], None],
        attendance: Attendance,
        document: Callable[[int], Awaitable[JsonObject]],
        diagnosis: Diagnosis,
        exerciser: Exerciser,
    ) -> None:
        self._hall = hall
        self._executor = executor
        self._tickets = tickets
        self._alerts = alerts
        self._evidence = evidence
        self._displays = displays
        self._clock = clock
        self._on_window = on_window
        self._changed = changed
        self._attendance = attendance
        self._document = document
        self._diagnosis = diagnosis
        self._exerciser = exerciser

    async def handle(self, command: Command, progress: Progress) -> Reply:
        """Carry out one command; ``progress`` takes what is known on the way."""
        try:
            return await self._dispatch(command, progress)
        except RequestRefused as exc:
            return Reply(command.id, ReplyState.REJECTED, exc.code, exc.message, exc.hint)
        except HallctlError as exc:
            return Reply(command.id, ReplyState.FAILED, getattr(exc, "code", "error"), exc.message, exc.hint)

    async def _dispatch(self, command: Command, progress: Progress) -> Reply:  # noqa: PLR0911, PLR0912  # one case a command
        match read_request(command):
            case PrintTicket() as request:
                return await self._tickets.print_ticket(command, request, progress)
            case TestPrinter(printer=printer):
                return await self._tickets.test_printer(command, printer)
            case CallNumber(window=window, ticket=ticket):
                return await self._carry_out(command, self._hall.call(window, ticket, self._clock.now()))
            case RecallNumber(window=window):
                return await self._carry_out(command, self._hall.recall(window, self._clock.now()))
            case ShowText() as request:
                return await self._carry_out(command, self._show_text(request))
            case SetDisplay(display=display, on=on, brightness=brightness):
                self._require_display(display)
                return _answer(command, await self._executor.set_display(display, on=on, brightness=brightness))
            case ShowQueue(window=window, waiting=waiting):
                return await self._carry_out(command, self._hall.queue(window, waiting))
            case BeepKeypad(window=window):
                return _answer(command, await self._executor.beep(self._keypad_of(window)))
            case StartEvaluation(window=window, ticket=ticket):
                return await self._carry_out(command, self._hall.ask(window, self._clock.now(), ticket))
            case SetWindow(window=window, state=state):
                plan = self._hall.set_state(window, state, self._clock.now())
                await self._on_window(window)
                return await self._carry_out(command, plan)
            case SetDuty(date=day, spans=spans):
                hours = None if spans is None else [(span.start, span.end) for span in spans]
                return Reply(command.id, ReplyState.SUCCEEDED, data=await self._attendance.set_duty(day, hours))
            case AcceptScene(camera=camera):
                self._attendance.accept_scene(camera)
                return Reply(command.id, ReplyState.SUCCEEDED)
            case AcknowledgeAlert(alert=alert, by=by):
                await self._alerts.acknowledge(alert, by)
                return Reply(command.id, ReplyState.SUCCEEDED)
            case FetchEvidence(alert=alert, kind=kind, offset=offset):
                chunk = await self._evidence.chunk(alert, kind, offset)
                return Reply(command.id, ReplyState.SUCCEEDED, data=chunk)
            case GetConfig(offset=offset):
                return Reply(command.id, ReplyState.SUCCEEDED, data=await self._document(offset))
            case Diagnose(terminal=terminal, probe=probe):
                data = await self._diagnosis.of(terminal, probe=probe)
                return Reply(command.id, ReplyState.SUCCEEDED, data=data)
            case Exercise(terminal=terminal, what=what):
                return await self._exerciser.exercise(command, terminal, what)
        raise RequestRefused("command.unknown", f"{command.name} is not handled here")

    def _require_display(self, display: str) -> None:
        if display not in self._displays:
            known = ", ".join(sorted(self._displays)) or "none"
            raise RequestRefused("display.unknown", f"there is no display {display!r}", hint=f"displays here: {known}")

    def _keypad_of(self, window: str) -> str:
        keypad = self._hall.window(window).config.keypad
        if keypad is None:
            hint = "name one in hall.yaml: keypad: ID"
            raise RequestRefused("keypad.none", f"window {window!r} has no keypad", hint=hint)
        return keypad

    def _show_text(self, request: ShowText) -> Plan:
        self._require_display(request.display)
        return self._hall.show_text(request.display, request.text, request.colour, blink=request.blink)

    async def _carry_out(self, command: Command, plan: Plan) -> Reply:
        self._changed()
        return _answer(command, await self._executor.carry_out(plan))


def _answer(command: Command, outcome: Outcome) -> Reply:
    """Succeeded when any terminal did its part, or none was needed; failed when all that were asked failed."""
    data = outcome.describe()
    if outcome.done or not outcome.failed:
        return Reply(command.id, ReplyState.SUCCEEDED, data=data)
    terminal, exc = next(iter(outcome.failed.items()))
    return Reply(
        command.id, ReplyState.FAILED, getattr(exc, "code", "error"), f"{terminal}: {exc.message}", exc.hint, data
    )
