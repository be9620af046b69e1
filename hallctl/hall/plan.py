"""What the hall wants done: decided purely, carried out by the controller."""

from dataclasses import dataclass

from hallctl.hall.message import DisplayMessage, EvaluationRequest
from hallctl.model import Event


@dataclass(frozen=True, slots=True)
class Show:
    """Put a message on a display."""

    display: str
    message: DisplayMessage


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask for a rating on a pad."""

    pad: str
    request: EvaluationRequest


@dataclass(frozen=True, slots=True)
class ShowQueue:
    """Tell a keypad how many wait (``None``: not known) and which ticket is being served."""

    keypad: str
    waiting: int | None
    ticket: str | None


@dataclass(frozen=True, slots=True)
class EndEvaluation:
    """Nobody answered: a pad may go back to its idle picture."""

    pad: str


@dataclass(frozen=True, slots=True)
class StandStill:
    """A call has blinked for long enough: show what the display has to show now."""

    display: str


Note = ShowQueue | EndEvaluation | StandStill
"""What is good to know at a window; nobody waits for it, and nothing fails when it can't be told."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One decision: shows and asks to carry out, then facts to commit, in this order; notes when there is time."""

    shows: tuple[Show, ...] = ()
    asks: tuple[Ask, ...] = ()
    events: tuple[Event, ...] = ()
    notes: tuple[Note, ...] = ()

    def __add__(self, other: "Plan") -> "Plan":
        return Plan(
            self.shows + other.shows, self.asks + other.asks, self.events + other.events, self.notes + other.notes
        )
