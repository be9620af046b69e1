"""A printed ticket as PNG, dot by dot at 203 dpi: for the demo, for documentation, and for tests that read the QR code.

Fonts are those of ``faces``; characters that none of them has are drawn as boxes.
"""

import io

from hallctl.ticket import Align
from hallctl_drivers.escpos.faces import Ink, blank, pillow
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
)
from hallctl_drivers.escpos.raster import modules_of

_MARGIN = {384: 40, 576: 32}  # dots of paper beside the printable width: 58 mm and 80 mm paper
_TOP = 24
_DESK = (220, 218, 214)
_SHADE = (192, 190, 186)
_PAPER = (253, 252, 250)
_INK = (34, 34, 38)
_TOOTH = 8
_AROUND = 24  # dots of desk around the paper
_LEVELS = {48: "L", 49: "M", 50: "Q", 51: "H"}


def draw_ticket(ticket: PrintedTicket) -> bytes:
    """The whole ticket on its paper, PNG. Raises ``ConfigError`` when Pillow is not installed."""
    strips = [blank(ticket.width, _TOP), *(_strip(mark, ticket.width) for mark in ticket.marks)]
    margin = _MARGIN.get(ticket.width, 32)
    ink = blank(ticket.width + 2 * margin, sum(strip.height for strip in strips))
    top = 0
    for strip in strips:
        ink.paste(strip, (margin, top))
        top += strip.height
    png = io.BytesIO()
    _on_desk(ink).save(png, "PNG")
    return png.getvalue()


def _strip(mark: Mark, width: int) -> Ink:
    match mark:
        case Fed(dots=dots):
            return blank(width, dots)
        case PrintedLine():
            return _line(mark, width)
        case PrintedCode():
            return _placed(_code(mark), mark.align, width)
        case PrintedRaster():
            return _placed(_raster(mark), mark.align, width)


def _line(line: PrintedLine, width: int) -> Ink:
    """All characters stand on one base line, whatever their heights."""
    strip = blank(width, line.dots)
    base = max([CELL_HEIGHT, *(run.font.height * CELL_HEIGHT for run in line.runs)])
    left = _left(sum(run.dots for run in line.runs), line.align, width)
    for run in line.runs:
        for character in run.text:
            cell = _cell(character, run)
            strip.paste(cell, (left, base - cell.height))
            left += cell.width
    return strip


def _cell(character: str, run: Run) -> Ink:
    """A character that no font here has is a box of its size."""
    pen = pen_for("auto")
    if pen.has(character):
        return pen.cell(character, run.font)
    box = blank(CELL_WIDTH if character < "\x80" else 2 * CELL_WIDTH)
    pillow().ImageDraw.Draw(box).rectangle((3, 3, box.width - 4, box.height - 4), outline=255)
    return dressed(box, run.font)


def _code(code: PrintedCode) -> Ink:
    rows = modules_of(code.data, _LEVELS.get(code.level, "L"))
    ink = blank(len(rows), len(rows))
    ink.frombytes(b"".join(b"\xff" if dark else b"\x00" for row in rows for dark in row))
    page = blank(len(rows) * code.module, (len(rows) + 4) * code.module)
    page.paste(ink.resize((page.width, page.width), 0), (0, 2 * code.module))
    return page


def _raster(mark: PrintedRaster) -> Ink:
    return pillow().Image.frombytes("1", (8 * mark.stride, mark.dots), mark.data).convert("L")


def _placed(ink: Ink, align: Align, width: int) -> Ink:
    strip = blank(width, ink.height)
    strip.paste(ink, (_left(ink.width, align, width), 0))
    return strip


def _left(dots: int, align: Align, width: int) -> int:
    room = max(0, width - dots)
    return {Align.LEFT: 0, Align.CENTER: room // 2, Align.RIGHT: room}[align]


def _on_desk(ink: Ink) -> Ink:
    """Paper with the teeth of the tear bar at both ends, and its shadow."""
    image = pillow().Image
    paper = image.new("RGB", ink.size, _PAPER)
    paper.paste(_INK, (0, 0), ink)
    pen = pillow().ImageDraw.Draw(paper)
    for left in range(0, ink.width, 2 * _TOOTH):
        pen.polygon(((left, 0), (left + 2 * _TOOTH, 0), (left + _TOOTH, _TOOTH // 2)), fill=_DESK)
        low = ink.height - 1
        pen.polygon(((left, low), (left + 2 * _TOOTH, low), (left + _TOOTH, low - _TOOTH // 2)), fill=_DESK)
    desk = image.new("RGB", (ink.width + 2 * _AROUND, ink.height + 2 * _AROUND), _DESK)
    desk.paste(_SHADE, (_AROUND + 4, _AROUND + 6, _AROUND + 4 + ink.width, _AROUND + 6 + ink.height))
    desk.paste(paper, (_AROUND, _AROUND))
    return desk
