"""Frames of 欣瑞 (Xinrui) window bars: RS-485, 9600 8N1; sans-IO.

``A0 90 addr A5 lenH lenL (character, colour)... XOR`` puts a text on a bar; XOR covers addr to data. A bar answers
``A0 90 addr A5 AA`` when it shows it and ``55`` when it doesn't. The one printed example is a test byte for byte.
"""

from dataclasses import dataclass

from hallctl.driver.gb2312 import from_gb2312, to_gb2312
from hallctl.errors import LocalCodecError, RemoteCodecError

HEAD = b"\xa0\x90"
MARK = 0xA5
DONE, FAILED = 0xAA, 0x55
MAX_DATA = 600  # bytes; a bar's buffer is not documented, 200 Chinese characters are more than a bar can show

_OPENING = 6  # head, address, mark, length
_REPLY_SIZE = 5
_FIRST_HANZI = 0xA1


@dataclass(frozen=True, slots=True)
class Text:
    """What a bar is to show: each character with the number of its colour."""

    address: int
    cells: tuple[tuple[str, int], ...]

    @property
    def text(self) -> str:
        """The characters alone."""
        return "".join(character for character, _ in self.cells)


@dataclass(frozen=True, slots=True)
class Reply:
    """A bar's answer."""

    address: int
    done: bool


def encode_text(text: Text) -> bytes:
    """Raises ``LocalCodecError`` for a character outside GB2312, a text that is too long, or an impossible address."""
    _check_byte(text.address, "address")
    data = b"".join(to_gb2312(character) + _colour(colour) for character, colour in text.cells)
    if len(data) > MAX_DATA:
        raise LocalCodecError(f"the text needs {len(data)} bytes, a window bar takes {MAX_DATA}: shorten it")
    checked = bytes((text.address, MARK)) + len(data).to_bytes(2, "big") + data
    return HEAD + checked + bytes((_xor(checked),))


def decode_text(raw: bytes) -> Text:
    """The bar's side of ``encode_text``. Raises ``RemoteCodecError``."""
    if len(raw) < _OPENING + 1 or not _opens(raw):
        raise RemoteCodecError(f"not a text: {raw[:16].hex(' ')}")
    if int.from_bytes(raw[4:6], "big") != len(raw) - _OPENING - 1:
        raise RemoteCodecError(f"length is {int.from_bytes(raw[4:6], 'big')}, {len(raw) - _OPENING - 1} bytes came")
    if _xor(raw[2:-1]) != raw[-1]:
        raise RemoteCodecError(f"checksum is {raw[-1]:02X}, the bytes give {_xor(raw[2:-1]):02X}")
    return Text(raw[2], tuple(_cells(raw[_OPENING:-1])))


def encode_reply(reply: Reply) -> bytes:
    """What a bar says. Raises ``LocalCodecError`` for an impossible address."""
    _check_byte(reply.address, "address")
    return HEAD + bytes((reply.address, MARK, DONE if reply.done else FAILED))


def decode_reply(raw: bytes) -> Reply:
    """Read a bar's answer. Raises ``RemoteCodecError``."""
    if len(raw) != _REPLY_SIZE or not _opens(raw) or raw[4] not in (DONE, FAILED):
        raise RemoteCodecError(f"not an answer: {raw[:16].hex(' ')}")
    return Reply(raw[2], raw[4] == DONE)


class XinruiFraming:
    """Cuts the bytes of a shared bus into frames of this family (``hallctl.driver.Framing``)."""

    def probe(self, buffer: bytes) -> int:
        """Length of the valid frame at the start; 0: more bytes are needed; -1: no frame of this family.

        The byte behind the mark tells answers from texts: as a length AA or 55 would be far beyond any text's.
        """
        if not _opens(buffer):
            return -1
        if len(buffer) < _REPLY_SIZE:
            return 0
        if buffer[4] in (DONE, FAILED):
            return _REPLY_SIZE
        return _probe_text(buffer)

    def address_of(self, frame: bytes) -> int | None:
        """Both kinds name the bar."""
        return frame[2]


def _probe_text(buffer: bytes) -> int:
    if len(buffer) < _OPENING:
        return 0 if buffer[4] <= MAX_DATA >> 8 else -1
    size = int.from_bytes(buffer[4:6], "big")
    if size > MAX_DATA:
        return -1
    total = _OPENING + size + 1
    if len(buffer) < total:
        return 0
    return total if _xor(buffer[2 : total - 1]) == buffer[total - 1] else -1


def _opens(buffer: bytes) -> bool:
    """Whether the fixed bytes that have come are those of this family."""
    return HEAD.startswith(buffer[:2]) and (len(buffer) < 4 or buffer[3] == MARK)


def _cells(data: bytes) -> list[tuple[str, int]]:
    cells = []
    at = 0
    while at < len(data):
        size = 2 if data[at] >= _FIRST_HANZI else 1
        entry = data[at : at + size + 1]
        if len(entry) < size + 1:
            raise RemoteCodecError(f"the last character has no colour: {entry.hex(' ')}")
        cells.append((from_gb2312(entry[:size]), entry[size]))
        at += size + 1
    return cells


def _colour(colour: int) -> bytes:
    _check_byte(colour, "colour")
    return bytes((colour,))


def _check_byte(value: int, what: str) -> None:
    if not 0 <= value <= 0xFF:
        raise LocalCodecError(f"{what} {value} is not between 0 and 255", hint=f"correct the {what}")


def _xor(data: bytes) -> int:
    check = 0
    for byte in data:
        check ^= byte
    return check
