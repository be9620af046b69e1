"""An LED dot-matrix panel as PNG: what a person would see on a simulated display.

Display simulators share it, so that every driver's picture looks alike. The text is set in cells as on a real card
(16 dots high: 16 wide for Chinese, 8 for ASCII), cut to dots and drawn as lamps. OpenCV and numpy belong to an extra,
so they are imported only when a picture is drawn.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hallctl.errors import ConfigError
from hallctl.hall.message import Colour

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BGR = {Colour.RED: (40, 40, 255), Colour.GREEN: (70, 240, 60), Colour.YELLOW: (40, 200, 255)}
_DARK_LAMP = (34, 34, 34)
_BEZEL_PX = 10
_INK = 105  # of 255: how much of a dot a stroke must cover to light it


@dataclass(frozen=True, slots=True)
class PanelLine:
    """One line of text in one colour."""

    text: str
    colour: Colour = Colour.RED


def line_width(text: str, cell_px: int = 16) -> int:
    """Dots that a line is wide when its characters are ``cell_px`` high: full cells for Chinese, halves for ASCII."""
    return sum(_cell_width(character, cell_px) for character in text)


def columns_of(text: str) -> int:
    """How many half cells a line takes: two a Chinese character, one an ASCII one."""
    return line_width(text, 2)


def draw_panel(
    lines: Sequence[PanelLine],
    *,
    width_px: int,
    height_px: int,
    cell_px: int = 16,
    lit: bool = True,
    brightness: float = 1.0,
    lamp_px: int = 8,
) -> bytes:
    """The panel as PNG, ``lamp_px`` pixels a dot; ``brightness`` is 0 to 1, ``lit`` false shows a dark panel.

    A line that is too wide for the panel scrolls on a real one; here the panel is drawn as wide as the whole text,
    and higher when the lines need it, so that nothing is hidden. Raises ``ConfigError`` when OpenCV is missing.
    """
    cv2, numpy = _libraries()
    width = max([width_px, *(line_width(line.text, cell_px) for line in lines)])
    height = max(height_px, cell_px * len(lines))
    top = max(0, (height - cell_px * len(lines)) // 2)
    lamps = numpy.full((height, width, 3), _DARK_LAMP, numpy.uint8)
    for row, line in enumerate(lines if lit else ()):
        start = top + row * cell_px
        dots = _dots_of(line.text, cell_px)
        lamps[start : start + cell_px, : dots.shape[1]][dots] = _lamp(line.colour, brightness)
    done, png = cv2.imencode(".png", _enlarge(lamps, lamp_px))
    if not done:
        raise ConfigError("the picture of a panel could not be encoded as PNG", hint="reinstall opencv-python-headless")
    return bytes(png.tobytes())


def _libraries() -> tuple[Any, Any]:
    try:
        import cv2  # noqa: PLC0415  # an extra: only who draws needs it
        import numpy  # noqa: PLC0415  # comes with the same extra
    except ImportError as exc:
        raise ConfigError(
            "a panel can't be drawn: OpenCV is not installed", hint="pip install 'hallctl[camera]'"
        ) from exc
    return cv2, numpy


def _cell_width(character: str, cell_px: int) -> int:
    return cell_px if unicodedata.east_asian_width(character) in "WFA" else cell_px // 2


def _lamp(colour: Colour, brightness: float) -> tuple[int, int, int]:
    """Even the dimmest level is brighter than a lamp that is off."""
    share = 0.35 + 0.65 * min(1.0, max(0.0, brightness))
    blue, green, red = _BGR[colour]
    return int(blue * share), int(green * share), int(red * share)


def _dots_of(text: str, cell_px: int) -> "NDArray[np.bool_]":
    """Which dots of a line are lit: an array of ``cell_px`` rows."""
    cv2, numpy = _libraries()
    face = cv2.FontFace("uni")
    ink = numpy.zeros((cell_px, max(1, line_width(text, cell_px))), numpy.uint8)
    left = 0
    for character in text:
        width = _cell_width(character, cell_px)
        ink[:, left : left + width] = _glyph(character, width, cell_px, face)
        left += width
    dots: NDArray[np.bool_] = ink > _INK
    return dots


def _glyph(character: str, width: int, cell_px: int, face: Any) -> "NDArray[np.uint8]":
    """One character, set in the middle of its cell."""
    cv2, numpy = _libraries()
    size = cell_px - 1  # the font's strokes reach from the top to one dot under the base line
    left, _, drawn, _ = cv2.getTextSize((0, 0), character, (0, 0), face, size)
    cell: NDArray[np.uint8] = numpy.zeros((cell_px, width), numpy.uint8)
    shift = (width - drawn) // 2 - left
    cv2.putText(cell, character, (shift, round(cell_px * 0.84)), (255,), face, size)
    return cell


def _enlarge(lamps: "NDArray[np.uint8]", lamp_px: int) -> "NDArray[np.uint8]":
    """Each dot becomes a round lamp; around them a black bezel."""
    cv2, numpy = _libraries()
    blown = numpy.kron(lamps, numpy.ones((lamp_px, lamp_px, 1), numpy.uint8))
    mask = numpy.zeros((lamp_px, lamp_px), numpy.uint8)
    centre = (lamp_px - 1) // 2
    cv2.circle(mask, (centre, centre), max(1, int(lamp_px * 0.42)), (1,), -1)
    round_lamps = blown * numpy.tile(mask, lamps.shape[:2])[:, :, None]
    picture: NDArray[np.uint8] = numpy.pad(round_lamps, ((_BEZEL_PX, _BEZEL_PX), (_BEZEL_PX, _BEZEL_PX), (0, 0)))
    return picture
