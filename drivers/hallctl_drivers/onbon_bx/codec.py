"""What an Onbon BX-5K/6K card can be told, and what it answers: the data inside a frame; sans-IO.

Section numbers are those of the vendor's "BX-5K/6K communication protocol, user version" 1.4; the layout agrees with
the vendor's Java example (onbonlab, bx.k.java).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from hallctl.driver.gb2312 import from_gb2312, to_gb2312
from hallctl.errors import LocalCodecError, RemoteCodecError

MAX_BRIGHTNESS = 15
MAX_AREAS = {"5k": 8, "6k": 5}  # dynamic areas of a card, sections 2.1 and 8.2.1; numbered from 0
MAX_DATA = {"5k": 512, "6k": 1024}  # a card's receive buffer, and the largest dynamic area: sections 5.1.3 and 8.2.1
_REPLY_WANTED = 0x01
_NO_REPLY = 0x02
_PIXELS = 0x8000  # section 9.1: the top bit of X and width says pixels; without it they count bytes of 8 pixels
_AREA_HEAD = 27
_DELETE_ALL = 0xFF  # in place of the number of areas to delete, section 8.2.1; no list follows
_FONTS = {16: r"\FO000\FE000", 24: r"\FO001\FE001", 32: r"\FO002\FE002"}  # section 11.1, row 1
_NEWLINE = r"\n"  # section 11.1, row 6: two characters


class Command(IntEnum):
    """Group and number of a command as one value (section 8)."""

    ACK = 0xA000
    NAK = 0xA001
    PING = 0xA200
    POWER = 0xA300
    BRIGHTNESS = 0xA302
    SHOW = 0xA306
    CLEAR = 0xA310


class DisplayMode(IntEnum):
    """How a text comes onto the panel (section 9.1)."""

    STATIC = 1
    INSTANT = 2
    LEFT = 3
    RIGHT = 4
    UP = 5
    DOWN = 6


class CardColour(IntEnum):
    """Digits after ``\\C`` (section 11.1, row 3); the blue ones need a full-colour panel."""

    RED = 1
    GREEN = 2
    YELLOW = 3


ERRORS = {
    1: ("no such command group", "the card is of another family: check the driver's name"),
    2: ("no such command", "the card's firmware is older than this command"),
    3: ("the card is busy", "another program talks to the card, or it is called faster than once a second"),
    4: ("not enough memory", "shorten the text"),
    5: ("checksum error", "the line is disturbed: check cable, shielding and termination"),
    6: ("file does not exist", "load the fonts with the vendor's software"),
    7: ("flash error", "the card's memory is damaged: replace the card"),
    8: ("file download error", "load programs and fonts again with the vendor's software"),
    9: ("file name error", "load programs and fonts again with the vendor's software"),
    10: ("file type error", "load programs and fonts again with the vendor's software"),
    11: ("file checksum error", "load programs and fonts again with the vendor's software"),
    12: (
        "the font is not on the card",
        "load the font with the vendor's software, or set font_px to one that is there",
    ),
    13: ("wrong firmware type", "the firmware is not for this card"),
    14: ("date or time format error", "tell the driver's author"),
    15: ("file exists already", "load programs and fonts again with the vendor's software"),
    16: ("file block number error", "load programs and fonts again with the vendor's software"),
}
"""Section 6: error byte -> (meaning, remedy)."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a card is asked. ``body`` follows the two bytes after the reply flag."""

    command: int
    body: bytes = b""
    reply: bool = True
    process_mode: int = 0  # section 8.2.1; reserved in all other commands


@dataclass(frozen=True, slots=True)
class Reply:
    """What a card answers; ``error`` is 0 in an ACK."""

    command: int
    error: int = 0
    body: bytes = b""

    @property
    def is_ack(self) -> bool:
        """Whether the request was carried out."""
        return self.command == Command.ACK


@dataclass(frozen=True, slots=True)
class Area:
    """One dynamic area: a rectangle in dots and the text in it. It lives in the card's RAM and dies with its power.

    ``text`` is what the card gets, codes such as ``\\C1`` included (see ``compose``). ``pixels``: X and width are sent
    in dots (6K) instead of bytes of 8 dots (5K). ``timeout_s`` only matters in other run modes than 0. ``speed`` is
    0 (fastest) to 24, ``stay`` is in half seconds.
    """

    width: int
    height: int
    text: str
    x: int = 0
    y: int = 0
    pixels: bool = False
    number: int = 0
    line_space: int = 0
    run_mode: int = 0
    timeout_s: int = 5
    align: int = 0
    single_line: bool = False
    auto_newline: bool = False
    mode: DisplayMode = DisplayMode.INSTANT
    speed: int = 0
    stay: int = 8


def encode_request(request: Request) -> bytes:
    """The data of a frame (section 5.1.1)."""
    flag = _REPLY_WANTED if request.reply else _NO_REPLY
    return request.command.to_bytes(2, "big") + bytes((flag, request.process_mode, 0)) + request.body


def decode_request(data: bytes) -> Request:
    """The card's side of ``encode_request``."""
    if len(data) < 5 or data[2] not in (_REPLY_WANTED, _NO_REPLY):
        raise RemoteCodecError(f"not a request: {data[:8].hex(' ')}")
    return Request(int.from_bytes(data[:2], "big"), data[5:], data[2] == _REPLY_WANTED, data[3])


def encode_reply(reply: Reply) -> bytes:
    """The data of a card's frame (section 5.1.2)."""
    return reply.command.to_bytes(2, "big") + bytes((reply.error, 0, 0)) + reply.body


def decode_reply(data: bytes) -> Reply:
    """Read a card's answer. Raises ``RemoteCodecError`` when it is too short to be one."""
    if len(data) < 5:
        raise RemoteCodecError(f"not an answer: {data.hex(' ')}")
    return Reply(int.from_bytes(data[:2], "big"), data[2], data[5:])


def ping() -> Request:
    """Ask for an ACK and nothing else (section 8.7)."""
    return Request(Command.PING)


def power(on: bool) -> Request:
    """Switch the panel on or off (section 8.13); a card's own timetable may switch it again."""
    return Request(Command.POWER, b"\x01" if on else b"\x02")


def clear() -> Request:
    """Empty the panel (section 8.16)."""
    return Request(Command.CLEAR)


def set_brightness(level: int) -> Request:
    """Brightness 0 (dimmest) to 15, now and until changed (section 8.17, type 1)."""
    if not 0 <= level <= MAX_BRIGHTNESS:
        raise LocalCodecError(f"brightness {level} is not between 0 and {MAX_BRIGHTNESS}")
    return Request(Command.BRIGHTNESS, bytes((1, level)))


def show_area(area: Area) -> Request:
    """Replace one dynamic area and delete none (section 8.2.1)."""
    return show_areas((area,))


def show_areas(areas: Sequence[Area], *, renew: bool = False) -> Request:
    """Replace dynamic areas, all at once (section 8.2.1). ``renew``: delete every other one, and draw anew."""
    blocks = [encode_area(area) for area in areas]
    listed = b"".join(_word(len(block)) + block for block in blocks)
    head = bytes((_DELETE_ALL if renew else 0, len(blocks)))
    return Request(Command.SHOW, head + listed, process_mode=1 if renew else 0)


def deletes_all(body: bytes) -> bool:
    """The card's side of ``renew``."""
    return body[:1] == bytes((_DELETE_ALL,))


def compose(lines: Sequence[str], colour: CardColour, font_px: int | None = None) -> str:
    """Text with the card's codes: font (``None``: the card's default), colour, a newline code between lines.

    Raises ``LocalCodecError`` for a backslash: the card would read a code where there is none.
    """
    for line in lines:
        if "\\" in line:
            raise LocalCodecError(r"the display can't show '\' (U+005C)", hint="cards read it as the start of a code")
    font = _FONTS[font_px] if font_px else ""
    return f"{font}\\C{int(colour)}{_NEWLINE.join(lines)}"


def encode_area(area: Area) -> bytes:
    """The block after its length (section 9.1). Raises ``LocalCodecError`` for what a card can't show."""
    text = to_gb2312(area.text)
    unit = _dots if area.pixels else _bytes_of_dots
    return b"".join(
        (
            b"\x00",  # area type: text
            *(unit(area.x), _word(area.y), unit(area.width), _word(area.height)),
            bytes((area.number, area.line_space, area.run_mode)),
            _word(area.timeout_s),
            bytes((0, 0)),  # no sound, no extension
            bytes((area.align, 1 if area.single_line else 2, 2 if area.auto_newline else 1)),
            bytes((area.mode, 0, area.speed, area.stay)),
            len(text).to_bytes(4, "little"),
            text,
        )
    )


def decode_areas(body: bytes) -> tuple[Area, ...]:
    """The card's side of ``show_areas``; a list of areas to delete is not supported. Raises ``RemoteCodecError``."""
    if len(body) < 2 or body[0] not in (0, _DELETE_ALL):
        raise RemoteCodecError(f"not a list of areas: {body[:4].hex(' ')}")
    areas = []
    rest = body[2:]
    for _ in range(body[1]):
        size = int.from_bytes(rest[:2], "little")
        if len(rest) < 2 + size:
            raise RemoteCodecError("an area is cut off")
        areas.append(decode_area(rest[2 : 2 + size]))
        rest = rest[2 + size :]
    if rest:
        raise RemoteCodecError(f"{len(rest)} bytes follow the last area")
    return tuple(areas)


def decode_area(block: bytes) -> Area:
    """The card's side of ``encode_area``. Raises ``RemoteCodecError``."""
    if len(block) < _AREA_HEAD or block[0]:
        raise RemoteCodecError(f"not a text area: {block[:8].hex(' ')}")
    x, y, width, height = (int.from_bytes(block[at : at + 2], "little") for at in (1, 3, 5, 7))
    if block[14] or block[15]:
        raise RemoteCodecError("sound and extensions are not supported")
    if block[17] not in (1, 2) or block[18] not in (1, 2) or not 1 <= block[19] <= 6:
        raise RemoteCodecError(f"single line, newline or display mode is wrong: {block[17:20].hex(' ')}")
    if int.from_bytes(block[23:27], "little") != len(block) - _AREA_HEAD:
        raise RemoteCodecError("the text's length does not agree with the area's")
    if bool(x & _PIXELS) != bool(width & _PIXELS):
        raise RemoteCodecError("X and width are in different units")
    return Area(
        width=_in_dots(width),
        height=height,
        text=from_gb2312(block[_AREA_HEAD:]),
        x=_in_dots(x),
        y=y,
        pixels=bool(width & _PIXELS),
        number=block[9],
        line_space=block[10],
        run_mode=block[11],
        timeout_s=int.from_bytes(block[12:14], "little"),
        align=block[16],
        single_line=block[17] == 1,
        auto_newline=block[18] == 2,
        mode=DisplayMode(block[19]),
        speed=block[21],
        stay=block[22],
    )


def _word(value: int) -> bytes:
    return value.to_bytes(2, "little")


def _dots(value: int) -> bytes:
    return _word(value | _PIXELS)


def _bytes_of_dots(value: int) -> bytes:
    if value % 8:
        raise LocalCodecError(f"{value} dots are not a multiple of 8", hint="5K cards place text in steps of 8 dots")
    return _word(value // 8)


def _in_dots(value: int) -> int:
    return value & ~_PIXELS if value & _PIXELS else value * 8
