"""Frames of the 平安力合 (Ping'an Lihe) window bars, protocol V2.1: RS-485, 9600 8N1; sans-IO.

Two kinds of frames share the wire: commands start with A0, instant texts with AA; both end with FF. Facts are from the
maker's protocol V2.1 (its two examples are the golden frames of the tests); the sum of instant texts also from an
integrator's public driver for the same bars.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum

from hallctl.driver.gb2312 import from_gb2312, to_gb2312
from hallctl.errors import LocalCodecError, RemoteCodecError

COMMAND_START = 0xA0
TEXT_START = 0xAA
END = 0xFF
MAX_NUMBER = 9999
MAX_DIGITS = 6
MAX_TEXT = 200  # bytes; a bar's buffer is not documented, 100 Chinese characters scroll for half a minute
PERMANENT = 99

_FRAME_EXTRA = 4  # start, length, checksum, end
_COMMAND_HEAD = 3  # command, address, subcommand: what the length counts beside the data
_MAX_DATA = 12  # longer commands are not documented; a bound so that noise can't make a bus wait
_TEXT_HEAD = 11
_CHECKED_FROM = 6  # the sum of a text covers mode to FF


class Command(IntEnum):
    """What kind of frame it is."""

    ACK = 0x14
    WINDOW_BAR = 0x28
    ONLINE = 0x29
    MAIN_BOARD = 0x2A
    NUMBER = 0x2B
    NUMBER_ALTERNATE = 0x2D
    VERSION = 0x98


class Sub(IntEnum):
    """Subcommands of the window bar; ``SYSTEM`` stands in acknowledgements and the version query."""

    WELCOME = 0x00
    CALL = 0x01
    PAUSE = 0x02
    SERVING = 0x04
    SYSTEM = 0x50


class Checksum(Enum):
    """The document says "sum, modulo decimal 100" and is ambiguous for sums above 255."""

    WHOLE = "whole"  # the sum as it is, modulo 100: as an integrator's public driver computes
    LOW_BYTE = "low_byte"  # the sum's low byte, modulo 100

    def of(self, data: bytes) -> int:
        """The check byte of everything from the length on."""
        total = sum(data)
        return (total if self is Checksum.WHOLE else total & 0xFF) % 100


class TextColour(IntEnum):
    """Colours of instant texts."""

    RED = 0
    GREEN = 1
    YELLOW = 2


@dataclass(frozen=True, slots=True)
class Frame:
    """A command to the bar ``address``, or its answer."""

    command: int
    address: int
    sub: int
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Call:
    """A called number. ``prefix`` is one letter or nothing; ``window`` stands behind the number in both examples."""

    number: int
    window: int
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class InstantText:
    """Any text. ``mode`` depends on the card (flash is 7 or 10, instant 8 or 11); ``life`` 99 is permanent."""

    address: int
    text: str
    mode: int
    speed: int = 0
    stay: int = 0
    colour: TextColour = TextColour.RED
    life: int = PERMANENT
    whole_screen: bool = False


def encode(frame: Frame, checksum: Checksum = Checksum.WHOLE) -> bytes:
    """``A0 LEN CMD ADD SUB DATA CHK FF``. Raises ``LocalCodecError`` for data that is too long."""
    if len(frame.data) > _MAX_DATA:
        raise LocalCodecError(f"{len(frame.data)} bytes of data don't fit into a command of {_MAX_DATA}")
    _check_address(frame.address)
    length = _COMMAND_HEAD + len(frame.data)
    inside = bytes((length, frame.command, frame.address, frame.sub)) + frame.data
    return bytes((COMMAND_START,)) + inside + bytes((checksum.of(inside), END))


def decode(raw: bytes, checksum: Checksum = Checksum.WHOLE) -> Frame:
    """Read one whole command. Raises ``RemoteCodecError``."""
    if len(raw) < _FRAME_EXTRA + _COMMAND_HEAD or raw[0] != COMMAND_START or raw[-1] != END:
        raise RemoteCodecError(f"not a command: {raw[:16].hex(' ')}")
    if raw[1] != len(raw) - _FRAME_EXTRA:
        raise RemoteCodecError(f"length is {raw[1]}, {len(raw) - _FRAME_EXTRA} bytes came")
    if len(raw) > _FRAME_EXTRA + _COMMAND_HEAD + _MAX_DATA:
        raise RemoteCodecError(f"a command of {len(raw)} bytes is too long")
    if raw[-2] != checksum.of(raw[1:-2]):
        raise RemoteCodecError(f"checksum is {raw[-2]:02X}, the bytes give {checksum.of(raw[1:-2]):02X}")
    return Frame(raw[2], raw[3], raw[4], raw[5:-2])


def call_data(call: Call) -> bytes:
    """Number in base 100 (1234 is ``0C 22``), window, prefix. Raises ``LocalCodecError`` for what does not fit."""
    if not 0 <= call.number <= MAX_NUMBER:
        raise LocalCodecError(f"number {call.number} is not between 0 and {MAX_NUMBER}")
    if not 0 <= call.window <= 99:
        raise LocalCodecError(f"window {call.window} is not between 0 and 99")
    if call.prefix and not (len(call.prefix) == 1 and "A" <= call.prefix <= "Z"):
        raise LocalCodecError(f"prefix {call.prefix!r} is not one letter A to Z")
    return bytes((*divmod(call.number, 100), call.window)) + call.prefix.encode("ascii")


def parse_call(data: bytes) -> Call:
    """The bar's side of ``call_data``. Raises ``RemoteCodecError``."""
    if len(data) not in (3, 4) or any(byte > 99 for byte in data[:3]):
        raise RemoteCodecError(f"not a call: {data.hex(' ')}")
    prefix = data[3:].decode("ascii", "replace")
    if prefix and not "A" <= prefix <= "Z":
        raise RemoteCodecError(f"prefix {data[3]:02X} is no letter")
    return Call(data[0] * 100 + data[1], data[2], prefix)


def window_bar(address: int, sub: Sub, call: Call | None = None) -> Frame:
    """Welcome, pause, serving (no data) or a call."""
    return Frame(Command.WINDOW_BAR, address, sub, b"" if call is None else call_data(call))


def main_board(address: int, call: Call) -> Frame:
    """A call on the hall's main board."""
    return Frame(Command.MAIN_BOARD, address, Sub.CALL, call_data(call))


def ascii_number(address: int, digits: str, command: int = Command.NUMBER) -> Frame:
    """A number as up to six ASCII characters. Raises ``LocalCodecError``."""
    if not (1 <= len(digits) <= MAX_DIGITS and digits.isascii() and digits.isalnum()):
        raise LocalCodecError(f"{digits!r} is not a number of 1 to {MAX_DIGITS} ASCII letters and digits")
    return Frame(command, address, Sub.CALL, digits.encode("ascii"))


def online_check(address: int) -> Frame:
    """Asks for an ACK. The document gives no subcommand for it; 00 is sent."""
    return Frame(Command.ONLINE, address, Sub.WELCOME)


def version_query(address: int) -> Frame:
    """``A0 03 98 ADD 50 CHK FF``."""
    return Frame(Command.VERSION, address, Sub.SYSTEM)


def ack(address: int) -> Frame:
    """What a bar answers: ``A0 03 14 ADD 50 CHK FF``."""
    return Frame(Command.ACK, address, Sub.SYSTEM)


def encode_text(text: InstantText) -> bytes:
    """``AA ADD BB 51 54 SUM mode speed stay colour life GB2312 FF`` (``50`` for ``54``: whole screen).

    Raises ``LocalCodecError`` for a character outside GB2312 or a text that is too long.
    """
    shown = to_gb2312(text.text)
    if len(shown) > MAX_TEXT:
        raise LocalCodecError(f"the text needs {len(shown)} bytes, a window bar takes {MAX_TEXT}: shorten it")
    _check_address(text.address)
    part = 0x50 if text.whole_screen else 0x54
    checked = bytes((text.mode, text.speed, text.stay, text.colour, text.life)) + shown + bytes((END,))
    return bytes((TEXT_START, text.address, 0xBB, 0x51, part, sum(checked) & 0xFF)) + checked


def decode_text(raw: bytes) -> InstantText:
    """The bar's side of ``encode_text``. Raises ``RemoteCodecError``."""
    if len(raw) < _TEXT_HEAD + 1 or not _starts_text(raw) or raw[-1] != END:
        raise RemoteCodecError(f"not an instant text: {raw[:16].hex(' ')}")
    if sum(raw[_CHECKED_FROM:]) & 0xFF != raw[5]:
        raise RemoteCodecError(f"sum is {raw[5]:02X}, the bytes give {sum(raw[_CHECKED_FROM:]) & 0xFF:02X}")
    if raw[9] not in set(TextColour):
        raise RemoteCodecError(f"no colour has number {raw[9]}")
    shown = from_gb2312(raw[_TEXT_HEAD:-1])
    return InstantText(raw[1], shown, raw[6], raw[7], raw[8], TextColour(raw[9]), raw[10], raw[4] == 0x50)


class PingAnLiHeFraming:
    """Cuts the bytes of a shared bus into frames of this family (``hallctl.driver.Framing``)."""

    def probe(self, buffer: bytes) -> int:
        """Length of the valid frame at the start; 0: more bytes are needed; -1: no frame of this family."""
        if not buffer:
            return 0
        if buffer[0] == COMMAND_START:
            return _probe_command(buffer)
        return _probe_text(buffer) if buffer[0] == TEXT_START else -1

    def address_of(self, frame: bytes) -> int | None:
        """Both kinds name the bar."""
        return frame[1] if frame[0] == TEXT_START else frame[3]


def _probe_command(buffer: bytes) -> int:
    if len(buffer) < 2:
        return 0
    if not _COMMAND_HEAD <= buffer[1] <= _COMMAND_HEAD + _MAX_DATA:
        return -1
    size = buffer[1] + _FRAME_EXTRA
    if len(buffer) < size:
        return 0
    frame = buffer[:size]
    right = frame[-1] == END and any(frame[-2] == checksum.of(frame[1:-2]) for checksum in Checksum)
    return size if right else -1


def _probe_text(buffer: bytes) -> int:
    if not _starts_text(buffer):
        return -1
    end = buffer.find(END, _TEXT_HEAD)  # GB2312 has no byte FF
    if end < 0:
        return 0 if len(buffer) <= _TEXT_HEAD + MAX_TEXT else -1
    frame = buffer[: end + 1]
    return end + 1 if sum(frame[_CHECKED_FROM:]) & 0xFF == frame[5] else -1


def _check_address(address: int) -> None:
    if not 0 <= address <= 0xFF:
        raise LocalCodecError(f"address {address} is not between 0 and 255", hint="correct the terminal's address")


def _starts_text(buffer: bytes) -> bool:
    """Whether the fixed bytes that have come are those of an instant text."""
    if not buffer or buffer[0] != TEXT_START:
        return False
    fixed = ((2, (0xBB,)), (3, (0x51,)), (4, (0x50, 0x54)))
    return all(len(buffer) <= at or buffer[at] in allowed for at, allowed in fixed)
