"""ESC/POS, the way to the printer: a ticket becomes bytes. Pure; the way back is ``status.py``.

Command names and bytes follow Epson's "ESC/POS Command Reference". Text is GB18030 behind ``FS &``: python-escpos
finds Chinese only in U+4E00..U+9FA5, so a line of punctuation or rare characters would print as question marks.
"""

import unicodedata
from dataclasses import dataclass
from itertools import accumulate

from hallctl.errors import LocalCodecError
from hallctl.ticket import Align, Columns, Element, Feed, QrCode, Rule, TextLine, Ticket, spread, wrap

INIT = b"\x1b@"
ASB_ON = b"\x1da\xff"
FENCE = b"\x1dr1"
CUT = {"partial": b"\x1dVB\x00", "full": b"\x1dVA\x00", "none": b"\x1bd\x04"}
_CHINESE = b"\x1c&"
_ALIGN = {Align.LEFT: b"\x1ba\x00", Align.CENTER: b"\x1ba\x01", Align.RIGHT: b"\x1ba\x02"}
_CELL_DOTS = 12
# Bytes that versions 1 to 40 hold at error correction M (ISO/IEC 18004, table 7).
_QR_CAPACITY = tuple(
    accumulate(
        (14, 12, 16, 20, 22, 22, 16, 30, 28, 33, 38, 36, 44, 31, 50, 38, 54, 56, 64, 42,
         45, 68, 78, 54, 86, 62, 66, 65, 74, 106, 82, 86, 90, 94, 87, 102, 78, 110, 114, 118)
    )
)  # fmt: skip
_SMALLEST_MODULE = 2  # dots; telephones don't read smaller ones from thermal paper
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me", "Zl", "Zp"}


@dataclass(frozen=True, slots=True)
class Style:
    """What the bytes depend on beside the ticket. ``dots``: printable width, 384 (58 mm) or 576 (80 mm)."""

    dots: int = 576
    encoding: str = "gb18030"
    cut: str = "partial"

    @property
    def columns(self) -> int:
        """ASCII characters in a line."""
        return self.dots // _CELL_DOTS


def real_time_status(n: int) -> bytes:
    """``DLE EOT n``, n from 1 to 4: answered at once, ahead of everything queued."""
    return bytes((0x10, 0x04, n))


def ask_when_printed(ident: bytes) -> bytes:
    """``GS ( H`` function 48: the printer sends ``ident`` (4 bytes, 20 to 7E) back once all before it is on paper."""
    if len(ident) != 4 or not all(0x20 <= byte <= 0x7E for byte in ident):
        raise LocalCodecError(f"a process id is four ASCII characters, not {ident!r}")
    return b"\x1d(H\x06\x0000" + ident


def encode_ticket(ticket: Ticket, style: Style) -> bytes:
    """The ticket and its cut, without ``INIT``. Raises ``LocalCodecError`` for what the printer can't print."""
    return _CHINESE + b"".join(_element(element, style) for element in ticket.elements) + CUT[style.cut]


def encode_text(text: str, encoding: str = "gb18030") -> bytes:
    """Text in the printer's encoding; raises ``LocalCodecError`` that names the first character it has not."""
    for character in text:
        if not _printable(character):
            raise _refused(character, "is no character that a printer has")
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as exc:
        raise _refused(text[exc.start], f"is not in {encoding}") from exc


def _printable(character: str) -> bool:
    """Beyond the basic plane GB18030 fonts have Chinese characters only; no symbols, no emoji."""
    rare = 0x20000 <= ord(character) < 0x40000
    return (ord(character) < 0x10000 or rare) and unicodedata.category(character) not in _UNPRINTABLE


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
            lines = spread(left, right, style.columns)
            return b"".join(encode_text(line, style.encoding) + b"\n" for line in lines)
        case Rule():
            return b"-" * style.columns + b"\n"
        case Feed(lines=lines):
            return _feed(lines)
        case QrCode():
            return _aligned(element.align, _qr(element, style))


def _text_line(line: TextLine, style: Style) -> bytes:
    lines = wrap(line.text, style.columns // _scale(line.width))
    body = b"".join(encode_text(part, style.encoding) + b"\n" for part in lines)
    if line.bold:
        body = b"\x1bE\x01" + body + b"\x1bE\x00"
    return _aligned(line.align, _sized(line, body))


def _sized(line: TextLine, body: bytes) -> bytes:
    """``FS !`` first: where both act on Chinese the last one counts, and only ``GS !`` goes beyond 2."""
    width, height = _scale(line.width), _scale(line.height)
    if (width, height) == (1, 1):
        return body
    kanji = (0x04 if width > 1 else 0) | (0x08 if height > 1 else 0)
    size = (width - 1) << 4 | (height - 1)
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


def _qr(code: QrCode, style: Style) -> bytes:
    """``GS ( k`` functions 165, 167, 169 (correction M), 180 and 181: the printer draws the code itself."""
    data = _utf8(code.data)
    module = _fitting_module(code, len(data), style.dots)
    parts = (b"1A2\x00", b"1C" + bytes((module,)), b"1E1", b"1P0" + data, b"1Q0")
    return b"".join(b"\x1d(k" + len(part).to_bytes(2, "little") + part for part in parts)


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise _refused(text[exc.start], "can't be put into a QR code") from exc


def _fitting_module(code: QrCode, size: int, dots: int) -> int:
    """Dots of a module so that the code fits the paper: a printer prints nothing at all when it does not."""
    if not size or not 1 <= code.module <= 16:
        raise LocalCodecError("a QR code needs data and a module of 1 to 16 dots")
    version = next((number for number, room in enumerate(_QR_CAPACITY, 1) if size <= room), 0)
    module = min(code.module, dots // (17 + 4 * version)) if version else 0
    if module < min(_SMALLEST_MODULE, code.module):
        raise LocalCodecError(
            f"a QR code of {size} bytes does not fit paper of {dots} dots", hint="put a shorter address into it"
        )
    return module
