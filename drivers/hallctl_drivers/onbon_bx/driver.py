"""An Onbon BX-5K/6K font card as a number display.

What is shown lives in the card's RAM (protocol section 8.2.1), so every fresh connection gets it again. A card answers
one request at a time and its answers carry no number: whatever arrived before a request is thrown away.
"""

from hallctl.driver import (
    BusLine,
    Colour,
    Connection,
    DisplayMessage,
    Health,
    NumberDisplay,
    TerminalContext,
    TerminalDriver,
)
from hallctl.driver.ledpanel import line_width
from hallctl.errors import Fault, LocalCodecError, TerminalError
from hallctl.model import FaultReport, Severity
from hallctl.transport import Transport
from hallctl_drivers.onbon_bx import codec
from hallctl_drivers.onbon_bx.codec import Area, CardColour, DisplayMode, Reply, Request
from hallctl_drivers.onbon_bx.config import OnbonBusOptions, OnbonOptions
from hallctl_drivers.onbon_bx.wire import BusWire, CardWire, PortWire

NAK = "display.nak"
_BUSY = 3
_NO_COMMAND = 2
_BUSY_WAIT_S = 0.3  # then the one retry; section 2.1: a card takes an update a second at most
_AREA_LIMIT = {"5k": 512, "6k": 1024}  # bytes of one dynamic area, section 8.2.1
_COLOURS = {Colour.RED: CardColour.RED, Colour.GREEN: CardColour.GREEN, Colour.YELLOW: CardColour.YELLOW}


class OnbonDisplay(TerminalDriver, NumberDisplay):
    """One panel. Messages are laid out here; the card only places and moves the text."""

    def __init__(self, context: TerminalContext, options: OnbonOptions | OnbonBusOptions) -> None:
        self.poll_every_s = options.poll_every_s
        self._context = context
        self._options = options
        self._wire: CardWire | None = None
        self._shown: DisplayMessage | None = None
        self._not_restored: FaultReport | None = None
        self._on = True
        self._level = options.brightness

    async def start(self, connection: Connection) -> None:
        """Switch on (or off, as it was set), set the brightness, and show again what was there before."""
        self._wire = self._connected(connection)
        self._carried_out(await self._ask(codec.power(self._on), urgent=False))
        if self._level is not None:
            self._carried_out(await self._ask(codec.set_brightness(self._level), urgent=False))
        self._not_restored = None
        if self._shown is not None:
            await self._restore(self._shown)

    def _connected(self, connection: Connection) -> CardWire:
        timeout_s = self._options.ack_timeout_s
        match connection, self._options:
            case Transport() as port, OnbonOptions(device_address=address):
                return PortWire(port, address, self._context.clock, timeout_s)
            case BusLine() as line, OnbonBusOptions():
                return BusWire(line, timeout_s)
        if isinstance(self._options, OnbonOptions):
            raise TerminalError("an Onbon card needs a port of its own", hint="write port: tcp://HOST:5005")
        raise TerminalError("an Onbon card on a shared line needs a bus and an address", hint="write bus: and address:")

    async def poll(self) -> Health:
        """Ping. A card that refuses even that is online with a fault; one whose firmware has no ping just lives."""
        reply = await self._ask(codec.ping(), urgent=False)
        faults = () if self._not_restored is None else (self._not_restored,)
        if not reply.is_ack and reply.error != _NO_COMMAND:
            faults = (_report(reply.error),)
        return Health(faults=faults, info=self._info())

    async def show(self, message: DisplayMessage) -> None:
        """Put a message on the panel; returns once the card has acknowledged it. Blinking is a colour here.

        Raises ``LocalCodecError`` for what the panel can't show, ``Fault`` with ``display.nak`` when the card refuses.
        """
        request = self._request_for(message)
        before, self._shown = self._shown, message  # a message that is lost with the port is shown after reconnecting
        reply = await self._ask(request)
        if not reply.is_ack:
            self._shown = before
        self._carried_out(reply)
        self._not_restored = None

    async def set_power(self, on: bool) -> bool:
        """Now, and at every start until it is set anew; the card keeps what it shows."""
        self._on = on
        self._carried_out(await self._ask(codec.power(on)))
        return True

    async def set_brightness(self, percent: int) -> bool:
        """In the card's 16 steps; now, and at every start until it is set anew."""
        self._level = round(percent * codec.MAX_BRIGHTNESS / 100)
        self._carried_out(await self._ask(codec.set_brightness(self._level)))
        return True

    def _info(self) -> dict[str, object]:
        address = self._wire.address if self._wire is not None else None
        return {"card": self._options.card, "address": address, "on": self._on, "brightness": self._level}

    def _request_for(self, message: DisplayMessage) -> Request:
        if not message.text.strip():
            return codec.clear()
        area = self._area_for(message)
        size = len(codec.encode_area(area))
        limit = _AREA_LIMIT[self._options.card]
        if size > limit:
            raise LocalCodecError(f"the text needs {size} bytes, a {self._options.card} card has {limit}: shorten it")
        return codec.show_area(area)

    def _area_for(self, message: DisplayMessage) -> Area:
        options = self._options
        lines = self._lines_of(message)
        widest = max(line_width(line, options.cell_px) for line in lines)
        if widest > options.width_px and options.too_wide == "refuse":
            hint = f"the panel has {options.width_px} dots: shorten the wording, or let it move (too_wide: scroll)"
            raise LocalCodecError(f"the text is {widest} dots wide", hint=hint)
        return Area(
            width=options.width_px,
            height=options.height_px,
            text=codec.compose(lines, self._colour(message), options.font_px),
            pixels=options.card == "6k",
            mode=DisplayMode[(options.wide_mode if widest > options.width_px else options.mode).upper()],
            speed=options.speed,
            stay=round(options.stay_s * 2),
        )

    def _colour(self, message: DisplayMessage) -> CardColour:
        """Fonts of these cards don't flash: what should blink is shown in another colour for that time."""
        if message.blink and self._options.blink_colour is not None:
            return _COLOURS[Colour(self._options.blink_colour)]
        return _COLOURS[message.colour]

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

    async def _ask(self, request: Request, *, urgent: bool = True) -> Reply:
        """One exchange; a card that is busy is asked once more."""
        if self._wire is None:
            raise TerminalError("the display has not been started")
        reply = await self._wire.exchange(request, urgent=urgent)
        if reply.is_ack or reply.error != _BUSY:
            return reply
        await self._context.clock.sleep(_BUSY_WAIT_S)
        return await self._wire.exchange(request, urgent=urgent)

    def _carried_out(self, reply: Reply) -> None:
        if not reply.is_ack:
            report = _report(reply.error)
            raise Fault(NAK, report.message, hint=report.hint)


def _report(error: int) -> FaultReport:
    meaning, remedy = codec.ERRORS.get(error, ("unknown error", "look the number up in the card's manual"))
    return FaultReport(NAK, Severity.ERROR, f"the card refuses: {meaning} ({error})", hint=remedy)
