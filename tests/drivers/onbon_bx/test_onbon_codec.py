"""Frames of the vendor, byte for byte; then what follows from them."""

import pytest
from hallctl_drivers.onbon_bx import codec
from hallctl_drivers.onbon_bx.codec import Area, CardColour, Command, DisplayMode, Reply, Request
from hallctl_drivers.onbon_bx.frame import (
    CLIENT_ADDRESS,
    WILDCARD_ADDRESS,
    CrcError,
    Packet,
    PacketDecoder,
    crc16,
    encode_packet,
    escape,
    unescape,
)
from hypothesis import given
from hypothesis import strategies as st

from hallctl.driver.gb2312 import from_gb2312, to_gb2312
from hallctl.errors import CodecError, LocalCodecError, RemoteCodecError

SYNC = "A5" * 8
TO_ANY_CARD = "FE FF 00 80 00 00 00 00 00 00 FE 02"
FROM_ANY_CARD = "00 80 FE FF 00 00 00 00 00 00 FE 02"

# Made by the vendor's Java example (onbonlab, bx.k.java), for a 5K card of 64 x 16 dots.
GOLDEN_TEXT = (
    f"{SYNC} {TO_ANY_CARD} 35 00 A3 06 01 00 00 00 01 2C 00 00 00 00 00 00 08 00 10 00 00 00 00 05 00 00 00 00 02 01 02"
    " 00 00 08 11 00 00 00 C7 EB 41 30 30 31 BA C5 B5 BD 33 BA C5 B4 B0 BF DA FC C1 5A"
)
GOLDEN_ON = f"{SYNC} {TO_ANY_CARD} 06 00 A3 00 01 00 00 01 5D F1 5A"
GOLDEN_OFF = f"{SYNC} {TO_ANY_CARD} 06 00 A3 00 01 00 00 02 1D F0 5A"
GOLDEN_CLEAR = f"{SYNC} {TO_ANY_CARD} 05 00 A3 10 01 00 00 75 DC 5A"
# Printed in the vendor's protocol document: sections 5.1.1 (a 6K3 card of 128 x 32 dots), 5.1.2, 7.2 and 8.7.
GOLDEN_6K_TEXT = (
    f"{SYNC} {TO_ANY_CARD} 2C 00 A3 06 01 00 00 00 01 23 00 00 00 80 00 00 80 80 20 00 00 00 00 0A 00 00 00 00 02 01 01"
    " 00 02 0A 08 00 00 00 BB B6 D3 AD B9 E2 C1 D9 3C 49 5A"
)
GOLDEN_ACK = f"{SYNC} A5 {FROM_ANY_CARD} 05 00 A0 00 00 00 00 14 AC 5A"
GOLDEN_NAK_CRC = f"{SYNC} A5 {FROM_ANY_CARD} 05 00 A0 01 05 00 00 05 51 5A"
GOLDEN_PING = f"{SYNC} 01 00 00 80 00 00 00 00 00 00 FE 02 05 00 A2 00 01 00 00 68 F8 5A"


def raw(text: str) -> bytes:
    return bytes.fromhex(text)


def on_the_wire(request: Request, address: int = WILDCARD_ADDRESS) -> bytes:
    return encode_packet(Packet(address, CLIENT_ADDRESS, codec.encode_request(request)))


def decoded(data: bytes) -> list[Packet]:
    decoder = PacketDecoder()
    decoder.feed(data)
    packets = []
    while (packet := decoder.next()) is not None:
        packets.append(packet)
    return packets


def test_the_vendors_text_frame_is_built_byte_for_byte() -> None:
    area = Area(width=64, height=16, text="请A001号到3号窗口")
    assert on_the_wire(codec.show_area(area)) == raw(GOLDEN_TEXT)


def test_the_documents_text_frame_for_a_6k_card_is_built_byte_for_byte() -> None:
    area = Area(
        width=128, height=32, text="欢迎光临", pixels=True, timeout_s=10, mode=DisplayMode.STATIC, speed=2, stay=10
    )
    assert on_the_wire(codec.show_area(area)) == raw(GOLDEN_6K_TEXT)


@pytest.mark.parametrize(
    ("request_", "golden", "address"),
    [
        (codec.power(True), GOLDEN_ON, WILDCARD_ADDRESS),
        (codec.power(False), GOLDEN_OFF, WILDCARD_ADDRESS),
        (codec.clear(), GOLDEN_CLEAR, WILDCARD_ADDRESS),
        (codec.ping(), GOLDEN_PING, 1),
    ],
)
def test_the_vendors_short_frames_are_built_byte_for_byte(request_: Request, golden: str, address: int) -> None:
    assert on_the_wire(request_, address) == raw(golden)


def test_the_documents_ack_and_nak_are_understood() -> None:
    ack, nak = decoded(raw(GOLDEN_ACK) + raw(GOLDEN_NAK_CRC))
    assert (ack.destination, ack.source) == (CLIENT_ADDRESS, WILDCARD_ADDRESS)
    assert codec.decode_reply(ack.data) == Reply(Command.ACK)
    assert codec.decode_reply(nak.data) == Reply(Command.NAK, error=5)
    assert codec.ERRORS[5][0] == "checksum error"


def test_brightness_is_command_a302_with_type_1_and_the_level() -> None:
    assert codec.encode_request(codec.set_brightness(15)) == raw("A3 02 01 00 00 01 0F")
    with pytest.raises(LocalCodecError, match="16"):
        codec.set_brightness(16)


def test_the_crc_is_the_one_that_is_known_as_crc16_arc() -> None:
    assert crc16(b"123456789") == 0xBB3D


def test_every_special_byte_is_escaped_as_the_document_says() -> None:
    assert escape(raw("A5 A6 5A 5B 00")) == raw("A6 02 A6 01 5B 02 5B 01 00")


def test_a_frame_full_of_special_bytes_keeps_sync_and_end_out_of_its_inside() -> None:
    frame = encode_packet(Packet(1, CLIENT_ADDRESS, raw("A5 5A A6 5B") * 4))
    assert 0xA5 not in frame[8:]
    assert 0x5A not in frame[:-1]
    assert decoded(frame)[0].data == raw("A5 5A A6 5B") * 4


@pytest.mark.parametrize("bad", ["A6", "5B", "A6 03", "5B 00"])
def test_an_escape_that_does_not_exist_is_refused(bad: str) -> None:
    with pytest.raises(RemoteCodecError, match="escape"):
        unescape(raw(bad))


def test_one_sync_byte_is_enough_and_noise_before_it_is_skipped() -> None:
    assert decoded(raw("00 5A 13") + raw(GOLDEN_ACK)[8:]) == decoded(raw(GOLDEN_ACK))


def test_a_frame_that_is_cut_off_by_the_next_is_an_error_and_the_next_one_is_read() -> None:
    decoder = PacketDecoder()
    decoder.feed(raw(GOLDEN_ACK)[:20] + raw(GOLDEN_NAK_CRC))
    with pytest.raises(RemoteCodecError, match="cut off"):
        decoder.next()
    packet = decoder.next()
    assert packet is not None
    assert codec.decode_reply(packet.data).error == 5


def test_a_wrong_crc_is_told_apart_from_other_errors() -> None:
    frame = bytearray(raw(GOLDEN_ON))
    frame[-3] ^= 1
    with pytest.raises(CrcError):
        decoded(bytes(frame))


def test_a_frame_without_end_does_not_fill_the_memory() -> None:
    decoder = PacketDecoder()
    decoder.feed(b"\xa5")
    with pytest.raises(RemoteCodecError, match="without the end"):
        for _ in range(100):
            decoder.feed(bytes(200))
            assert decoder.next() is None


def test_a_character_outside_gb2312_is_refused_by_name() -> None:
    with pytest.raises(LocalCodecError, match=r"'㐀' \(U\+3400\)"):
        codec.encode_area(Area(width=64, height=16, text="请㐀号"))


def test_the_dash_and_the_dot_that_keyboards_write_are_in_gb2312() -> None:
    assert to_gb2312("—·") == raw("A1 AA A1 A4")
    assert from_gb2312(raw("A1 AA A1 A4")) == "—·"


@pytest.mark.parametrize("control", ["\n", "\x00", "\x7f"])
def test_control_characters_are_refused(control: str) -> None:
    with pytest.raises(LocalCodecError, match=r"U\+00"):
        to_gb2312(f"1{control}2")


def test_a_backslash_is_refused_because_cards_read_codes_after_it() -> None:
    with pytest.raises(LocalCodecError, match="U\\+005C"):
        codec.compose((r"C:\C2",), CardColour.RED)


def test_lines_are_joined_by_the_newline_code_after_font_and_colour() -> None:
    assert codec.compose(("一", "二"), CardColour.GREEN, 24) == r"\FO001\FE001\C2一\n二"
    assert codec.compose(("一",), CardColour.YELLOW) == r"\C3一"


def test_a_5k_card_gets_no_width_that_is_not_a_multiple_of_8() -> None:
    with pytest.raises(LocalCodecError, match="60"):
        codec.encode_area(Area(width=60, height=16, text="1"))


texts = st.text(st.sampled_from("请号到窗口欢迎光临暂停服务ABCxyz0189 ,。—·→\\\\1n"), max_size=40)
areas = st.builds(
    Area,
    width=st.integers(1, 100).map(lambda eighths: eighths * 8),
    height=st.integers(1, 512),
    text=texts,
    x=st.integers(0, 100).map(lambda eighths: eighths * 8),
    y=st.integers(0, 512),
    pixels=st.booleans(),
    number=st.integers(0, 7),
    run_mode=st.integers(0, 5),
    timeout_s=st.integers(0, 65535),
    align=st.integers(0, 15),
    single_line=st.booleans(),
    auto_newline=st.booleans(),
    mode=st.sampled_from(DisplayMode),
    speed=st.integers(0, 24),
    stay=st.integers(0, 255),
)


@given(areas)
def test_an_area_comes_back_as_it_went(area: Area) -> None:
    assert codec.decode_areas(codec.show_area(area).body) == (area,)


@given(
    st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary(max_size=300), st.lists(st.integers(1, 40), max_size=20)
)
def test_a_packet_comes_back_as_it_went_in_any_pieces(
    destination: int, source: int, data: bytes, cuts: list[int]
) -> None:
    packet = Packet(destination, source, data)
    wire = encode_packet(packet)
    decoder = PacketDecoder()
    seen = []
    for size in [*cuts, len(wire)]:
        decoder.feed(wire[:size])
        wire = wire[size:]
        while (got := decoder.next()) is not None:
            seen.append(got)
    assert seen == [packet]


@given(
    st.sampled_from([GOLDEN_TEXT, GOLDEN_6K_TEXT, GOLDEN_ON, GOLDEN_ACK]).map(raw),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, 60),
)
def test_a_mutated_frame_raises_nothing_but_codec_errors(
    frame: bytes, changes: list[tuple[int, int]], cut: int
) -> None:
    mutated = bytearray(frame)
    for position, value in changes:
        mutated[position % len(mutated)] = value
    decoder = PacketDecoder()
    decoder.feed(bytes(mutated[: len(mutated) - cut]) + frame)
    for _ in range(len(mutated)):
        try:
            packet = decoder.next()
        except CodecError:
            continue
        if packet is None:
            break
    else:
        pytest.fail("the decoder never comes to an end")


@given(st.binary(max_size=80))
def test_any_data_raises_nothing_but_codec_errors(data: bytes) -> None:
    for read in (codec.decode_request, codec.decode_reply, codec.decode_areas, codec.decode_area, unescape):
        try:
            read(data)
        except CodecError:
            continue
