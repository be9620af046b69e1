"""What windows say to displays and pads: values that the hall decides and drivers render."""

from dataclasses import dataclass
from enum import StrEnum


class DisplayKind(StrEnum):
    """What a display is asked to show; a window bar may have a native form for each."""

    WELCOME = "welcome"
    CALL = "call"
    SERVING = "serving"
    PAUSED = "paused"
    TEXT = "text"
    BOARD = "board"


class Colour(StrEnum):
    """Colours that a two-colour LED panel has."""

    RED = "red"
    GREEN = "green"
    YELLOW = "yellow"


@dataclass(frozen=True, slots=True)
class DisplayMessage:
    """What is to be on the display until the next message.

    ``lines`` is the wording, ready to show; ``ticket`` and ``window`` are there for displays with a native
    call command (on a board: the newest call). A driver refuses with ``LocalCodecError`` what its device can't show.
    """

    kind: DisplayKind
    lines: tuple[str, ...]
    ticket: str | None = None
    window: str | None = None
    colour: Colour = Colour.RED
    blink: bool = False

    @property
    def text(self) -> str:
        """All lines as one, separated by two spaces."""
        return "  ".join(self.lines)


@dataclass(frozen=True, slots=True)
class StaffCard:
    """Who serves at a window. ``stars`` is the level 0 to 5 (``None``: not shown), ``photo`` an absolute path."""

    number: str
    name: str = ""
    stars: int | None = None
    photo: str | None = None


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """Ask the citizen for a rating within ``timeout_s``. ``stars``, 0 to 5: the staff's level; ``None``: not shown.

    ``id`` is new with every request of the hall; a pad that can hands it back with the answer.
    """

    ticket: str | None = None
    staff_number: str | None = None
    staff_name: str | None = None
    stars: int | None = None
    id: str = ""
    timeout_s: float = 60.0
