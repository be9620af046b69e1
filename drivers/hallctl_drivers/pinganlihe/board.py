"""A 平安力合 main board: the hall's last calls, line under line.

What the maker's command 2A carries beyond a call is not documented, so the board is sent whole texts unless ``native``
is set. A text has no line ends: each line is filled up with blanks to the board's width, so that the next begins below.
A board that an installer put together from bars has an address a row, and each row gets its line as a bar does.
"""

import re

from hallctl.driver import Colour, DisplayKind, DisplayMessage, TerminalContext
from hallctl.driver.ledpanel import columns_of
from hallctl.errors import LocalCodecError
from hallctl_drivers.pinganlihe import codec
from hallctl_drivers.pinganlihe.codec import Command, Frame, InstantText
from hallctl_drivers.pinganlihe.config import BoardOptions
from hallctl_drivers.pinganlihe.driver import PingAnLiHeBar

_NUMBER = re.compile(rf"[0-9A-Za-z]{{1,{codec.MAX_DIGITS}}}")
_NUMBER_COMMANDS = {"2b": Command.NUMBER, "2d": Command.NUMBER_ALTERNATE}


class PingAnLiHeBoard(PingAnLiHeBar):
    """One board; its bus address is the terminal's, and with ``rows`` the one that proves that it lives."""

    def __init__(self, context: TerminalContext, options: BoardOptions) -> None:
        super().__init__(context, options)
        self._board = options

    def _native(self, message: DisplayMessage) -> Frame | None:
        """The newest call as the board's own; everything else, other colours included, is a text."""
        if not self._board.native or message.kind is not DisplayKind.BOARD or message.colour is not Colour.RED:
            return None
        call = self._call(message)
        return self._number(message.ticket) if call is None else codec.main_board(self._bus_line().address, call)

    def _number(self, ticket: str | None) -> Frame | None:
        """A ticket that a call can't carry, as the ASCII number that some boards take."""
        command = self._board.number_command
        if command is None or ticket is None or not _NUMBER.fullmatch(ticket):
            return None
        return codec.ascii_number(self._bus_line().address, ticket, _NUMBER_COMMANDS[command])

    def _texts(self, message: DisplayMessage) -> tuple[InstantText, ...]:
        if self._board.is_one_line:
            return super()._texts(message)
        lines, room = message.lines, self._board.room
        if len(lines) > room:
            raise LocalCodecError(
                f"the message has {len(lines)} lines, the board has room for {room}",
                hint="lower main_boards.lines, or set the driver's option lines to what the board shows",
            )
        if self._board.rows:
            return self._row_by_row(message)
        widest = max((columns_of(line) for line in lines), default=0)
        whole_screen = self._options.whole_screen
        return (self._text(self._bus_line().address, self._filled(lines), message, widest, whole_screen),)

    def _row_by_row(self, message: DisplayMessage) -> tuple[InstantText, ...]:
        rows = self._board.rows
        lines = (*message.lines, *[""] * (len(rows) - len(message.lines)))
        return tuple(
            self._text(address, line, message, columns_of(line), False)
            for address, line in zip(rows, lines, strict=True)
        )

    def _filled(self, lines: tuple[str, ...]) -> str:
        *above, last = lines or ("",)
        return "".join(line + " " * (-columns_of(line) % self._board.columns) for line in above) + last
