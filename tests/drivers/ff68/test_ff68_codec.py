"""FF 68 frames byte for byte, and what is no frame."""

import pytest
from hallctl_drivers.ff68 import codec
from hallctl_drivers.ff68.codec import FRAMING, Frame, probe
from hypothesis import given
from hypothesis import strategies as st

from hallctl.errors import LocalCodecError, RemoteCodecError

FRAMES = st.builds(Frame, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=codec.LONGEST - 2))


@pytest.mark.parametrize(
    ("frame", "wire"),
    [
        # written down in the protocol notes, computed there independently of this codec
        (codec.show_queue(1, 5, "001"), "FF 68 08 08 68 01 02 0A 0A 05 00 00 01 1D 16"),
        (codec.beep(1), "FF 68 02 02 68 01 03 04 16"),
        (codec.start_evaluation(1), "FF 68 03 03 68 01 01 0B 0D 16"),
        (codec.show_stars(1, 5), "FF 68 03 03 68 01 02 05 08 16"),
        # added up by hand
        (codec.result(1, 2), "FF 68 03 03 68 01 11 02 14 16"),
        (codec.acknowledge_result(codec.result(1, 2)), "FF 68 03 03 68 01 01 02 04 16"),
        (codec.key_press(2, "", codec.KEY_CALL), "FF 68 03 03 68 02 01 0C 0F 16"),
        (codec.key_press(2, "6", codec.KEY_CONFIRM), "FF 68 04 04 68 02 01 06 0F 18 16"),
        (codec.key_press(0x81, "12", codec.KEY_TRANSFER), "FF 68 05 05 68 81 01 01 02 13 98 16"),
        (codec.show_queue(255, 999, "A123"), "FF 68 08 08 68 FF 02 09 09 09 01 02 03 22 16"),
        (codec.show_queue(1, None, None), "FF 68 08 08 68 01 02 0A 0A 0A 0A 0A 0A 3F 16"),
    ],
)
def test_every_command_is_on_the_wire_as_documented(frame: Frame, wire: str) -> None:
    raw = bytes.fromhex(wire)
    assert frame.to_bytes() == raw
    assert Frame.from_bytes(raw) == frame
    assert probe(raw) == len(raw)
    assert FRAMING.address_of(raw) == frame.address


def test_the_acknowledgement_of_a_result_has_a_sum_less_by_10_hex() -> None:
    for value in range(5):
        said = codec.result(7, value)
        assert (said.to_bytes()[-2] - codec.acknowledge_result(said).to_bytes()[-2]) % 256 == 0x10


@pytest.mark.parametrize(
    ("waiting", "ticket", "digits"),
    [
        (0, None, "0A 0A 00 0A 0A 0A"),
        (12, "A7", "0A 01 02 0A 0A 07"),
        (1000, "B1234", "09 09 09 02 03 04"),
        (None, "ABC", "0A 0A 0A 0A 0A 0A"),
        (5, "A٣1", "0A 0A 05 0A 0A 01"),
    ],
)
def test_the_display_shows_the_last_three_digits_and_blanks_before_them(waiting, ticket, digits) -> None:
    assert codec.show_queue(1, waiting, ticket).data == bytes.fromhex(digits)


@pytest.mark.parametrize(
    "build",
    [
        lambda: codec.show_stars(1, 6),
        lambda: codec.show_stars(1, -1),
        lambda: codec.show_queue(1, -1, None),
        lambda: Frame(256, 1).to_bytes(),
        lambda: Frame(1, 256).to_bytes(),
        lambda: Frame(1, 1, bytes(codec.LONGEST)).to_bytes(),
    ],
)
def test_what_the_protocol_cant_carry_is_our_own_mistake(build) -> None:
    with pytest.raises(LocalCodecError):
        build()


@pytest.mark.parametrize("wire", ["", "FF", "FF 68 02 02 68 01 03 05 16", "FF 68 02 02 68 01 03 04 16 00"])
def test_what_is_not_exactly_one_frame_is_garbage(wire: str) -> None:
    with pytest.raises(RemoteCodecError):
        Frame.from_bytes(bytes.fromhex(wire))


@given(FRAMES)
def test_every_frame_comes_back_as_it_went(frame: Frame) -> None:
    assert Frame.from_bytes(frame.to_bytes()) == frame


@given(FRAMES, st.binary(max_size=20))
def test_a_frame_is_found_whatever_follows_it(frame: Frame, rest: bytes) -> None:
    raw = frame.to_bytes()
    assert probe(raw + rest) == len(raw)


@given(FRAMES, st.data())
def test_the_beginning_of_a_frame_asks_for_more(frame: Frame, data: st.DataObject) -> None:
    raw = frame.to_bytes()
    assert probe(raw[: data.draw(st.integers(0, len(raw) - 1))]) == 0


@given(FRAMES, st.data())
def test_one_changed_byte_is_never_taken_for_a_frame_of_that_length(frame: Frame, data: st.DataObject) -> None:
    raw = bytearray(frame.to_bytes())
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= data.draw(st.integers(1, 255))
    assert probe(bytes(raw)) <= 0


@given(st.binary(max_size=80))
def test_noise_is_judged_without_an_error_and_never_longer_than_it_is(noise: bytes) -> None:
    assert -1 <= probe(noise) <= len(noise)
