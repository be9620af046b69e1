"""Logos of layouts: a file or a data URI becomes a picture in printer dots. Needs Pillow."""

import base64
import binascii
import io
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from hallctl.config.hall import TicketLayout
from hallctl.errors import ConfigError
from hallctl.ticket.document import Picture

MAX_BYTES = 1 << 20
MAX_HEIGHT = 800  # dots: 10 cm of paper
WIDEST = 576  # dots of 80 mm paper
FORMATS = ("PNG", "JPEG", "BMP", "GIF")
MAX_DOTS = 40_000_000  # a small file may unfold to a picture that fills the memory


def load_logos(layouts: Iterable[TicketLayout], folder: Path) -> tuple[dict[str, Picture], list[ConfigError]]:
    """Every logo that the layouts name, by its name there, and what is wrong with those that can't be read."""
    pictures: dict[str, Picture] = {}
    problems: list[ConfigError] = []
    for source in dict.fromkeys(line.logo for layout in layouts for line in layout.lines if line.logo is not None):
        try:
            pictures[source] = load_logo(source, folder)
        except ConfigError as exc:
            problems.append(exc)
    return pictures, problems


def load_logo(source: str, folder: Path) -> Picture:
    """One logo. ``folder``: where relative paths begin. Raises ``ConfigError`` that says what is wrong with it."""
    if source.startswith("data:"):
        return _picture(_from_uri(source), "the picture in data:")
    try:
        path = folder / source
        if not path.is_file() and path.exists():
            raise ConfigError(f"{path} is no file", hint="name a PNG file")
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path} is larger than 1 MiB", hint="a ticket is 72 mm wide: make the picture smaller")
        return _picture(path.read_bytes(), str(path))
    except (OSError, ValueError) as exc:  # ValueError: a NUL in the path
        why = getattr(exc, "strerror", None) or exc
        raise ConfigError(f"{source}: {why}", hint="put the picture there, or correct its path") from exc


def _from_uri(source: str) -> bytes:
    head, comma, body = source.partition(",")
    if not comma:
        raise ConfigError("data: has no comma", hint="write data:image/png;base64,... ")
    if not head.endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ConfigError(f"data: holds no base64: {exc}", hint="base64 -w0 FILE gives the right text") from exc


@lru_cache(maxsize=64)
def _picture(data: bytes, name: str) -> Picture:
    try:
        from PIL import Image, ImageOps  # noqa: PLC0415  # belongs to an extra
    except ImportError as exc:
        raise ConfigError("a logo needs Pillow", hint="install hallctl[raster]") from exc
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_DOTS:
                raise ConfigError(f"{name} has {image.width} x {image.height} dots", hint="make the picture smaller")
            grey = _on_white(image, Image)
    except ConfigError:
        raise
    except Exception as exc:  # of a damaged picture a library may say anything; a logo stops no hall
        hint = f"PNG is best: black on white, 8 dots are 1 mm; readable are {', '.join(FORMATS)}"
        raise ConfigError(f"{name} is no picture that can be read ({type(exc).__name__})", hint=hint) from exc
    if grey.width > WIDEST:
        grey = grey.resize((WIDEST, max(1, round(grey.height * WIDEST / grey.width))))
    if grey.height > MAX_HEIGHT:
        raise ConfigError(f"{name} would be {grey.height / 8:.0f} mm high", hint=f"at most {MAX_HEIGHT // 8} mm")
    return Picture(grey.width, ImageOps.invert(grey).convert("1").tobytes())  # dithered: light colours become dots


def _on_white(image: Any, library: Any) -> Any:
    """Grey values 0 to 255; what is transparent is paper."""
    colours = image.convert("RGBA")
    paper = library.new("RGBA", colours.size, (255, 255, 255, 255))
    return library.alpha_composite(paper, colours).convert("L")


@lru_cache(maxsize=16)
def narrowed(picture: Picture, width: int) -> Picture:
    """The same picture no wider than ``width`` dots: rows and columns are left out evenly, no dot is invented."""
    if picture.width <= width:
        return picture
    rows = [picture.rows[at : at + picture.stride] for at in range(0, len(picture.rows), picture.stride)]
    across = [column * picture.width // width for column in range(width)]
    down = [row * picture.width // width for row in range(max(1, len(rows) * width // picture.width))]
    return Picture(width, b"".join(_row(rows[row], across) for row in down), picture.align)


def _row(row: bytes, across: list[int]) -> bytes:
    bits = "".join(str(row[column >> 3] >> (7 - (column & 7)) & 1) for column in across)
    return int(bits.ljust((len(bits) + 7) // 8 * 8, "0"), 2).to_bytes((len(bits) + 7) // 8, "big")
