"""An Onbon BX-5K/6K font card as a number display.

What is shown lives in the card's RAM (protocol section 8.2.1), so every fresh connection gets it again. A card answers
one request at a time and its answers carry no number: whatever arrived before a request is thrown away.
"""

from hallctl.driver import (
    Colour,
    Connection,
    DisplayMessage,
    Health,
    NumberDisplay,
    TerminalContext,
    TerminalDriver,
)
from hallctl.driver.ledpanel import line_width
from hallctl.errors import Fault, LocalCodecError, Mismatch, RemoteCodecError, TerminalError, TransportTimeout
from hallctl.model import FaultReport, Severity
from hallctl.transport import Transport
from hallctl_drivers.onbon_bx import codec
from hallctl_drivers.onbon_bx.codec import Area, CardColour, Command, DisplayMode, Reply, Request
from hallctl_drivers.onbon_bx.config import OnbonOptions
from hallctl_drivers.onbon_bx.frame import (
    CLIENT_ADDRESS,
    WILDCARD_ADDRESS,
    Packet,
    PacketDecoder,
    encode_packet,
)

NAK = "display.nak"
_BUSY = 3
_NO_COMMAND = 2
_BUSY_WAIT_S = 0.3  # then the one retry; section 2.1: a card takes an update a second at most
_AREA_LIMIT = {"5k": 512, "6k": 1024}  # bytes of one dynamic area, section 8.2.1
_COLOURS = {Colour.RED: CardColour.RED, Colour.GREEN: CardColour.GREEN, Colour.YELLOW: CardColour.YELLOW}


class OnbonDisplay(TerminalDriver, NumberDisplay):
    """One panel. Messages are laid out here; the card only places and moves the text."""

    def __init__(self, context: TerminalContext, options: OnbonOptions) -> None:
        self.poll_every_s = options.poll_every_s
        self._context = context
        self._options = options
        self._transport: Transport | None = None
        self._decoder = PacketDecoder()
        self._shown: DisplayMessage | None = None
        self._not_restored: FaultReport | None = None

    async def start(self, connection: Connection) -> None:
        """Switch on, set the brightness, and show again what was there before the connection was lost."""
        if not isinstance(connection, Transport):
            raise TerminalError("an Onbon card needs a port of its own", hint="write port: tcp://HOST:5005")
        self._transport = connection
        self._carried_out(await self._ask(codec.power(True)))
        if self._options.brightness is not None:
            self._carried_out(await self._ask(codec.set_brightness(self._options.brightness)))
        self._not_restored = None
        if self._shown is not None:
            await self._restore(self._shown)

    async def poll(self) -> Health:
        """Ping. A card that refuses even that is online with a fault; one whose firmware has no ping just lives."""
        reply = await self._ask(codec.ping())
        faults = () if self._not_restored is None else (self._not_restored,)
        if not reply.is_ack and reply.error != _NO_COMMAND:
            faults = (_report(reply.error),)
        return Health(faults=faults, info={"card": self._options.card, "address": self._options.device_address})

    async def show(self, message: DisplayMessage) -> None:
        """Put a message on the panel; returns once the card has acknowledged it. Blinking is not in this protocol.

        Raises ``LocalCodecError`` for what the panel can't show, ``Fault`` with ``display.nak`` when the card refuses.
        """
        request = self._request_for(message)
        before, self._shown = self._shown, message  # a message that is lost with the port is shown after reconnecting
        reply = await self._ask(request)
        if not reply.is_ack:
            self._shown = before
        self._carried_out(reply)
        self._not_restored = None

    def _request_for(self, message: DisplayMessage) -> Request:
        area = self._area_for(message)
        size = len(codec.encode_area(area))
        limit = _AREA_LIMIT[self._options.card]
        if size > limit:
            raise LocalCodecError(f"the text needs {size} bytes, a {self._options.card} card has {limit}: shorten it")
        return codec.show_area(area)

    def _area_for(self, message: DisplayMessage) -> Area:
        options = self._options
        lines = self._lines_of(message)
        too_wide = any(line_width(line, options.cell_px) > options.width_px for line in lines)
        return Area(
            width=options.width_px,
            height=options.height_px,
            text=codec.compose(lines, _COLOURS[message.colour], options.font_px),
            pixels=options.card == "6k",
            mode=DisplayMode[(options.wide_mode if too_wide else options.mode).upper()],
            speed=options.speed,
            stay=round(options.stay_s * 2),
        )

    def _lines_of(self, message: DisplayMessage) -> tuple[str, ...]:
        if self._options.lines == 1:
            return (message.text,)
        if len(message.lines) > self._options.lines:
            raise LocalCodecError(
                f"the message has {len(message.lines)} lines, the display has room for {self._options.lines}",
                hint="lower main_boards.lines, or set the driver's option lines to what the panel shows",
            )
        return message.lines

    async def _restore(self, message: DisplayMessage) -> None:
        reply = await self._ask(self._request_for(message))
        if not reply.is_ack:
            self._not_restored = _report(reply.error)
            self._context.log.warning("display refused its last message", terminal=self._context.terminal)

    async def _ask(self, request: Request) -> Reply:
        """One exchange; a card that is busy is asked once more."""
        reply = await self._exchange(request)
        if reply.is_ack or reply.error != _BUSY:
            return reply
        await self._context.clock.sleep(_BUSY_WAIT_S)
        return await self._exchange(request)

    async def _exchange(self, request: Request) -> Reply:
        transport = self._open_transport()
        await transport.drain_input()
        self._decoder.reset()
        packet = Packet(self._options.device_address, CLIENT_ADDRESS, codec.encode_request(request))
        await transport.write(encode_packet(packet))
        try:
            async with self._context.clock.timeout(self._options.ack_timeout_s):
                return await self._answer(transport)
        except TimeoutError as exc:
            raise TransportTimeout(
                f"{transport.name}: the card did not answer within {self._options.ack_timeout_s:g} s",
                hint="check the panel's power, and that device_address is the card's screen number",
            ) from exc

    async def _answer(self, transport: Transport) -> Reply:
        """The next ACK or NAK to us; heartbeats and other clients' answers are passed over."""
        while True:
            packet = self._decoder.next()
            if packet is None:
                self._decoder.feed(await transport.read())
            elif packet.destination == CLIENT_ADDRESS:
                reply = codec.decode_reply(packet.data)
                if reply.command in (Command.ACK, Command.NAK):
                    self._check_source(packet)
                    return _consistent(reply)

    def _check_source(self, packet: Packet) -> None:
        address = self._options.device_address
        if address not in (WILDCARD_ADDRESS, packet.source):
            raise Mismatch(
                f"the card that answers has address {packet.source}, not {address}",
                hint="set device_address to the card's screen number, or leave it out where one card is on the port",
            )

    def _open_transport(self) -> Transport:
        if self._transport is None:
            raise TerminalError("the display has not been started")
        return self._transport

    def _carried_out(self, reply: Reply) -> None:
        if not reply.is_ack:
            report = _report(reply.error)
            raise Fault(NAK, report.message, hint=report.hint)


def _consistent(reply: Reply) -> Reply:
    if reply.is_ack and reply.error:
        raise RemoteCodecError(f"the card acknowledges with error {reply.error}")
    return reply


def _report(error: int) -> FaultReport:
    meaning, remedy = codec.ERRORS.get(error, ("unknown error", "look the number up in the card's manual"))
    return FaultReport(NAK, Severity.ERROR, f"the card refuses: {meaning} ({error})", hint=remedy)
