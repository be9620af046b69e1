"""What is on a simulated printer's paper: lines, codes and pictures in dots, and the ticket that was cut off."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from hallctl.ticket import Align, display_width

LINE_DOTS = 30  # the default line spacing, 1/6 inch at 203 dpi
CELL_HEIGHT = 24
CELL_WIDTH = 12
DOTS_PER_MM = 8
# Bytes that versions 1 to 40 hold at error correction M (ISO/IEC 18004, table 7).
QR_CAPACITY = tuple(
    accumulate(
        (14, 12, 16, 20, 22, 22, 16, 30, 28, 33, 38, 36, 44, 31, 50, 38, 54, 56, 64, 42,
         45, 68, 78, 54, 86, 62, 66, 65, 74, 106, 82, 86, 90, 94, 87, 102, 78, 110, 114, 118)
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Font:
    """How characters are printed."""

    width: int = 1
    height: int = 1
    bold: bool = False
    underline: bool = False
    inverse: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """Characters of one font."""

    text: str
    font: Font

    @property
    def dots(self) -> int:
        """Width on paper."""
        return display_width(self.text) * CELL_WIDTH * self.font.width


@dataclass(frozen=True, slots=True)
class PrintedLine:
    """A line of text, possibly empty."""

    runs: tuple[Run, ...]
    align: Align = Align.LEFT
    spacing: int = LINE_DOTS

    @property
    def dots(self) -> int:
        """Height on paper."""
        return max([self.spacing, *(run.font.height * CELL_HEIGHT + 6 for run in self.runs)])

    @property
    def text(self) -> str:
        """Its words."""
        return "".join(run.text for run in self.runs)


@dataclass(frozen=True, slots=True)
class PrintedCode:
    """A QR code that the printer draws itself. ``level``: 48 to 51, L to H."""

    data: bytes
    module: int
    level: int
    align: Align

    @property
    def dots(self) -> int:
        """Height on paper."""
        return qr_modules(len(self.data)) * self.module


@dataclass(frozen=True, slots=True)
class PrintedRaster:
    """A picture of one bit a dot; ``stride`` bytes a row."""

    data: bytes
    stride: int
    align: Align

    @property
    def dots(self) -> int:
        """Height on paper."""
        return len(self.data) // max(1, self.stride)


@dataclass(frozen=True, slots=True)
class Fed:
    """Empty paper."""

    dots: int


Mark = PrintedLine | PrintedCode | PrintedRaster | Fed


@dataclass(frozen=True, slots=True)
class PrintedTicket:
    """A ticket that the cutter has cut off. ``width`` in dots; ``raw`` the bytes that made it."""

    raw: bytes
    marks: tuple[Mark, ...]
    width: int

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines of text as they stand on the paper."""
        return tuple(mark.text for mark in self.marks if isinstance(mark, PrintedLine))

    @property
    def codes(self) -> tuple[bytes, ...]:
        """What the QR codes hold."""
        return tuple(mark.data for mark in self.marks if isinstance(mark, PrintedCode))

    def png(self) -> bytes:
        """The paper as a person sees it. Raises ``ConfigError`` when Pillow is not installed."""
        from hallctl_drivers.escpos.draw import draw_ticket  # noqa: PLC0415  # Pillow belongs to an extra

        return draw_ticket(self)


def qr_modules(size: int) -> int:
    """Modules across a QR code of so many bytes at correction M (ISO/IEC 18004, table 7); 0: it holds no more."""
    return next((17 + 4 * version for version, room in enumerate(QR_CAPACITY, 1) if size <= room), 0)


def broken(runs: tuple[Run, ...], width: int) -> Iterator[tuple[Run, ...]]:
    """Runs as lines no wider than ``width`` dots, broken at any character, as a printer does."""
    line: list[Run] = []
    used = 0
    for run in runs:
        for character in run.text:
            cell = Run(character, run.font)
            if used + cell.dots > width and line:
                yield tuple(line)
                line, used = [], 0
            line = _joined(line, cell)
            used += cell.dots
    yield tuple(line)


def _joined(line: list[Run], cell: Run) -> list[Run]:
    if line and line[-1].font == cell.font:
        return [*line[:-1], Run(line[-1].text + cell.text, cell.font)]
    return [*line, cell]
