"""Text and QR codes as pictures, for printers that lack the font or the command. Codes need OpenCV."""

from typing import TYPE_CHECKING, Any

from hallctl.errors import ConfigError, LocalCodecError
from hallctl.ticket import Align, Picture
from hallctl_drivers.escpos.faces import array_library
from hallctl_drivers.escpos.glyphs import pen_for
from hallctl_drivers.escpos.paper import CELL_HEIGHT, Font

if TYPE_CHECKING:
    from hallctl_drivers.escpos.faces import Ink

_LINE_GAP = 6  # dots between two lines, as the printer's own line spacing has them
_CORRECTION_M = 1  # cv2.QRCodeEncoder_CORRECT_LEVEL_M


def draw_line(text: str, font: Font, align: Align, fonts: str) -> Picture:
    """One line of text as it would stand in the printer's own cells.

    ``fonts``: the path of a font file, or ``auto``. Raises ``LocalCodecError`` that names a character that no font has.
    """
    numpy = array_library()
    pen = pen_for(fonts)
    if not text:
        return picture_of(numpy.zeros((CELL_HEIGHT + _LINE_GAP, 8), numpy.uint8), align)
    cells = [pen.cell(character, font) for character in text]
    line = numpy.hstack(cells)
    return picture_of(numpy.pad(line, ((0, _LINE_GAP), (0, 0))), align)


def draw_code(data: bytes, module: int, align: Align) -> Picture:
    """A QR code, error correction M, with a quiet zone of two modules above and below."""
    modules = modules_of(data, _CORRECTION_M)
    numpy = array_library()
    ink = numpy.kron(255 - modules, numpy.ones((module, module), numpy.uint8))
    return picture_of(numpy.pad(ink, ((2 * module, 2 * module), (0, 0))), align)


def modules_of(data: bytes, level: int) -> "Ink":
    """The modules of a QR code without its margin, 0 black; ``level`` 0 to 3 for L to H."""
    cv2 = _opencv()
    params = cv2.QRCodeEncoder_Params()
    params.correction_level = level
    params.mode = cv2.QRCodeEncoder_MODE_BYTE
    try:
        modules: Ink = cv2.QRCodeEncoder.create(params).encode(data.decode("utf-8", "replace"))[2:-2, 2:-2]
    except cv2.error as exc:
        raise LocalCodecError(f"a QR code can't hold these {len(data)} bytes", hint="put less into it") from exc
    return modules


def picture_of(ink: "Ink", align: Align) -> Picture:
    """Dots as a picture for the ticket: what is darker than half is black."""
    numpy = array_library()
    return Picture(ink.shape[1], numpy.packbits(ink > 127, axis=1).tobytes(), align)


def _opencv() -> Any:
    try:
        import cv2  # noqa: PLC0415  # belongs to an extra
    except ImportError as exc:
        raise ConfigError("drawing a QR code needs OpenCV", hint="install hallctl[camera]") from exc
    return cv2
