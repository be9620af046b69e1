"""A panel of several lines: an area of the card for each, so that a long line moves alone."""

from dataclasses import replace
from typing import Any

import pytest
from hallctl_drivers.onbon_bx import codec
from hallctl_drivers.onbon_bx.codec import Area, CardColour, DisplayMode
from hallctl_drivers.onbon_bx.config import OnbonOptions
from hallctl_drivers.onbon_bx.frame import CLIENT_ADDRESS, WILDCARD_ADDRESS, Packet, encode_packet
from hallctl_drivers.onbon_bx.sim import OnbonSimulator
from pydantic import ValidationError

from hallctl.driver import Colour, DisplayKind, DisplayMessage
from hallctl.errors import Fault, LocalCodecError

BOARD = DisplayMessage(DisplayKind.BOARD, ("A001号→3号窗口", "B002号→4号综合业务窗口", "C003号→5号"))
FOUR_LINES = {"lines": 4, "width_px": 160, "height_px": 64}


def frame(request: codec.Request) -> bytes:
    return encode_packet(Packet(WILDCARD_ADDRESS, CLIENT_ADDRESS, codec.encode_request(request)))


@pytest.mark.parametrize("card_kind", ["5k", "6k"])
async def test_each_line_stands_in_an_area_of_its_own(make_display: Any, plugged: Any, card_kind: str) -> None:
    card = OnbonSimulator()
    display = make_display(card=card_kind, **FOUR_LINES)
    async with plugged(card) as wire:
        await display.start(wire)
        await display.show(BOARD)
    assert card.shown.lines == BOARD.lines
    assert [(area.number, area.y, area.height) for area in card.shown.areas] == [
        (0, 0, 16),
        (1, 16, 16),
        (2, 32, 16),
        (3, 48, 16),
    ]
    assert card.refused == []


async def test_a_long_line_moves_alone(make_display: Any, plugged: Any) -> None:
    card = OnbonSimulator()
    display = make_display(**FOUR_LINES)
    async with plugged(card) as wire:
        await display.start(wire)
        await display.show(BOARD)
    modes = [area.mode for area in card.shown.areas]
    assert modes == [DisplayMode.INSTANT, DisplayMode.LEFT, DisplayMode.INSTANT, DisplayMode.INSTANT]
    assert [area.single_line for area in card.shown.areas] == [False, True, False, False]


async def test_a_line_that_is_not_used_any_more_is_blank(make_display: Any, plugged: Any) -> None:
    card = OnbonSimulator()
    display = make_display(**FOUR_LINES)
    async with plugged(card) as wire:
        await display.start(wire)
        await display.show(BOARD)
        await display.show(replace(BOARD, lines=("D004号→6号窗口",)))
        assert card.shown.lines == ("D004号→6号窗口",)
        await display.show(DisplayMessage(DisplayKind.TEXT, ("",)))
        assert (card.shown.lines, card.shown.areas) == ((), ())
    assert card.refused == []


async def test_the_first_text_takes_the_areas_of_an_earlier_layout_away_and_later_ones_do_not(
    make_display: Any, plugged: Any
) -> None:
    card = OnbonSimulator()
    whole = codec.show_area(Area(width=160, height=64, text="旧", pixels=True))
    display = make_display(**FOUR_LINES)
    async with plugged(card) as wire:
        card.feed(frame(whole))
        await display.start(wire)
        await display.show(BOARD)
        await display.show(BOARD)
    assert card.shown.lines == BOARD.lines
    first, second = card.requests[-2:]
    assert (codec.deletes_all(first.body), first.process_mode) == (True, 1)
    assert (codec.deletes_all(second.body), second.process_mode) == (False, 0)


def test_the_card_refuses_areas_over_one_another_and_more_areas_than_it_has() -> None:
    card = OnbonSimulator()
    whole = Area(width=64, height=32, text="一", pixels=True)
    card.feed(frame(codec.show_area(whole)))
    card.feed(frame(codec.show_area(replace(whole, number=1, height=16))))
    card.feed(frame(codec.show_area(replace(whole, number=5, y=32))))
    assert len(card.refused) == 2
    assert card.shown.areas == (whole,)


def test_the_card_shows_each_area_in_its_colour() -> None:
    card = OnbonSimulator()
    texts = [codec.compose((text,), colour) for text, colour in (("一", CardColour.RED), ("二", CardColour.GREEN))]
    areas = [Area(width=64, height=16, y=16 * at, number=at, text=text) for at, text in enumerate(texts)]
    card.feed(frame(codec.show_areas(areas)))
    assert card.shown.lines == ("一", "二")
    assert card.draw().startswith(b"\x89PNG")


async def test_one_area_holds_all_lines_where_the_hall_wants_that(make_display: Any, plugged: Any) -> None:
    card = OnbonSimulator()
    display = make_display(per_line=False, **FOUR_LINES)
    async with plugged(card) as wire:
        await display.start(wire)
        await display.show(BOARD)
    assert card.shown.lines == BOARD.lines
    assert len(card.shown.areas) == 1


async def test_lines_that_together_are_more_than_the_card_takes_are_refused(make_display: Any, plugged: Any) -> None:
    display = make_display(card="5k", **FOUR_LINES)
    async with plugged(OnbonSimulator()) as wire:
        await display.start(wire)
        with pytest.raises(LocalCodecError, match="a 5k card has 512"):
            await display.show(replace(BOARD, lines=("长" * 60,) * 4))


@pytest.mark.parametrize(
    ("options", "per_line"),
    [
        ({}, False),
        ({"lines": 2, "height_px": 32}, True),
        ({"lines": 6, "height_px": 96}, False),
        ({"lines": 6, "height_px": 96, "card": "5k", "per_line": True}, True),
        ({"lines": 2, "height_px": 32, "per_line": False}, False),
    ],
)
def test_lines_have_areas_of_their_own_where_the_card_has_enough(options: dict[str, Any], per_line: bool) -> None:
    assert OnbonOptions(**options).has_area_per_line is per_line


def test_more_lines_than_a_card_has_areas_are_refused() -> None:
    with pytest.raises(ValidationError, match="a 6k card has 5"):
        OnbonOptions(lines=6, height_px=96, per_line=True)


async def test_light_that_the_card_refuses_does_not_keep_it_from_starting(make_display: Any, plugged: Any) -> None:
    card = OnbonSimulator()
    display = make_display()
    async with plugged(card) as wire:
        await display.start(wire)
        card.fault = "wrong_family"
        with pytest.raises(Fault):
            await display.set_brightness(40)
        with pytest.raises(Fault):
            await display.set_power(False)
        card.fault = None
        await display.start(wire)
        assert (await display.poll()).info["brightness"] is None
    assert card.shown.on


async def test_what_is_in_the_colour_of_blinking_already_changes_all_the_same(make_display: Any, plugged: Any) -> None:
    card = OnbonSimulator()
    display = make_display()
    async with plugged(card) as wire:
        await display.start(wire)
        await display.show(DisplayMessage(DisplayKind.PAUSED, ("暂停服务",), colour=Colour.YELLOW, blink=True))
        assert card.shown.colour is Colour.RED
