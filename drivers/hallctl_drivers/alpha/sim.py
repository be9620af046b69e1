"""An Alpha sign's side of the line: strict, with an error register, faults by name, and a picture of the sign."""

from collections.abc import Mapping
from typing import ClassVar

from hallctl.driver import Colour, WireSimulator
from hallctl.driver.disturb import SLOW_S, WIRE_FAULTS, disturb
from hallctl.driver.ledpanel import PanelLine, draw_panel
from hallctl.errors import RemoteCodecError
from hallctl_drivers.alpha import codec
from hallctl_drivers.alpha.codec import EOT, SOH, Packet, Text, TextColour

_COLOURS = {TextColour.RED: Colour.RED, TextColour.GREEN: Colour.GREEN, TextColour.AMBER: Colour.YELLOW}
_CHECKSUM, _ILLEGAL = 0x10, 0x20
_WIDTH_PX = 128
_ANSWER_NULS = bytes(20)


class AlphaSimulator(WireSimulator):
    """One sign with serial address ``address`` (default 1); it obeys address 00, too."""

    FAULTS: ClassVar[Mapping[str, str]] = {
        **WIRE_FAULTS,
        "disturbed": "every text reaches it with a wrong checksum",
        "old_firmware": "knows neither dimming nor the clearing of its error register",
    }

    def __init__(self, fault: str | None = None, address: int | None = None) -> None:
        super().__init__(fault)
        self.address = 1 if address is None else address
        self.shown = Text()
        self.dimmed: bytes | None = None
        self.register = 0
        self.reply_delay_s = SLOW_S if fault == "slow_ack" else 0.0
        self._buffer = bytearray()

    def connected(self) -> None:
        """A new master starts with a clean receive buffer."""
        self._buffer.clear()

    def power_cycle(self) -> None:
        """Take the power away and give it back: the priority file is empty."""
        self._buffer.clear()
        self.shown, self.register = Text(), 0

    def feed(self, data: bytes) -> bytes:
        """Answer every whole packet for this address; between packets anything may come."""
        self._buffer += data
        answers = b""
        while (end := self._buffer.find(EOT)) >= 0:
            raw = bytes(self._buffer[: end + 1])
            del self._buffer[: end + 1]
            start = raw.rfind(SOH)
            if start < 5 or raw[start - 5 : start] != codec.SYNC:
                self.refused.append(f"no packet: {raw[:16].hex(' ')}")
                continue
            answers += self._take(raw[start:])
        if len(self._buffer) > codec.MAX_PACKET:
            del self._buffer[: -codec.MAX_PACKET]
        return disturb(self.fault, answers, data)

    def draw(self) -> bytes:
        """The sign as PNG."""
        line = PanelLine(self.shown.text, _COLOURS[self.shown.colour])
        return draw_panel([line], width_px=_WIDTH_PX, height_px=16)

    def _take(self, raw: bytes) -> bytes:
        if self.fault == "disturbed" and raw[5:6] == b"A":
            raw = raw[:-2] + bytes((raw[-2] ^ 1, EOT))
        try:
            packet = codec.decode_packet(raw)
        except RemoteCodecError as exc:
            if raw[2:4] in (f"{self.address:02X}".encode(), b"00"):
                self._refuse(str(exc), _CHECKSUM)
            return b""
        if packet.address not in (0, self.address) or packet.type_code != codec.ALL_SIGNS:
            return b""
        try:
            return self._obey(packet)
        except RemoteCodecError as exc:
            self._refuse(str(exc), _ILLEGAL)
            return b""

    def _obey(self, packet: Packet) -> bytes:
        match packet.command, packet.data[:1], packet.data[1:]:
            case codec.WRITE_TEXT, _, _:
                self.shown = codec.read_text(packet.data)
            case codec.READ_SPECIAL, b"*", b"":
                answer = codec.encode_packet(codec.status_answer(self.register))
                return _ANSWER_NULS + answer.lstrip(b"\0")
            case codec.WRITE_SPECIAL, b"4", b"" if self.fault != "old_firmware":
                self.register = 0
            case codec.WRITE_SPECIAL, b"/", level if self.fault != "old_firmware" and level[:2] == b"01":
                self.dimmed = level[2:]
            case _:
                raise RemoteCodecError(f"command {packet.command}{packet.data!r} is not known")
        return b""

    def _refuse(self, why: str, bit: int) -> None:
        self.refused.append(why)
        self.register |= bit
