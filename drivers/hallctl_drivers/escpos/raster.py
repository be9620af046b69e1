"""Text and QR codes as pictures, for printers that lack the font or the command. Pillow draws, segno makes codes."""

from hallctl.errors import ConfigError, LocalCodecError
from hallctl.ticket import Align, Picture
from hallctl_drivers.escpos.faces import Ink, blank
from hallctl_drivers.escpos.glyphs import pen_for
from hallctl_drivers.escpos.paper import CELL_HEIGHT, Font

_LINE_GAP = 6  # dots between two lines, as the printer's own line spacing has them


def draw_line(text: str, font: Font, align: Align, fonts: str) -> Picture:
    """One line of text as it would stand in the printer's own cells.

    ``fonts``: the path of a font file, or ``auto``. Raises ``LocalCodecError`` that names a character that no font has.
    """
    pen = pen_for(fonts)
    cells = [pen.cell(character, font) for character in text]
    line = blank(sum(cell.width for cell in cells) or 8, font.height * CELL_HEIGHT + _LINE_GAP)
    left = 0
    for cell in cells:
        line.paste(cell, (left, 0))
        left += cell.width
    return picture_of(line, align)


def draw_code(data: bytes, module: int, align: Align) -> Picture:
    """A QR code, error correction M, with a quiet zone of two modules above and below."""
    rows = modules_of(data, "M")
    across = [b"\xff" if dark else b"\x00" for row in rows for dark in row]
    size = len(rows)
    code = blank(size, size)
    code.frombytes(b"".join(across))
    page = blank(size * module, (size + 4) * module)
    page.paste(code.resize((size * module, size * module), 0), (0, 2 * module))
    return picture_of(page, align)


def modules_of(data: bytes, level: str) -> tuple[bytearray, ...]:
    """The modules of a QR code without its margin, 1 is black; ``level`` is L, M, Q or H."""
    try:
        import segno  # noqa: PLC0415  # belongs to an extra
    except ImportError as exc:
        raise ConfigError("drawing a QR code needs segno", hint="install hallctl[raster]") from exc
    try:
        made = segno.make(data, error=level, mode="byte", boost_error=False, micro=False)
    except ValueError as exc:
        raise LocalCodecError(f"a QR code can't hold these {len(data)} bytes", hint="put less into it") from exc
    return tuple(bytearray(row) for row in made.matrix)


def picture_of(ink: Ink, align: Align) -> Picture:
    """Dots as a picture for the ticket: what is darker than half is black."""
    return Picture(ink.width, ink.point(lambda grey: 255 if grey > 127 else 0).convert("1").tobytes(), align)
