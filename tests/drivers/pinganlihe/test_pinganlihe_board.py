"""Main boards of every kind: put together from bars, or with commands of their own."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hallctl_drivers.pinganlihe import BOARD, codec
from hallctl_drivers.pinganlihe.board import PingAnLiHeBoard
from hallctl_drivers.pinganlihe.codec import Command, Frame
from hallctl_drivers.pinganlihe.config import BoardOptions
from hallctl_drivers.pinganlihe.sim import BoardSimulator, PingAnLiHeSimulator
from pydantic import ValidationError

from hallctl.clock import SystemClock
from hallctl.driver import Colour, DisplayKind, DisplayMessage, TerminalContext, on_pty
from hallctl.errors import LocalCodecError
from hallctl.terminal import Bus
from hallctl.transport import PortAddress

CALLS = DisplayMessage(DisplayKind.BOARD, ("A001号→3号", "B002号→4号"), ticket="A001", window="3")


class Log:
    def debug(self, event: str, **_fields: object) -> None: ...

    info = warning = debug


async def nobody(_signal: object, /) -> None: ...


@pytest.fixture
def make_board() -> Callable[..., PingAnLiHeBoard]:
    def make(**options: Any) -> PingAnLiHeBoard:
        context = TerminalContext("board", SystemClock(), Log(), nobody)
        return PingAnLiHeBoard(context, BoardOptions(**options))

    return make


def rows(*addresses: int) -> list[PingAnLiHeSimulator]:
    return [PingAnLiHeSimulator(address=address) for address in addresses]


async def test_a_board_put_together_from_bars_has_a_line_on_each(make_board: Any, small_bus: Any) -> None:
    bars = rows(91, 92, 93)
    board = make_board(rows=[91, 92, 93], columns=16)
    await board.start(small_bus(91, *bars))
    await board.show(CALLS)
    assert [bar.shown.lines for bar in bars] == [("A001号→3号",), ("B002号→4号",), ()]
    assert [bar.refused for bar in bars] == [[], [], []]


async def test_a_row_that_is_too_wide_moves_alone(make_board: Any, small_bus: Any) -> None:
    bars = rows(1, 2)
    board = make_board(rows=[1, 2], columns=10, scroll_mode=1)
    await board.start(small_bus(1, *bars))
    await board.show(DisplayMessage(DisplayKind.BOARD, ("A001号→3号窗口", "B2→4号")))
    assert [[text.mode for text in bar.frames if not isinstance(text, Frame)] for bar in bars] == [[1], [8]]


async def test_a_board_of_one_line_shows_all_lines_in_a_row(make_board: Any, small_bus: Any) -> None:
    board = BoardSimulator(lines=1, columns=64)
    driver = make_board(lines=1, columns=64)
    await driver.start(small_bus(1, board))
    await driver.show(CALLS)
    assert board.shown.lines == ("A001号→3号  B002号→4号",)


async def test_more_lines_than_rows_are_refused(make_board: Any, small_bus: Any) -> None:
    board = make_board(rows=[1])
    await board.start(small_bus(1, *rows(1)))
    with pytest.raises(LocalCodecError, match="has 2 lines, the board has room for 1"):
        await board.show(CALLS)


@pytest.mark.parametrize("options", [{"rows": [1, 1]}, {"rows": [256]}, {"rows": [1], "native": True}])
def test_rows_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="row"):
        BoardOptions(**options)


async def test_the_house_keeps_the_pause_between_the_rows_of_a_board() -> None:
    bars = rows(1, 2, 3)
    clock = SystemClock()
    async with asyncio.timeout(15), on_pty(bars) as path:
        bus = Bus("boards", PortAddress.parse(f"serial://{path}"), clock, Log())
        running = asyncio.create_task(bus.run())
        await bus.tried.wait()
        board = BOARD.make(TerminalContext("board", clock, Log(), nobody), BOARD.options(rows=[1, 2, 3]))
        assert isinstance(board, PingAnLiHeBoard)
        assert BOARD.framing is not None
        await board.start(bus.attach(1, BOARD.framing, BOARD.bus_gap_s))
        await board.show(CALLS)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    assert [bar.shown.lines for bar in bars] == [("A001号→3号",), ("B002号→4号",), ()]
    assert [bar.refused for bar in bars] == [[], [], []]


@pytest.mark.parametrize(("option", "command"), [("2b", Command.NUMBER), ("2d", Command.NUMBER_ALTERNATE)])
async def test_a_ticket_that_no_call_carries_goes_out_as_an_ascii_number_where_the_hall_wants_that(
    option: str, command: Command, make_board: Any, small_bus: Any
) -> None:
    board = BoardSimulator()
    driver = make_board(native=True, number_command=option)
    await driver.start(small_bus(1, board))
    await driver.show(DisplayMessage(DisplayKind.BOARD, ("VIP001号→3号窗口",), ticket="VIP001", window="3"))
    assert board.frames[-1] == codec.ascii_number(1, "VIP001", command)
    assert board.shown.lines == ("VIP001",)


@pytest.mark.parametrize(("ticket", "option"), [("VIP001", None), ("VIP0001", "2b"), ("贵宾1", "2b"), (None, "2b")])
async def test_a_ticket_that_is_no_number_either_is_a_text(
    ticket: str | None, option: str | None, make_board: Any, small_bus: Any
) -> None:
    board = BoardSimulator()
    driver = make_board(native=True, number_command=option)
    await driver.start(small_bus(1, board))
    await driver.show(DisplayMessage(DisplayKind.BOARD, ("请到3号窗口",), ticket=ticket, window="3"))
    assert board.shown.lines == ("请到3号窗口",)


async def test_a_board_of_another_colour_is_a_text_because_a_call_has_none(make_board: Any, small_bus: Any) -> None:
    board = BoardSimulator()
    driver = make_board(native=True)
    await driver.start(small_bus(1, board))
    await driver.show(DisplayMessage(DisplayKind.BOARD, ("A001号",), ticket="A001", window="3", colour=Colour.GREEN))
    assert (board.shown.native, board.shown.colour) == (False, Colour.GREEN)


@pytest.mark.parametrize("data", [b"", b"1234567", b"A-1", b"\xc7\xeb"])
def test_the_simulated_board_takes_no_number_that_is_none(data: bytes) -> None:
    board = BoardSimulator()
    assert board.feed(codec.encode(Frame(Command.NUMBER, 1, 1, data))) == b""
    assert "is no number" in board.refused[0]


@pytest.mark.parametrize("kind", [DisplayKind.WELCOME, DisplayKind.PAUSED, DisplayKind.TEXT])
@pytest.mark.parametrize("lines", [("",), (), ("", "")])
async def test_a_message_without_text_clears_a_bar_that_has_words_of_its_own(
    kind: DisplayKind, lines: tuple[str, ...], make_bar: Any, small_bus: Any
) -> None:
    bar = PingAnLiHeSimulator()
    driver = make_bar()
    await driver.start(small_bus(1, bar))
    await driver.show(DisplayMessage(kind, lines))
    assert (bar.shown.lines, bar.refused) == ((), [])
    assert bar.frames[-2].whole_screen
