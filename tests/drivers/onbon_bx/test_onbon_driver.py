"""The driver against a simulated card, over a null modem and over real TCP."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hallctl_drivers.onbon_bx import BUS, PLUGIN, codec
from hallctl_drivers.onbon_bx.codec import DisplayMode
from hallctl_drivers.onbon_bx.config import OnbonBusOptions, OnbonOptions
from hallctl_drivers.onbon_bx.driver import OnbonDisplay
from hallctl_drivers.onbon_bx.frame import CLIENT_ADDRESS, OnbonFraming, Packet, encode_packet
from hallctl_drivers.onbon_bx.sim import OnbonBusSimulator, OnbonSimulator
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hallctl.clock import ManualClock, SystemClock
from hallctl.driver import Colour, DisplayKind, DisplayMessage, TerminalContext, on_pty, on_tcp
from hallctl.driver.conformance import DirectLine
from hallctl.errors import (
    Fault,
    HallctlError,
    LocalCodecError,
    Mismatch,
    RemoteCodecError,
    TransportLost,
    TransportTimeout,
)
from hallctl.terminal import Bus
from hallctl.transport import PortAddress, null_modem, open_port


class Log:
    def debug(self, event: str, **fields: object) -> None: ...

    info = warning = debug


async def nobody(_signal: object) -> None: ...


CALL = DisplayMessage(DisplayKind.CALL, ("请A001号到3号窗口",), ticket="A001", window="3")
BOARD = DisplayMessage(DisplayKind.BOARD, ("A001号→3号窗口", "B002号→4号窗口"), colour=Colour.YELLOW)


async def test_a_message_is_on_the_panel_once_show_returns(make_display: Any, plugged: Any) -> None:
    card = OnbonSimulator()
    display = make_display()
    async with plugged(card) as wire:
        await display.start(wire)
        await display.show(CALL)
        assert card.shown.lines == ("请A001号到3号窗口",)
        assert card.shown.colour is Colour.RED
        assert (await display.poll()).faults == ()
    assert card.refused == []


@pytest.mark.parametrize("card_kind", ["5k", "6k"])
async def test_both_card_generations_get_the_panels_size_in_their_units(
    make_display: Any, plugged: Any, card_kind: str
) -> None:
    card = OnbonSimulator()
    display = make_display(card=card_kind, width_px=192, height_px=32)
    async with plugged(card) as wire:
        await display.start(wire)
        await display.show(CALL)
    assert (card.shown.width_px, card.shown.height_px) == (192, 32)
    assert codec.decode_areas(card.requests[-1].body)[0].pixels is (card_kind == "6k")


async def test_a_board_shows_several_lines_in_its_colour(make_display: Any, plugged: Any) -> None:
    card = OnbonSimulator()
    display = make_display(lines=2, height_px=32)
    async with plugged(card) as wire:
        await display.start(wire)
        await display.show(BOARD)
    assert card.shown.lines == BOARD.lines
    assert card.shown.colour is Colour.YELLOW


async def test_a_panel_of_one_line_shows_all_lines_in_a_row(make_display: Any, plugged: Any) -> None:
    card = OnbonSimulator()
    display = make_display()
    async with plugged(card) as wire:
        await display.start(wire)
        await display.show(BOARD)
    assert card.shown.lines == ("A001号→3号窗口  B002号→4号窗口",)


async def test_a_text_wider_than_the_panel_moves_and_one_that_fits_does_not(make_display: Any, plugged: Any) -> None:
    card = OnbonSimulator()
    display = make_display(width_px=64)
    async with plugged(card) as wire:
        await display.start(wire)
        await display.show(CALL)
        assert card.shown.mode is DisplayMode.LEFT
        await display.show(DisplayMessage(DisplayKind.WELCOME, ("欢迎光临",)))
        assert card.shown.mode is DisplayMode.INSTANT


async def test_start_switches_on_and_sets_the_brightness(make_display: Any, plugged: Any) -> None:
    card = OnbonSimulator()
    display = make_display(brightness=4)
    async with plugged(card) as wire:
        card.feed(b"")
        card.shown = type(card.shown)(on=False)
        await display.start(wire)
    assert card.shown.on
    assert card.shown.brightness == 4


async def test_the_last_message_is_restored_after_a_power_cycle(make_display: Any, plugged: Any) -> None:
    card = OnbonSimulator()
    display = make_display()
    async with plugged(card) as wire:
        await display.start(wire)
        await display.show(CALL)
    card.power_cycle()
    assert card.shown.lines == ()
    async with plugged(card) as wire:
        await display.start(wire)
        assert card.shown.lines == CALL.lines


async def test_a_message_that_was_lost_with_the_port_is_shown_after_reconnecting(
    make_display: Any, plugged: Any
) -> None:
    card = OnbonSimulator()
    display = make_display()
    async with plugged(card) as wire:
        await display.start(wire)
        await wire.close()
        with pytest.raises(TransportLost):
            await display.show(CALL)
    async with plugged(card) as wire:
        await display.start(wire)
    assert card.shown.lines == CALL.lines


async def test_a_message_that_was_refused_is_not_shown_after_reconnecting(
    make_display: Any, plugged: Any, in_time: Any
) -> None:
    card = OnbonSimulator("nak_crc")
    display = make_display()
    async with plugged(card) as wire:
        await display.start(wire)
        with pytest.raises(Fault):
            await display.show(CALL)
    card.fault = None
    async with plugged(card) as wire:
        await display.start(wire)
    assert card.shown.lines == ()


async def test_a_card_that_refuses_the_restored_message_is_online_with_a_fault(
    make_display: Any, plugged: Any, log: Any
) -> None:
    card = OnbonSimulator()
    display = make_display()
    async with plugged(card) as wire:
        await display.start(wire)
        await display.show(CALL)
    card.fault = "nak_crc"
    async with plugged(card) as wire:
        await display.start(wire)
        (fault,) = (await display.poll()).faults
        assert fault.code == "display.nak"
        assert fault.code in PLUGIN.faults
        assert log.warnings
        card.fault = None
        await display.show(CALL)
        assert (await display.poll()).faults == ()


async def test_a_busy_card_is_asked_once_more(make_display: Any, plugged: Any, in_time: Any) -> None:
    card = OnbonSimulator("nak_busy_once")
    display = make_display()
    async with plugged(card) as wire:
        await display.start(wire)
        await in_time(display.show(CALL))
    assert card.shown.lines == CALL.lines
    assert len(card.refused) == 1


async def test_a_card_without_ping_lives_and_one_that_refuses_it_otherwise_has_a_fault(
    make_display: Any, plugged: Any
) -> None:
    card = OnbonSimulator("no_ping")
    display = make_display()
    async with plugged(card) as wire:
        await display.start(wire)
        assert (await display.poll()).faults == ()
        card.fault = "wrong_family"
        (fault,) = (await display.poll()).faults
    assert (fault.code, fault.severity) == ("display.nak", "error")
    assert "no such command group" in fault.message
    assert fault.hint


FAULTS: dict[str, tuple[type[HallctlError] | None, str]] = {
    "mute": (TransportTimeout, "device.mute"),
    "half_frames": (TransportTimeout, "device.mute"),
    "slow_ack": (TransportTimeout, "device.mute"),
    "noise": (RemoteCodecError, "device.garbage"),
    "line_noise": (None, ""),
    "collisions": (TransportTimeout, "device.mute"),
    "echo": (None, ""),
    "echo_mute": (TransportTimeout, "device.mute"),
    "wrong_address": (Mismatch, "device.mismatch"),
    "wrong_family": (Fault, "display.nak"),
    "no_ping": (None, ""),
    "nak_busy": (Fault, "display.nak"),
    "nak_busy_once": (None, ""),
    "nak_crc": (Fault, "display.nak"),
}


def test_every_fault_of_the_simulator_has_its_expected_error() -> None:
    assert FAULTS.keys() == OnbonSimulator.FAULTS.keys()


@pytest.mark.parametrize("fault", sorted(FAULTS))
async def test_a_fault_becomes_its_error_code(fault: str, make_display: Any, plugged: Any, in_time: Any) -> None:
    error, code = FAULTS[fault]
    display = make_display(device_address=1)

    async def session() -> None:
        await display.start(wire)
        await display.show(CALL)

    async with plugged(OnbonSimulator(fault, 1)) as wire:
        if error is None:
            await in_time(session())
            return
        with pytest.raises(error) as raised:
            await in_time(session())
    assert getattr(raised.value, "code", "") == code
    assert raised.value.hint or error is RemoteCodecError


async def test_a_nak_says_what_the_card_means(make_display: Any, plugged: Any, in_time: Any) -> None:
    display = make_display()
    async with plugged(OnbonSimulator("nak_busy")) as wire:
        await display.start(wire)
        with pytest.raises(Fault, match=r"busy \(3\)"):
            await in_time(display.show(CALL))


async def test_an_answer_that_came_too_late_is_not_taken_for_the_next_one(
    make_display: Any, plugged: Any, in_time: Any, clock: ManualClock
) -> None:
    card = OnbonSimulator("nak_crc")
    display = make_display()
    async with plugged(card) as wire:
        await display.start(wire)
        card.reply_delay_s = 4.0
        late = asyncio.ensure_future(display.show(CALL))
        await clock.advance(3)
        with pytest.raises(TransportTimeout):
            await late
        await clock.advance(2)
        card.reply_delay_s = 0.0
        assert (await display.poll()).faults == ()


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (DisplayMessage(DisplayKind.TEXT, ("𠀀",)), "U\\+20000"),
        (DisplayMessage(DisplayKind.TEXT, ("a\\b",)), "U\\+005C"),
        (DisplayMessage(DisplayKind.TEXT, ("长" * 600,)), "shorten"),
    ],
)
async def test_what_the_panel_cannot_show_is_refused_and_nothing_is_sent(
    message: DisplayMessage, named: str, make_display: Any, plugged: Any
) -> None:
    card = OnbonSimulator()
    display = make_display()
    async with plugged(card) as wire:
        await display.start(wire)
        sent = len(card.requests)
        with pytest.raises(LocalCodecError, match=named):
            await display.show(message)
    assert len(card.requests) == sent


async def test_more_lines_than_the_panel_has_are_refused(make_display: Any, plugged: Any) -> None:
    display = make_display(lines=2, height_px=32)
    async with plugged(OnbonSimulator()) as wire:
        await display.start(wire)
        with pytest.raises(LocalCodecError, match="3 lines"):
            await display.show(DisplayMessage(DisplayKind.BOARD, ("1", "2", "3")))


async def test_a_bus_line_is_no_port_for_this_driver(make_display: Any) -> None:
    with pytest.raises(HallctlError, match="port of its own"):
        await make_display().start(None)


@pytest.mark.parametrize(
    "options",
    [{"card": "5k", "width_px": 100}, {"lines": 3, "height_px": 32}, {"brightness": 16}, {"wdith_px": 64}],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OnbonOptions(**options)


async def test_the_driver_works_over_real_tcp_and_survives_a_reconnect(log: Any) -> None:
    async def nobody(_signal: object) -> None: ...

    clock = SystemClock()
    make: Callable[[TerminalContext, OnbonOptions], OnbonDisplay] = OnbonDisplay
    display = make(TerminalContext("display-1", clock, log, nobody), OnbonOptions())
    card = OnbonSimulator()
    async with asyncio.timeout(10):
        async with on_tcp(card) as url, await open_port(PortAddress.parse(url), clock) as port:
            await display.start(port)
            await display.show(CALL)
            assert card.shown.lines == CALL.lines
        card.power_cycle()
        async with on_tcp(card) as url, await open_port(PortAddress.parse(url), clock) as port:
            await display.start(port)
            assert card.shown.lines == CALL.lines
            assert (await display.poll()).faults == ()


async def test_a_mute_card_on_real_tcp_times_out(log: Any) -> None:
    async def nobody(_signal: object) -> None: ...

    clock = SystemClock()
    display = OnbonDisplay(TerminalContext("display-1", clock, log, nobody), OnbonOptions(ack_timeout_s=0.05))
    async with (
        asyncio.timeout(10),
        on_tcp(OnbonSimulator("mute")) as url,
        await open_port(PortAddress.parse(url), clock) as port,
    ):
        with pytest.raises(TransportTimeout):
            await display.start(port)


async def test_light_set_by_hand_is_set_now_and_after_a_power_cycle(make_display: Any, plugged: Any) -> None:
    card = OnbonSimulator()
    display = make_display()
    async with plugged(card) as wire:
        await display.start(wire)
        assert await display.set_brightness(40)
        assert await display.set_power(False)
        assert (card.shown.brightness, card.shown.on) == (6, False)
    card.power_cycle()
    async with plugged(card) as wire:
        await display.start(wire)
        assert (card.shown.brightness, card.shown.on) == (6, False)
        assert (await display.poll()).info["brightness"] == 6


async def test_an_empty_message_clears_the_panel(make_display: Any, plugged: Any) -> None:
    card = OnbonSimulator()
    display = make_display()
    async with plugged(card) as wire:
        await display.start(wire)
        await display.show(CALL)
        await display.show(DisplayMessage(DisplayKind.TEXT, ("",)))
        assert (card.shown.lines, card.refused) == ((), [])


async def test_a_text_that_is_too_wide_is_refused_where_the_hall_wants_that(make_display: Any, plugged: Any) -> None:
    display = make_display(too_wide="refuse")
    async with plugged(OnbonSimulator()) as wire:
        await display.start(wire)
        with pytest.raises(LocalCodecError, match="136 dots wide") as caught:
            await display.show(CALL)
        assert "128 dots" in caught.value.hint


async def test_what_should_blink_is_shown_in_another_colour_for_that_time(make_display: Any, plugged: Any) -> None:
    card = OnbonSimulator()
    display, plain = make_display(), make_display(blink_colour=None)
    async with plugged(card) as wire:
        await display.start(wire)
        await display.show(replace(CALL, blink=True))
        assert card.shown.colour is Colour.YELLOW
        await display.show(CALL)
        assert card.shown.colour is Colour.RED
        await plain.start(wire)
        await plain.show(replace(CALL, blink=True))
        assert card.shown.colour is Colour.RED


async def test_two_cards_share_a_line_and_each_shows_its_own(tmp_path: Any) -> None:
    cards = {number: OnbonBusSimulator(address=number) for number in (1, 2, 165)}  # 165 is the sync byte: escaped
    clock, link = SystemClock(), str(tmp_path / "line")
    async with on_pty(list(cards.values()), link):
        bus = Bus("line", PortAddress.parse(f"serial://{link}?baud=57600"), clock, Log())
        running = asyncio.create_task(bus.run())
        await bus.tried.wait()
        for number, card in cards.items():
            display = OnbonDisplay(TerminalContext(f"d{number}", clock, Log(), nobody), OnbonBusOptions())
            await display.start(bus.attach(number, BUS.framing, BUS.bus_gap_s))
            await display.show(DisplayMessage(DisplayKind.TEXT, (f"窗口{number}",)))
            assert card.shown.lines == (f"窗口{number}",)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [card.shown.lines for card in cards.values()] == [("窗口1",), ("窗口2",), ("窗口165",)]
    assert not any(card.refused for card in cards.values())


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"slow_ack"}))
async def test_a_fault_of_a_card_on_a_line_is_an_error_of_the_house(fault: str) -> None:
    card = OnbonBusSimulator(fault, 1)
    display = OnbonDisplay(TerminalContext("d1", SystemClock(), Log(), nobody), OnbonBusOptions())
    assert BUS.framing is not None
    line = DirectLine(card, BUS.framing)
    try:
        await display.start(line)
        await display.show(CALL)
    except HallctlError as exc:
        assert FAULTS[fault][0] is not None, exc
    else:
        assert FAULTS[fault][0] is None


@pytest.mark.parametrize("number", [0, 0x8000, 0xFFFE, 0xFFFF])
async def test_a_number_that_means_every_card_or_the_hall_itself_is_no_address_on_a_line(number: int) -> None:
    display = OnbonDisplay(TerminalContext("d1", SystemClock(), Log(), nobody), OnbonBusOptions())
    assert BUS.framing is not None
    with pytest.raises(HallctlError, match="no screen number"):
        await display.start(DirectLine(OnbonBusSimulator(address=1), BUS.framing, number))


async def test_a_card_on_a_line_wants_a_line(make_display: Any) -> None:
    display = OnbonDisplay(TerminalContext("d1", SystemClock(), Log(), nobody), OnbonBusOptions())
    with pytest.raises(HallctlError, match="bus and an address"):
        await display.start(null_modem()[0])


@given(st.binary(max_size=80), st.integers(1, 0xFFFD), st.binary(max_size=6))
def test_a_packet_is_found_on_a_line_whatever_follows_it(data: bytes, address: int, rest: bytes) -> None:
    framing = OnbonFraming()
    raw = encode_packet(Packet(address, CLIENT_ADDRESS, data))
    assert framing.probe(raw + rest) == len(raw)
    assert framing.address_of(raw) == address
    assert all(framing.probe(raw[:cut]) == 0 for cut in range(len(raw)))
    back = encode_packet(Packet(CLIENT_ADDRESS, address, data))
    assert framing.address_of(back) == address
