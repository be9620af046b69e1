"""欣瑞 bars: the printed example, what the driver says and hears, and bars that misbehave."""

import asyncio
import contextlib
from typing import Any

import pytest
from hallctl_drivers.xinrui import PLUGIN, codec
from hallctl_drivers.xinrui.codec import Reply, Text, XinruiFraming
from hallctl_drivers.xinrui.config import XinruiOptions
from hallctl_drivers.xinrui.driver import XinruiBar
from hallctl_drivers.xinrui.sim import Shown, XinruiSimulator
from hypothesis import given
from hypothesis import strategies as st

from hallctl.clock import SystemClock
from hallctl.driver import Colour, DisplayKind, DisplayMessage, TerminalContext, on_pty
from hallctl.driver.conformance import DirectLine
from hallctl.errors import Fault, HallctlError, LocalCodecError, RemoteCodecError, TransportTimeout
from hallctl.terminal import Bus
from hallctl.transport import PortAddress, null_modem

EXAMPLE = bytes.fromhex("A0 90 01 A5 00 05 C7 EB 00 38 01 B4")
CALL = DisplayMessage(DisplayKind.CALL, ("请A001号到3号窗口",), ticket="A001", window="3")
CHARACTERS = st.sampled_from("请到号窗口政务A0189 ·—")
TEXTS = st.builds(
    Text,
    st.integers(0, 255),
    st.lists(st.tuples(CHARACTERS, st.integers(0, 255)), max_size=40).map(tuple),
)


class Log:
    def debug(self, event: str, **fields: object) -> None: ...

    info = warning = debug


async def nobody(_signal: object) -> None: ...


def make_bar(**options: Any) -> XinruiBar:
    return XinruiBar(TerminalContext("bar-1", SystemClock(), Log(), nobody), XinruiOptions(**options))


def wired(bar: XinruiSimulator) -> DirectLine:
    assert PLUGIN.framing is not None
    return DirectLine(bar, PLUGIN.framing, bar.address)


def test_the_printed_example_is_what_we_send_and_read() -> None:
    text = Text(1, (("请", 0), ("8", 1)))
    assert codec.encode_text(text) == EXAMPLE
    assert codec.decode_text(EXAMPLE) == text


def test_the_printed_answers_are_read() -> None:
    assert codec.decode_reply(bytes.fromhex("A0 90 07 A5 AA")) == Reply(7, True)
    assert codec.decode_reply(bytes.fromhex("A0 90 07 A5 55")) == Reply(7, False)


@given(TEXTS)
def test_every_text_comes_back_as_it_went(text: Text) -> None:
    assert codec.decode_text(codec.encode_text(text)) == text


@given(TEXTS, st.binary(max_size=8))
def test_a_frame_is_found_whatever_follows_it(text: Text, rest: bytes) -> None:
    framing, raw = XinruiFraming(), codec.encode_text(text)
    assert framing.probe(raw + rest) == len(raw)
    assert framing.address_of(raw) == text.address
    assert all(framing.probe(raw[:cut]) == 0 for cut in range(1, len(raw)))


@given(TEXTS, st.data())
def test_one_changed_byte_is_never_read_as_the_same_text(text: Text, data: st.DataObject) -> None:
    raw = bytearray(codec.encode_text(text))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(RemoteCodecError):
        assert codec.decode_text(bytes(raw)) != text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (Text(1, (("€", 0),)), "U\\+20AC"),
        (Text(1, (("请", 0),) * 201), "603 bytes"),
        (Text(256, ()), "address 256"),
        (Text(1, (("A", 256),)), "colour 256"),
    ],
)
def test_what_the_protocol_can_not_carry_is_our_own_mistake(text: Text, words: str) -> None:
    with pytest.raises(LocalCodecError, match=words):
        codec.encode_text(text)


async def test_a_message_is_on_the_bar_once_show_returns() -> None:
    bar = XinruiSimulator(address=3)
    driver = make_bar()
    await driver.start(wired(bar))
    await driver.show(CALL)
    assert bar.shown == Shown("请A001号到3号窗口", Colour.RED)
    assert (await driver.poll()).faults == ()
    assert bar.refused == []


async def test_a_bar_that_was_without_power_shows_its_text_with_the_next_poll() -> None:
    bar = XinruiSimulator()
    driver = make_bar()
    await driver.start(wired(bar))
    await driver.show(CALL)
    bar.power_cycle()
    await driver.poll()
    assert bar.shown.text == CALL.text


async def test_the_last_message_is_restored_on_a_fresh_line() -> None:
    bar = XinruiSimulator()
    driver = make_bar()
    await driver.start(wired(bar))
    await driver.show(CALL)
    bar.power_cycle()
    await driver.start(wired(bar))
    assert bar.shown.text == CALL.text


async def test_an_empty_message_clears_and_blinking_is_a_colour() -> None:
    bar = XinruiSimulator()
    driver = make_bar()
    await driver.start(wired(bar))
    await driver.show(DisplayMessage(DisplayKind.TEXT, ("注意",), blink=True))
    assert bar.shown == Shown("注意", Colour.YELLOW)
    await driver.show(DisplayMessage(DisplayKind.TEXT, ("",)))
    assert bar.shown.text == ""


async def test_a_refused_text_is_a_fault_and_the_old_one_stays() -> None:
    bar = XinruiSimulator()
    driver = make_bar()
    await driver.start(wired(bar))
    await driver.show(CALL)
    bar.fault = "nak"
    with pytest.raises(Fault) as caught:
        await driver.show(DisplayMessage(DisplayKind.TEXT, ("注意",)))
    assert (caught.value.code, caught.value.code in PLUGIN.faults) == ("display.nak", True)
    bar.fault = None
    await driver.poll()
    assert bar.shown.text == CALL.text


async def test_a_text_that_is_too_wide_is_refused_where_the_hall_wants_that() -> None:
    bar = XinruiSimulator()
    strict, lenient = make_bar(too_wide="refuse"), make_bar()
    await strict.start(wired(bar))
    with pytest.raises(LocalCodecError, match="17 columns wide"):
        await strict.show(CALL)
    await lenient.start(wired(bar))
    await lenient.show(CALL)
    assert bar.shown.text == CALL.text


async def test_a_colour_that_is_not_in_the_map_is_shown_as_red_and_the_map_is_obeyed() -> None:
    bar = XinruiSimulator()
    driver = make_bar(colours={"red": 1})
    await driver.start(wired(bar))
    await driver.show(DisplayMessage(DisplayKind.TEXT, ("注意",), colour=Colour.GREEN))
    assert bar.shown.colour is Colour.GREEN  # number 1 is green on the simulated bar


FAULTS: dict[str, type[HallctlError] | None] = {
    "mute": TransportTimeout,
    "noise": TransportTimeout,
    "half_frames": TransportTimeout,
    "collisions": TransportTimeout,
    "wrong_address": TransportTimeout,
    "echo_mute": TransportTimeout,
    "echo": None,
    "line_noise": None,
    "slow_ack": None,  # a direct line has no time
    "nak": Fault,
}


@pytest.mark.parametrize("fault", sorted(XinruiSimulator.FAULTS))
async def test_a_fault_becomes_its_error(fault: str) -> None:
    driver = make_bar()
    expected = FAULTS[fault]
    with pytest.raises(expected) if expected else contextlib.nullcontext():
        await driver.start(wired(XinruiSimulator(fault, 7)))
        await driver.show(CALL)


async def test_without_answers_nothing_is_waited_for() -> None:
    bar = XinruiSimulator("mute")
    driver = make_bar(check="none")
    await driver.start(wired(bar))
    await driver.show(CALL)
    assert bar.shown.text == CALL.text
    assert (await driver.poll()).info == {"checked": False}


async def test_a_port_is_no_line_for_this_driver() -> None:
    with pytest.raises(HallctlError, match="bus and an address"):
        await make_bar().start(null_modem()[0])


async def test_bars_on_a_real_bus_obey_only_their_own_address(tmp_path: Any) -> None:
    bars = [XinruiSimulator(address=number) for number in (1, 2)]
    clock, link = SystemClock(), str(tmp_path / "line")
    async with on_pty(bars, link):
        bus = Bus("line", PortAddress.parse(f"serial://{link}?baud=9600"), clock, Log())
        running = asyncio.create_task(bus.run())
        await bus.tried.wait()
        for number in (1, 2):
            driver = make_bar()
            assert PLUGIN.framing is not None
            await driver.start(bus.attach(number, PLUGIN.framing, PLUGIN.bus_gap_s))
            await driver.show(DisplayMessage(DisplayKind.TEXT, (f"窗口{number}",)))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [bar.shown.text for bar in bars] == ["窗口1", "窗口2"]
    assert bars[0].refused == bars[1].refused == []


def test_the_picture_shows_something() -> None:
    bar = XinruiSimulator()
    dark = bar.draw()
    bar.feed(codec.encode_text(Text(1, (("请", 0),))))
    assert bar.draw() != dark
