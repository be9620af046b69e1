"""The picture of who serves: a file of the box if it is one, else a drawn initial."""

import hashlib
import html
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from hallctl.driver import StaffCard

LARGEST = 2 * 1024 * 1024  # bytes

_DRAWN = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 150" role="img">\
<rect width="120" height="150" fill="#d6e4f5"/><text x="60" y="96" font-size="60" font-family="sans-serif" \
text-anchor="middle" fill="#0b4a94">{initial}</text></svg>"""


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture ready to be served. ``version`` changes with its bytes."""

    media_type: str
    data: bytes

    @property
    def version(self) -> str:
        """Short, for the URL: browsers keep a picture by its address."""
        return hashlib.sha256(self.data).hexdigest()[:16]


def drawn(card: StaffCard) -> Photo:
    """The first character of the name (or of the number) on a plain ground."""
    initial = html.escape((card.name or card.number or "?").strip()[:1] or "?")
    return Photo("image/svg+xml", _DRAWN.format(initial=initial).encode())


def read_photo(path: str) -> Photo:
    """Read a picture file; blocks. Raises ``ValueError`` or ``OSError`` that says why it can't be shown."""
    if not Path(path).is_absolute():
        raise ValueError("not an absolute path")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a FIFO would hold the thread for ever
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a plain file")
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"larger than {LARGEST // 1024} KiB")
    return Photo(_media_type(data), data)


def _media_type(data: bytes) -> str:
    """By its first bytes, never by its name."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    raise ValueError("no PNG, JPEG or WebP")
