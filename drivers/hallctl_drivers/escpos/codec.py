"""ESC/POS, the way to the printer: a ticket becomes bytes. Pure; the way back is ``status.py``.

Command names and bytes follow Epson's "ESC/POS Command Reference". Text is GB18030 behind ``FS &``: python-escpos
finds Chinese only in U+4E00..U+9FA5, so a line of punctuation or rare characters would print as question marks.
A line that the printer's own font can't show is drawn, where the style has a ``draw_line``.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from hallctl.errors import ConfigError, LocalCodecError
from hallctl.ticket import (
    Align,
    Columns,
    Element,
    Feed,
    Picture,
    QrCode,
    Rule,
    TextLine,
    Ticket,
    narrowed,
    spread,
    wrap,
)
from hallctl_drivers.escpos.paper import Font, qr_modules

INIT = b"\x1b@"
ASB_ON = b"\x1da\xff"
FENCE = b"\x1dr1" * 2  # two answers: a printer that powers up, or a noisy line, may say one such byte by chance
FENCE_ANSWERS = 2
# DLE DC4, function 8: everything that waits in the printer is deleted; it answers 37 25 00.
CLEAR = bytes((0x10, 0x14, 8, 1, 3, 20, 1, 6, 2, 8))
CUTS = {
    ("gs_v", "partial"): b"\x1dVB\x00",
    ("gs_v", "full"): b"\x1dVA\x00",
    ("esc_i", "partial"): b"\x1bd\x04\x1bm",  # these two cut where the paper stands, so it is fed to the cutter first
    ("esc_i", "full"): b"\x1bd\x04\x1bi",
}
TEAR_OFF = b"\x1bd\x04"
_CHINESE = b"\x1c&"
_NOT_CHINESE = b"\x1c."
_ALIGN = {Align.LEFT: b"\x1ba\x00", Align.CENTER: b"\x1ba\x01", Align.RIGHT: b"\x1ba\x02"}
_CELL_DOTS = 12
_LONGEST_CODE = 2400  # bytes of the command that stores the largest code there is, 2331 bytes at correction M
_SMALLEST_MODULE = 2  # dots; telephones don't read smaller ones from thermal paper
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me", "Zl", "Zp"}
_REAL_TIME = (b"\x10\x04", b"\x10\x05", b"\x10\x14")  # acted upon wherever they stand, also within a picture

DrawLine = Callable[[str, Font, Align], Picture]
DrawCode = Callable[[bytes, int, Align], Picture]


@dataclass(frozen=True, slots=True)
class Style:
    """What the bytes depend on beside the ticket.

    ``dots``: printable width, 384 (58 mm) or 576 (80 mm). ``encoding`` is ``None`` for a printer without a Chinese
    font: then every line is drawn by ``draw_line``. ``draw_code``: how QR codes are drawn, ``None`` where the printer
    does it. ``raster_bytes``: how much of a picture goes into one command.
    """

    dots: int = 576
    encoding: str | None = "gb18030"
    cut: str = "partial"
    cut_command: str = "gs_v"
    setup: bytes = b""
    raster_bytes: int = 2048
    draw_line: DrawLine | None = None
    draw_code: DrawCode | None = None

    @property
    def columns(self) -> int:
        """ASCII characters in a line."""
        return self.dots // _CELL_DOTS

    @property
    def ending(self) -> bytes:
        """How a ticket is cut off, or fed to the tear bar."""
        return CUTS.get((self.cut_command, self.cut), TEAR_OFF)


def real_time_status(*numbers: int) -> bytes:
    """``DLE EOT n``, n from 1 to 4, at most four at once: answered in order, ahead of everything queued."""
    return b"".join(bytes((0x10, 0x04, n)) for n in numbers)


def ask_when_printed(ident: bytes) -> bytes:
    """``GS ( H`` function 48: the printer sends ``ident`` (4 bytes, 20 to 7E) back once all before it is on paper."""
    if len(ident) != 4 or not all(0x20 <= byte <= 0x7E for byte in ident):
        raise LocalCodecError(f"a process id is four ASCII characters, not {ident!r}")
    return b"\x1d(H\x06\x0000" + ident


def ask_identity(n: int) -> bytes:
    """``GS I n``: 65 firmware, 66 maker, 67 model, as the printer says of itself. Clones lie in it."""
    return bytes((0x1D, 0x49, n))


def ask_code_size() -> bytes:
    """``GS ( k`` functions 180 and 182: a small code is stored and its size asked for; nothing is printed."""
    return b"".join(_with_length(b"\x1d(k", part) for part in (b"1P0hallctl", b"1R0"))


END_OF_HEADER = bytes(16)
"""Completes the head of a command that was broken off: its missing lengths become 0. To be sent before any question,
whose bytes would be taken for the lengths of an enormous picture."""


def flush(style: Style) -> bytes:
    """What completes any command that an interrupted ticket may have left half done; NUL by itself does nothing.

    Without it the printer takes the next ticket for the rest of the picture or code that it still waits for.
    """
    return bytes(max(style.raster_bytes if style.draw_line is not None else 0, _LONGEST_CODE))


def encode_ticket(ticket: Ticket, style: Style) -> bytes:
    """The ticket and its cut, without ``INIT``. Raises ``LocalCodecError`` for what the printer can't print."""
    body = b"".join(_element(element, style) for element in ticket.elements)
    return style.setup + (_CHINESE if style.encoding else _NOT_CHINESE) + body + style.ending


def encode_text(text: str, encoding: str = "gb18030") -> bytes:
    """Text in the printer's encoding; raises ``LocalCodecError`` that names the first character it has not."""
    for character in text:
        _refuse_unprintable(character)
        if character >= "\U00010000" and not "\U00020000" <= character < "\U00040000":
            # Beyond the basic plane GB18030 fonts have Chinese characters only; no symbols, no emoji.
            raise _refused(character, "is no character that a printer has")
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as exc:
        raise _refused(text[exc.start], f"is not in {encoding}") from exc


def _refuse_unprintable(character: str) -> None:
    if unicodedata.category(character) in _UNPRINTABLE:
        raise _refused(character, "is no character that a printer has")


def _refused(character: str, why: str) -> LocalCodecError:
    name = unicodedata.name(character, "without a name")
    return LocalCodecError(
        f"{character!r} (U+{ord(character):04X}, {name}) {why}",
        hint="take the character out of the ticket's layout or of the field that brought it",
    )


def _element(element: Element, style: Style) -> bytes:
    match element:
        case TextLine():
            return _text_line(element, style)
        case Columns(left=left, right=right):
            return b"".join(_line(line, Font(), Align.LEFT, style) for line in spread(left, right, style.columns))
        case Rule():
            return b"-" * style.columns + b"\n"
        case Feed(lines=lines):
            return _feed(lines)
        case QrCode():
            return _qr(element, style)
        case Picture():
            return _aligned(element.align, _raster(narrowed(element, style.dots), style))


def _text_line(line: TextLine, style: Style) -> bytes:
    font = Font(_scale(line.width), _scale(line.height), line.bold)
    return b"".join(_line(part, font, line.align, style) for part in wrap(line.text, style.columns // font.width))


def _line(text: str, font: Font, align: Align, style: Style) -> bytes:
    """With the printer's own font where that has every character; else drawn, where the style can draw."""
    try:
        if style.encoding is None and not _plain_ascii(text):
            raise _no_font(text)
        return _aligned(align, _fonted(font, encode_text(text, style.encoding or "ascii") + b"\n"))
    except LocalCodecError as exc:
        if style.draw_line is None:
            raise
        return _aligned(align, _raster(_drawn(text, font, align, style.draw_line, exc), style))


def _drawn(text: str, font: Font, align: Align, draw_line: DrawLine, why: LocalCodecError) -> Picture:
    for character in text:
        _refuse_unprintable(character)
    try:
        return draw_line(text, font, align)
    except ConfigError as exc:  # nothing here can draw: the printer's own refusal names the character
        raise LocalCodecError(f"{why.message}, and it can't be drawn: {exc.message}", hint=exc.hint) from exc


def _plain_ascii(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _no_font(text: str) -> LocalCodecError:
    character = next(one for one in text if not _plain_ascii(one))
    return _refused(character, "is not in the font of this printer")


def _fonted(font: Font, body: bytes) -> bytes:
    """``FS !`` first: where both act on Chinese the last one counts, and only ``GS !`` goes beyond 2."""
    if font.bold:
        body = b"\x1bE\x01" + body + b"\x1bE\x00"
    if (font.width, font.height) == (1, 1):
        return body
    kanji = (0x04 if font.width > 1 else 0) | (0x08 if font.height > 1 else 0)
    size = (font.width - 1) << 4 | (font.height - 1)
    return bytes((0x1C, 0x21, kanji, 0x1D, 0x21, size)) + body + b"\x1c!\x00\x1d!\x00"


def _scale(value: int) -> int:
    if not 1 <= value <= 4:
        raise LocalCodecError(f"character scale {value} is not possible: 1 to 4")
    return value


def _aligned(align: Align, body: bytes) -> bytes:
    return body if align is Align.LEFT else _ALIGN[align] + body + _ALIGN[Align.LEFT]


def _feed(lines: int) -> bytes:
    if not 1 <= lines <= 255:
        raise LocalCodecError(f"{lines} empty lines are not possible: 1 to 255")
    return bytes((0x1B, 0x64, lines))


def _raster(picture: Picture, style: Style) -> bytes:
    """``GS v 0`` in bands: a printer with a small buffer takes no picture at once, and a lost port costs one band."""
    if picture.width > style.dots:
        raise LocalCodecError(
            f"a picture of {picture.width} dots does not fit paper of {style.dots} dots",
            hint="make the picture narrower, or the text shorter",
        )
    rows = max(1, style.raster_bytes // picture.stride) * picture.stride
    bands = (picture.rows[at : at + rows] for at in range(0, len(picture.rows), rows))
    return b"".join(_band(picture.stride, band) for band in bands)


def _band(stride: int, rows: bytes) -> bytes:
    head = stride.to_bytes(2, "little") + (len(rows) // stride).to_bytes(2, "little")
    return b"\x1dv0\x00" + head + without_real_time(rows)


def without_real_time(dots: bytes) -> bytes:
    """Picture data in which no real-time command stands: one dot of its second byte is turned over where one did."""
    clean = bytearray(dots)
    for command in _REAL_TIME:
        at = clean.find(command)
        while at >= 0:
            clean[at + 1] ^= 0x80
            at = clean.find(command, at + 1)
    return bytes(clean)


def _qr(code: QrCode, style: Style) -> bytes:
    """``GS ( k`` functions 165, 167, 169 (correction M), 180 and 181: the printer draws the code itself."""
    data = _qr_data(code.data)
    module = _fitting_module(code, len(data), style.dots)
    if style.draw_code is not None:
        return _aligned(code.align, _raster(style.draw_code(data, module, code.align), style))
    parts = (b"1A2\x00", b"1C" + bytes((module,)), b"1E1", b"1P0" + data, b"1Q0")
    return _aligned(code.align, b"".join(_with_length(b"\x1d(k", part) for part in parts))


def _with_length(command: bytes, body: bytes) -> bytes:
    return command + len(body).to_bytes(2, "little") + body


def _qr_data(text: str) -> bytes:
    for character in text:
        if unicodedata.category(character) == "Cc" and character not in "\t\r\n":
            raise _refused(character, "can't be put into a QR code")
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise _refused(text[exc.start], "can't be put into a QR code") from exc


def _fitting_module(code: QrCode, size: int, dots: int) -> int:
    """Dots of a module so that the code fits the paper: a printer prints nothing at all when it does not."""
    if not size or not 1 <= code.module <= 16:
        raise LocalCodecError("a QR code needs data and a module of 1 to 16 dots")
    modules = qr_modules(size)
    module = min(code.module, dots // modules) if modules else 0
    if module < min(_SMALLEST_MODULE, code.module):
        raise LocalCodecError(
            f"a QR code of {size} bytes does not fit paper of {dots} dots", hint="put a shorter address into it"
        )
    return module
