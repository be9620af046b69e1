"""Whose bytes they are, on a wire that many share."""

import asyncio

from hallctl.transport import Direction, Tap


def passed(tap: Tap) -> list[tuple[str, bytes]]:
    return [(chunk.direction.value, chunk.data) for chunk in tap.ring() if chunk.direction is not Direction.NOTE]


async def two_lines(hall) -> tuple[tuple, tuple]:
    taps = Tap("three", hall.clock), Tap("four", hall.clock)
    return tuple(hall.bus.attach(address, hall.tiny, 0.0, tap) for address, tap in zip((3, 4), taps, strict=True)), taps


async def test_each_tap_sees_the_questions_and_answers_of_its_own_line(hall) -> None:
    (three, _), (of_three, of_four) = await two_lines(hall)
    asking = asyncio.create_task(three.exchange(hall.tiny.build(3, b"?"), lambda _frame: True, timeout_s=1))
    await hall.hear()
    await hall.say(hall.tiny.build(3, b"yes"))
    await asking
    assert passed(of_three) == [("out", hall.tiny.build(3, b"?")), ("in", hall.tiny.build(3, b"yes"))]
    assert passed(of_four) == []
    assert passed(hall.bus.tap) == passed(of_three)


async def test_garbage_belongs_to_the_line_whose_turn_it_is(hall) -> None:
    (three, _), (of_three, of_four) = await two_lines(hall)
    asking = asyncio.create_task(three.exchange(hall.tiny.build(3, b"?"), lambda _frame: True, timeout_s=1))
    await hall.hear()
    await hall.say(b"\xff\xfe\x00")
    assert passed(of_three)[-1] == ("in", b"\xff\xfe\x00")
    assert passed(of_four) == []
    await hall.say(hall.tiny.build(3, b"yes"))
    await asking


async def test_a_key_press_between_turns_is_seen_by_the_tap_of_its_address(hall) -> None:
    _, (of_three, of_four) = await two_lines(hall)
    await hall.say(hall.tiny.build(4, b"key"))
    assert passed(of_four) == [("in", hall.tiny.build(4, b"key"))]
    assert passed(of_three) == []


async def test_noise_that_is_nobodys_is_seen_by_the_tap_of_the_bus_alone(hall) -> None:
    _, (of_three, of_four) = await two_lines(hall)
    await hall.say(b"\x00\x00")
    assert passed(hall.bus.tap)[-1] == ("in", b"\x00\x00")
    assert passed(of_three) == passed(of_four) == []


async def test_every_line_is_told_that_the_port_was_lost(hall) -> None:
    _, taps = await two_lines(hall)
    await hall.devices.close()
    await hall.clock.settle()
    assert all("unplugged" in tap.ring()[-1].note for tap in taps)
