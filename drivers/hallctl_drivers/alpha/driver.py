"""An Alpha (BetaBrite) sign as a number display.

Texts go into the priority file, which is always there and is shown before all that the sign was programmed with. Signs
acknowledge nothing by themselves: the error register that is read behind each text proves that it was understood.
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
from hallctl.errors import Fault, LocalCodecError, RemoteCodecError, TerminalError
from hallctl_drivers.alpha import codec
from hallctl_drivers.alpha.codec import Mode, Packet, Text, TextColour
from hallctl_drivers.alpha.config import AlphaOptions

NAK = "display.nak"
_ILLEGAL = 0x20
_COLOURS = {Colour.RED: TextColour.RED, Colour.GREEN: TextColour.GREEN, Colour.YELLOW: TextColour.AMBER}


class AlphaSign(TerminalDriver, NumberDisplay):
    """One sign; its bus address is its serial address (0: any sign)."""

    def __init__(self, context: TerminalContext, options: AlphaOptions) -> None:
        self.poll_every_s = options.poll_every_s
        self._context = context
        self._options = options
        self._line: BusLine | None = None
        self._shown: DisplayMessage | None = None
        self._percent: int | None = None

    async def start(self, connection: Connection) -> None:
        """Ask whether the sign lives, and show again what was there before it was lost."""
        if not isinstance(connection, BusLine):
            raise TerminalError("an Alpha sign needs a bus and an address", hint="write bus: and address: in hall.yaml")
        self._line = connection
        await self._errors(urgent=False)  # of what somebody else said to it
        if self._percent is not None:
            await self._say(codec.dim(connection.address, self._percent), urgent=False)
        if self._shown is not None:
            await self._put(self._shown, urgent=False)

    async def poll(self) -> Health:
        """The error register again, behind everybody's calls: what disturbs the line between two texts is seen too."""
        register = await self._errors(urgent=False)
        info = {"checked": self._options.check != "none"}
        return Health(info={**info, "line_errors": codec.meaning(register)} if register else info)

    async def show(self, message: DisplayMessage) -> None:
        """Put a text on the sign; returns once the sign has understood it (unless ``check`` is none).

        Raises ``LocalCodecError`` for what the sign can't show, ``Fault`` with ``display.nak`` when it refuses.
        """
        codec.encode_packet(self._packet(message))  # what can't be said must not replace what is shown
        before, self._shown = self._shown, message
        try:
            await self._put(message, urgent=True)
        except Fault:
            self._shown = before
            raise

    async def set_brightness(self, percent: int) -> bool:
        """The nearest of the sign's five levels, now and at every start; false where ``dimming`` is not set."""
        if not self._options.dimming:
            return False
        await self._say(codec.dim(self._bus_line().address, percent), urgent=True)
        self._percent = percent
        return True

    async def _put(self, message: DisplayMessage, *, urgent: bool) -> None:
        await self._say(self._packet(message), urgent=urgent)

    def _packet(self, message: DisplayMessage) -> Packet:
        text = message.text.strip()
        fits = len(text) <= self._options.columns
        if not fits and self._options.too_wide == "refuse":
            hint = (
                f"the sign has {self._options.columns} columns: shorten the wording, or let it move (too_wide: scroll)"
            )
            raise LocalCodecError(f"the text is {len(text)} characters wide", hint=hint)
        mode = Mode.ROTATE if not fits else Mode.FLASH if message.blink else Mode.HOLD
        return codec.write_text(self._bus_line().address, Text(text, mode, _COLOURS[message.colour]))

    async def _say(self, packet: Packet, *, urgent: bool) -> None:
        """Send, then ask what the sign made of it."""
        await self._bus_line().send(codec.encode_packet(packet), urgent=urgent)
        register = await self._errors(urgent=urgent)
        if register:
            hint = "the option dimming is not for this sign" if register & _ILLEGAL else "check the line and its 7E1"
            raise Fault(NAK, f"the sign did not take it: {codec.meaning(register)}", hint=hint)

    async def _errors(self, *, urgent: bool) -> int:
        """The error bits since the last time; they are cleared by that."""
        line = self._bus_line()
        if self._options.check == "none":
            line.check()
            return 0
        question = codec.encode_packet(codec.ask_status(line.address))
        raw = await line.exchange(question, _is_status, timeout_s=self._options.ack_timeout_s, urgent=urgent)
        register = codec.read_status(codec.decode_packet(raw)) or 0
        if register:
            await line.send(codec.encode_packet(codec.clear_status(line.address)), urgent=urgent)
        return register

    def _bus_line(self) -> BusLine:
        if self._line is None:
            raise TerminalError("the sign has not been started")
        return self._line


def _is_status(raw: bytes) -> bool:
    try:
        return codec.read_status(codec.decode_packet(raw)) is not None
    except RemoteCodecError:
        return False
