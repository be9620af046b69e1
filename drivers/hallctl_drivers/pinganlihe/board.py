"""A 平安力合 main board: the hall's last calls, line under line.

What the maker's command 2A carries beyond a call is not documented, so the board is sent whole texts unless ``native``
is set. A text has no line ends: each line is filled up with blanks to the board's width, so that the next begins below.
"""

from hallctl.driver import DisplayKind, DisplayMessage, TerminalContext
from hallctl.driver.ledpanel import columns_of
from hallctl.errors import LocalCodecError
from hallctl_drivers.pinganlihe import codec
from hallctl_drivers.pinganlihe.codec import Frame
from hallctl_drivers.pinganlihe.config import BoardOptions
from hallctl_drivers.pinganlihe.driver import PingAnLiHeBar


class PingAnLiHeBoard(PingAnLiHeBar):
    """One board; its bus address is the terminal's."""

    def __init__(self, context: TerminalContext, options: BoardOptions) -> None:
        super().__init__(context, options)
        self._board = options

    def _native(self, message: DisplayMessage) -> Frame | None:
        """The newest call as the board's own; everything else is a text."""
        if not self._board.native or message.kind is not DisplayKind.BOARD:
            return None
        call = self._call(message)
        return None if call is None else codec.main_board(self._bus_line().address, call)

    def _lines(self, message: DisplayMessage) -> tuple[str, ...]:
        if len(message.lines) > self._board.lines:
            raise LocalCodecError(
                f"the message has {len(message.lines)} lines, the board has room for {self._board.lines}",
                hint="lower main_boards.lines, or set the driver's option lines to what the board shows",
            )
        return message.lines

    def _wording(self, message: DisplayMessage) -> str:
        *above, last = message.lines or ("",)
        filled = (line + " " * (-columns_of(line) % self._board.columns) for line in above)
        return "".join(filled) + last
