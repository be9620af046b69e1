"""Fonts: files through Pillow (FreeType), and the one that OpenCV brings.

A font file may be damaged. OpenCV reads font files with a parser that a wrong one crashes together with the whole
daemon (measured: a file of twelve bytes does), so it only draws with its own built-in font; see docs/adr/0006.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hallctl.errors import ConfigError
from hallctl_drivers.escpos.paper import CELL_HEIGHT

Ink = Any  # a PIL image of mode "L": 0 is paper, 255 is black
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
    def draw(self, character: str) -> Ink:
        """Grey dots, 24 rows, as wide as the font makes it."""

    def has(self, character: str) -> bool:
        """Whether the font has the character; what a font has not looks like what no font has."""
        if not character.strip():
            return character in " \u3000\u00a0"
        ink, missing = self.draw(character), self._missing()
        return bool(ink.size != missing.size or ink.tobytes() != missing.tobytes())

    def cell(self, character: str, across: int) -> Ink:
        """Black dots in a cell of so many columns: narrower characters in the middle, wider ones squeezed."""
        ink = self.draw(character)
        if ink.width > across:
            ink = ink.resize((across, CELL_HEIGHT))
        cell = blank(across)
        cell.paste(ink, ((across - ink.width) // 2, 0))
        return cell.point(lambda grey: 255 if grey > _DARK else 0)

    def _missing(self) -> Ink:
        return self.draw(_NO_CHARACTER)


class FileFace(Face):
    """A TrueType or OpenType file. Raises ``ConfigError`` when it can't be read."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._pillow = pillow()
        try:
            self._font = self._pillow.ImageFont.truetype(str(path), _SIZE)
        except (OSError, ValueError) as exc:
            hint = "a TrueType or OpenType font is wanted: .ttf, .ttc or .otf"
            raise ConfigError(f"{path} is no font that can be read: {exc}", hint=hint) from exc

    def draw(self, character: str) -> Ink:
        """Through FreeType."""
        ink = blank(max(1, round(self._font.getlength(character))))
        self._pillow.ImageDraw.Draw(ink).text((0, _BASE), character, fill=255, font=self._font, anchor="ls")
        return ink


class BuiltInFace(Face):
    """OpenCV 5's own font, which has the common Chinese characters."""

    name = "the font of OpenCV"

    def __init__(self) -> None:
        if find_spec("cv2") is None:
            raise ConfigError("the built-in font needs OpenCV", hint="install hallctl[camera]")
        self._loaded: Any = None

    def draw(self, character: str) -> Ink:
        """Through OpenCV."""
        import cv2  # noqa: PLC0415  # 40 MiB of memory: loaded when no other font has a character
        import numpy  # noqa: PLC0415  # comes with OpenCV

        face = self._loaded = self._loaded or cv2.FontFace("uni")
        left, _, width, _ = cv2.getTextSize((0, 0), character, (0, 0), face, _SIZE)
        ink = numpy.zeros((CELL_HEIGHT, max(1, width)), numpy.uint8)
        cv2.putText(ink, character, (-left, _BASE), (255,), face, _SIZE)
        return pillow().Image.fromarray(ink)


@cache
def faces_for(font: str) -> tuple[Face, ...]:
    """The fonts to draw with: the file that is named (``auto``: those of this machine, best first), then OpenCV's own.

    Raises ``ConfigError`` with what to do when the named one can't be read, or when there is none at all.
    """
    pillow()
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


def blank(width: int, height: int = CELL_HEIGHT) -> Ink:
    """Empty paper."""
    return pillow().Image.new("L", (width, height), 0)


def pillow() -> Any:
    """The package PIL with what is used of it; raises ``ConfigError`` when it is not installed."""
    try:
        import PIL.Image  # noqa: PLC0415  # belongs to an extra
        import PIL.ImageChops  # noqa: PLC0415  # the same
        import PIL.ImageDraw  # noqa: PLC0415  # the same
        import PIL.ImageFont  # noqa: PLC0415  # the same
    except ImportError as exc:
        raise ConfigError("drawing text needs Pillow", hint="install hallctl[raster]") from exc
    return PIL
