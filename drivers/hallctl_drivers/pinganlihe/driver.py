"""A 平安力合 window bar as a number display on a shared RS-485 bus.

The bar words welcome, pause and serving itself ("native"), and calls whose ticket it would show just as it is printed;
everything else is an instant text. Those are not acknowledged, so a check follows them: a dead bar has shown nothing.
"""

import re
from dataclasses import replace

from hallctl.driver import (
    BusLine,
    Colour,
    Connection,
    DisplayKind,
    DisplayMessage,
    Health,
    NumberDisplay,
    TerminalContext,
    TerminalDriver,
)
from hallctl.driver.ledpanel import columns_of
from hallctl.errors import LocalCodecError, RemoteCodecError, TerminalError, TransportTimeout
from hallctl_drivers.pinganlihe import codec
from hallctl_drivers.pinganlihe.codec import Call, Checksum, Command, Frame, InstantText, Sub, TextColour
from hallctl_drivers.pinganlihe.config import PingAnLiHeOptions

_TICKET = re.compile(r"(?P<prefix>[A-Z]?)(?P<digits>[0-9]{1,4})")
_SUBS = {DisplayKind.WELCOME: Sub.WELCOME, DisplayKind.PAUSED: Sub.PAUSE, DisplayKind.SERVING: Sub.SERVING}
_MODES = {"1616": (8, 7), "3232b": (11, 10)}  # card -> (instant, flash), protocol V2.1
_COLOURS = {Colour.RED: TextColour.RED, Colour.GREEN: TextColour.GREEN, Colour.YELLOW: TextColour.YELLOW}


class PingAnLiHeBar(TerminalDriver, NumberDisplay):
    """One bar; its bus address is the terminal's."""

    def __init__(self, context: TerminalContext, options: PingAnLiHeOptions) -> None:
        self.poll_every_s = options.poll_every_s
        self._context = context
        self._options = options
        self._checksum = Checksum(options.checksum)
        self._line: BusLine | None = None
        self._shown: DisplayMessage | None = None

    async def start(self, connection: Connection) -> None:
        """Ask whether the bar lives, and show again what was there before it was lost.

        Not urgent: a bar that stays dead must not cost its neighbours bus time with every attempt.
        """
        if not isinstance(connection, BusLine):
            raise TerminalError(
                "a 平安力合 bar needs a bus and an address", hint="write bus: and address: in hall.yaml"
            )
        self._line = connection
        await self._check(urgent=False)
        if self._shown is not None:
            await self._send(self._shown)

    async def poll(self) -> Health:
        """The same question, behind everybody's calls. The version is what the bar says of itself."""
        answer = await self._check(urgent=False)
        version = answer.data.hex(" ") if answer is not None and answer.command == Command.VERSION else ""
        info = {"card": self._options.card, "checked": self._options.check != "none"}
        return Health(info={**info, "version": version} if version else info)

    async def show(self, message: DisplayMessage) -> None:
        """Put a message on the bar; returns once the bar has answered (unless ``check`` is none).

        A call that only stops blinking changes nothing on a bar that words calls itself: it is not sent again, so that
        nobody takes it for a recall. Raises ``LocalCodecError`` for what the bar can't show.
        """
        plan = self._plan(message)  # what can't be said must not replace what is shown after a reconnect
        before, self._shown = self._shown, message
        if isinstance(plan, Frame) and before is not None and before.blink and message == replace(before, blink=False):
            return
        await self._send(message)

    async def _send(self, message: DisplayMessage) -> None:
        plan = self._plan(message)
        line = self._bus_line()
        if not isinstance(plan, Frame):
            for text in plan:
                await line.send(codec.encode_text(text))
            await self._check(urgent=True)
        elif self._options.check == "none":
            await line.send(codec.encode(plan, self._checksum))
        else:
            await self._ask(plan, urgent=True)

    def _plan(self, message: DisplayMessage) -> Frame | tuple[InstantText, ...]:
        native = self._native(message) if message.text.strip() else None  # the bar has no word for nothing
        if native is not None:
            return native
        texts = self._texts(message)
        for text in texts:
            codec.encode_text(text)
        return texts

    def _texts(self, message: DisplayMessage) -> tuple[InstantText, ...]:
        """What goes out where the bar can't word the message itself."""
        widest = columns_of(message.text)
        return (self._text(self._bus_line().address, message.text, message, widest, self._options.whole_screen),)

    def _text(self, address: int, text: str, message: DisplayMessage, widest: int, whole_screen: bool) -> InstantText:
        blank = not text.strip()
        return InstantText(
            address=address,
            text=" " if blank else text,  # a blank clears: the document has no other way
            mode=self._mode(widest, message.blink),
            speed=self._options.speed,
            stay=self._options.stay,
            colour=_COLOURS[message.colour],
            whole_screen=whole_screen or blank,
        )

    def _mode(self, widest: int, blink: bool) -> int:
        """The mode byte. Raises ``LocalCodecError`` for a line that is too wide, where that is refused."""
        instant, flash = _MODES[self._options.card]
        limit = self._options.columns
        if widest <= limit:
            return flash if blink else instant
        if self._options.too_wide == "refuse":
            hint = "a Chinese character takes two columns: shorten the wording, or let it move (too_wide: scroll)"
            raise LocalCodecError(f"the text is {widest} columns wide, the bar has {limit}", hint=hint)
        return instant if self._options.scroll_mode is None else self._options.scroll_mode

    def _native(self, message: DisplayMessage) -> Frame | None:
        """The bar's own form; ``None`` where it can't say all of the message.

        Colour and blinking are not in it: a bar shows its own calls in its own way, so that a call's blinking is left
        to it. A call in another colour, or another message that has to blink, is an instant text. Welcome, pause and
        serving have a colour of the hall's own (``hall.window``), which nobody chose for this bar.
        """
        if not self._options.native:
            return None
        address = self._bus_line().address
        if message.kind is DisplayKind.CALL and message.colour is Colour.RED:
            call = self._call(message)
            return None if call is None else codec.window_bar(address, Sub.CALL, call)
        sub = None if message.blink else _SUBS.get(message.kind)
        return None if sub is None else codec.window_bar(address, sub)

    def _call(self, message: DisplayMessage) -> Call | None:
        """The ticket as letter and number, if the bar would show it just as it is printed."""
        ticket = _TICKET.fullmatch(message.ticket or "")
        if ticket is None:
            return None
        number = int(ticket["digits"])
        if f"{number:0{self._options.digits}d}" != ticket["digits"]:
            return None
        window = self._window(message.window)
        return None if window is None else Call(number, window, ticket["prefix"])

    def _window(self, label: str | None) -> int | None:
        if self._options.window_number is not None:
            return self._options.window_number
        if label is not None and label.isascii() and label.isdigit():
            return int(label) if int(label) <= 99 else None
        address = self._bus_line().address
        return address if address <= 99 else None

    async def _check(self, *, urgent: bool) -> Frame | None:
        line = self._bus_line()
        match self._options.check:
            case "online":
                return await self._ask(codec.online_check(line.address), urgent=urgent)
            case "version":
                return await self._ask(codec.version_query(line.address), urgent=urgent)
        line.check()  # nothing is asked, but a bus that is closed is still an error
        return None

    async def _ask(self, frame: Frame, *, urgent: bool) -> Frame:
        """Send and wait for the bar's answer; our own frame, heard back from a two-wire adapter, is none."""
        line = self._bus_line()
        sent = codec.encode(frame, self._checksum)

        def answers(raw: bytes) -> bool:
            return raw != sent and self._is_answer(raw, frame)

        try:
            raw = await line.exchange(sent, answers, timeout_s=self._options.ack_timeout_s, urgent=urgent)
        except TransportTimeout as exc:
            hint = "check the bar's power, its address and the bus wires A and B; set check to none if it never answers"
            raise TransportTimeout(f"bar {line.address}: {exc.message}", hint=hint) from exc
        return codec.decode(raw, self._checksum)

    def _is_answer(self, raw: bytes, asked: Frame) -> bool:
        try:
            answer = codec.decode(raw, self._checksum)
        except RemoteCodecError:  # an instant text, or the other reading of the checksum
            return False
        kinds = (Command.ACK, Command.VERSION) if asked.command == Command.VERSION else (Command.ACK,)
        return answer.address == asked.address and answer.command in kinds

    def _bus_line(self) -> BusLine:
        if self._line is None:
            raise TerminalError("the bar has not been started")
        return self._line
