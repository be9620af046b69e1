"""What a terminal says of its own accord: keys and ratings."""

from dataclasses import dataclass
from enum import StrEnum


class Key(StrEnum):
    """A keypad's keys, by meaning."""

    NEXT = "next"
    RECALL = "recall"
    EVALUATE = "evaluate"
    PAUSE = "pause"
    TRANSFER = "transfer"
    CANCEL = "cancel"
    CONFIRM = "confirm"
    ABANDON = "abandon"
    HANG_UP = "hang_up"
    CALL_BACK = "call_back"
    START = "start"
    ONE_METRE = "one_metre"
    DIGITS = "digits"


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A key of a keypad. ``argument`` is what was typed before it (a ticket, a target window)."""

    key: Key
    argument: str = ""


@dataclass(frozen=True, slots=True)
class RatingSubmitted:
    """A citizen's answer on the national scale: 5 very satisfied, 4, 3, 2, 1 very dissatisfied.

    ``answer`` is the pad's own id of this answer: one that comes again (the thanks were lost) counts once. ``request``
    and ``ticket`` are what a pad remembers of the question, also where the daemon was started anew meanwhile.
    """

    score: int
    answer: str = ""
    request: str = ""
    ticket: str | None = None


Signal = KeyPressed | RatingSubmitted
