"""Pads and keypads: what is emitted, and that nothing is acknowledged before."""

import asyncio
import contextlib

import pytest
from hallctl_drivers.ff68 import KEYPAD, PAD, codec
from hallctl_drivers.ff68.config import KeypadOptions, PadOptions
from hallctl_drivers.ff68.driver import Ff68Keypad, Ff68Pad
from hallctl_drivers.ff68.sim import Ff68KeypadSimulator, Ff68PadSimulator
from pydantic import ValidationError

from hallctl.driver import EvaluationRequest, Key, KeyPressed, RatingSubmitted, StaffCard
from hallctl.driver.conformance import DirectLine
from hallctl.errors import Mismatch, OutboxError, TransportLost, TransportTimeout, TransportUnavailable
from hallctl.transport import null_modem


@contextlib.asynccontextmanager
async def listening(desk, driver, line):
    await driver.start(line)
    task = asyncio.create_task(driver.listen())

    async def arrive(frame: codec.Frame) -> list[object]:
        line.arrivals.put_nowait(frame.to_bytes())
        await desk.clock.settle()
        return desk.taken()

    yield arrive
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def pad(desk):
    return Ff68Pad(desk.context, PadOptions())


@pytest.fixture
async def keypad(desk):
    return Ff68Keypad(desk.context, KeypadOptions())


def ack(frame: codec.Frame) -> bytes:
    return codec.acknowledge_result(frame).to_bytes()


async def test_a_rating_is_on_disk_before_the_pad_thanks_the_citizen(desk, pad) -> None:
    async with listening(desk, pad, desk.line()) as arrive:
        said = codec.result(1, 3)
        assert await arrive(said) == [RatingSubmitted(5), ack(said)]


async def test_a_rating_that_could_not_be_kept_is_not_acknowledged_and_comes_again(desk, pad) -> None:
    line, said = desk.line(), codec.result(1, 0)
    await pad.start(line)
    desk.disk_fails = OutboxError("disk full")
    line.arrivals.put_nowait(said.to_bytes())
    with pytest.raises(OutboxError):
        await pad.listen()
    assert desk.taken() == []
    desk.disk_fails = None
    async with listening(desk, pad, line) as arrive:
        assert await arrive(said) == [RatingSubmitted(2), ack(said)]


async def test_a_repeat_of_the_pad_is_acknowledged_again_but_not_counted_twice(desk, pad) -> None:
    async with listening(desk, pad, desk.line()) as arrive:
        said = codec.result(1, 2)
        await arrive(said)
        for _ in range(2):
            await desk.clock.advance(0.5)
            assert await arrive(said) == [ack(said)]
        assert (await pad.poll()).info["repeats"] == 2


async def test_the_same_key_after_a_new_evaluation_has_started_is_a_new_rating(desk, pad) -> None:
    async with listening(desk, pad, desk.line()) as arrive:
        said = codec.result(1, 2)
        await arrive(said)
        await pad.start_evaluation(EvaluationRequest())
        desk.taken()
        assert await arrive(said) == [RatingSubmitted(4), ack(said)]


async def test_the_same_key_long_after_is_a_new_rating(desk, pad) -> None:
    async with listening(desk, pad, desk.line()) as arrive:
        said = codec.result(1, 1)
        await arrive(said)
        await desk.clock.advance(2.5)
        assert await arrive(said) == [RatingSubmitted(3), ack(said)]


async def test_a_rating_is_not_counted_twice_when_the_port_was_lost_before_the_acknowledgement(desk, pad) -> None:
    line, said = desk.line(), codec.result(1, 3)
    await pad.start(line)
    line.closed = TransportLost("unplugged")
    line.arrivals.put_nowait(said.to_bytes())
    with pytest.raises(TransportLost):
        await pad.listen()
    assert desk.taken() == [RatingSubmitted(5)]
    await desk.clock.advance(1)
    async with listening(desk, pad, desk.line()) as arrive:
        assert await arrive(said) == [ack(said)]


async def test_a_key_without_a_score_is_acknowledged_logged_and_not_invented(desk, pad) -> None:
    async with listening(desk, pad, desk.line()) as arrive:
        said = codec.result(1, 9)
        assert await arrive(said) == [ack(said)]
        assert desk.log.lines == ["key without a meaning"]


async def test_scores_follow_the_configuration(desk) -> None:
    pad = Ff68Pad(desk.context, PadOptions.model_validate({"scores": {"0": 1, "1": 5}}))
    async with listening(desk, pad, desk.line()) as arrive:
        assert (await arrive(codec.result(1, 0)))[0] == RatingSubmitted(1)
        assert (await arrive(codec.result(1, 1)))[0] == RatingSubmitted(5)


async def test_an_adapters_echo_of_our_frames_is_no_rating(desk, pad) -> None:
    async with listening(desk, pad, desk.line()) as arrive:
        for frame in (codec.start_evaluation(1), codec.show_stars(1, 3), codec.Frame(1, 1, b"\x02")):
            assert await arrive(frame) == []


async def test_an_evaluation_shows_the_stars_and_lights_the_keys(desk, pad) -> None:
    await pad.start(desk.line(4))
    await pad.start_evaluation(EvaluationRequest(stars=5))
    assert desk.taken() == [codec.show_stars(4, 5).to_bytes(), codec.start_evaluation(4).to_bytes()]
    await pad.start_evaluation(EvaluationRequest(ticket="A001"))
    assert desk.taken() == [codec.start_evaluation(4).to_bytes()]


@pytest.mark.parametrize(
    ("digits", "code", "signal"),
    [
        ("", codec.KEY_CALL, KeyPressed(Key.NEXT)),
        ("0123", codec.KEY_CALL, KeyPressed(Key.NEXT, "0123")),
        ("", codec.KEY_RECALL, KeyPressed(Key.RECALL)),
        ("", codec.KEY_EVALUATE, KeyPressed(Key.EVALUATE)),
        ("", codec.KEY_CANCEL, KeyPressed(Key.CANCEL)),
        ("", codec.KEY_PAUSE, KeyPressed(Key.PAUSE)),
        ("3", codec.KEY_TRANSFER, KeyPressed(Key.TRANSFER, "3")),
        ("", codec.KEY_CONFIRM, KeyPressed(Key.CONFIRM)),
        ("42", codec.KEY_CONFIRM, KeyPressed(Key.CONFIRM, "42")),
        ("6", codec.KEY_CONFIRM, KeyPressed(Key.ABANDON)),
        ("0", codec.KEY_CONFIRM, KeyPressed(Key.HANG_UP)),
        ("3", codec.KEY_CONFIRM, KeyPressed(Key.CALL_BACK)),
        ("12", 7, KeyPressed(Key.DIGITS, "127")),
    ],
)
async def test_each_key_has_its_meaning_and_the_frame_is_repeated_as_acknowledgement(
    desk, keypad, digits, code, signal
) -> None:
    async with listening(desk, keypad, desk.line()) as arrive:
        said = codec.key_press(1, digits, code)
        assert await arrive(said) == [signal, said.to_bytes()]


async def test_a_key_that_nobody_knows_is_acknowledged_and_nothing_else(desk, keypad) -> None:
    async with listening(desk, keypad, desk.line()) as arrive:
        for said in (codec.key_press(1, "", 0x10), codec.Frame(1, 1, b"\x0c\x0c")):
            assert await arrive(said) == [said.to_bytes()]
        assert (await keypad.poll()).info["unmapped"] == 2


async def test_an_adapters_echo_of_the_acknowledgement_does_not_go_round_for_ever(desk, keypad) -> None:
    async with listening(desk, keypad, desk.line()) as arrive:
        said = codec.key_press(1, "", codec.KEY_CALL)
        await arrive(said)
        await desk.clock.advance(0.02)
        assert await arrive(said) == []
        await desk.clock.advance(0.3)
        assert await arrive(said) == [said.to_bytes()]
        await desk.clock.advance(1)
        assert await arrive(said) == [KeyPressed(Key.NEXT), said.to_bytes()]


async def test_an_adapters_echo_of_what_is_shown_is_no_key(desk, keypad) -> None:
    async with listening(desk, keypad, desk.line()) as arrive:
        for frame in (codec.show_queue(1, 123, "456"), codec.beep(1)):
            assert await arrive(frame) == []


async def test_the_queue_is_shown_and_shown_again_after_the_port_was_lost(desk, keypad) -> None:
    await keypad.start(desk.line())
    assert desk.taken() == []
    await keypad.show_queue(5, "A001")
    shown = bytes.fromhex("FF 68 08 08 68 01 02 0A 0A 05 00 00 01 1D 16")
    assert desk.taken() == [shown]
    await keypad.start(desk.line())
    assert desk.taken() == [shown]


async def test_presence_is_unproven_until_the_device_has_spoken(desk, pad) -> None:
    async with listening(desk, pad, desk.line()) as arrive:
        assert (await pad.poll()).info == {"presence": "unproven"}
        assert desk.taken() == []
        await arrive(codec.result(1, 1))
        assert (await pad.poll()).info == {"presence": "heard", "last_heard": "2026-03-02T01:00:00+00:00"}


async def test_a_firmware_that_confirms_is_polled_and_its_silence_is_an_error(desk) -> None:
    pad, line = Ff68Pad(desk.context, PadOptions(confirms=True)), desk.line()
    line.repeats_frames = True
    await pad.start(line)
    assert (await pad.poll()).info == {"presence": "proven"}
    line.repeats_frames = False
    with pytest.raises(TransportTimeout):
        await pad.poll()


async def test_a_closed_bus_is_found_by_start_and_by_poll(desk, keypad) -> None:
    line = desk.line()
    await keypad.start(line)
    line.closed = TransportUnavailable("absent", code="port.absent")
    for call in (keypad.poll(), keypad.start(line)):
        with pytest.raises(TransportUnavailable) as caught:
            await call
        assert caught.value.code == "port.absent"


async def test_a_driver_without_a_bus_or_with_an_impossible_address_says_what_to_write(desk, pad) -> None:
    near, _far = null_modem()
    with pytest.raises(Mismatch, match="bus"):
        await pad.start(near)
    for address in (0, 256):
        with pytest.raises(Mismatch, match="address"):
            await pad.start(desk.line(address))


@pytest.mark.parametrize("wrong", [{"scores": {"0": 6}}, {"scores": {"-1": 3}}, {"score": {}}, {"repeat_s": -1}])
def test_wrong_options_are_refused(wrong) -> None:
    with pytest.raises(ValidationError):
        PadOptions.model_validate(wrong)


def test_the_keys_of_a_keypad_can_be_given_in_yaml_with_other_meanings() -> None:
    options = KeypadOptions.model_validate({"confirmed": {"5": "abandon"}, "keys": {"10": "transfer"}})
    assert (options.confirmed, options.keys) == ({"5": Key.ABANDON}, {10: Key.TRANSFER})
    with pytest.raises(ValidationError):
        KeypadOptions.model_validate({"keys": {"9": "next"}})


def test_the_plugins_build_what_they_promise(desk) -> None:
    assert isinstance(PAD.make(desk.context, PAD.options()), Ff68Pad)
    assert isinstance(KEYPAD.make(desk.context, KEYPAD.options()), Ff68Keypad)
    assert PAD.framing is KEYPAD.framing is codec.FRAMING
    assert PAD.simulate(None, 3).address == 3
    assert KEYPAD.simulate("mute", None).address == 1


async def test_a_pad_shows_the_stars_and_where_it_has_digits_the_number_of_the_staff(desk) -> None:
    simulator = Ff68PadSimulator(digits=True)
    line = DirectLine(simulator, codec.FRAMING)
    pad = Ff68Pad(desk.context, PadOptions(staff_digits=True))
    await pad.start(line)
    await pad.show_staff(StaffCard("GL-01234", "张三", 4))
    assert (simulator.stars, simulator.number, simulator.refused) == (4, "01234", [])


async def test_a_pad_without_digits_is_told_the_stars_only(desk, pad) -> None:
    simulator = Ff68PadSimulator()
    await pad.start(DirectLine(simulator, codec.FRAMING))
    await pad.show_staff(StaffCard("0123", "张三", 5))
    await pad.show_staff(StaffCard("0123"))
    assert (simulator.stars, simulator.refused) == (5, [])


async def test_a_keypad_can_be_made_to_sound(desk, keypad) -> None:
    simulator = Ff68KeypadSimulator()
    await keypad.start(DirectLine(simulator, codec.FRAMING))
    assert await keypad.beep()
    assert simulator.beeps == 1
