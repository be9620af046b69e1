"""Fonts: files through Pillow (FreeType), and the one that OpenCV brings.

A font file may be damaged. OpenCV reads font files with a parser that a wrong one crashes together with the whole
daemon (measured: a file of twelve bytes does), so it only draws with its own built-in font; see docs/adr/0006.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hallctl.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ink = NDArray[np.uint8]  # rows of dots, 0 paper to 255 black

CELL_HEIGHT = 24
_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts")
# Free fonts with Chinese, those that are legible at 24 dots first.
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


class Face(ABC):
    """One font. ``name`` is what a technician calls it."""

    name: str

    @abstractmethod
    def draw(self, character: str) -> "Ink":
        """Grey dots, 24 rows, as wide as the font makes it."""

    def has(self, character: str) -> bool:
        """Whether the font has the character; what a font has not looks like what no font has."""
        if not character.strip():
            return character in " \u3000\u00a0"
        numpy = array_library()
        return not numpy.array_equal(self.draw(character), self._missing())

    def cell(self, character: str, across: int) -> "Ink":
        """Black dots in a cell of so many columns: narrower characters in the middle, wider ones squeezed."""
        numpy = array_library()
        ink = self.draw(character)
        room = max(0, across - ink.shape[1])
        ink = numpy.pad(ink, ((0, 0), (room // 2, room - room // 2)))
        if ink.shape[1] > across:
            ink = ink[:, numpy.arange(across) * ink.shape[1] // across]
        black: Ink = numpy.where(ink > _DARK, 255, 0).astype(numpy.uint8)
        return black

    def _missing(self) -> "Ink":
        return self.draw(_NO_CHARACTER)


class FileFace(Face):
    """A TrueType or OpenType file. Raises ``ConfigError`` when it can't be read."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        try:
            from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415  # belongs to an extra
        except ImportError as exc:
            raise ConfigError(f"drawing with {path} needs Pillow", hint="install hallctl[raster]") from exc
        try:
            self._font = ImageFont.truetype(str(path), _SIZE)
        except (OSError, ValueError) as exc:
            hint = "a TrueType or OpenType font is wanted: .ttf, .ttc or .otf"
            raise ConfigError(f"{path} is no font that can be read: {exc}", hint=hint) from exc
        self._image, self._pen = Image.new, ImageDraw.Draw

    def draw(self, character: str) -> "Ink":
        """Through FreeType."""
        numpy = array_library()
        width = max(1, round(self._font.getlength(character)))
        image = self._image("L", (width, CELL_HEIGHT), 0)
        self._pen(image).text((0, _BASE), character, fill=255, font=self._font, anchor="ls")
        ink: Ink = numpy.asarray(image)
        return ink


class BuiltInFace(Face):
    """OpenCV 5's own font, which has the common Chinese characters."""

    name = "the font of OpenCV"

    def __init__(self) -> None:
        try:
            import cv2  # noqa: PLC0415  # belongs to an extra
        except ImportError as exc:
            raise ConfigError("the built-in font needs OpenCV", hint="install hallctl[camera]") from exc
        self._cv2 = cv2
        self._face = cv2.FontFace("uni")

    def draw(self, character: str) -> "Ink":
        """Through OpenCV."""
        numpy = array_library()
        left, _, width, _ = self._cv2.getTextSize((0, 0), character, (0, 0), self._face, _SIZE)
        ink: Ink = numpy.zeros((CELL_HEIGHT, max(1, width)), numpy.uint8)
        self._cv2.putText(ink, character, (-left, _BASE), (255,), self._face, _SIZE)
        return ink


@cache
def faces_for(font: str) -> tuple[Face, ...]:
    """The fonts to draw with: the file that is named (``auto``: those of this machine, best first), then OpenCV's own.

    Raises ``ConfigError`` with what to do when the named one can't be read, or when there is none at all.
    """
    array_library()
    if font != "auto":
        if not Path(font).is_file():
            raise ConfigError(f"there is no font file {font}", hint="write font: auto, or install fonts-wqy-microhei")
        return (FileFace(Path(font)), *_tolerant([BuiltInFace]))
    found = tuple(_tolerant([*((lambda path=path: FileFace(path)) for path in _installed()), BuiltInFace]))
    if not found:
        raise ConfigError(
            "there is no font with Chinese on this machine",
            hint="install fonts-wqy-microhei and hallctl[raster], or name a font file: font: /path/to/font.ttf",
        )
    return found


def _tolerant(makers: list[Any]) -> Iterator[Face]:
    """A font that can't be read is no reason not to use the next one."""
    for make in makers:
        try:
            yield make()
        except ConfigError:
            continue


def _installed() -> list[Path]:
    """Free fonts with Chinese that this machine has, best first."""
    found = {path.name: path for folder in _FOLDERS for path in sorted(Path(folder).rglob("*")) if path.is_file()}
    return [found[name] for name in _NAMES if name in found]


def array_library() -> Any:
    """NumPy; raises ``ConfigError`` when it is not installed."""
    try:
        import numpy  # noqa: PLC0415  # belongs to an extra
    except ImportError as exc:
        raise ConfigError("drawing text needs NumPy and Pillow", hint="install hallctl[raster]") from exc
    return numpy
