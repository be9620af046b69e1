"""ESC/POS in words, for traces: commands on the way out, status on the way back.

The byte that answers ``DLE EOT n`` does not say which n: the questions are remembered as they pass.
"""

from collections import deque
from collections.abc import Iterator, Mapping

from hallctl.driver import Direction, Explained, Explainer
from hallctl.errors import RemoteCodecError
from hallctl_drivers.escpos.commands import Command, CommandDecoder, Text
from hallctl_drivers.escpos.faults import PrinterStatus, from_auto_status, from_queued, from_real_time
from hallctl_drivers.escpos.status import AutoStatus, Block, Frame, Printed, Queued, RealTime, StatusDecoder

QUESTIONS_KEPT = 16
_ABOUT = {1: "the printer", 2: "why it is off-line", 3: "errors", 4: "paper"}
_BLOCKS = {0x5F: "identity (GS I)", 0x37: "answer to a function (GS ( , DLE DC4)"}
_WORDS: Mapping[bytes, str] = {
    b"\n": "line feed", b"\r": "carriage return", b"\x00": "NUL", b"\x09": "tab", b"\x0c": "form feed",
    b"\x18": "cancel (CAN)",
    b"\x10\x05": "DLE ENQ: recover", b"\x10\x14": "DLE DC4: real-time function",
    b"\x1b@": "ESC @: initialise", b"\x1bi": "ESC i: full cut", b"\x1bm": "ESC m: partial cut",
    b"\x1ba": "ESC a: align", b"\x1bE": "ESC E: bold", b"\x1bd": "ESC d: feed lines", b"\x1bJ": "ESC J: feed dots",
    b"\x1d!": "GS !: character size", b"\x1c!": "FS !: Chinese character size", b"\x1c&": "FS &: Chinese on",
    b"\x1c.": "FS .: Chinese off", b"\x1da": "GS a: tell changes by yourself", b"\x1dr": "GS r: queued question",
    b"\x1dI": "GS I: who are you?", b"\x1dV": "GS V: cut", b"\x1d(": "GS (: function", b"\x1dv0": "GS v 0: picture",
    b"\x1d8L": "GS 8 L: graphics",
}  # fmt: skip


class EscposExplainer:
    """One printer's conversation."""

    def __init__(self) -> None:
        self._out = CommandDecoder()
        self._in = StatusDecoder()
        self._asked: deque[int] = deque(maxlen=QUESTIONS_KEPT)

    def feed(self, direction: Direction, data: bytes) -> list[Explained]:
        """Commands, runs of text and answers that are whole."""
        decoder = self._out if direction is Direction.OUT else self._in
        decoder.feed(data)
        return _padding_together(list(self._cut(decoder)))

    def rest(self, direction: Direction) -> list[Explained]:
        """What has begun and won't end."""
        left = (self._out if direction is Direction.OUT else self._in).rest()
        return [Explained(left, "broke off", known=False)] if left else []

    def _cut(self, decoder: CommandDecoder | StatusDecoder) -> Iterator[Explained]:
        while True:
            try:
                found = decoder.next()
            except RemoteCodecError as exc:
                yield Explained(decoder.taken, exc.message, known=False)
                continue
            if found is None:
                return
            yield Explained(decoder.taken, self._words(found))

    def _words(self, found: Text | Command | Frame) -> str:  # noqa: PLR0911  # one return a kind of frame
        match found:
            case Text(data=data):
                return f"text {data.decode('gb18030', 'replace')!r}"
            case Command(name=b"\x10\x04", data=data):
                self._asked.append(data[0])
                return f"DLE EOT {data[0]}: asks about {_ABOUT.get(data[0], 'something')}"
            case Command():
                return _command(found)
            case RealTime(value=value):
                return self._real_time(value)
            case AutoStatus(data=data):
                return f"says by itself: {_state(from_auto_status(data))}"
            case Queued(value=value):
                return f"answers in its turn (GS r): {_state(from_queued(value))}"
            case Printed(ident=ident):
                return f"everything before {ident!r} is on paper"
            case Block(header=header, data=data):
                return f"{_BLOCKS.get(header, 'block')}: {data.decode('ascii', 'replace')!r}"

    def _real_time(self, value: int) -> str:
        if not self._asked:
            return f"status byte {value:02X}, not asked for"
        n = self._asked.popleft()
        return f"answers DLE EOT {n}: {_state(from_real_time({n: value, 4: value if n == 4 else 0}))}"


def _padding_together(told: list[Explained]) -> list[Explained]:
    """Hundreds of NULs end what a printer may have been left in the middle of: one line is enough for them."""
    found: list[Explained] = []
    for one in told:
        if found and not one.raw.strip(b"\0") and not found[-1].raw.strip(b"\0"):
            raw = found.pop().raw + one.raw
            found.append(Explained(raw, f"NUL, {len(raw)} times"))
        else:
            found.append(one)
    return found


def _command(command: Command) -> str:
    name = _WORDS.get(command.name) or f"{command.name.hex(' ').upper()}: a setting"
    if command.name == b"\x1dv0":
        across, down = (int.from_bytes(command.data[at : at + 2], "little") for at in (1, 3))
        return f"{name} of {across * 8} x {down} dots"
    shown = command.data[:12].hex(" ")
    return f"{name} {shown}{' ...' if len(command.data) > 12 else ''}".rstrip()


def _state(status: PrinterStatus) -> str:
    return ", ".join(report.message for report in status.reports) or "nothing is wrong"


def explain() -> Explainer:
    """What ``hallctl trace`` prints."""
    return EscposExplainer()
