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
class Plan:
    """One decision: shows and asks to carry out, then facts to commit, in this order."""

    shows: tuple[Show, ...] = ()
    asks: tuple[Ask, ...] = ()
    events: tuple[Event, ...] = ()

    def __add__(self, other: "Plan") -> "Plan":
        return Plan(self.shows + other.shows, self.asks + other.asks, self.events + other.events)
