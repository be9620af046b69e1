"""A 欣瑞 window bar as a number display on a shared RS-485 bus.

The protocol has one command: a text. So the question whether a bar lives is its own text once more, and a bar that
was without power shows it again with the next question.
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
from hallctl.driver.ledpanel import columns_of
from hallctl.errors import Fault, LocalCodecError, RemoteCodecError, TerminalError, TransportTimeout
from hallctl_drivers.xinrui import codec
from hallctl_drivers.xinrui.codec import Text
from hallctl_drivers.xinrui.config import XinruiOptions

NAK = "display.nak"
_BLANK = ((" ", 0),)


class XinruiBar(TerminalDriver, NumberDisplay):
    """One bar; its bus address is the terminal's."""

    def __init__(self, context: TerminalContext, options: XinruiOptions) -> None:
        self.poll_every_s = options.poll_every_s
        self._context = context
        self._options = options
        self._line: BusLine | None = None
        self._shown: DisplayMessage | None = None

    async def start(self, connection: Connection) -> None:
        """Show again what was there before; a bar that has shown nothing yet gets a blank.

        Not urgent: a bar that stays dead must not cost its neighbours bus time with every attempt.
        """
        if not isinstance(connection, BusLine):
            raise TerminalError("a 欣瑞 bar needs a bus and an address", hint="write bus: and address: in hall.yaml")
        self._line = connection
        connection.check()
        await self._put(self._text(self._shown), urgent=False)

    async def poll(self) -> Health:
        """The same text behind everybody's calls. A bar that refuses it lives, and shows something else."""
        line = self._bus_line()
        line.check()
        if self._options.check == "resend":
            await self._put(self._text(self._shown), urgent=False)
        return Health(info={"checked": self._options.check != "none"})

    async def show(self, message: DisplayMessage) -> None:
        """Put a text on the bar; returns once the bar has said that it shows it (unless ``check`` is none).

        Raises ``LocalCodecError`` for what the bar can't show, ``Fault`` with ``display.nak`` when it refuses.
        """
        text = self._text(message)
        codec.encode_text(text)  # what can't be said must not replace what is shown after a reconnect
        before, self._shown = self._shown, message
        try:
            await self._put(text, urgent=True)
        except Fault:
            self._shown = before
            raise

    def _text(self, message: DisplayMessage | None) -> Text:
        if message is None or not message.text.strip():
            return Text(self._bus_line().address, _BLANK)
        width = columns_of(message.text)
        if width > self._options.columns and self._options.too_wide == "refuse":
            hint = f"the bar has {self._options.columns} columns, a Chinese character takes two: shorten the wording"
            raise LocalCodecError(f"the text is {width} columns wide", hint=hint)
        colour = self._colour(message)
        return Text(self._bus_line().address, tuple((character, colour) for character in message.text))

    def _colour(self, message: DisplayMessage) -> int:
        wanted = message.colour
        if message.blink and self._options.blink_colour is not None:
            wanted = self._options.blink_colour
        colours = self._options.colours
        return colours.get(wanted, colours.get(Colour.RED, 0))

    async def _put(self, text: Text, *, urgent: bool) -> None:
        """Send and wait for the bar's word; our own frame, heard back from a two-wire adapter, is none."""
        line, raw = self._bus_line(), codec.encode_text(text)
        if self._options.check == "none":
            await line.send(raw, urgent=urgent)
            return
        try:
            answer = await line.exchange(raw, _is_reply, timeout_s=self._options.ack_timeout_s, urgent=urgent)
        except TransportTimeout as exc:
            hint = "check the bar's power, its address and the bus wires A and B; set check to none if it never answers"
            raise TransportTimeout(f"bar {line.address}: {exc.message}", hint=hint) from exc
        if not codec.decode_reply(answer).done:
            raise Fault(
                NAK, f"bar {line.address} can't show {text.text!r}", hint="shorten the text or change its colour"
            )

    def _bus_line(self) -> BusLine:
        if self._line is None:
            raise TerminalError("the bar has not been started")
        return self._line


def _is_reply(raw: bytes) -> bool:
    try:
        codec.decode_reply(raw)
    except RemoteCodecError:
        return False
    return True
