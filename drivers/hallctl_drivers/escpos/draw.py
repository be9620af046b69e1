"""A printed ticket as PNG, dot by dot at 203 dpi: for the demo, for documentation, and for tests that read the QR code.

Fonts are those of ``faces``; characters that none of them has are drawn as boxes.
"""

from typing import TYPE_CHECKING, Any

from hallctl.errors import ConfigError
from hallctl.ticket import Align
from hallctl_drivers.escpos.faces import array_library
from hallctl_drivers.escpos.glyphs import dressed, pen_for
from hallctl_drivers.escpos.paper import (
    CELL_HEIGHT,
    CELL_WIDTH,
    Fed,
    Mark,
    PrintedCode,
    PrintedLine,
    PrintedRaster,
    PrintedTicket,
    Run,
    raster_of,
)
from hallctl_drivers.escpos.raster import modules_of

if TYPE_CHECKING:
    from hallctl_drivers.escpos.faces import Ink

_MARGIN = {384: 40, 576: 32}  # dots of paper beside the printable width: 58 mm and 80 mm paper
_TOP = 24
_DESK = (214, 218, 220)
_PAPER = (250, 252, 253)
_INK = (38, 34, 34)
_TOOTH = 8
_LEVELS = {48: 0, 49: 1, 50: 2, 51: 3}


def draw_ticket(ticket: PrintedTicket) -> bytes:
    """The whole ticket on its paper, PNG."""
    cv2, numpy = _opencv(), array_library()
    strips = [_strip(mark, ticket.width) for mark in ticket.marks]
    ink = numpy.vstack([numpy.zeros((_TOP, ticket.width), numpy.uint8), *strips])
    margin = _MARGIN.get(ticket.width, 32)
    ink = numpy.pad(ink, ((0, 0), (margin, margin)))
    share = (ink / 255.0)[:, :, None]
    paper = numpy.array(_PAPER) * (1 - share) + numpy.array(_INK) * share
    done, png = cv2.imencode(".png", _on_desk(_torn(paper.astype(numpy.uint8))))
    if not done:
        raise ConfigError(
            "the picture of a ticket could not be encoded as PNG", hint="reinstall opencv-python-headless"
        )
    return bytes(png.tobytes())


def _strip(mark: Mark, width: int) -> "Ink":
    numpy = array_library()
    match mark:
        case Fed(dots=dots):
            blank: Ink = numpy.zeros((dots, width), numpy.uint8)
            return blank
        case PrintedLine():
            return _line(mark, width)
        case PrintedCode():
            return _placed(_code(mark), mark.align, width)
        case PrintedRaster():
            return _placed(raster_of(mark) * 255, mark.align, width)


def _line(line: PrintedLine, width: int) -> "Ink":
    numpy = array_library()
    strip: Ink = numpy.zeros((line.dots, width), numpy.uint8)
    base = max([CELL_HEIGHT, *(run.font.height * CELL_HEIGHT for run in line.runs)])
    left = _left(sum(run.dots for run in line.runs), line.align, width)
    for run in line.runs:
        for character in run.text:
            cell = _cell(character, run)
            height, across = cell.shape
            end = min(width, left + across)
            strip[base - height : base, left:end] = cell[:, : max(0, end - left)]
            left = end
    return strip


def _cell(character: str, run: Run) -> "Ink":
    """A character that OpenCV's font lacks is a box of its size."""
    pen = pen_for("auto")
    if pen.has(character):
        return pen.cell(character, run.font)
    numpy = array_library()
    across = CELL_WIDTH if character < "\x80" else 2 * CELL_WIDTH
    box: Ink = numpy.zeros((CELL_HEIGHT, across), numpy.uint8)
    box[3:-3, 3:-3] = 255
    box[4:-4, 4:-4] = 0
    return dressed(box, run.font)


def _code(code: PrintedCode) -> "Ink":
    numpy = array_library()
    modules = modules_of(code.data, _LEVELS.get(code.level, 0))
    ink: Ink = numpy.kron(255 - modules, numpy.ones((code.module, code.module), numpy.uint8))
    quiet = 2 * code.module
    padded: Ink = numpy.pad(ink, ((quiet, quiet), (0, 0)))
    return padded


def _placed(ink: "Ink", align: Align, width: int) -> "Ink":
    numpy = array_library()
    ink = ink[:, :width]
    left = _left(ink.shape[1], align, width)
    padded: Ink = numpy.pad(ink, ((0, 0), (left, width - left - ink.shape[1])))
    return padded


def _left(dots: int, align: Align, width: int) -> int:
    room = max(0, width - dots)
    return {Align.LEFT: 0, Align.CENTER: room // 2, Align.RIGHT: room}[align]


def _torn(paper: "Ink") -> "Ink":
    """Teeth of the tear bar at both ends."""
    numpy = array_library()
    across = numpy.arange(paper.shape[1])
    depth = numpy.abs((across % (2 * _TOOTH)) - _TOOTH) // 2
    rows = numpy.arange(_TOOTH)[:, None]
    for end in (paper[:_TOOTH], paper[::-1][:_TOOTH]):
        end[rows < depth[None, :]] = _DESK
    return paper


def _on_desk(paper: "Ink") -> "Ink":
    numpy = array_library()
    height, width = paper.shape[:2]
    desk: Ink = numpy.full((height + 48, width + 48, 3), _DESK, numpy.uint8)
    desk[30 : 30 + height, 28 : 28 + width] = numpy.array(_DESK) - 28
    desk[24 : 24 + height, 24 : 24 + width] = paper
    return desk


def _opencv() -> Any:
    try:
        import cv2  # noqa: PLC0415  # belongs to an extra
    except ImportError as exc:
        raise ConfigError("drawing a ticket needs OpenCV", hint="install hallctl[camera]") from exc
    return cv2
