"""The simulators are strict about what they hear and repeat what they say."""

import pytest
from hallctl_drivers.ff68 import codec
from hallctl_drivers.ff68.codec import Frame
from hallctl_drivers.ff68.sim import Ff68KeypadSimulator, Ff68PadSimulator

from hallctl.errors import ConfigError


def wired(simulator):
    said: list[bytes] = []
    simulator.emit = said.append
    return simulator, said


def test_a_dark_pad_takes_no_rating() -> None:
    pad, said = wired(Ff68PadSimulator(address=2))
    assert not pad.press(1)
    pad.feed(codec.start_evaluation(2).to_bytes())
    assert pad.evaluating
    assert pad.press(1)
    assert said == [codec.result(2, 1).to_bytes()]


def test_the_pad_thanks_only_for_the_right_acknowledgement() -> None:
    pad, _ = wired(Ff68PadSimulator())
    pad.feed(codec.start_evaluation(1).to_bytes())
    pad.press(1)
    pad.feed(Frame(1, codec.CMD_PAD, b"\x02").to_bytes() + Frame(2, codec.CMD_PAD, b"\x01").to_bytes())
    assert pad.thanked == 0
    pad.feed(codec.acknowledge_result(codec.result(1, 1)).to_bytes())
    assert (pad.thanked, pad.tick()) == (1, False)


def test_what_is_not_acknowledged_is_said_three_times_and_given_up() -> None:
    pad, said = wired(Ff68PadSimulator())
    pad.feed(codec.start_evaluation(1).to_bytes())
    pad.press(0)
    assert [pad.tick(), pad.tick(), pad.tick()] == [True, True, False]
    assert said == [codec.result(1, 0).to_bytes()] * 3
    assert pad.gave_up == 1


def test_a_keypad_shows_counts_beeps_and_repeats_until_its_frame_comes_back() -> None:
    keypad, said = wired(Ff68KeypadSimulator())
    keypad.feed(codec.show_queue(1, 5, "001").to_bytes() + codec.beep(1).to_bytes())
    assert (keypad.waiting, keypad.ticket, keypad.beeps) == ("5", "001", 1)
    keypad.press_key(codec.KEY_CALL)
    assert keypad.tick()
    keypad.feed(said[0])
    keypad.feed(said[0])
    assert not keypad.tick()
    assert (keypad.acknowledged, keypad.refused) == (1, [])


@pytest.mark.parametrize(
    "wire",
    [
        "FF 68 03 03 68 01 01 0B 0E 16",  # wrong sum
        "FF 68 03 04 68 01 01 0B 0D 16",  # the lengths differ
        "FF 68 03 03 68 01 01 0B 0D 17",  # wrong end
        "FF 68 03 03 68 01 02 06 09 16",  # six stars
        "FF 68 02 02 68 01 04 05 16",  # no such command
    ],
)
def test_what_the_real_pad_would_not_understand_is_refused_and_counted(wire: str) -> None:
    pad, _ = wired(Ff68PadSimulator())
    pad.feed(bytes.fromhex(wire))
    assert len(pad.refused) == 1
    assert (pad.evaluating, pad.stars) == (False, None)


def test_frames_of_others_and_noise_are_passed_over_in_any_pieces() -> None:
    pad, _ = wired(Ff68PadSimulator(address=9))
    stream = b"\x00\xa5\xff" + codec.start_evaluation(8).to_bytes() + b"\x16" + codec.start_evaluation(9).to_bytes()
    for byte in stream:
        assert pad.feed(bytes([byte])) == b""
    assert (pad.evaluating, pad.refused) == (True, [])


@pytest.mark.parametrize(
    ("fault", "valid"),
    [
        (None, [True, True, True]),
        ("noise", [True, True, True]),
        ("mute", []),
        ("half_frames", [False, True, True]),
        ("collisions", [False, True, True]),
        ("bad_checksum", [False, False, False]),
        ("wrong_address", [False, False, False]),
        ("echo", [True, True, True]),
    ],
)
def test_each_fault_spoils_what_the_host_hears_as_its_name_says(fault, valid) -> None:
    keypad, said = wired(Ff68KeypadSimulator(fault, 5))
    keypad.press_key(codec.KEY_RECALL)
    while keypad.tick():
        pass
    whole = codec.key_press(5, "", codec.KEY_RECALL).to_bytes()
    assert [whole in words for words in said] == valid
    assert keypad.feed(b"\x01\x02") == (b"\x01\x02" if fault == "echo" else b"")


def test_an_unknown_fault_or_an_impossible_address_or_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="flood"):
        Ff68PadSimulator("flood")
    with pytest.raises(ConfigError, match="address"):
        Ff68KeypadSimulator(None, 0)
    with pytest.raises(ConfigError, match="key 4"):
        Ff68PadSimulator().press(4)
