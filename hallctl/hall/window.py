"""One window as a unit: what it is doing, for whom, and what its display says."""

from dataclasses import dataclass, replace
from datetime import datetime

from hallctl.config.hall import Texts
from hallctl.config.hall import Window as WindowConfig
from hallctl.hall.message import Colour, DisplayKind, DisplayMessage, EvaluationRequest
from hallctl.model import WindowState


@dataclass(frozen=True, slots=True)
class OpenEvaluation:
    """A rating that was asked for and has not come yet. ``id`` is new with every question."""

    ticket: str | None
    asked_at: datetime
    id: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """The state of one window; replaced, never changed."""

    config: WindowConfig
    state: WindowState = WindowState.WELCOME
    ticket: str | None = None
    evaluation: OpenEvaluation | None = None
    blink_until: datetime | None = None
    waiting: int | None = None

    def calling(self, ticket: str, blink_until: datetime | None) -> "Window":
        """A number has been called here; its display blinks until then, so that a recall is seen too."""
        return replace(self, state=WindowState.CALLING, ticket=ticket, blink_until=blink_until)

    def entering(self, state: WindowState) -> "Window":
        """The window's state was set; a window that is welcoming serves no ticket any more."""
        ticket = None if state is WindowState.WELCOME else self.ticket
        return replace(self, state=state, ticket=ticket, blink_until=None)

    def completes_service(self, state: WindowState) -> bool:
        """Whether entering ``state`` ends a service."""
        busy = self.state in (WindowState.CALLING, WindowState.SERVING)
        return busy and self.ticket is not None and state is WindowState.WELCOME

    def message(self, texts: Texts) -> DisplayMessage:
        """What its display has to show now."""
        wording = {"ticket": self.ticket or "", "window": self.config.label}
        match self.state:
            case WindowState.CALLING:
                kind, text, colour = DisplayKind.CALL, texts.call, Colour.RED
            case WindowState.SERVING:
                kind, text, colour = DisplayKind.SERVING, texts.serving, Colour.GREEN
            case WindowState.PAUSED:
                kind, text, colour = DisplayKind.PAUSED, texts.paused, Colour.YELLOW
            case _:
                kind, text, colour = DisplayKind.WELCOME, texts.welcome, Colour.GREEN
        return DisplayMessage(
            kind,
            (fill(text, wording).strip(),),
            ticket=self.ticket,
            window=self.config.label,
            colour=colour,
            blink=kind is DisplayKind.CALL and self.blink_until is not None,
        )

    def evaluation_request(self, asked: OpenEvaluation, timeout_s: float) -> EvaluationRequest:
        """What its pad has to show while it asks."""
        staff = self.config.staff
        if staff is None:
            return EvaluationRequest(asked.ticket, id=asked.id, timeout_s=timeout_s)
        return EvaluationRequest(
            asked.ticket, staff.number, staff.name or None, staff.stars, id=asked.id, timeout_s=timeout_s
        )


def fill(text: str, fields: dict[str, str]) -> str:
    """Put fields into a wording. Only ``{name}`` of a known field is replaced; values are never read again."""
    parts = text.split("{")
    filled = [parts[0]]
    for part in parts[1:]:
        name, brace, rest = part.partition("}")
        filled.append(fields[name] + rest if brace and name in fields else "{" + part)
    return "".join(filled)
