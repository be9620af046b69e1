"""An Onbon card's side of the wire: strict, with faults by name, and a picture of its panel."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from hallctl.driver import Colour, WireSimulator
from hallctl.driver.disturb import SLOW_S, WIRE_FAULTS, disturb
from hallctl.driver.ledpanel import PanelLine, draw_panel
from hallctl.errors import RemoteCodecError
from hallctl_drivers.onbon_bx.codec import (
    MAX_AREAS,
    MAX_BRIGHTNESS,
    MAX_DATA,
    Area,
    Command,
    DisplayMode,
    Reply,
    Request,
    decode_areas,
    decode_request,
    deletes_all,
    encode_reply,
    encode_request,
)
from hallctl_drivers.onbon_bx.frame import (
    ANY_DEVICE,
    BROADCAST_ADDRESS,
    CLIENT_ADDRESS,
    WILDCARD_ADDRESS,
    CrcError,
    Packet,
    PacketDecoder,
    encode_packet,
)

_NO_GROUP, _NO_COMMAND, _BUSY, _MEMORY, _CRC = 1, 2, 3, 4, 5
_GROUPS = {command >> 8 for command in Command}
_DEVICE_TYPES = {ANY_DEVICE, 0x51, 0x53, 0x54, 0x58, *range(0x61, 0x6A)}  # section 4
_CODES = re.compile(r"\\(?:F[OEK]\w{3}|C(?P<colour>[1-7])|(?P<newline>n))")
_COLOURS = {"1": Colour.RED, "2": Colour.GREEN, "3": Colour.YELLOW}


@dataclass(frozen=True, slots=True)
class Shown:
    """What stands on the panel: ``lines`` without the card's codes; ``colour`` and ``mode`` are the first area's."""

    lines: tuple[str, ...] = ()
    areas: tuple[Area, ...] = ()
    colour: Colour = Colour.RED
    on: bool = True
    brightness: int = MAX_BRIGHTNESS
    mode: DisplayMode = DisplayMode.STATIC
    width_px: int = 128
    height_px: int = 16
    cell_px: int = 16


class OnbonSimulator(WireSimulator):
    """One card with screen number ``address`` (default 1) and as many dynamic areas as its generation has."""

    FAULTS: ClassVar[Mapping[str, str]] = {
        **WIRE_FAULTS,
        "nak_busy": "answers every text with NAK 3",
        "nak_busy_once": "answers the first text with NAK 3",
        "nak_crc": "answers every text with NAK 5, as if the line were disturbed",
        "wrong_address": "answers with another card's screen number",
        "no_ping": "its firmware has no ping",
        "wrong_family": "knows none of the commands, as a bitmap card does",
    }

    def __init__(self, fault: str | None = None, address: int | None = None) -> None:
        super().__init__(fault)
        self.address = 1 if address is None else address
        self.shown = Shown()
        self.requests: list[Request] = []
        self.reply_delay_s = SLOW_S if fault == "slow_ack" else 0.0
        self._decoder = PacketDecoder()
        self._handlers: dict[int, Callable[[Request], int]] = {
            Command.PING: self._ping,
            Command.POWER: self._power,
            Command.BRIGHTNESS: self._brightness,
            Command.SHOW: self._show,
            Command.CLEAR: self._clear,
        }

    def connected(self) -> None:
        """A new peer starts with a clean receive buffer."""
        self._decoder.reset()

    def power_cycle(self) -> None:
        """Take the power away and give it back: RAM is empty, the panel is on, brightness is kept in flash."""
        self._decoder.reset()
        self.shown = Shown(brightness=self.shown.brightness)

    def feed(self, data: bytes) -> bytes:
        """Answer every whole frame; what is wrong is refused as the card does it."""
        self._decoder.feed(data)
        answers = b""
        while True:
            try:
                packet = self._decoder.next()
            except CrcError as exc:
                answers += self._refuse(str(exc), Reply(Command.NAK, _CRC))
                continue
            except RemoteCodecError as exc:
                answers += self._refuse(str(exc), None)
                continue
            if packet is None:
                return disturb(self.fault, answers, data)
            answers += self._take(packet)

    def draw(self) -> bytes:
        """The panel as PNG."""
        shown = self.shown
        return draw_panel(
            list(_rows(shown.areas)),
            width_px=shown.width_px,
            height_px=shown.height_px,
            cell_px=shown.cell_px,
            lit=shown.on,
            brightness=shown.brightness / MAX_BRIGHTNESS,
        )

    def _take(self, packet: Packet) -> bytes:
        if packet.destination not in (self.address, WILDCARD_ADDRESS, BROADCAST_ADDRESS, CLIENT_ADDRESS):
            return self._refuse(f"address {packet.destination} is not {self.address}", None)
        if packet.device_type not in _DEVICE_TYPES:
            return self._refuse(f"device type {packet.device_type:02X} is no font card", None)
        try:
            request = decode_request(packet.data)
            self.requests.append(request)
            error = self._carry_out(request)
        except RemoteCodecError as exc:
            return self._refuse(str(exc), None)
        if not request.reply or packet.destination == BROADCAST_ADDRESS:
            return b""
        reply = Reply(Command.NAK, error) if error else Reply(Command.ACK)
        return self._answer(reply, packet.destination)

    def _carry_out(self, request: Request) -> int:
        """Do it; the result is the error byte."""
        if self.fault == "wrong_family" or request.command >> 8 not in _GROUPS:
            return self._count(_NO_GROUP, request)
        handler = self._handlers.get(request.command)
        if handler is None:
            return self._count(_NO_COMMAND, request)
        return handler(request)

    def _ping(self, request: Request) -> int:
        _expect(request, not request.body)
        return self._count(_NO_COMMAND, request) if self.fault == "no_ping" else 0

    def _power(self, request: Request) -> int:
        _expect(request, request.body in (b"\x01", b"\x02"))
        self.shown = replace(self.shown, on=request.body == b"\x01")
        return 0

    def _brightness(self, request: Request) -> int:
        _expect(request, len(request.body) == 2 and request.body[0] == 1 and request.body[1] <= MAX_BRIGHTNESS)
        self.shown = replace(self.shown, brightness=request.body[1])
        return 0

    def _clear(self, request: Request) -> int:
        _expect(request, not request.body)
        self.shown = replace(self.shown, lines=(), areas=())
        return 0

    def _show(self, request: Request) -> int:
        areas = decode_areas(request.body)
        _expect(request, bool(areas))
        card = "6k" if areas[0].pixels else "5k"
        if len(encode_request(request)) > MAX_DATA[card]:
            return self._count(_MEMORY, request)
        _expect(request, all(area.number < MAX_AREAS[card] for area in areas))
        match self.fault:
            case "nak_busy":
                return self._count(_BUSY, request)
            case "nak_busy_once":
                self.fault = None
                return self._count(_BUSY, request)
            case "nak_crc":
                return self._count(_CRC, request)
        kept = () if deletes_all(request.body) else self.shown.areas
        standing = {area.number: area for area in (*kept, *areas)}
        self._put(tuple(standing[number] for number in sorted(standing)))
        return 0

    def _put(self, areas: tuple[Area, ...]) -> None:
        rows = _rows(areas)
        if any(_overlap(one, other) for at, one in enumerate(areas) for other in areas[:at]):
            raise RemoteCodecError("dynamic areas lie over one another")
        lines = [row.text.rstrip(" ") for row in rows]
        while lines and not lines[-1]:
            lines.pop()
        self.shown = replace(
            self.shown,
            lines=tuple(lines),
            areas=areas,
            colour=rows[0].colour,
            mode=areas[0].mode,
            width_px=max(area.x + area.width for area in areas),
            height_px=max(area.y + area.height for area in areas),
            cell_px=_font_height(areas[0].text),
        )

    def _count(self, error: int, request: Request) -> int:
        self.refused.append(f"command {request.command:04X}: error {error}")
        return error

    def _refuse(self, why: str, reply: Reply | None) -> bytes:
        self.refused.append(why)
        return b"" if reply is None else self._answer(reply, WILDCARD_ADDRESS)

    def _answer(self, reply: Reply, asked: int) -> bytes:
        source = WILDCARD_ADDRESS if asked == WILDCARD_ADDRESS else self.address
        if self.fault == "wrong_address":
            source = self.address + 1
        return encode_packet(Packet(CLIENT_ADDRESS, source, encode_reply(reply)))


class OnbonBusSimulator(OnbonSimulator):
    """One card of several on a line: what is for another one, or of another family, is none of its business."""

    def _take(self, packet: Packet) -> bytes:
        return super()._take(packet) if packet.destination == self.address else b""

    def _refuse(self, why: str, reply: Reply | None) -> bytes:  # noqa: ARG002  # a disturbed frame may be anybody's
        return super()._refuse(why, None)


def _expect(request: Request, right: bool) -> None:
    if not right:
        raise RemoteCodecError(f"command {request.command:04X} with {request.body.hex(' ') or 'nothing'}")


def _overlap(one: Area, other: Area) -> bool:
    beside = one.x + one.width <= other.x or other.x + other.width <= one.x
    above = one.y + one.height <= other.y or other.y + other.height <= one.y
    return not beside and not above


def _rows(areas: tuple[Area, ...]) -> tuple[PanelLine, ...]:
    """The lines of all areas from top to bottom."""
    rows = []
    for area in sorted(areas, key=lambda area: (area.y, area.x)):
        lines, colour = _read_codes(area.text)
        rows += [PanelLine(line, colour) for line in lines]
    return tuple(rows)


def _read_codes(text: str) -> tuple[tuple[str, ...], Colour]:
    """Lines and colour as the panel shows them; one colour a text, as the driver sends it."""
    colour = Colour.RED
    for code in _CODES.finditer(text):
        if code["colour"] is not None:
            if code["colour"] not in _COLOURS:
                raise RemoteCodecError(f"a two-colour panel has no colour {code['colour']}")
            colour = _COLOURS[code["colour"]]
    plain = _CODES.sub(lambda code: "\n" if code["newline"] else "", text)
    if "\\" in plain:
        raise RemoteCodecError(f"unknown code in {text!r}")
    return tuple(plain.split("\n")), colour


def _font_height(text: str) -> int:
    return {"0": 16, "1": 24, "2": 32}[found[1]] if (found := re.search(r"\\FO00([012])", text)) else 16
