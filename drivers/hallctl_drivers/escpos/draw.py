"""A printed ticket as PNG, dot by dot at 203 dpi: for the demo, for documentation, and for tests that read the QR code.

OpenCV 5 brings a font with Chinese ("uni"), so no font file is needed. The characters beyond the basic plane that it
lacks are drawn as boxes.
"""

from typing import TYPE_CHECKING, Any

from hallctl.errors import ConfigError
from hallctl.ticket import Align
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

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ink = NDArray[np.uint8]  # rows of dots, 0 paper to 255 black

_MARGIN = {384: 40, 576: 32}  # dots of paper beside the printable width: 58 mm and 80 mm paper
_TOP = 24
_DESK = (214, 218, 220)
_PAPER = (250, 252, 253)
_INK = (38, 34, 34)
_TOOTH = 8
_LEVELS = {48: 0, 49: 1, 50: 2, 51: 3}


def draw_ticket(ticket: PrintedTicket) -> bytes:
    """The whole ticket on its paper, PNG."""
    cv2, numpy = _libraries()
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
    _, numpy = _libraries()
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
    _, numpy = _libraries()
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
    """One character in its cell, enlarged as the printer does it: every dot becomes a block."""
    _, numpy = _libraries()
    across = CELL_WIDTH if character < "\x80" else 2 * CELL_WIDTH
    cell = _glyph(character, across)
    if run.font.bold:
        cell[:, 1:] = numpy.maximum(cell[:, 1:], cell[:, :-1])
    if run.font.underline:
        cell[-2:, :] = 255
    if run.font.inverse:
        cell = 255 - cell
    scaled: Ink = numpy.kron(cell, numpy.ones((run.font.height, run.font.width), numpy.uint8))
    return scaled


def _glyph(character: str, across: int) -> "Ink":
    cv2, numpy = _libraries()
    cell: Ink = numpy.zeros((CELL_HEIGHT, across), numpy.uint8)
    if ord(character) > 0xFFFF:
        cv2.rectangle(cell, (3, 3), (across - 4, CELL_HEIGHT - 4), (255,), 1)
        return cell
    face = cv2.FontFace("uni")
    size = 22
    left, _, drawn, _ = cv2.getTextSize((0, 0), character, (0, 0), face, size)
    wide: Ink = numpy.zeros((CELL_HEIGHT, max(across, drawn)), numpy.uint8)
    cv2.putText(wide, character, ((wide.shape[1] - drawn) // 2 - left, 20), (255,), face, size)
    fitted: Ink = (
        wide if wide.shape[1] == across else cv2.resize(wide, (across, CELL_HEIGHT), interpolation=cv2.INTER_AREA)
    )
    black: Ink = numpy.where(fitted > 96, 255, 0).astype(numpy.uint8)
    return black


def _code(code: PrintedCode) -> "Ink":
    cv2, numpy = _libraries()
    params = cv2.QRCodeEncoder_Params()
    params.correction_level = _LEVELS.get(code.level, 0)
    params.mode = cv2.QRCodeEncoder_MODE_BYTE
    modules = cv2.QRCodeEncoder.create(params).encode(code.data.decode("utf-8", "replace"))[2:-2, 2:-2]
    ink: Ink = numpy.kron(255 - modules, numpy.ones((code.module, code.module), numpy.uint8))
    quiet = 2 * code.module
    padded: Ink = numpy.pad(ink, ((quiet, quiet), (0, 0)))
    return padded


def _placed(ink: "Ink", align: Align, width: int) -> "Ink":
    _, numpy = _libraries()
    ink = ink[:, :width]
    left = _left(ink.shape[1], align, width)
    padded: Ink = numpy.pad(ink, ((0, 0), (left, width - left - ink.shape[1])))
    return padded


def _left(dots: int, align: Align, width: int) -> int:
    room = max(0, width - dots)
    return {Align.LEFT: 0, Align.CENTER: room // 2, Align.RIGHT: room}[align]


def _torn(paper: "Ink") -> "Ink":
    """Teeth of the tear bar at both ends."""
    _, numpy = _libraries()
    across = numpy.arange(paper.shape[1])
    depth = numpy.abs((across % (2 * _TOOTH)) - _TOOTH) // 2
    rows = numpy.arange(_TOOTH)[:, None]
    for end in (paper[:_TOOTH], paper[::-1][:_TOOTH]):
        end[rows < depth[None, :]] = _DESK
    return paper


def _on_desk(paper: "Ink") -> "Ink":
    _, numpy = _libraries()
    height, width = paper.shape[:2]
    desk: Ink = numpy.full((height + 48, width + 48, 3), _DESK, numpy.uint8)
    desk[30 : 30 + height, 28 : 28 + width] = numpy.array(_DESK) - 28
    desk[24 : 24 + height, 24 : 24 + width] = paper
    return desk


def _libraries() -> tuple[Any, Any]:
    try:
        import cv2  # noqa: PLC0415  # belongs to an extra
        import numpy  # noqa: PLC0415  # belongs to an extra
    except ImportError as exc:
        raise ConfigError("drawing a ticket needs OpenCV", hint="install hallctl[camera]") from exc
    return cv2, numpy
