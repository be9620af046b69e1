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
from hallctl_drivers.onbon_bx.codec import Area, CardColour, Command, DisplayMode, Reply, Request
from hallctl_drivers.onbon_bx.config import OnbonBusOptions, OnbonOptions
from hallctl_drivers.onbon_bx.frame import CLIENT_ADDRESS, WILDCARD_ADDRESS
from hallctl_drivers.onbon_bx.wire import BusWire, CardWire, PortWire

NAK = "display.nak"
_BUSY = 3
_NO_COMMAND = 2
_BUSY_WAIT_S = 0.3  # then the one retry; section 2.1: a card takes an update a second at most
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
        self._renew = options.has_area_per_line  # areas of an earlier layout must not lie under the lines'

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
                _check_number(line.address)
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
        self._drawn(request)
        self._not_restored = None

    async def set_power(self, on: bool) -> bool:
        """Now, and at every start until it is set anew; the card keeps what it shows. Raises ``Fault``."""
        before, self._on = self._on, on
        reply = await self._ask(codec.power(on))
        if not reply.is_ack:
            self._on = before  # else each start would ask for it again, and fail
        self._carried_out(reply)
        return True

    async def set_brightness(self, percent: int) -> bool:
        """In the card's 16 steps; now, and at every start until it is set anew. Raises ``Fault``."""
        before, self._level = self._level, round(percent * codec.MAX_BRIGHTNESS / 100)
        reply = await self._ask(codec.set_brightness(self._level))
        if not reply.is_ack:
            self._level = before
        self._carried_out(reply)
        return True

    def _info(self) -> dict[str, object]:
        address = self._wire.address if self._wire is not None else None
        return {"card": self._options.card, "address": address, "on": self._on, "brightness": self._level}

    def _request_for(self, message: DisplayMessage) -> Request:
        if not message.text.strip():
            return codec.clear()
        request = codec.show_areas(self._areas_for(message), renew=self._renew)
        size = len(codec.encode_request(request))
        limit = codec.MAX_DATA[self._options.card]
        if size > limit:
            raise LocalCodecError(f"the text needs {size} bytes, a {self._options.card} card has {limit}: shorten it")
        return request

    def _areas_for(self, message: DisplayMessage) -> tuple[Area, ...]:
        """One area for all, or one a line; a line that is not used is blank, whatever stood there before."""
        options, colour = self._options, self._colour(message)
        lines = self._lines_of(message)
        if not options.has_area_per_line:
            return (self._area(lines, colour, options.height_px),)
        height = options.height_px // options.lines
        rows = (*lines, *[""] * (options.lines - len(lines)))
        return tuple(self._area((line or " ",), colour, height, number) for number, line in enumerate(rows))

    def _area(self, lines: tuple[str, ...], colour: CardColour, height: int, number: int = 0) -> Area:
        options = self._options
        moves = self._is_too_wide(lines)
        return Area(
            width=options.width_px,
            height=height,
            text=codec.compose(lines, colour, options.font_px),
            y=number * height,
            number=number,
            pixels=options.card == "6k",
            single_line=moves and len(lines) == 1,
            mode=DisplayMode[(options.wide_mode if moves else options.mode).upper()],
            speed=options.speed,
            stay=round(options.stay_s * 2),
        )

    def _is_too_wide(self, lines: tuple[str, ...]) -> bool:
        """Raises ``LocalCodecError`` where that is refused."""
        widest, limit = max(line_width(line, self._options.cell_px) for line in lines), self._options.width_px
        if widest > limit and self._options.too_wide == "refuse":
            hint = f"the panel has {limit} dots: shorten the wording, or let it move (too_wide: scroll)"
            raise LocalCodecError(f"the text is {widest} dots wide, the panel has {limit}", hint=hint)
        return widest > limit

    def _drawn(self, request: Request) -> None:
        if request.command == Command.SHOW:
            self._renew = False

    def _colour(self, message: DisplayMessage) -> CardColour:
        """Fonts of these cards don't flash: what should blink is shown in another colour for that time."""
        if not message.blink or self._options.blink_colour is None:
            return _COLOURS[message.colour]
        other = Colour(self._options.blink_colour)
        if other is message.colour:
            other = Colour.RED if other is Colour.YELLOW else Colour.YELLOW
        return _COLOURS[other]

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
        request = self._request_for(message)
        reply = await self._ask(request)
        if not reply.is_ack:
            self._not_restored = _report(reply.error)
            self._context.log.warning("display refused its last message", terminal=self._context.terminal)
            return
        self._drawn(request)

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


def _check_number(address: int) -> None:
    """Some numbers mean all cards, or us: a single card on a line has none of them."""
    if not 1 <= address < WILDCARD_ADDRESS or address == CLIENT_ADDRESS:
        raise TerminalError(
            f"{address} is no screen number of a card on a shared line",
            hint=f"give each card a number of its own, 1 to {WILDCARD_ADDRESS - 1} but {CLIENT_ADDRESS}",
        )


def _report(error: int) -> FaultReport:
    meaning, remedy = codec.ERRORS.get(error, ("unknown error", "look the number up in the card's manual"))
    return FaultReport(NAK, Severity.ERROR, f"the card refuses: {meaning} ({error})", hint=remedy)
