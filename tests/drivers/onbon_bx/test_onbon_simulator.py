"""The simulated card refuses what the real one would, and its picture shows what is on the panel."""

import cv2
import numpy as np
import pytest
from hallctl_drivers.onbon_bx import PLUGIN, codec
from hallctl_drivers.onbon_bx.codec import Area, CardColour, Command, Request
from hallctl_drivers.onbon_bx.frame import (
    BROADCAST_ADDRESS,
    CLIENT_ADDRESS,
    WILDCARD_ADDRESS,
    Packet,
    PacketDecoder,
    encode_packet,
)
from hallctl_drivers.onbon_bx.sim import OnbonSimulator
from hypothesis import given
from hypothesis import strategies as st

from hallctl.driver import Colour
from hallctl.driver.ledpanel import PanelLine, draw_panel, line_width
from hallctl.errors import ConfigError

TEXT = codec.show_area(Area(width=128, height=16, text=codec.compose(("请A001号到3号窗口",), CardColour.GREEN)))


def frame(request: Request, address: int = WILDCARD_ADDRESS, device_type: int = 0xFE) -> bytes:
    return encode_packet(Packet(address, CLIENT_ADDRESS, codec.encode_request(request), device_type))


def answer(data: bytes) -> tuple[Packet, codec.Reply]:
    decoder = PacketDecoder()
    decoder.feed(data)
    packet = decoder.next()
    assert packet is not None
    return packet, codec.decode_reply(packet.data)


def test_the_card_takes_a_frame_in_single_bytes() -> None:
    card = OnbonSimulator()
    answers = b"".join(card.feed(bytes([byte])) for byte in frame(TEXT))
    assert answer(answers)[1].is_ack
    assert card.shown.lines == ("请A001号到3号窗口",)
    assert card.shown.colour is Colour.GREEN


def test_the_card_answers_the_wildcard_as_the_wildcard_and_its_own_address_as_itself() -> None:
    card = OnbonSimulator(address=7)
    assert answer(card.feed(frame(codec.ping())))[0].source == WILDCARD_ADDRESS
    assert answer(card.feed(frame(codec.ping(), 7)))[0].source == 7


def test_another_address_is_refused_without_an_answer() -> None:
    card = OnbonSimulator(address=7)
    assert card.feed(frame(TEXT, 8)) == b""
    assert card.refused == ["address 8 is not 7"]
    assert card.shown.lines == ()


def test_a_broadcast_is_obeyed_without_an_answer() -> None:
    card = OnbonSimulator()
    assert card.feed(frame(codec.power(False), BROADCAST_ADDRESS)) == b""
    assert not card.shown.on


def test_a_request_that_wants_no_reply_gets_none() -> None:
    card = OnbonSimulator()
    assert card.feed(frame(Request(Command.POWER, b"\x02", reply=False))) == b""
    assert not card.shown.on


def test_a_wrong_crc_is_answered_with_nak_5() -> None:
    card = OnbonSimulator()
    data = bytearray(frame(TEXT))
    data[-4] ^= 1
    assert answer(card.feed(bytes(data)))[1] == codec.Reply(Command.NAK, 5)
    assert card.shown.lines == ()
    assert len(card.refused) == 1


@pytest.mark.parametrize(("command", "error"), [(0xA377, 2), (0xB100, 1)])
def test_unknown_commands_and_groups_have_their_own_nak(command: int, error: int) -> None:
    assert answer(OnbonSimulator().feed(frame(Request(command))))[1].error == error


@pytest.mark.parametrize(
    "data",
    [
        frame(codec.ping(), device_type=0x10),
        frame(Request(Command.POWER, b"\x03")),
        frame(Request(Command.SHOW, b"\x00\x01\xff\x00")),
        frame(Request(Command.SHOW, codec.show_area(Area(width=64, height=16, text=r"\Q1")).body)),
        frame(codec.ping())[:12] + b"\xa6\x07" + frame(codec.ping())[14:],
    ],
    ids=["bitmap card's device type", "power 3", "area cut off", "unknown code", "wrong escape"],
)
def test_nonsense_is_refused_and_recorded(data: bytes) -> None:
    card = OnbonSimulator()
    assert card.feed(data) == b""
    assert len(card.refused) == 1


def test_clear_empties_the_panel() -> None:
    card = OnbonSimulator()
    card.feed(frame(TEXT))
    card.feed(frame(codec.clear()))
    assert card.shown.lines == ()


def test_an_unknown_fault_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="on_fire"):
        PLUGIN.simulate("on_fire", None)


@given(st.binary(max_size=200))
def test_whatever_comes_the_card_does_not_fall_over(data: bytes) -> None:
    card = OnbonSimulator()
    card.feed(data)
    card.feed(b"\x5a" + frame(TEXT))
    card.feed(frame(TEXT))
    assert card.shown.lines == ("请A001号到3号窗口",)


def lit_dots(png: bytes, channel: int) -> int:
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    return int((picture[:, :, channel] > 150).sum())


def test_the_picture_shows_the_text_in_its_colour_and_nothing_when_off() -> None:
    card = OnbonSimulator()
    card.feed(frame(TEXT))
    png = card.draw()
    assert lit_dots(png, 1) > 1000
    assert lit_dots(png, 2) == 0
    card.feed(frame(codec.power(False)))
    assert lit_dots(card.draw(), 1) == 0


def test_the_picture_is_as_wide_as_the_text_when_the_panel_is_not() -> None:
    wide = cv2.imdecode(
        np.frombuffer(draw_panel([PanelLine("欢" * 20)], width_px=64, height_px=16, lamp_px=4), np.uint8), 1
    )
    assert wide.shape[1] >= 20 * 16 * 4
    right_edge = wide[:, -16 * 4 - 10 :, 2]
    assert (right_edge > 150).any()


def test_each_line_has_its_own_rows_and_a_dim_panel_is_darker() -> None:
    lines = [PanelLine("一", Colour.RED), PanelLine("一", Colour.GREEN)]
    picture = cv2.imdecode(np.frombuffer(draw_panel(lines, width_px=16, height_px=32, lamp_px=4), np.uint8), 1)
    middle = picture.shape[0] // 2
    assert (picture[:middle, :, 2] > 150).any()
    assert not (picture[middle:, :, 2] > 150).any()
    dim = cv2.imdecode(np.frombuffer(draw_panel(lines, width_px=16, height_px=32, brightness=0.0), np.uint8), 1)
    assert 34 < dim.max() < picture.max()


def test_chinese_is_a_full_cell_and_ascii_half_a_cell() -> None:
    assert line_width("请A1号") == 16 + 8 + 8 + 16
    assert line_width("请A", 32) == 32 + 16
