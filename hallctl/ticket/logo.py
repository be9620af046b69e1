"""Logos of layouts: a file or a data URI becomes a picture in printer dots. Needs OpenCV."""

import base64
import binascii
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
# Bayer's ordered dither, 4 x 4: light colours become a regular pattern that a thermal head prints evenly.
_BAYER = ((0, 8, 2, 10), (12, 4, 14, 6), (3, 11, 1, 9), (15, 7, 13, 5))


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
    path = folder / source
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path} is larger than 1 MiB", hint="a ticket is 72 mm wide: make the picture smaller")
        return _picture(path.read_bytes(), str(path))
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror or exc}", hint="put the picture there, or correct its path") from exc


def _from_uri(source: str) -> bytes:
    head, comma, body = source.partition(",")
    if not comma:
        raise ConfigError("data: has no comma", hint="write data:image/png;base64,... ")
    if not head.endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as exc:
        raise ConfigError(f"data: holds no base64: {exc}", hint="base64 -w0 FILE gives the right text") from exc


@lru_cache(maxsize=64)
def _picture(data: bytes, name: str) -> Picture:
    cv2, numpy = _libraries()
    pixels = cv2.imdecode(numpy.frombuffer(data, numpy.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if pixels is None:
        raise ConfigError(f"{name} is no picture that can be read", hint="PNG is best: black on white, 8 dots are 1 mm")
    grey = _on_white(pixels, cv2, numpy)
    if grey.shape[1] > WIDEST:
        height = max(1, round(grey.shape[0] * WIDEST / grey.shape[1]))
        grey = cv2.resize(grey, (WIDEST, height), interpolation=cv2.INTER_AREA)
    if grey.shape[0] > MAX_HEIGHT:
        raise ConfigError(f"{name} would be {grey.shape[0] / 8:.0f} mm high", hint=f"at most {MAX_HEIGHT // 8} mm")
    tile = (numpy.array(_BAYER) * 16 + 8).astype(numpy.uint8)
    limits = numpy.tile(tile, (grey.shape[0] // 4 + 1, grey.shape[1] // 4 + 1))[: grey.shape[0], : grey.shape[1]]
    return Picture(grey.shape[1], numpy.packbits(grey < limits, axis=1).tobytes())


def _on_white(pixels: Any, cv2: Any, numpy: Any) -> Any:
    """Grey values 0 to 255; what is transparent is paper."""
    if pixels.dtype == numpy.uint16:
        pixels = (pixels // 257).astype(numpy.uint8)
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] == 4:
        opaque = pixels[:, :, 3:] / 255.0
        pixels = (pixels[:, :, :3] * opaque + 255.0 * (1.0 - opaque)).astype(numpy.uint8)
    return cv2.cvtColor(pixels[:, :, :3], cv2.COLOR_BGR2GRAY)


def _libraries() -> tuple[Any, Any]:
    try:
        import cv2  # noqa: PLC0415  # belongs to an extra
        import numpy  # noqa: PLC0415  # belongs to an extra
    except ImportError as exc:
        raise ConfigError("a logo needs OpenCV", hint="install hallctl[camera]") from exc
    return cv2, numpy


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
