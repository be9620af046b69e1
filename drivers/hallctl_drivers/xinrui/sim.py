"""A 欣瑞 window bar's side of the bus: strict, with faults by name, and a picture of the bar."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from hallctl.driver import Colour, WireSimulator
from hallctl.driver.disturb import SLOW_S, WIRE_FAULTS, disturb
from hallctl.driver.ledpanel import PanelLine, draw_panel
from hallctl.errors import RemoteCodecError
from hallctl_drivers.xinrui import codec
from hallctl_drivers.xinrui.codec import Reply, Text, XinruiFraming

_COLOURS = (Colour.RED, Colour.GREEN, Colour.YELLOW)
_WIDTH_PX = 128


@dataclass(frozen=True, slots=True)
class Shown:
    """What stands on the bar; one colour a text, as the driver sends it."""

    text: str = ""
    colour: Colour = Colour.RED


class XinruiSimulator(WireSimulator):
    """One bar; it hears the whole bus and obeys its own address (default 1)."""

    FAULTS: ClassVar[Mapping[str, str]] = {
        **WIRE_FAULTS,
        "wrong_address": "answers with the next bar's address",
        "nak": "answers every text with 55: it does not show it",
    }

    def __init__(self, fault: str | None = None, address: int | None = None) -> None:
        super().__init__(fault)
        self.address = 1 if address is None else address
        self.shown = Shown()
        self.reply_delay_s = SLOW_S if fault == "slow_ack" else 0.0
        self._framing = XinruiFraming()
        self._buffer = bytearray()

    def connected(self) -> None:
        """A new master starts with a clean receive buffer."""
        self._buffer.clear()

    def power_cycle(self) -> None:
        """Take the power away and give it back: the bar is dark."""
        self._buffer.clear()
        self.shown = Shown()

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
        if self._buffer.startswith(codec.HEAD):
            self.refused.append(f"broken frame: {self._buffer[:16].hex(' ')}")
        del self._buffer[0]

    def draw(self) -> bytes:
        """The bar as PNG."""
        return draw_panel([PanelLine(self.shown.text, self.shown.colour)], width_px=_WIDTH_PX, height_px=16)

    def _take(self, raw: bytes) -> bytes:
        if self._framing.address_of(raw) != self.address:
            return b""
        try:
            return self._answer(self._put(codec.decode_text(raw)))
        except RemoteCodecError as exc:
            self.refused.append(str(exc))
            return b""

    def _put(self, text: Text) -> bool:
        colours = {colour for _, colour in text.cells}
        if self.fault == "nak" or any(colour >= len(_COLOURS) for colour in colours):
            self.refused.append(f"can't show {text.text!r} in colours {sorted(colours)}")
            return False
        self.shown = Shown(text.text.rstrip(), _COLOURS[min(colours, default=0)])
        return True

    def _answer(self, done: bool) -> bytes:
        address = (self.address + 1) % 256 if self.fault == "wrong_address" else self.address
        return codec.encode_reply(Reply(address, done))
