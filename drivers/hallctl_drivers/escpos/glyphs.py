"""Characters as dots, drawn with OpenCV: what a printer without a Chinese font gets, and what pictures of tickets show.

A character stands in the cell that a printer's own font gives it: 12 x 24 dots for ASCII, 24 x 24 for all others. Fonts
are those that the technician names, the free Chinese ones that the machine has, and at last the one that OpenCV brings.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hallctl.errors import ConfigError, LocalCodecError
from hallctl_drivers.escpos.paper import CELL_HEIGHT, CELL_WIDTH, Font

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ink = NDArray[np.uint8]  # rows of dots, 0 paper to 255 black

BUILT_IN = "uni"  # OpenCV 5's own font with Chinese
_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts")
_NAMES = (
    "wqy-zenhei.ttc",
    "wqy-microhei.ttc",
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "SourceHanSansSC-Regular.otf",
    "SourceHanSansCN-Regular.otf",
    "DroidSansFallbackFull.ttf",
    "DroidSansFallback.ttf",
    "uming.ttc",
)
_SIZE = 21
_BASE = 19  # the row that characters stand on
_DARK = 96
_NO_CHARACTER = "\U0010ffff"  # no font has it: it shows what a missing character looks like


class Pen:
    """Draws with the first of its fonts that has a character."""

    def __init__(self, fonts: Sequence[str]) -> None:
        self._faces = [(name, _face(name)) for name in fonts]
        self._known: dict[str, Any] = {}

    @property
    def fonts(self) -> tuple[str, ...]:
        """Names of the fonts, the first choice first."""
        return tuple(name for name, _ in self._faces)

    def has(self, character: str) -> bool:
        """Whether any of the fonts has the character."""
        return self._face_with(character) is not None

    def cell(self, character: str, font: Font) -> "Ink":
        """One character in its cell, enlarged as a printer does it: every dot becomes a block.

        Raises ``LocalCodecError`` when no font has it.
        """
        _, numpy = libraries()
        face = self._face_with(character)
        if face is None:
            raise LocalCodecError(
                f"no font here has {character!r} (U+{ord(character):04X})",
                hint=f"install a font that has it (looked in: {', '.join(self.fonts)}), or take it out of the text",
            )
        cell = _in_cell(face, character, CELL_WIDTH if character < "\x80" else 2 * CELL_WIDTH)
        return dressed(cell, font, numpy)

    def _face_with(self, character: str) -> Any:
        if character not in self._known:
            self._known[character] = next((face for _, face in self._faces if _has(face, character)), None)
        return self._known[character]


def dressed(cell: "Ink", font: Font, numpy: Any) -> "Ink":
    """Bold, underlined, inverted and enlarged, as the font says."""
    if font.bold:
        cell[:, 1:] = numpy.maximum(cell[:, 1:], cell[:, :-1])
    if font.underline:
        cell[-2:, :] = 255
    if font.inverse:
        cell = 255 - cell
    scaled: Ink = numpy.kron(cell, numpy.ones((font.height, font.width), numpy.uint8))
    return scaled


@cache
def pen_for(font: str) -> Pen:
    """The pen for ``font``: the path of a font file, or ``auto``. Raises ``ConfigError`` with what to do."""
    libraries()
    if font != "auto":
        if not Path(font).is_file():
            raise ConfigError(f"there is no font file {font}", hint="write font: auto, or install fonts-wqy-microhei")
        return Pen((font, BUILT_IN))
    return Pen((*_installed(), BUILT_IN))


def libraries() -> tuple[Any, Any]:
    """OpenCV and NumPy; raises ``ConfigError`` when they are not installed."""
    try:
        import cv2  # noqa: PLC0415  # belongs to an extra
        import numpy  # noqa: PLC0415  # belongs to an extra
    except ImportError as exc:
        raise ConfigError("drawing text needs OpenCV", hint="install hallctl[camera]") from exc
    return cv2, numpy


def _installed() -> Iterator[str]:
    """Free fonts with Chinese that this machine has, best first."""
    found = {path.name: str(path) for folder in _FOLDERS for path in sorted(Path(folder).rglob("*")) if path.is_file()}
    return (found[name] for name in _NAMES if name in found)


def _face(name: str) -> Any:
    cv2, _ = libraries()
    try:
        return cv2.FontFace(name)
    except cv2.error as exc:
        raise ConfigError(
            f"{name} is no font that can be read", hint="a TrueType or OpenType font is wanted: .ttf, .ttc or .otf"
        ) from exc


def _has(face: Any, character: str) -> bool:
    if not character.strip():
        return character in " \u3000\u00a0"
    _, numpy = libraries()
    return not numpy.array_equal(_drawn(face, character), _drawn(face, _NO_CHARACTER))


def _drawn(face: Any, character: str) -> "Ink":
    cv2, numpy = libraries()
    ink: Ink = numpy.zeros((2 * CELL_HEIGHT, 3 * CELL_WIDTH), numpy.uint8)
    cv2.putText(ink, character, (4, _BASE + 8), (255,), face, _SIZE)
    return ink


def _in_cell(face: Any, character: str, across: int) -> "Ink":
    cv2, numpy = libraries()
    left, _, drawn, _ = cv2.getTextSize((0, 0), character, (0, 0), face, _SIZE)
    wide: Ink = numpy.zeros((CELL_HEIGHT, max(across, drawn)), numpy.uint8)
    cv2.putText(wide, character, ((wide.shape[1] - drawn) // 2 - left, _BASE), (255,), face, _SIZE)
    fitted: Ink = (
        wide if wide.shape[1] == across else cv2.resize(wide, (across, CELL_HEIGHT), interpolation=cv2.INTER_AREA)
    )
    black: Ink = numpy.where(fitted > _DARK, 255, 0).astype(numpy.uint8)
    return black
