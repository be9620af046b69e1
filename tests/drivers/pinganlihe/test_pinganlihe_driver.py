"""The driver against simulated bars on a small bus; the simulated bar by itself."""

from typing import Any

import cv2
import numpy as np
import pytest
from hallctl_drivers.pinganlihe import PLUGIN, codec
from hallctl_drivers.pinganlihe.board import PingAnLiHeBoard
from hallctl_drivers.pinganlihe.codec import Call, Checksum, InstantText, Sub
from hallctl_drivers.pinganlihe.config import BoardOptions, PingAnLiHeOptions
from hallctl_drivers.pinganlihe.sim import BoardSimulator, PingAnLiHeSimulator
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hallctl.config.hall import Texts
from hallctl.config.hall import Window as WindowConfig
from hallctl.driver import Attachment, Colour, DisplayKind, DisplayMessage
from hallctl.errors import ConfigError, HallctlError, LocalCodecError, TransportLost, TransportTimeout
from hallctl.hall import Window
from hallctl.model import WindowState

CALL = DisplayMessage(DisplayKind.CALL, ("请A001号到3号窗口",), ticket="A001", window="3")


def call(ticket: str, window: str = "3", **more: Any) -> DisplayMessage:
    return DisplayMessage(DisplayKind.CALL, (f"请{ticket}号到{window}号窗口",), ticket=ticket, window=window, **more)


async def test_a_called_ticket_goes_out_as_the_bars_own_call(make_bar: Any, small_bus: Any) -> None:
    bar = PingAnLiHeSimulator(address=3)
    bus = small_bus(3, bar)
    driver = make_bar(digits=4)
    await driver.start(bus)
    await driver.show(call("B1234"))
    assert bus.sent[-1] == bytes.fromhex("A0 07 28 03 01 0C 22 03 42 42 FF")
    assert bar.shown.lines == ("请B1234号到3号窗口",)
    assert bar.refused == []


@pytest.mark.parametrize(
    ("state", "sub"),
    [
        (WindowState.WELCOME, Sub.WELCOME),
        (WindowState.PAUSED, Sub.PAUSE),
        (WindowState.SERVING, Sub.SERVING),
    ],
)
async def test_welcome_pause_and_serving_go_out_as_the_bars_own(
    state: WindowState, sub: Sub, make_bar: Any, small_bus: Any
) -> None:
    bar = PingAnLiHeSimulator()
    bus = small_bus(1, bar)
    driver = make_bar()
    await driver.start(bus)
    window = Window(WindowConfig(id="w1", label="1"), state, ticket="A001")
    await driver.show(window.message(Texts()))  # as the hall says it, in the hall's colour of that state
    assert bus.sent[-1] == codec.encode(codec.window_bar(1, sub))
    assert bar.shown.native


@pytest.mark.parametrize(
    "message",
    [
        call("A01"),  # the bar would show A001
        call("A12345"),
        call("VIP1"),
        call("a001"),
        call("A001", window="二楼"),  # native only with the address as window: see below
        call("A1", colour=Colour.GREEN, blink=True),  # a text that moves does not flash
        call("A001", colour=Colour.GREEN),
        DisplayMessage(DisplayKind.TEXT, ("请保持安静",)),
        DisplayMessage(DisplayKind.BOARD, ("A001号→3号窗口",)),
    ],
    ids=lambda message: message.text,
)
async def test_what_the_bar_cannot_word_exactly_goes_out_as_text(
    message: DisplayMessage, make_bar: Any, small_bus: Any
) -> None:
    bar = PingAnLiHeSimulator(address=120)
    driver = make_bar()
    await driver.start(small_bus(120, bar))
    await driver.show(message)
    assert bar.shown.lines == (message.text,)
    assert (bar.shown.colour, bar.shown.blink) == (message.colour, message.blink)
    assert not bar.shown.native


@pytest.mark.parametrize(("options", "window"), [({}, 7), ({"window_number": 12}, 12)])
async def test_a_window_without_a_number_is_called_by_address_or_option(
    options: dict[str, Any], window: int, make_bar: Any, small_bus: Any
) -> None:
    bar = PingAnLiHeSimulator(address=7)
    driver = make_bar(**options)
    await driver.start(small_bus(7, bar))
    await driver.show(call("A001", window="综合"))
    assert bar.shown.window == window


async def test_without_native_everything_goes_out_in_the_halls_words(make_bar: Any, small_bus: Any) -> None:
    bar = PingAnLiHeSimulator()
    driver = make_bar(native=False)
    await driver.start(small_bus(1, bar))
    await driver.show(CALL)
    assert bar.shown.lines == CALL.lines
    assert not bar.shown.native


@pytest.mark.parametrize(("card", "instant", "flash"), [("1616", 8, 7), ("3232b", 11, 10)])
async def test_the_mode_numbers_are_those_of_the_card(
    card: str, instant: int, flash: int, make_bar: Any, small_bus: Any
) -> None:
    bar = PingAnLiHeSimulator()
    driver = make_bar(card=card)
    await driver.start(small_bus(1, bar))
    await driver.show(DisplayMessage(DisplayKind.TEXT, ("一",)))
    await driver.show(DisplayMessage(DisplayKind.TEXT, ("二",), blink=True))
    assert [text.mode for text in bar.frames if isinstance(text, InstantText)] == [instant, flash]


async def test_bars_on_one_bus_obey_only_their_own_address(make_bar: Any, small_bus: Any) -> None:
    mine, other = PingAnLiHeSimulator(address=1), PingAnLiHeSimulator(address=2)
    driver = make_bar()
    await driver.start(small_bus(1, mine, other))
    await driver.show(CALL)
    assert mine.shown.lines == CALL.lines
    assert other.shown.lines == ("欢迎光临",)


async def test_checks_wait_behind_calls_and_calls_do_not(make_bar: Any, small_bus: Any) -> None:
    bus = small_bus(1, PingAnLiHeSimulator())
    driver = make_bar()
    await driver.start(bus)
    await driver.poll()
    await driver.show(CALL)
    assert bus.urgent == [False, False, True]


async def test_the_version_is_in_the_health_when_asked_for(make_bar: Any, small_bus: Any) -> None:
    driver = make_bar(check="version")
    await driver.start(small_bus(1, PingAnLiHeSimulator()))
    assert (await driver.poll()).info["version"] == "02 01"


async def test_the_last_message_is_restored_after_a_power_cycle(make_bar: Any, small_bus: Any) -> None:
    bar = PingAnLiHeSimulator()
    driver = make_bar()
    await driver.start(small_bus(1, bar))
    await driver.show(CALL)
    bar.power_cycle()
    await driver.start(small_bus(1, bar))
    assert bar.shown.lines == CALL.lines


async def test_a_message_that_was_lost_with_the_bus_is_shown_after_reconnecting(make_bar: Any, small_bus: Any) -> None:
    bar = PingAnLiHeSimulator()
    bus = small_bus(1, bar)
    driver = make_bar()
    await driver.start(bus)
    bus.unplugged = True
    with pytest.raises(TransportLost):
        await driver.show(CALL)
    await driver.start(small_bus(1, bar))
    assert bar.shown.lines == CALL.lines


async def test_a_text_that_cannot_be_shown_is_refused_and_the_old_one_stays(make_bar: Any, small_bus: Any) -> None:
    bar = PingAnLiHeSimulator()
    bus = small_bus(1, bar)
    driver = make_bar()
    await driver.start(bus)
    await driver.show(CALL)
    with pytest.raises(LocalCodecError, match=r"U\+3400"):
        await driver.show(DisplayMessage(DisplayKind.TEXT, ("㐀",)))
    await driver.start(bus)
    assert bar.shown.lines == CALL.lines


FAULTS: dict[str, type[HallctlError] | None] = {
    "mute": TransportTimeout,
    "noise": TransportTimeout,
    "half_frames": TransportTimeout,
    "wrong_address": TransportTimeout,
    "slow_ack": TransportTimeout,
    "echo": None,
    "line_noise": None,
    "collisions": TransportTimeout,
    "echo_mute": TransportTimeout,
    "other_checksum": TransportTimeout,
}


def test_every_fault_of_the_simulator_has_its_expected_error() -> None:
    assert FAULTS.keys() == PingAnLiHeSimulator.FAULTS.keys()


@pytest.mark.parametrize("fault", sorted(FAULTS))
@pytest.mark.parametrize("check", ["online", "version"])
async def test_a_fault_becomes_its_error_code(fault: str, check: str, make_bar: Any, small_bus: Any) -> None:
    driver = make_bar(check=check)
    bus = small_bus(230, PingAnLiHeSimulator(fault, 230))
    expected = FAULTS[fault]
    if expected is None:
        await driver.start(bus)
        await driver.show(DisplayMessage(DisplayKind.PAUSED, ("暂停服务",)))
        return
    with pytest.raises(expected) as raised:
        await driver.start(bus)
    assert getattr(raised.value, "code", "") == "device.mute"
    assert "address" in raised.value.hint


async def test_the_checksum_option_reaches_a_bar_that_reads_it_the_other_way(make_bar: Any, small_bus: Any) -> None:
    bar = PingAnLiHeSimulator("other_checksum", 230)
    driver = make_bar(checksum=Checksum.LOW_BYTE.value)
    await driver.start(small_bus(230, bar))
    await driver.show(DisplayMessage(DisplayKind.PAUSED, ("暂停服务",)))
    assert bar.shown.lines == ("暂停服务",)


async def test_a_bar_that_dies_is_noticed_even_by_a_text_without_acknowledgement(make_bar: Any, small_bus: Any) -> None:
    bar = PingAnLiHeSimulator()
    driver = make_bar()
    await driver.start(small_bus(1, bar))
    bar.fault = "mute"
    with pytest.raises(TransportTimeout):
        await driver.show(DisplayMessage(DisplayKind.TEXT, ("请保持安静",)))


async def test_a_one_way_bar_is_never_asked(make_bar: Any, small_bus: Any) -> None:
    bar = PingAnLiHeSimulator("mute")
    driver = make_bar(check="none")
    await driver.start(small_bus(1, bar))
    await driver.show(CALL)
    assert (await driver.poll()).info["checked"] is False
    assert bar.shown.lines == CALL.lines


async def test_a_one_way_bar_is_offline_while_its_bus_is_closed(make_bar: Any, small_bus: Any) -> None:
    bus = small_bus(1, PingAnLiHeSimulator("mute"))
    driver = make_bar(check="none")
    await driver.start(bus)
    bus.unplugged = True
    with pytest.raises(TransportLost):
        await driver.poll()


async def test_a_bar_without_a_bus_is_refused(make_bar: Any) -> None:
    with pytest.raises(HallctlError, match="bus"):
        await make_bar().start(None)


async def test_an_address_above_one_byte_is_refused(make_bar: Any, small_bus: Any) -> None:
    with pytest.raises(LocalCodecError, match="300"):
        await make_bar().start(small_bus(300))


@pytest.mark.parametrize("options", [{"card": "6464"}, {"digits": 5}, {"window_number": 100}, {"chekc": "none"}])
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PingAnLiHeOptions(**options)


def test_the_plugin_asks_the_bus_for_100_ms_between_frames() -> None:
    assert PLUGIN.attachment is Attachment.BUS
    assert PLUGIN.bus_gap_s == 0.1
    assert PLUGIN.framing is not None


@pytest.mark.parametrize(
    "wire",
    [
        codec.encode(codec.window_bar(1, Sub.PAUSE))[:-2] + b"\x00\xff",
        codec.encode(codec.Frame(0x77, 1, 0)),
        codec.encode(codec.Frame(0x28, 1, 9)),
        codec.encode(codec.Frame(0x28, 1, 1, b"\x64\x00\x03")),
    ],
    ids=["wrong checksum", "unknown command", "unknown subcommand", "not base 100"],
)
def test_the_simulated_bar_refuses_nonsense_and_does_not_answer(wire: bytes) -> None:
    bar = PingAnLiHeSimulator()
    assert bar.feed(wire) == b""
    assert bar.refused
    assert bar.shown.lines == ("欢迎光临",)


def test_frames_of_other_families_on_the_line_are_nothing_to_complain_about() -> None:
    bar = PingAnLiHeSimulator()
    for stranger in ("FF 68 02 02 68 01 03 04 16", "00 00 00 00 00 01 5A 30 31 02 41 30 04", "A5 A5 A5 01 00 5A"):
        assert bar.feed(bytes.fromhex(stranger)) == b""
    assert bar.refused == []


def test_the_simulated_bar_takes_a_frame_in_single_bytes() -> None:
    bar = PingAnLiHeSimulator(address=3)
    frame = codec.encode(codec.window_bar(3, Sub.CALL, Call(7, 3, "A")))
    answers = b"".join(bar.feed(bytes([one])) for one in frame)
    assert codec.decode(answers) == codec.ack(3)
    assert bar.shown.lines == ("请A007号到3号窗口",)


@given(st.binary(max_size=120))
def test_whatever_comes_the_simulated_bar_does_not_fall_over(noise: bytes) -> None:
    bar = PingAnLiHeSimulator()
    bar.feed(noise)
    bar.connected()
    assert codec.decode(bar.feed(codec.encode(codec.online_check(1)))) == codec.ack(1)


def test_an_unknown_fault_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="on_fire"):
        PLUGIN.simulate("on_fire", 1)


async def test_the_picture_shows_the_bars_text_in_its_colour(make_bar: Any, small_bus: Any) -> None:
    bar = PingAnLiHeSimulator()
    driver = make_bar()
    await driver.start(small_bus(1, bar))
    await driver.show(call("A001", colour=Colour.GREEN))
    picture = cv2.imdecode(np.frombuffer(bar.draw(), np.uint8), cv2.IMREAD_COLOR)
    assert (picture[:, :, 1] > 150).sum() > 1000
    assert not (picture[:, :, 2] > 150).any()


async def test_a_call_that_only_stops_blinking_is_not_sent_again_and_a_recall_is(make_bar: Any, small_bus: Any) -> None:
    bus = small_bus(3, PingAnLiHeSimulator(address=3))
    driver = make_bar()
    await driver.start(bus)
    await driver.show(call("A001", blink=True))
    before = len(bus.sent)
    await driver.show(call("A001"))
    assert len(bus.sent) == before
    await driver.show(call("A001", blink=True))
    assert len(bus.sent) == before + 1


async def test_a_text_that_only_stops_blinking_is_sent_again_because_the_bar_flashes_it(
    make_bar: Any, small_bus: Any
) -> None:
    bar = PingAnLiHeSimulator()
    driver = make_bar(native=False)
    await driver.start(small_bus(1, bar))
    await driver.show(call("A1", blink=True))
    assert bar.shown.blink
    await driver.show(call("A1"))
    assert not bar.shown.blink


async def test_a_text_that_is_too_wide_moves_or_is_refused_as_the_hall_wants(make_bar: Any, small_bus: Any) -> None:
    long = DisplayMessage(DisplayKind.TEXT, ("请保持安静谢谢配合",))
    bar = PingAnLiHeSimulator()
    moving = make_bar(scroll_mode=3)
    await moving.start(small_bus(1, bar))
    await moving.show(long)
    assert bar.frames[-2].mode == 3
    strict = make_bar(too_wide="refuse")
    await strict.start(small_bus(1, bar))
    with pytest.raises(LocalCodecError, match="18 columns wide") as caught:
        await strict.show(long)
    assert "the bar has 16" in caught.value.message


async def test_an_empty_message_clears_the_bar(make_bar: Any, small_bus: Any) -> None:
    bar = PingAnLiHeSimulator()
    driver = make_bar()
    await driver.start(small_bus(1, bar))
    await driver.show(DisplayMessage(DisplayKind.TEXT, ("",)))
    assert (bar.shown.lines, bar.refused) == ((), [])


def test_a_frame_that_comes_too_soon_is_lost_on_the_bar() -> None:
    bar, time = PingAnLiHeSimulator(), 0.0
    bar.now = lambda: time
    welcome = codec.encode(codec.window_bar(1, Sub.WELCOME))
    assert bar.feed(welcome)
    time = 0.05
    assert bar.feed(welcome) == b""
    assert "within 0.06 s" in bar.refused[0]
    time = 0.2
    assert bar.feed(welcome)


@pytest.fixture
def make_board(make_bar: Any) -> Any:
    context = make_bar()._context
    return lambda **options: PingAnLiHeBoard(context, BoardOptions(**options))


BOARD = DisplayMessage(DisplayKind.BOARD, ("A001号→3号窗口", "B002号→4号窗口"), ticket="A001", window="3")


async def test_a_main_board_shows_the_last_calls_line_under_line(make_board: Any, small_bus: Any) -> None:
    board = BoardSimulator(columns=24)
    driver = make_board(columns=24)
    await driver.start(small_bus(1, board))
    await driver.show(BOARD)
    assert (board.shown.lines, board.refused) == (BOARD.lines, [])
    with pytest.raises(LocalCodecError, match="has 5 lines, the board has room for 4"):
        await driver.show(DisplayMessage(DisplayKind.BOARD, ("a",) * 5))
    assert board.shown.lines == BOARD.lines


async def test_a_board_that_lists_calls_itself_is_told_the_newest(make_board: Any, small_bus: Any) -> None:
    board = BoardSimulator()
    bus = small_bus(1, board)
    driver = make_board(native=True)
    await driver.start(bus)
    await driver.show(DisplayMessage(DisplayKind.BOARD, ("...",), ticket="B002", window="4"))
    await driver.show(BOARD)
    assert bus.sent[-1][2] == 0x2A
    assert board.shown.lines == ("请A001号到3号窗口", "请B002号到4号窗口")


async def test_a_text_is_read_as_a_text_by_a_board_that_lists_calls_itself(make_board: Any, small_bus: Any) -> None:
    board = BoardSimulator()
    driver = make_board(native=True)
    await driver.start(small_bus(1, board))
    await driver.show(DisplayMessage(DisplayKind.TEXT, ("今日停电",)))
    assert board.shown.lines == ("今日停电",)


def test_a_board_that_no_text_could_fill_is_refused() -> None:
    with pytest.raises(ValidationError, match="more than"):
        BoardOptions(lines=8, columns=40)
