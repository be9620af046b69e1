"""The document's frames, byte for byte; then what follows from them."""

import pytest
from hallctl_drivers.pinganlihe import codec
from hallctl_drivers.pinganlihe.codec import (
    Call,
    Checksum,
    Command,
    Frame,
    InstantText,
    PingAnLiHeFraming,
    Sub,
    TextColour,
)
from hypothesis import given
from hypothesis import strategies as st

from hallctl.errors import CodecError, LocalCodecError, RemoteCodecError

FRAMING = PingAnLiHeFraming()
# Protocol V2.1, its two examples: number 1234 to bar 3, and the same with the prefix B.
GOLDEN_CALL = "A0 06 28 03 01 0C 22 03 63 FF"
GOLDEN_PREFIX_CALL = "A0 07 28 03 01 0C 22 03 42 42 FF"


def raw(text: str) -> bytes:
    return bytes.fromhex(text)


@pytest.mark.parametrize("checksum", Checksum)
@pytest.mark.parametrize(("call", "golden"), [(Call(1234, 3), GOLDEN_CALL), (Call(1234, 3, "B"), GOLDEN_PREFIX_CALL)])
def test_the_documents_calls_are_built_and_read_byte_for_byte(call: Call, golden: str, checksum: Checksum) -> None:
    frame = codec.window_bar(3, Sub.CALL, call)
    assert codec.encode(frame, checksum) == raw(golden)
    assert codec.parse_call(codec.decode(raw(golden), checksum).data) == call


def test_the_version_query_and_the_acknowledgement_have_the_documents_layout() -> None:
    # 03 + 98 + 05 + 50 = 240 decimal, 40 modulo 100; 03 + 14 + 05 + 50 = 108, 8 modulo 100
    assert codec.encode(codec.version_query(5)) == raw("A0 03 98 05 50 28 FF")
    assert codec.encode(codec.ack(5)) == raw("A0 03 14 05 50 08 FF")


@pytest.mark.parametrize(
    ("frame", "wire"),
    [
        (codec.window_bar(1, Sub.WELCOME), "A0 03 28 01 00 2C FF"),
        (codec.window_bar(1, Sub.PAUSE), "A0 03 28 01 02 2E FF"),
        (codec.window_bar(1, Sub.SERVING), "A0 03 28 01 04 30 FF"),
        (codec.online_check(1), "A0 03 29 01 00 2D FF"),
        (codec.main_board(1, Call(5, 2)), "A0 06 2A 01 01 00 05 02 39 FF"),
        (codec.ascii_number(1, "A5"), "A0 05 2B 01 01 41 35 44 FF"),
        (codec.ascii_number(1, "A5", Command.NUMBER_ALTERNATE), "A0 05 2D 01 01 41 35 46 FF"),
    ],
)
def test_every_other_command_is_built_with_the_sum_modulo_100(frame: Frame, wire: str) -> None:
    assert codec.encode(frame) == raw(wire)


def test_the_two_readings_of_the_checksum_differ_above_255() -> None:
    check = codec.online_check(230)  # 03 + 29 + E6 = 274: 74 modulo 100, or 18 from the low byte
    assert codec.encode(check, Checksum.WHOLE) == raw("A0 03 29 E6 00 4A FF")
    assert codec.encode(check, Checksum.LOW_BYTE) == raw("A0 03 29 E6 00 12 FF")
    with pytest.raises(RemoteCodecError, match="checksum"):
        codec.decode(raw("A0 03 29 E6 00 12 FF"), Checksum.WHOLE)


def test_an_instant_text_has_the_documents_layout_and_sum() -> None:
    # mode, speed, stay, colour and life as an integrator's public driver sends them; D2 + BB = 一... summed by hand
    text = InstantText(5, "一", mode=8, speed=2, stay=0x99, colour=TextColour.RED)
    # 08 + 02 + 99 + 00 + 63 + D2 + BB + FF = 392 hex
    assert codec.encode_text(text) == raw("AA 05 BB 51 54 92 08 02 99 00 63 D2 BB FF")
    whole = InstantText(5, "一", mode=8, speed=2, stay=0x99, whole_screen=True)
    assert codec.encode_text(whole)[4] == 0x50
    assert codec.decode_text(codec.encode_text(whole)) == whole


@pytest.mark.parametrize(
    ("call", "named"),
    [(Call(10000, 1), "10000"), (Call(1, 100), "window 100"), (Call(1, 1, "AB"), "AB"), (Call(1, 1, "a"), "'a'")],
)
def test_a_call_that_does_not_fit_is_refused_by_name(call: Call, named: str) -> None:
    with pytest.raises(LocalCodecError, match=named):
        codec.call_data(call)


@pytest.mark.parametrize("digits", ["", "1234567", "A-1", "一"])
def test_an_ascii_number_has_one_to_six_letters_and_digits(digits: str) -> None:
    with pytest.raises(LocalCodecError):
        codec.ascii_number(1, digits)


def test_a_text_that_cannot_be_shown_is_refused() -> None:
    with pytest.raises(LocalCodecError, match=r"U\+3400"):
        codec.encode_text(InstantText(1, "㐀", mode=8))
    with pytest.raises(LocalCodecError, match="shorten"):
        codec.encode_text(InstantText(1, "长" * 101, mode=8))


@pytest.mark.parametrize("address", [-1, 256])
def test_an_address_is_one_byte(address: int) -> None:
    with pytest.raises(LocalCodecError, match="address"):
        codec.encode(codec.online_check(address))
    with pytest.raises(LocalCodecError, match="address"):
        codec.encode_text(InstantText(address, "1", mode=8))


byte = st.integers(0, 255)
checksums = st.sampled_from(Checksum)
frames = st.builds(Frame, byte, byte, byte, st.binary(max_size=12))
texts = st.builds(
    InstantText,
    address=byte,
    text=st.text(st.sampled_from("请号到窗口欢迎光临暂停ABCxyz0189 ，。—·"), max_size=60),
    mode=byte,
    speed=byte,
    stay=byte,
    colour=st.sampled_from(TextColour),
    life=byte,
    whole_screen=st.booleans(),
)


@given(frames, checksums)
def test_a_command_comes_back_as_it_went(frame: Frame, checksum: Checksum) -> None:
    wire = codec.encode(frame, checksum)
    assert codec.decode(wire, checksum) == frame
    assert FRAMING.probe(wire) == len(wire)
    assert FRAMING.address_of(wire) == frame.address


@given(texts)
def test_an_instant_text_comes_back_as_it_went(text: InstantText) -> None:
    wire = codec.encode_text(text)
    assert codec.decode_text(wire) == text
    assert FRAMING.probe(wire) == len(wire)
    assert FRAMING.address_of(wire) == text.address


@given(st.builds(Call, st.integers(0, 9999), st.integers(0, 99), st.sampled_from(["", "A", "Z"])))
def test_a_call_comes_back_as_it_went(call: Call) -> None:
    assert codec.parse_call(codec.call_data(call)) == call


@given(st.one_of(frames.map(codec.encode), texts.map(codec.encode_text)), st.binary(max_size=20))
def test_the_framing_waits_for_every_byte_of_a_frame_and_takes_no_more(wire: bytes, after: bytes) -> None:
    assert all(FRAMING.probe(wire[:size]) == 0 for size in range(len(wire)))
    assert FRAMING.probe(wire + after) == len(wire)


@given(st.binary(max_size=300))
def test_the_framing_never_waits_for_more_than_the_longest_frame(noise: bytes) -> None:
    size = FRAMING.probe(noise)
    assert size <= len(noise)
    if size == 0:
        assert len(noise) <= 11 + codec.MAX_TEXT


def test_frames_of_another_family_with_the_same_start_byte_are_no_frames() -> None:
    assert FRAMING.probe(raw("A0 90 01 A5 00 05 C7 EB 00 38 01 B4")) == -1
    assert FRAMING.probe(raw("FF 68 02 02 68 01 03 04 16")) == -1
    assert FRAMING.probe(raw("AA C2")) == 0  # 瑞泽 starts so as well: the third byte tells
    assert FRAMING.probe(raw("AA C2 48")) == -1


@given(
    st.one_of(frames.map(codec.encode), texts.map(codec.encode_text)),
    st.lists(st.tuples(st.integers(0, 300), byte), min_size=1, max_size=5),
    st.integers(0, 12),
)
def test_a_mutated_frame_raises_nothing_but_codec_errors(wire: bytes, changes: list[tuple[int, int]], cut: int) -> None:
    mutated = bytearray(wire)
    for position, value in changes:
        mutated[position % len(mutated)] = value
    data = bytes(mutated[: max(0, len(mutated) - cut)])
    for read in (codec.decode, codec.decode_text, codec.parse_call):
        try:
            read(data)
        except CodecError:
            continue
    assert -1 <= FRAMING.probe(data) <= len(data)
