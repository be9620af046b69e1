"""What a diagnosis says: one cause a finding, the true one first."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class Weight(IntEnum):
    """What comes first when a whole box is asked: what takes the most along."""

    BOX = 0  # everything on it
    CENTRE = 1  # the centre sees and steers nothing
    LINE = 2  # several terminals at once
    TERMINAL = 3  # one terminal does not work
    WARNING = 4  # it works, and somebody should look
    NOTE = 5  # nothing is wrong as far as anybody can tell


@dataclass(frozen=True, slots=True)
class Finding:
    """``code`` is one of the book of faults; ``message`` is a whole sentence, ``hint`` says what to do next.

    ``subject`` is the terminal or bus that it is about, empty for the box.
    """

    code: str
    message: str
    hint: str = ""
    subject: str = ""
    weight: Weight = Weight.TERMINAL
    params: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a reply."""
        return {
            "code": self.code,
            "subject": self.subject,
            "weight": self.weight.name.lower(),
            "message": self.message,
            "hint": self.hint,
            "params": dict(self.params),
        }
