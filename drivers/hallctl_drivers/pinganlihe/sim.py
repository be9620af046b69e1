"""A 平安力合 window bar's side of the bus: strict, with faults by name, and a picture of the bar."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from hallctl.driver import Colour, WireSimulator
from hallctl.driver.disturb import SLOW_S, WIRE_FAULTS, Pause, disturb
from hallctl.driver.ledpanel import PanelLine, columns_of, draw_panel
from hallctl.errors import RemoteCodecError
from hallctl_drivers.pinganlihe import codec
from hallctl_drivers.pinganlihe.codec import (
    COMMAND_START,
    TEXT_START,
    Checksum,
    Command,
    Frame,
    InstantText,
    PingAnLiHeFraming,
    Sub,
    TextColour,
)

PAUSE_S = 0.06  # the maker asks for 100 ms between frames
_WORDS = {Sub.WELCOME: "欢迎光临", Sub.PAUSE: "暂停服务", Sub.SERVING: "正在办理"}
_COLOURS = {TextColour.RED: Colour.RED, TextColour.GREEN: Colour.GREEN, TextColour.YELLOW: Colour.YELLOW}
_FLASH_MODES = (7, 10)
_DIGITS = 3
_VERSION = b"\x02\x01"
_WIDTH_PX = 128


@dataclass(frozen=True, slots=True)
class Shown:
    """What stands on the bar. ``native``: the bar worded it itself; ``window`` is from a native call."""

    lines: tuple[str, ...] = ()
    colour: Colour = Colour.RED
    blink: bool = False
    native: bool = True
    window: int | None = None


class PingAnLiHeSimulator(WireSimulator):
    """One bar; it hears the whole bus and obeys its own address (default 1)."""

    FAULTS: ClassVar[Mapping[str, str]] = {
        **WIRE_FAULTS,
        "wrong_address": "answers with the next bar's address",
        "other_checksum": "reads 'sum modulo 100' as the sum's low byte",
    }

    NATIVE: ClassVar[Command] = Command.WINDOW_BAR

    def __init__(self, fault: str | None = None, address: int | None = None) -> None:
        super().__init__(fault)
        self.address = 1 if address is None else address
        self.shown = Shown((_WORDS[Sub.WELCOME],))
        self.frames: list[Frame | InstantText] = []
        self.reply_delay_s = SLOW_S if fault == "slow_ack" else 0.0
        self._checksum = Checksum.LOW_BYTE if fault == "other_checksum" else Checksum.WHOLE
        self._framing = PingAnLiHeFraming()
        self._buffer = bytearray()
        self._pause = Pause(PAUSE_S)

    def connected(self) -> None:
        """A new master starts with a clean receive buffer."""
        self._buffer.clear()

    def power_cycle(self) -> None:
        """Take the power away and give it back: the bar welcomes."""
        self._buffer.clear()
        self.shown = Shown((_WORDS[Sub.WELCOME],))

    def feed(self, data: bytes) -> bytes:
        """Answer every whole frame for this address; noise and other families' bytes are skipped."""
        self._buffer += data
        answers = b""
        while self._buffer and (size := self._framing.probe(bytes(self._buffer))):
            if size < 0:
                self._skip()
                continue
            frame = bytes(self._buffer[:size])
            del self._buffer[:size]
            answers += self._take(frame)
        return disturb(self.fault, answers, data)

    def _skip(self) -> None:
        """What does not begin like a frame of this family is another family's, and nothing to complain about."""
        if self._buffer[0] in (COMMAND_START, TEXT_START):
            self.refused.append(f"broken frame: {self._buffer[:16].hex(' ')}")
        del self._buffer[0]

    def draw(self) -> bytes:
        """The bar as PNG."""
        lines = [PanelLine(line, self.shown.colour) for line in self.shown.lines]
        return draw_panel(lines, width_px=_WIDTH_PX, height_px=16)

    def _take(self, raw: bytes) -> bytes:
        if not self._pause.kept(self.now()):
            self.refused.append(f"a frame came within {self._pause.least_s:g} s of the one before")
            return b""
        if self._framing.address_of(raw) != self.address:
            return b""
        try:
            if raw[0] == TEXT_START:
                self._show_text(codec.decode_text(raw))
                return b""
            return self._obey(codec.decode(raw, self._checksum))
        except RemoteCodecError as exc:
            self.refused.append(str(exc))
            return b""

    def _show_text(self, text: InstantText) -> None:
        self.frames.append(text)
        lines = self._laid_out(text.text)
        self.shown = Shown(lines, _COLOURS[text.colour], text.mode in _FLASH_MODES, native=False)

    def _laid_out(self, text: str) -> tuple[str, ...]:
        """A bar has one line, in which a long text moves."""
        return (text,) if text.strip() else ()

    def _obey(self, frame: Frame) -> bytes:
        self.frames.append(frame)
        match frame:
            case Frame(command=self.NATIVE):
                self._show_native(frame)
            case Frame(command=Command.NUMBER | Command.NUMBER_ALTERNATE):
                self.shown = Shown((_number_in(frame.data),))
            case Frame(command=Command.ONLINE, data=b""):
                pass
            case Frame(command=Command.VERSION, sub=Sub.SYSTEM, data=b""):
                return self._answer(Frame(Command.VERSION, self.address, Sub.SYSTEM, _VERSION))
            case _:
                raise RemoteCodecError(f"command {frame.command:02X} {frame.sub:02X} is not for a window bar")
        return self._answer(codec.ack(self.address))

    def _show_native(self, frame: Frame) -> None:
        if frame.sub == Sub.CALL:
            call = codec.parse_call(frame.data)
            number = f"{call.prefix}{call.number:0{_DIGITS}d}"
            self.shown = Shown((f"请{number}号到{call.window}号窗口",), window=call.window)
        elif frame.sub in _WORDS and not frame.data:
            self.shown = Shown((_WORDS[Sub(frame.sub)],))
        else:
            raise RemoteCodecError(f"subcommand {frame.sub:02X} with {len(frame.data)} bytes")

    def _answer(self, frame: Frame) -> bytes:
        if self.fault == "wrong_address":
            frame = Frame(frame.command, (frame.address + 1) % 256, frame.sub, frame.data)
        return codec.encode(frame, self._checksum)


def _number_in(data: bytes) -> str:
    if not 1 <= len(data) <= codec.MAX_DIGITS or not data.isalnum():
        raise RemoteCodecError(f"{data.hex(' ') or 'nothing'} is no number of up to {codec.MAX_DIGITS} characters")
    return data.decode("ascii")


class BoardSimulator(PingAnLiHeSimulator):
    """A main board of ``lines`` lines; a text flows on where a line is full."""

    NATIVE: ClassVar[Command] = Command.MAIN_BOARD

    def __init__(
        self, fault: str | None = None, address: int | None = None, *, lines: int = 4, columns: int = 32
    ) -> None:
        super().__init__(fault, address)
        self.lines = lines
        self.columns = columns

    def draw(self) -> bytes:
        """The board as PNG."""
        lines = [PanelLine(line, self.shown.colour) for line in self.shown.lines]
        return draw_panel(lines, width_px=self.columns * 8, height_px=self.lines * 16)

    def _laid_out(self, text: str) -> tuple[str, ...]:
        lines = [""]
        for character in text:
            if columns_of(lines[-1] + character) > self.columns:
                lines.append("")
            lines[-1] += character
        stripped = [line.rstrip() for line in lines[: self.lines]]
        while stripped and not stripped[-1]:
            stripped.pop()
        return tuple(stripped)

    def _show_native(self, frame: Frame) -> None:
        """The newest call comes on top; the earlier ones move down."""
        before = self.shown.lines if self.shown.native and self.shown.window is not None else ()
        super()._show_native(frame)
        self.shown = replace(self.shown, lines=(*self.shown.lines, *before)[: self.lines])
