"""The mechanism of a simulated printer: carries commands out, line by line, on paper that runs out. No wire here."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import ClassVar

from hallctl.ticket import Align
from hallctl_drivers.escpos.commands import Command, Text
from hallctl_drivers.escpos.paper import (
    DOTS_PER_MM,
    LINE_DOTS,
    Fed,
    Font,
    Mark,
    PrintedCode,
    PrintedLine,
    PrintedRaster,
    PrintedTicket,
    Run,
    broken,
    qr_modules,
)

_CUT_FEED = 90  # dots from the head to the cutter
_ALIGN = {0: Align.LEFT, 1: Align.CENTER, 2: Align.RIGHT, 48: Align.LEFT, 49: Align.CENTER, 50: Align.RIGHT}


class Mechanism:
    """Head, cutter and roll. ``paper_mm`` is what is left; ``tickets`` what was cut off; ``refused`` what is wrong."""

    def __init__(self, width: int, refused: list[str]) -> None:
        self.width = width
        self.refused = refused
        self.paper_mm = 50000.0
        self.tickets: list[PrintedTicket] = []
        self.code = b""
        self.module = 3
        self.raw = bytearray()
        self._marks: list[Mark] = []
        self.reset()

    @property
    def fragment(self) -> bool:
        """Whether something printed has not been cut off."""
        return any(not isinstance(mark, Fed) for mark in self._marks)

    def tear_off(self) -> None:
        """Somebody takes what hangs out."""
        if self.fragment:
            self.tickets.append(PrintedTicket(bytes(self.raw), tuple(self._marks), self.width))
        self._marks, self.raw = [], bytearray()

    def reset(self) -> None:
        """``ESC @``: what is printed stays, what waits in the line is lost."""
        self._font = Font()
        self._kanji = False
        self._align = Align.LEFT
        self._spacing = LINE_DOTS
        self._line: list[Run] = []
        self._half = b""
        self.module, self._level = 3, 48

    def carry_out(self, command: Text | Command) -> None:
        """Do what one command says; one that changes nothing that is modelled here is taken and forgotten."""
        if isinstance(command, Text):
            self._write(command.data)
            return
        if self._half:
            self.refused.append(f"half a character: {self._half.hex(' ')}")
            self._half = b""
        action = self._ACTIONS.get(command.name)
        if action is not None:
            action(self, command.data)

    def _write(self, data: bytes) -> None:
        """A character may arrive in two pieces: its first half waits for the second."""
        data, self._half = self._half + data, b""
        try:
            text = data.decode("gb18030" if self._kanji else "ascii")
        except UnicodeDecodeError as exc:
            if exc.reason == "incomplete multibyte sequence":
                self._half, data = data[exc.start :], data[: exc.start]
            else:
                self.refused.append(f"text that is not in the encoding switched on: {data.hex(' ')}")
            text = data.decode("gb18030" if self._kanji else "ascii", "replace")
        self._line.append(Run(text, self._font))

    def _end_line(self, _data: bytes) -> None:
        for runs in broken(tuple(self._line), self.width):
            self._put(PrintedLine(runs, self._align, self._spacing))
        self._line = []

    def _put(self, mark: Mark) -> None:
        self._marks.append(mark)
        self.paper_mm = max(0.0, self.paper_mm - mark.dots / DOTS_PER_MM)

    def _feed_lines(self, data: bytes) -> None:
        if self._line:
            self._end_line(b"")
        self._put(Fed(data[0] * self._spacing))

    def _feed_dots(self, data: bytes) -> None:
        self._put(Fed(data[0]))

    def _cut(self, data: bytes, *, feed: int = _CUT_FEED) -> None:
        """An empty piece of paper falls off like a ticket, but is none."""
        if self._line:
            self._end_line(b"")
        self._put(Fed(feed + (data[1] if len(data) > 1 else 0)))
        self.tear_off()

    def _initialise(self, _data: bytes) -> None:
        self.reset()
        if not self._marks:
            self.raw = bytearray(b"\x1b@")

    def _cut_here(self, data: bytes) -> None:
        """``ESC i`` and ``ESC m`` cut where the paper stands."""
        self._cut(data, feed=0)

    def _set_align(self, data: bytes) -> None:
        self._align = _ALIGN.get(data[0], self._align)

    def _set_size(self, data: bytes) -> None:
        self._font = replace(self._font, width=(data[0] >> 4 & 7) + 1, height=(data[0] & 7) + 1)

    def _set_kanji_mode(self, data: bytes) -> None:
        double = (1 + bool(data[0] & 0x04), 1 + bool(data[0] & 0x08))
        self._font = replace(self._font, width=double[0], height=double[1], underline=bool(data[0] & 0x80))

    def _set_bold(self, data: bytes) -> None:
        self._font = replace(self._font, bold=bool(data[0] & 1))

    def _set_underline(self, data: bytes) -> None:
        self._font = replace(self._font, underline=data[0] % 48 > 0)

    def _set_inverse(self, data: bytes) -> None:
        self._font = replace(self._font, inverse=bool(data[0] & 1))

    def _set_kanji(self, on: bool) -> None:
        self._kanji = on

    def _set_spacing(self, data: bytes) -> None:
        self._spacing = data[0] if data else LINE_DOTS

    def _extended(self, data: bytes) -> None:
        """``GS ( k`` makes a QR code; the others change nothing that is modelled here."""
        letter, body = data[:1], data[3:]
        if letter == b"k" and body[:1] == b"1":
            self._qr(body[1:2], body[2:])

    def _qr(self, function: bytes, data: bytes) -> None:
        if function in (b"C", b"E", b"P") and not data:
            self.refused.append(f"GS ( k function {function.decode()} without its value")
            return
        match function:
            case b"C":
                self.module = data[0]
            case b"E":
                self._level = data[0]
            case b"P":
                self.code = data[1:]
            case b"Q":
                self._put_code()

    def _put_code(self) -> None:
        """A code that is wider than the paper is not printed at all (Epson, GS ( k function 181)."""
        code = PrintedCode(self.code, self.module, self._level, self._align)
        if qr_modules(len(self.code)) * self.module > self.width:
            self.refused.append(f"a QR code of {len(self.code)} bytes does not fit {self.width} dots")
        else:
            self._put(code)

    def _raster(self, data: bytes) -> None:
        if 8 * int.from_bytes(data[1:3], "little") > self.width:
            self.refused.append(f"a picture wider than {self.width} dots")
        self._put(PrintedRaster(data[5:], int.from_bytes(data[1:3], "little"), self._align))

    _ACTIONS: ClassVar[Mapping[bytes, Callable[["Mechanism", bytes], None]]] = {
        b"\n": _end_line,
        b"\x1b@": _initialise,
        b"\x1ba": _set_align,
        b"\x1bE": _set_bold,
        b"\x1b-": _set_underline,
        b"\x1bd": _feed_lines,
        b"\x1bJ": _feed_dots,
        b"\x1b2": _set_spacing,
        b"\x1b3": _set_spacing,
        b"\x1c&": lambda self, _data: self._set_kanji(True),
        b"\x1c.": lambda self, _data: self._set_kanji(False),
        b"\x1c!": _set_kanji_mode,
        b"\x1d!": _set_size,
        b"\x1dB": _set_inverse,
        b"\x1dV": _cut,
        b"\x1bi": _cut_here,
        b"\x1bm": _cut_here,
        b"\x1d(": _extended,
        b"\x1dv0": _raster,
    }
