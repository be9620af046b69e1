"""An ESC/POS printer, the device's side: strict about commands, honest about paper.

It keeps a receive buffer that it works off only while it can print, answers ``DLE EOT`` ahead of that buffer as the
real ones do, and confirms (``GS r``, ``GS ( H``) in turn. Checked against a client that is not ours (see README.md).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import ClassVar

from hallctl.driver import WireSimulator
from hallctl.errors import RemoteCodecError
from hallctl.ticket import Align
from hallctl_drivers.escpos.commands import Command, CommandDecoder, Text
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
)

_CUT_FEED = 90  # dots from the head to the cutter
_ALIGN = {0: Align.LEFT, 1: Align.CENTER, 2: Align.RIGHT, 48: Align.LEFT, 49: Align.CENTER, 50: Align.RIGHT}
_BUFFER_LIMIT = 65536
_PRINTING = (b"\n", b"\x1bd", b"\x1bJ", b"\x1dr", b"\x1d(", b"\x1dV", b"\x1dv0")


def _waits(command: Text | Command) -> bool:
    """Whether a stopped printer leaves it, and all behind it, in the buffer."""
    return isinstance(command, Text) or command.name in _PRINTING


class EscposSimulator(WireSimulator):
    """One printer. ``paper_mm`` is what is left on the roll; ``tickets`` what has been cut off."""

    FAULTS: ClassVar[Mapping[str, str]] = {
        "paper_out": "there is no roll in it",
        "paper_near_end": "the roll is nearly used up",
        "paper_out_mid_job": "the roll ends within the first ticket",
        "cover_open": "its cover is open",
        "cutter_jam": "its cutter is stuck",
        "mute": "it prints and never says anything",
        "slow": "it answers late",
        "garbage_status": "it answers with bytes that are no status",
        "no_gs_h": "a clone that ignores GS ( H",
    }

    def __init__(self, fault: str | None = None, address: int | None = None, *, width: int = 576) -> None:
        super().__init__(fault)
        self.address = address
        self.width = width
        self.near_end_mm = 0.0 if fault == "paper_out_mid_job" else 3000.0
        self.paper_mm = {"paper_out": 0.0, "paper_near_end": 2000.0, "paper_out_mid_job": 12.0}.get(
            fault or "", 50000.0
        )
        self.cover_is_open = fault == "cover_open"
        self.cutter_jammed = fault == "cutter_jam"
        self.reply_delay_s = 0.2 if fault == "slow" else 0.0
        self.tickets: list[PrintedTicket] = []
        self._decoder = CommandDecoder()
        self._held: Text | Command | None = None
        self._real_time = b""
        self._out = bytearray()
        self._asb = 0
        self._told = b""
        self._raw = bytearray()
        self._marks: list[Mark] = []
        self._code = b""
        self._reset()

    def connected(self) -> None:
        """A new peer starts without automatic status; what has been received stays."""
        self._asb = 0
        self._real_time = b""

    def feed(self, data: bytes) -> bytes:
        """Real-time questions are answered at once, the rest is worked off in order."""
        self._answer_real_time(data)
        if len(self._decoder) + len(data) > _BUFFER_LIMIT:
            self.refused.append("receive buffer overflow")
        else:
            self._decoder.feed(data)
        self._work()
        return self._taken()

    def remove_paper(self) -> None:
        """Take the roll out."""
        self._handled("paper_mm", 0.0)

    def load_paper(self, mm: float = 50000.0) -> None:
        """Put a roll in; a job that waited goes on."""
        self._handled("paper_mm", mm)

    def open_cover(self) -> None:
        """Open the cover: printing stops."""
        self._handled("cover_is_open", True)

    def close_cover(self) -> None:
        """Close it: printing goes on."""
        self._handled("cover_is_open", False)

    def jam_cutter(self) -> None:
        """Let the cutter get stuck: printing stops."""
        self._handled("cutter_jammed", True)

    def free_cutter(self) -> None:
        """Free the cutter."""
        self._handled("cutter_jammed", False)

    def draw(self) -> bytes | None:
        """The last ticket."""
        return self.tickets[-1].png() if self.tickets else None

    @property
    def stopped(self) -> bool:
        """Whether it can't print now."""
        return self.paper_mm <= 0 or self.cover_is_open or self.cutter_jammed

    def _handled(self, name: str, value: float | bool) -> None:
        """Somebody has done something to the printer."""
        setattr(self, name, value)
        self._work()
        if answer := self._taken():
            self.emit(answer)

    def _taken(self) -> bytes:
        self._tell_changes()
        data = bytes(self._out)
        self._out.clear()
        if self.fault == "mute":
            return b""
        return b"\xff\xa5" * (len(data) // 2 + 1) if data and self.fault == "garbage_status" else data

    def _work(self) -> None:
        """Work the buffer off; a printer that is stopped still takes settings, up to the first thing to print."""
        while True:
            command = self._held or self._next()
            self._held = command if command is not None and self.stopped and _waits(command) else None
            if command is None or self._held is not None:
                return
            self._carry_out(command)

    def _next(self) -> Text | Command | None:
        while True:
            try:
                command = self._decoder.next()
            except RemoteCodecError as exc:
                self.refused.append(exc.message)
                continue
            if command is not None:
                self._raw += self._decoder.taken
            return command

    def _answer_real_time(self, data: bytes) -> None:
        """``DLE EOT n`` is found wherever it stands in the stream, also in the middle of a picture's data."""
        for byte in data:
            self._real_time = (self._real_time + bytes((byte,)))[-3:]
            if len(self._real_time) == 3 and self._real_time[:2] == b"\x10\x04" and byte in (1, 2, 3, 4):
                self._out.append(self._status(byte))

    def _status(self, n: int) -> int:
        near, end = self.paper_mm <= self.near_end_mm, self.paper_mm <= 0
        match n:
            case 1:
                bits = 0x08 * self.stopped
            case 2:
                bits = 0x04 * self.cover_is_open | 0x20 * end | 0x40 * self.cutter_jammed
            case 3:
                bits = 0x08 * self.cutter_jammed
            case _:
                bits = 0x0C * near | 0x60 * end
        return 0x12 | bits

    def _auto_status(self) -> bytes:
        near, end = self.paper_mm <= self.near_end_mm, self.paper_mm <= 0
        first = 0x10 | 0x08 * self.stopped | 0x20 * self.cover_is_open
        return bytes((first, 0x08 * self.cutter_jammed, 0x03 * near | 0x0C * end, 0x0F))

    def _tell_changes(self) -> None:
        if self._asb and self._told != self._auto_status():
            self._told = self._auto_status()
            self._out += self._told

    def _reset(self) -> None:
        """``ESC @``: what is printed stays, what waits in the line is lost."""
        self._font = Font()
        self._kanji = False
        self._align = Align.LEFT
        self._spacing = LINE_DOTS
        self._line: list[Run] = []
        self._half = b""
        self._module, self._level = 3, 48

    def _carry_out(self, command: Text | Command) -> None:
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

    def _cut(self, data: bytes) -> None:
        if self._line:
            self._end_line(b"")
        self._put(Fed(_CUT_FEED + (data[1] if len(data) > 1 else 0)))
        self.tickets.append(PrintedTicket(bytes(self._raw), tuple(self._marks), self.width))
        self._marks, self._raw = [], bytearray()

    def _initialise(self, _data: bytes) -> None:
        self._reset()
        if not self._marks:
            self._raw = bytearray(b"\x1b@")

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

    def _set_asb(self, data: bytes) -> None:
        self._asb = data[0]
        self._told = b""

    def _answer_queued(self, data: bytes) -> None:
        if data[0] in (1, 49):
            self._out.append(0x03 * (self.paper_mm <= self.near_end_mm))
        else:
            self._out.append(0)

    def _extended(self, data: bytes) -> None:
        """``GS (`` and its letter: H confirms, k makes a code; the others change nothing that is modelled here."""
        letter, body = data[:1], data[3:]
        if letter == b"H" and body[:2] == b"00" and len(body) == 6 and self.fault != "no_gs_h":
            self._out += b"\x37\x22" + body[2:] + b"\x00"
        if letter == b"k" and body[:1] == b"1":
            self._qr(body[1:2], body[2:])

    def _qr(self, function: bytes, data: bytes) -> None:
        if function in (b"C", b"E", b"P") and not data:
            self.refused.append(f"GS ( k function {function.decode()} without its value")
            return
        match function:
            case b"C":
                self._module = data[0]
            case b"E":
                self._level = data[0]
            case b"P":
                self._code = data[1:]
            case b"Q":
                self._put(PrintedCode(self._code, self._module, self._level, self._align))

    def _raster(self, data: bytes) -> None:
        self._put(PrintedRaster(data[5:], int.from_bytes(data[1:3], "little"), self._align))

    _ACTIONS: ClassVar[Mapping[bytes, Callable[["EscposSimulator", bytes], None]]] = {
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
        b"\x1da": _set_asb,
        b"\x1dr": _answer_queued,
        b"\x1dV": _cut,
        b"\x1d(": _extended,
        b"\x1dv0": _raster,
    }
