"""Packets of the Alpha Sign Communications Protocol (BetaBrite and others): 9600 7E1, ASCII; sans-IO.

``NUL... SOH type address STX command data ETX checksum EOT``; the checksum is the 16-bit sum from STX to ETX as four
hexadecimal digits. Sections are those of the maker's document 9708-8061 (revision F).
"""

import re
from dataclasses import dataclass
from enum import Enum

from hallctl.errors import LocalCodecError, RemoteCodecError

SYNC = bytes(5)  # section 5.1.1: at least five, by which a sign finds the speed
SOH, STX, ETX, EOT, ESC = 0x01, 0x02, 0x03, 0x04, 0x1B
_MARKS = (SOH, STX, ETX, EOT)
ALL_SIGNS = "Z"
RESPONSE = "0"  # type code of what a sign answers, with address 00: it does not name itself
PRIORITY = "0"  # label of the TEXT file that is always there, shown before all others, and not in their memory
MAX_TEXT = 125  # bytes of the priority file, section 6.1.1
MAX_PACKET = 300
MOST_NULS = 40  # signs put 20 before an answer

WRITE_TEXT, WRITE_SPECIAL, READ_SPECIAL = "A", "E", "F"
STATUS, CLEAR_STATUS, DIMMING, SOFT_RESET = "*", "4", "/", ","
_HEADER = re.compile(rb"[\x20-\x7e](?:[0-9A-F?]{2})\x02\Z")


class Mode(Enum):
    """How a text comes onto the sign (appendix I)."""

    ROTATE = "a"
    HOLD = "b"
    FLASH = "c"


class TextColour(Enum):
    """After 1C hex."""

    RED = "1"
    GREEN = "2"
    AMBER = "3"


ERRORS = {
    0x20: "it does not know this command or file",
    0x10: "the checksum was wrong: the line is disturbed",
    0x08: "its buffer is too small",
    0x04: "a packet broke off",
    0x02: "a character broke off: the line is disturbed",
    0x01: "a parity bit was wrong: the line is disturbed, or its settings are not 7E1",
}
"""Bits of the serial error status register (section 6.2, label 2A hex); bit 6 is always set."""
_ALWAYS = 0x40


@dataclass(frozen=True, slots=True)
class Packet:
    """One command for a sign, or its answer. ``address`` 0: every sign."""

    address: int
    command: str
    data: bytes = b""
    type_code: str = ALL_SIGNS


@dataclass(frozen=True, slots=True)
class Text:
    """What the priority file holds; nothing at all: the file is empty, and the sign goes back to what it had."""

    text: str = ""
    mode: Mode = Mode.HOLD
    colour: TextColour = TextColour.RED


def encode_packet(packet: Packet) -> bytes:
    """Raises ``LocalCodecError`` for an address or data that no packet can carry."""
    if not 0 <= packet.address <= 0xFF:
        raise LocalCodecError(
            f"address {packet.address} is not between 0 and 255", hint="correct the terminal's address"
        )
    if any(byte in _MARKS or byte > 0x7F for byte in packet.data):
        raise LocalCodecError(f"a packet can't carry {packet.data.hex(' ')}")
    inside = bytes((STX,)) + packet.command.encode("ascii") + packet.data + bytes((ETX,))
    header = f"{packet.type_code}{packet.address:02X}".encode("ascii")
    return SYNC + bytes((SOH,)) + header + inside + _sum(inside) + bytes((EOT,))


def decode_packet(raw: bytes) -> Packet:
    """Read exactly one packet; an answer of a sign needs no checksum. Raises ``RemoteCodecError``."""
    body = raw.lstrip(b"\0")
    if len(body) < 7 or body[0] != SOH or body[-1] != EOT or not _HEADER.match(body[1:5]):
        raise RemoteCodecError(f"not a packet: {raw[:24].hex(' ')}")
    inside, mark, check = body[4:-1].partition(bytes((ETX,)))
    if mark and check != _sum(inside + mark):
        raise RemoteCodecError(f"checksum is {check!r}, the bytes give {_sum(inside + mark)!r}")
    if not mark and body[1:2] != RESPONSE.encode():
        raise RemoteCodecError("the checksum is missing")
    if len(inside) < 2:
        raise RemoteCodecError("the command is missing")
    if any(byte in _MARKS or byte > 0x7F for byte in inside[1:]):
        raise RemoteCodecError(f"no packet has these bytes inside: {inside[1:].hex(' ')}")
    address = body[2:4].decode("ascii")
    number = 0 if "?" in address else int(address, 16)
    return Packet(number, chr(inside[1]), bytes(inside[2:]), chr(body[1]))


def write_text(address: int, text: Text) -> Packet:
    """Put a text before everything else; an empty one takes it away. Raises ``LocalCodecError`` by the character."""
    if not text.text:
        return Packet(address, WRITE_TEXT, PRIORITY.encode())
    data = f"{PRIORITY}\x1b {text.mode.value}\x1c{text.colour.value}{_ascii(text.text)}".encode("ascii")
    if len(data) > MAX_TEXT:
        raise LocalCodecError(f"the text needs {len(data)} bytes, a sign takes {MAX_TEXT}: shorten it")
    return Packet(address, WRITE_TEXT, data)


def read_text(data: bytes) -> Text:
    """The sign's side of ``write_text``. Raises ``RemoteCodecError``."""
    if data == PRIORITY.encode():
        return Text()
    found = re.fullmatch(rb"0\x1b[ &0-2](?P<mode>[abc])(?:\x1c(?P<colour>[123]))?(?P<text>[\x20-\x7e]+)", data)
    if found is None:
        raise RemoteCodecError(f"not a text for the priority file: {data[:24].hex(' ')}")
    colour = TextColour((found["colour"] or b"1").decode())
    return Text(found["text"].decode("ascii"), Mode(found["mode"].decode()), colour)


def ask_status(address: int) -> Packet:
    """Read the serial error status register."""
    return Packet(address, READ_SPECIAL, STATUS.encode())


def clear_status(address: int) -> Packet:
    """Forget the errors so far."""
    return Packet(address, WRITE_SPECIAL, CLEAR_STATUS.encode())


def dim(address: int, percent: int) -> Packet:
    """One of five levels, 100 % to 44 % (section 6.2, label 2F hex). Signs that can't dim don't know the command."""
    levels = (100, 86, 72, 58, 44)
    nearest = min(range(len(levels)), key=lambda index: abs(levels[index] - percent))
    return Packet(address, WRITE_SPECIAL, f"{DIMMING}01{nearest:02}".encode("ascii"))


def status_answer(register: int) -> Packet:
    """What a sign says to ``ask_status``."""
    return Packet(0, WRITE_SPECIAL, STATUS.encode() + bytes((_ALWAYS | register,)), RESPONSE)


def read_status(packet: Packet) -> int | None:
    """The register's error bits in an answer; ``None``: it is no answer to ``ask_status``."""
    asked = packet.type_code == RESPONSE and packet.command == WRITE_SPECIAL
    if not asked or len(packet.data) != 2 or packet.data[:1] != STATUS.encode() or not packet.data[1] & _ALWAYS:
        return None
    return packet.data[1] & ~_ALWAYS


def meaning(register: int) -> str:
    """The errors in words."""
    return "; ".join(words for bit, words in ERRORS.items() if register & bit) or "no error"


class AlphaFraming:
    """Finds packets on a shared line (``hallctl.driver.Framing``)."""

    def probe(self, buffer: bytes) -> int:
        """Length of the valid packet at the start, NULs included; 0: more bytes are needed; -1: none starts here."""
        body = buffer.lstrip(b"\0")
        nuls = len(buffer) - len(body)
        if nuls > MOST_NULS or (body and body[0] != SOH):
            return -1
        end = body.find(EOT)
        if end < 0:
            return 0 if len(body) <= MAX_PACKET else -1
        try:
            decode_packet(body[: end + 1])
        except RemoteCodecError:
            return -1
        return nuls + end + 1

    def address_of(self, frame: bytes) -> int | None:
        """The sign that a command is for; an answer names nobody."""
        packet = decode_packet(frame)
        return None if packet.type_code == RESPONSE else packet.address


def _ascii(text: str) -> str:
    for character in text:
        if not 0x20 <= ord(character) <= 0x7E:
            hint = "Alpha signs have ASCII only: write the hall's texts in it (texts in hall.yaml)"
            raise LocalCodecError(f"the sign can't show {character!r} (U+{ord(character):04X})", hint=hint)
    return text


def _sum(inside: bytes) -> bytes:
    return f"{sum(inside) & 0xFFFF:04X}".encode("ascii")
