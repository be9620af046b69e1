"""The hall: windows as units. Pure: every method decides, remembers, and returns a ``Plan``."""

from collections import deque
from dataclasses import replace
from datetime import datetime, timedelta

from hallctl.config.hall import HallDocument
from hallctl.errors import RequestRefused
from hallctl.hall.memory import recall_text, recall_window, remember_text, remember_window
from hallctl.hall.message import Colour, DisplayKind, DisplayMessage
from hallctl.hall.plan import Ask, EndEvaluation, Plan, Show, ShowQueue, StandStill
from hallctl.hall.signal import Key, KeyPressed, RatingSubmitted
from hallctl.hall.window import OpenEvaluation, Window, fill
from hallctl.model import Event, EventType, JsonObject, Priority, WindowState

MAX_TICKET = 16
ANSWERS_KEPT = 2000  # answers and questions that are remembered, so that what comes again is counted once


class Hall:
    """All windows of one controller, its main boards, and the texts that were put on displays by hand."""

    def __init__(self, document: HallDocument) -> None:
        self._document = document
        self._windows = {window.id: Window(window) for window in document.windows}
        self._gone: dict[str, Window] = {}  # taken out by another document: it may be taken back
        self._calls: deque[tuple[str, str]] = deque(maxlen=document.main_boards.lines)
        self._texts: dict[str, DisplayMessage] = {}
        self._answers: deque[str] = deque(maxlen=ANSWERS_KEPT)
        self._by_terminal = _by_terminal(document)

    def adopt(self, document: HallDocument) -> None:
        """Go on with another document: windows that stay keep what they are doing, calls and texts stand."""
        before = self._gone | self._windows
        self._document = document
        self._windows = {
            window.id: replace(before[window.id], config=window) if window.id in before else Window(window)
            for window in document.windows
        }
        self._gone = {name: window for name, window in before.items() if name not in self._windows}
        self._calls = deque(self._calls, maxlen=document.main_boards.lines)
        self._by_terminal = _by_terminal(document)
        known = {terminal.id for terminal in document.terminals}
        self._texts = {display: text for display, text in self._texts.items() if display in known}

    def window(self, window: str) -> Window:
        """The window now. Raises ``RequestRefused`` when there is none of this id."""
        if window not in self._windows:
            known = ", ".join(sorted(self._windows)) or "none"
            raise RequestRefused("window.unknown", f"there is no window {window!r}", hint=f"windows here: {known}")
        return self._windows[window]

    def remember(self) -> JsonObject:
        """Everything that a restart must not forget, as JSON."""
        return {
            "windows": {name: remember_window(window) for name, window in self._windows.items()},
            "calls": [list(call) for call in self._calls],
            "texts": {display: remember_text(message) for display, message in self._texts.items()},
            "answers": list(self._answers),
        }

    def recall_memory(self, saved: JsonObject, *, same_day: bool) -> None:
        """Go on where ``remember`` was. Of another day only the answers count: yesterday's numbers call nobody.

        Raises ``ValueError``, ``KeyError`` or ``TypeError`` for what is no memory; then nothing was taken of it.
        """
        windows = {
            name: recall_window(self._windows[name], one)
            for name, one in saved["windows"].items()
            if name in self._windows
        }
        calls = [(str(ticket), str(label)) for ticket, label in saved["calls"]]
        texts = {display: recall_text(one) for display, one in saved["texts"].items()}
        self._answers.extend(str(answer) for answer in saved["answers"])
        if same_day:
            self._windows.update(windows)
            self._calls.extend(calls)
            self._texts.update(texts)

    @property
    def windows(self) -> tuple[Window, ...]:
        """Every window, in the document's order."""
        return tuple(self._windows.values())

    def message_for(self, display: str) -> DisplayMessage | None:
        """What a display has to show now: asked when it comes back from a power cycle."""
        if display in self._texts:
            return self._texts[display]
        if display in self._document.main_boards.displays:
            return self._board()
        window = self._by_terminal.get(display)
        if window is None or self._windows[window].config.display != display:
            return None
        return self._windows[window].message(self._document.texts)

    def queue_of(self, keypad: str) -> ShowQueue | None:
        """What a keypad has to show now: asked when it comes back."""
        window = self._by_terminal.get(keypad)
        return self._queue_of(window) if window and self._windows[window].config.keypad == keypad else None

    def question_of(self, pad: str) -> Ask | None:
        """What a pad has to ask now: asked when it comes back."""
        window = self._by_terminal.get(pad)
        if window is None or self._windows[window].config.pad != pad:  # a display of the window has no questions
            return None
        if (asked := self._windows[window].evaluation) is None:
            return None
        return Ask(pad, self._windows[window].evaluation_request(asked, self._document.evaluation.timeout_s))

    def call(self, window: str, ticket: str, now: datetime) -> Plan:
        """Call a number to a window: on its display and on every main board."""
        before = self._ready_to_call(window)
        if not ticket or len(ticket) > MAX_TICKET:
            raise RequestRefused("ticket.invalid", f"a ticket number has 1 to {MAX_TICKET} characters, not {ticket!r}")
        self._windows[window] = before.calling(ticket, self._blinks_until(now))
        self._remember(ticket, before.config.label)
        return self._shows_of_call(window) + self._fact(EventType.NUMBER_CALLED, window, ticket=ticket)

    def recall(self, window: str, now: datetime) -> Plan:
        """Show the last called number again."""
        before = self._ready_to_call(window)
        if before.ticket is None:
            raise RequestRefused("recall.nothing", f"no number has been called at window {window!r} yet")
        self._windows[window] = before.calling(before.ticket, self._blinks_until(now))
        self._remember(before.ticket, before.config.label)
        return self._shows_of_call(window) + self._fact(EventType.NUMBER_RECALLED, window, ticket=before.ticket)

    def queue(self, window: str, waiting: int) -> Plan:
        """So many wait for this window now: shown on its keypad."""
        before = self.window(window)
        if before.config.keypad is None:
            raise RequestRefused(
                "queue.no_keypad", f"window {window!r} has no keypad", hint="name one in hall.yaml: keypad: ID"
            )
        self._windows[window] = replace(before, waiting=waiting)
        return self._note_queue(window)

    def set_state(self, window: str, state: WindowState, now: datetime, *, by: str = "command") -> Plan:
        """Set what a window is doing; a service that is thereby completed asks for a rating."""
        before = self.window(window)
        if state is WindowState.CALLING and before.ticket is None:
            raise RequestRefused(
                "recall.nothing", f"no number has been called at window {window!r} yet", hint="use number.call"
            )
        after = before.entering(state)
        self._windows[window] = after
        plan = self._show_window(window) + self._note_queue(window)
        plan += self._fact(
            EventType.WINDOW_CHANGED, window, state=state.value, before=before.state.value, ticket=before.ticket, by=by
        )
        if before.completes_service(state) and self._document.evaluation.on_completed and before.config.pad:
            plan += self.ask(window, now, before.ticket)
        return plan

    def ask(self, window: str, now: datetime, ticket: str | None = None) -> Plan:
        """Ask the citizen at a window for a rating."""
        asked = self.window(window)
        if asked.config.pad is None:
            raise RequestRefused(
                "evaluation.no_pad", f"window {window!r} has no evaluation pad", hint="name one in hall.yaml: pad: ID"
            )
        question = OpenEvaluation(ticket or asked.ticket, now, f"{window}-{int(now.timestamp() * 1000)}")
        self._windows[window] = replace(asked, evaluation=question)
        ask = Ask(asked.config.pad, asked.evaluation_request(question, self._document.evaluation.timeout_s))
        fact = self._fact(EventType.RATING_REQUESTED, window, ticket=question.ticket, staff=_staff(asked))
        return Plan(asks=(ask,)) + fact

    def show_text(self, display: str, text: str, colour: Colour, *, blink: bool) -> Plan:
        """Put a text on a display until something else happens at its window; an empty text takes it away."""
        if text:
            self._texts[display] = DisplayMessage(DisplayKind.TEXT, (text,), colour=colour, blink=blink)
        else:
            self._texts.pop(display, None)
        message = self.message_for(display) or DisplayMessage(DisplayKind.TEXT, ("",))
        event = Event(EventType.TEXT_SHOWN, {"display": display, "text": text})
        return Plan(shows=(Show(display, message),), events=(event,))

    def rated(self, pad: str, rating: RatingSubmitted, now: datetime) -> Plan:
        """A citizen has rated: names window, staff, ticket and score on the national 5..1 scale.

        An answer to an earlier question leaves the present one open.
        """
        known = {"pad": pad, "score": rating.score, **({"answer": rating.answer} if rating.answer else {})}
        window = self._by_terminal.get(pad)
        if window is None:
            return Plan(events=(Event(EventType.RATING_GIVEN, known, Priority.HIGH),))
        rated = self._windows[window]
        asked = rated.evaluation
        if asked is not None and rating.request not in ("", asked.id):
            asked = None
        if asked is not None:
            self._windows[window] = replace(rated, evaluation=None)
        return self._fact(
            EventType.RATING_GIVEN,
            window,
            priority=Priority.HIGH,
            **known,
            ticket=asked.ticket if asked else rating.ticket or rated.ticket,
            asked=asked is not None or bool(rating.request),
            after_s=round((now - asked.asked_at).total_seconds(), 3) if asked else None,
            staff=_staff(rated),
        )

    def has_taken(self, rating: RatingSubmitted) -> bool:
        """Whether this answer, or another one to the same question, is on disk already.

        A pad says an answer again whose thanks were lost, and two tablets may show one question.
        """
        return any(name in self._answers for name in (rating.answer, rating.request) if name)

    def taken(self, rating: RatingSubmitted) -> None:
        """An answer is on disk now; so is its question's."""
        self._answers.extend(name for name in (rating.answer, rating.request) if name)

    def pressed(self, keypad: str, press: KeyPressed, now: datetime) -> Plan:
        """A key: always an event that an outside queue system can act on; some keys act here as well."""
        window = self._by_terminal.get(keypad)
        plan = Plan()
        refused: str | None = None
        handled = window is not None and press.key.value in self._document.keypads.local
        if window is not None and handled:
            try:
                plan = self._act_on(window, press.key, now)
            except RequestRefused as exc:
                refused = exc.code
        data: JsonObject = {
            "keypad": keypad,
            "window": window,
            "key": press.key.value,
            "argument": press.argument,
            "handled": handled and refused is None,
            "refused": refused,
            "ticket": self._windows[window].ticket if window else None,
        }
        return Plan(events=(Event(EventType.KEY_PRESSED, data),)) + plan

    def overdue(self, now: datetime) -> Plan:
        """Close the evaluations that nobody answered in time, and end the blinking of calls."""
        plan = Plan()
        limit = timedelta(seconds=self._document.evaluation.timeout_s)
        for name, window in self._windows.items():
            asked = window.evaluation
            if asked is not None and now - asked.asked_at >= limit:
                self._windows[name] = replace(self._windows[name], evaluation=None)
                plan += self._fact(EventType.RATING_MISSED, name, ticket=asked.ticket, staff=_staff(window))
                plan += Plan(notes=(EndEvaluation(window.config.pad),) if window.config.pad else ())
            if window.blink_until is not None and now >= window.blink_until:
                self._windows[name] = replace(self._windows[name], blink_until=None)
                plan += Plan(notes=(StandStill(window.config.display),) if window.config.display else ())
        return plan

    def _act_on(self, window: str, key: Key, now: datetime) -> Plan:
        match key:
            case Key.RECALL:
                return self.recall(window, now)
            case Key.EVALUATE:
                return self.ask(window, now)
            case Key.PAUSE:
                paused = self._windows[window].state is WindowState.PAUSED
                state = WindowState.WELCOME if paused else WindowState.PAUSED
                return self.set_state(window, state, now, by="keypad")
        return Plan()

    def _ready_to_call(self, window: str) -> Window:
        now = self.window(window)
        if now.state is WindowState.PAUSED:
            raise RequestRefused(
                "window.paused", f"window {window!r} is paused", hint="set it to welcome first, or press its pause key"
            )
        return now

    def _remember(self, ticket: str, label: str) -> None:
        kept = [call for call in self._calls if call != (ticket, label)]
        self._calls.clear()
        self._calls.extend([*kept, (ticket, label)])

    def _shows_of_call(self, window: str) -> Plan:
        for board in self._document.main_boards.displays:
            self._texts.pop(board, None)
        board_message = self._board()
        boards = tuple(Show(board, board_message) for board in self._document.main_boards.displays)
        return self._show_window(window) + Plan(shows=boards) + self._note_queue(window)

    def _show_window(self, window: str) -> Plan:
        display = self._windows[window].config.display
        if display is None:
            return Plan()
        self._texts.pop(display, None)
        return Plan(shows=(Show(display, self._windows[window].message(self._document.texts)),))

    def _blinks_until(self, now: datetime) -> datetime | None:
        seconds = self._document.displays.blink_s
        return now + timedelta(seconds=seconds) if seconds > 0 else None

    def _note_queue(self, window: str) -> Plan:
        note = self._queue_of(window)
        return Plan(notes=(note,) if note else ())

    def _queue_of(self, window: str) -> ShowQueue | None:
        now = self._windows[window]
        return ShowQueue(now.config.keypad, now.waiting, now.ticket) if now.config.keypad else None

    def _board(self) -> DisplayMessage:
        wording = self._document.texts.board
        lines = tuple(fill(wording, {"ticket": ticket, "window": label}) for ticket, label in reversed(self._calls))
        if not lines:
            return DisplayMessage(DisplayKind.WELCOME, (self._document.texts.welcome,), colour=Colour.GREEN)
        ticket, window = self._calls[-1]
        return DisplayMessage(DisplayKind.BOARD, lines, ticket=ticket, window=window)

    def _fact(self, kind: EventType, window: str, priority: Priority = Priority.NORMAL, **data: object) -> Plan:
        label = self._windows[window].config.label
        return Plan(events=(Event(kind, {"window": window, "label": label, **data}, priority),))


def _by_terminal(document: HallDocument) -> dict[str, str]:
    return {
        terminal: window.id
        for window in document.windows
        for terminal in (window.display, window.pad, window.keypad)
        if terminal
    }


def _staff(window: Window) -> str | None:
    return window.config.staff.number if window.config.staff else None
