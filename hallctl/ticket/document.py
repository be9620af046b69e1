"""A ticket as a document: what is on the paper, said without a printer's bytes."""

from dataclasses import dataclass
from enum import StrEnum


class Align(StrEnum):
    """Where a line stands on the paper."""

    LEFT = "left"
    CENTER = "center"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of text. ``width`` and ``height`` are character scales, 1 to 4."""

    text: str
    align: Align = Align.LEFT
    width: int = 1
    height: int = 1
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Columns:
    """Left and right text on one line, filled between to the paper's width."""

    left: str
    right: str


@dataclass(frozen=True, slots=True)
class QrCode:
    """A QR code (model 2, error correction M). ``module`` is the dot size, 1 to 16 printer dots."""

    data: str
    module: int = 6
    align: Align = Align.CENTER


@dataclass(frozen=True, slots=True)
class Rule:
    """A dashed line over the whole width."""


@dataclass(frozen=True, slots=True)
class Feed:
    """Empty lines."""

    lines: int = 1


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in dots. ``rows`` are ``width`` dots each, packed into whole bytes, the left one first, 1 is black."""

    width: int
    rows: bytes
    align: Align = Align.CENTER

    @property
    def stride(self) -> int:
        """Bytes of one row."""
        return (self.width + 7) // 8

    @property
    def height(self) -> int:
        """Rows."""
        return len(self.rows) // self.stride if self.width else 0


Element = TextLine | Columns | QrCode | Rule | Feed | Picture


@dataclass(frozen=True, slots=True)
class Ticket:
    """What one job prints; a cut follows by itself."""

    elements: tuple[Element, ...]

    @property
    def text(self) -> str:
        """The words on the paper, a line each: goes into an event when the paper's fate is unknown."""
        return "\n".join(line for line in map(_words, self.elements) if line)


def _words(element: Element) -> str:
    match element:
        case TextLine(text=text):
            return text
        case Columns(left=left, right=right):
            return f"{left} {right}"
        case QrCode(data=data):
            return data
    return ""
