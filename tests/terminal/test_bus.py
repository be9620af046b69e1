"""The bus owner on a null modem, with time that stands still."""

import asyncio
import itertools

import pytest

from hallctl.errors import (
    ConfigError,
    TerminalBusy,
    TransportLost,
    TransportTimeout,
    TransportUnavailable,
    Withdrawn,
)


def started(work) -> asyncio.Task:
    return asyncio.create_task(work)


def anything(_frame: bytes) -> bool:
    return True


async def test_a_reply_goes_to_the_request_that_waits_for_it(hall) -> None:
    line = hall.line(3)
    asking = started(line.exchange(hall.tiny.build(3, b"?"), anything, timeout_s=1))
    assert await hall.hear() == hall.tiny.build(3, b"?")
    await hall.say(hall.tiny.build(3, b"yes"))
    assert await asking == hall.tiny.build(3, b"yes")


async def test_a_frame_that_the_request_does_not_want_goes_to_the_inbox(hall) -> None:
    line = hall.line(3)
    asking = started(line.exchange(hall.tiny.build(3), lambda frame: b"ok" in frame, timeout_s=1))
    await hall.hear()
    await hall.say(hall.tiny.build(3, b"key") + hall.tiny.build(3, b"ok"))
    assert await asking == hall.tiny.build(3, b"ok")
    assert await line.receive() == hall.tiny.build(3, b"key")


async def test_a_reply_of_another_address_is_not_taken_for_ours(hall) -> None:
    ours, theirs = hall.line(3), hall.line(4)
    asking = started(ours.exchange(hall.tiny.build(3), anything, timeout_s=1))
    await hall.hear()
    await hall.say(hall.tiny.build(4, b"key"))
    assert not asking.done()
    assert await theirs.receive() == hall.tiny.build(4, b"key")
    await hall.clock.advance(2)
    with pytest.raises(TransportTimeout):
        await asking


async def test_a_frame_that_came_before_the_request_was_sent_is_no_reply(hall) -> None:
    line = hall.line(3, gap_s=0.5)
    await line.send(b"first")
    asking = started(line.exchange(b"second", anything, timeout_s=10))
    await hall.clock.settle()
    await hall.say(hall.tiny.build(3, b"early"))
    assert not asking.done()
    assert await line.receive() == hall.tiny.build(3, b"early")
    asking.cancel()


async def test_urgent_requests_go_before_polling_and_polling_in_turn(hall) -> None:
    one, two = hall.line(1, gap_s=1), hall.line(2, gap_s=1)
    await one.send(b"|now")
    waiting = [
        started(one.send(b"|poll-1a", urgent=False)),
        started(one.send(b"|poll-1b", urgent=False)),
        started(two.send(b"|poll-2", urgent=False)),
    ]
    await hall.clock.settle()
    waiting += [started(two.send(b"|call-2")), started(one.send(b"|call-1"))]
    await hall.clock.advance(10)
    await asyncio.gather(*waiting)
    assert await hall.hear() == b"|now|poll-1a|call-2|call-1|poll-2|poll-1b"


async def test_the_gap_is_kept_after_what_we_send_and_after_what_we_hear(hall) -> None:
    line = hall.line(1, gap_s=0.1)
    await line.send(b"a")
    second = started(line.send(b"b"))
    assert await hall.hear() == b"a"
    await hall.clock.advance(0.05)
    await hall.say(hall.tiny.build(1))
    await hall.clock.advance(0.09)
    assert await hall.hear() == b""
    await hall.clock.advance(0.02)
    assert await hall.hear() == b"b"
    await second


async def test_on_a_bus_that_is_never_quiet_a_call_goes_out_all_the_same(hall) -> None:
    line = hall.line(1, gap_s=0.1)
    await line.send(b"a")
    second = started(line.send(b"b"))
    for _ in range(60):
        await hall.say(b"\x00")
        await hall.clock.advance(0.05)
    assert second.done()
    assert hall.bus.stats["garbage_bytes"] == 60


async def test_send_returns_when_the_last_bit_has_left_at_the_ports_speed(make_hall) -> None:
    hall = await make_hall("?baud=9600")
    sending = started(hall.line(1).send(bytes(96)))
    await hall.clock.advance(0.099)
    assert not sending.done()
    await hall.clock.advance(0.002)
    assert sending.done()


async def test_a_wrong_option_of_the_port_is_said_to_every_terminal(make_hall) -> None:
    hall = await make_hall("?baud=fast")
    with pytest.raises(TransportUnavailable, match="baud") as caught:
        await hall.line(1).send(b"x")
    assert caught.value.code == "config.invalid"


async def test_garbage_around_and_between_frames_is_skipped_and_counted(hall) -> None:
    line = hall.line(1)
    one, two = hall.tiny.build(1, b"one"), hall.tiny.build(1, b"two")
    await hall.say(b"\x00\xff" + one + b"\xa0\x01\xff" + two + b"\x55")
    assert [await line.receive(), await line.receive()] == [one, two]
    assert hall.bus.stats["garbage_bytes"] == 6


async def test_a_frame_in_single_bytes_is_whole_in_the_end(hall) -> None:
    line = hall.line(1)
    for byte in hall.tiny.build(1, b"slowly"):
        await hall.say(bytes([byte]))
        await hall.clock.advance(0.02)
    assert await line.receive() == hall.tiny.build(1, b"slowly")
    assert hall.bus.stats["garbage_bytes"] == 0


async def test_a_half_frame_is_given_up_and_the_whole_one_behind_it_is_found(hall) -> None:
    line = hall.line(1)
    half, whole = hall.tiny.build(1, b"0123456789")[:6], hall.tiny.build(1, b"k")
    await hall.say(half + whole)
    receiving = started(line.receive())
    await hall.clock.settle()
    assert not receiving.done()
    await hall.clock.advance(0.2)
    assert await receiving == whole
    assert hall.bus.stats["garbage_bytes"] == len(half)


async def test_two_families_share_a_bus_with_the_same_address(hall) -> None:
    bar = hall.bus.attach(1, hall.tiny, 0.0)
    pad = hall.bus.attach(1, hall.other, 0.0)
    asking = started(bar.exchange(hall.tiny.build(1, b"?"), anything, timeout_s=1))
    await hall.hear()
    await hall.say(hall.other.build(1, b"key") + hall.tiny.build(1, b"ok"))
    assert await asking == hall.tiny.build(1, b"ok")
    assert await pad.receive() == hall.other.build(1, b"key")


async def test_one_address_of_one_family_is_given_out_once(hall) -> None:
    line = hall.line(1)
    with pytest.raises(ConfigError, match="address 1"):
        hall.line(1)
    hall.bus.detach(line)
    hall.line(1)


async def test_a_detached_line_says_so_to_whoever_waits(hall) -> None:
    line = hall.line(1)
    receiving = started(line.receive())
    await hall.clock.settle()
    hall.bus.detach(line)
    with pytest.raises(TransportUnavailable) as caught:
        await receiving
    assert caught.value.code == "bus.detached"
    await hall.say(hall.tiny.build(1))
    assert hall.bus.stats["frames_in"] == 0


async def test_frames_of_unknown_addresses_are_counted(hall) -> None:
    hall.line(1)
    await hall.say(hall.tiny.build(9) + hall.tiny.build(8))
    assert hall.bus.stats["unknown_addresses"] == 2


async def test_a_dead_address_costs_its_time_out_only_rarely(hall) -> None:
    dead, alive = hall.line(1), hall.line(2)
    on_the_wire = 0
    for _ in range(60):  # a poll a second for a minute
        polling = started(dead.exchange(b"dead?", anything, timeout_s=0.5, urgent=False))
        await hall.clock.settle()
        on_the_wire += b"dead?" in await hall.hear()
        asking = started(alive.exchange(b"alive?", anything, timeout_s=5, urgent=False))
        await hall.clock.advance(0.5)
        await hall.say(hall.tiny.build(2))
        assert await asking == hall.tiny.build(2)
        with pytest.raises(TransportTimeout):
            await polling
        await hall.clock.advance(0.5)
    assert on_the_wire <= 16
    assert hall.bus.stats["refused_silent"] == 60 - on_the_wire
    assert hall.bus.stats["timeouts"] == on_the_wire


async def test_a_silent_address_is_found_within_ten_seconds_of_coming_back(hall) -> None:
    line = hall.line(1)
    for _ in range(40):
        polling = started(line.exchange(b"?", anything, timeout_s=0.5, urgent=False))
        await hall.clock.advance(1)
        await asyncio.gather(polling, return_exceptions=True)
    await hall.hear()
    for second in range(10):  # noqa: B007  # read after the loop
        polling = started(line.exchange(b"?", anything, timeout_s=0.5, urgent=False))
        await hall.clock.settle()
        if await hall.hear():
            await hall.say(hall.tiny.build(1))
        (result,) = await asyncio.gather(polling, return_exceptions=True)
        if isinstance(result, bytes):
            break
        await hall.clock.advance(1)
    assert isinstance(result, bytes)


async def silence(hall, line) -> None:
    """Make an address suspect."""
    for _ in range(2):
        polling = started(line.exchange(b"?", anything, timeout_s=0.5))
        await hall.clock.advance(0.6)
        await asyncio.gather(polling, return_exceptions=True)
    await hall.hear()


async def test_a_call_to_a_window_that_answers_goes_ahead_of_calls_to_dead_ones(hall) -> None:
    dead, alive = hall.line(1), hall.line(2)
    await silence(hall, dead)
    held = started(alive.exchange(hall.tiny.build(2, b"0"), anything, timeout_s=1))  # somebody has the bus
    await hall.hear()
    calls = [
        started(dead.exchange(hall.tiny.build(1, b"c"), anything, timeout_s=0.5)),
        started(alive.exchange(hall.tiny.build(2, b"c"), anything, timeout_s=0.5)),
    ]
    await hall.say(hall.tiny.build(2))
    assert await held == hall.tiny.build(2)
    assert await hall.hear() == hall.tiny.build(2, b"c")
    await hall.say(hall.tiny.build(2))
    assert await hall.hear() == hall.tiny.build(1, b"c")
    await hall.clock.advance(0.15)
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(results[0], TransportTimeout)
    assert results[1] == hall.tiny.build(2)


async def test_a_call_waits_for_a_dead_address_no_longer_than_a_blink(hall) -> None:
    dead, alive = hall.line(1), hall.line(2)
    await silence(hall, dead)
    polling = started(dead.exchange(b"?", anything, timeout_s=5))
    await hall.hear()
    call = started(alive.send(hall.tiny.build(2, b"c")))
    await hall.clock.advance(0.15)
    await hall.clock.settle()
    assert call.done()
    assert isinstance((await asyncio.gather(polling, return_exceptions=True))[0], TransportTimeout)


async def test_a_slow_device_that_was_dead_is_found_by_its_late_word(hall) -> None:
    slow = hall.line(1)
    await silence(hall, slow)
    polling = started(slow.exchange(b"?", anything, timeout_s=2))
    await hall.clock.advance(0.2)
    await asyncio.gather(polling, return_exceptions=True)
    await hall.say(hall.tiny.build(1))  # too late for the short patience, and a sign of life
    again = started(slow.exchange(b"?", anything, timeout_s=2, urgent=False))
    await hall.clock.advance(1)
    await hall.say(hall.tiny.build(1, b"x"))
    assert await again == hall.tiny.build(1, b"x")


async def test_a_slow_device_whose_answers_name_nobody_is_found_by_its_late_word_too(hall) -> None:
    nameless, slow = hall.nameless, hall.bus.attach(1, hall.nameless, 0.0)
    await silence(hall, slow)
    polling = started(slow.exchange(b"?", anything, timeout_s=2))
    await hall.clock.advance(0.2)
    await asyncio.gather(polling, return_exceptions=True)
    await hall.say(nameless.build(1))
    again = started(slow.exchange(b"?", anything, timeout_s=2, urgent=False))
    await hall.clock.advance(1)
    await hall.say(nameless.build(1, b"x"))
    assert again.result() == nameless.build(1, b"x")


async def test_our_own_question_heard_back_is_no_sign_of_life_and_no_word_for_anybody(hall) -> None:
    dead, question = hall.line(1), hall.tiny.build(1, b"?")
    for _ in range(40):
        asked = started(dead.exchange(question, lambda raw: raw != question, timeout_s=1))
        await hall.hear()
        await hall.say(question)  # the adapter hears itself, and nobody wrote echo=1
        await hall.clock.advance(1)
        await asyncio.gather(asked, return_exceptions=True)
    poll = started(dead.exchange(question, anything, timeout_s=1, urgent=False))
    await hall.clock.advance(0)
    with pytest.raises(TransportTimeout) as caught:
        poll.result()
    assert "40 requests unanswered" in caught.value.message
    assert (hall.bus.stats["echoes"], hall.bus.stats["inbox_dropped"]) == (40, 0)


async def test_polls_that_still_wait_make_way_for_a_call_to_the_same_address(hall) -> None:
    busy, line = hall.line(1), hall.line(2)
    held = started(busy.exchange(hall.tiny.build(1, b"?"), anything, timeout_s=1))
    poll = started(line.exchange(hall.tiny.build(2, b"?"), anything, timeout_s=1, urgent=False))
    call = started(line.send(hall.tiny.build(2, b"c")))
    await hall.hear()
    line.withdraw()
    with pytest.raises(Withdrawn):
        await poll
    await hall.say(hall.tiny.build(1))
    await asyncio.gather(held, call)
    assert await hall.hear() == hall.tiny.build(2, b"c")


async def test_a_poll_that_is_on_the_wire_is_not_withdrawn(hall) -> None:
    line = hall.line(1)
    poll = started(line.exchange(hall.tiny.build(1, b"?"), anything, timeout_s=1, urgent=False))
    await hall.hear()
    line.withdraw()
    await hall.say(hall.tiny.build(1))
    assert await poll == hall.tiny.build(1)


async def test_nobody_speaks_into_an_answer_whose_asker_has_gone(hall) -> None:
    impatient, other = hall.line(1), hall.line(2)
    gone = started(impatient.exchange(hall.tiny.build(1, b"?"), anything, timeout_s=1))
    await hall.hear()
    gone.cancel()
    call = started(other.send(hall.tiny.build(2, b"c")))
    assert await hall.hear() == b""  # the device may be answering now
    await hall.say(hall.tiny.build(1))
    await call
    assert await hall.hear() == hall.tiny.build(2, b"c")


async def test_an_adapter_that_is_plugged_in_is_opened_at_once(make_hall) -> None:
    hall = await make_hall(running=False)
    plugged = False
    hall.bus._plugged = lambda: plugged
    hall.refusal = TransportUnavailable("absent", code="port.absent")
    running = started(hall.bus.run())
    await hall.clock.advance(120)
    hall.refusal, plugged = None, True
    await hall.clock.advance(0.5)
    assert hall.bus.is_open
    running.cancel()


async def test_an_urgent_request_to_a_silent_address_is_always_tried(hall) -> None:
    line = hall.line(1)
    for _ in range(4):
        asking = started(line.exchange(b"?", anything, timeout_s=1))
        await hall.clock.advance(1.5)
        with pytest.raises(TransportTimeout):
            await asking
    assert await hall.hear() == b"????"


async def test_any_frame_of_a_silent_address_ends_its_silence(hall) -> None:
    line = hall.line(1)
    for _ in range(4):
        asking = started(line.exchange(b"?", anything, timeout_s=1))
        await hall.clock.advance(1.5)
        await asyncio.gather(asking, return_exceptions=True)
    await hall.hear()
    await hall.say(hall.tiny.build(1, b"key"))
    asking = started(line.exchange(b"!", anything, timeout_s=1, urgent=False))
    assert await hall.hear() == b"!"
    asking.cancel()


async def test_a_request_whose_caller_gave_up_is_not_sent(hall) -> None:
    line = hall.line(1, gap_s=1)
    await line.send(b"a")
    second, third = started(line.send(b"b")), started(line.send(b"c"))
    await hall.clock.settle()
    third.cancel()
    await hall.clock.advance(5)
    await second
    assert await hall.hear() == b"ab"


async def test_more_than_the_limit_waiting_is_busy(make_hall) -> None:
    hall = await make_hall(waiting_limit=3)
    line = hall.line(1, gap_s=100)
    await line.send(b"a")
    waiting = [started(line.send(b"b"))]  # with the wire already, which keeps the gap
    await hall.clock.settle()
    waiting += [started(line.send(b"b")) for _ in range(3)]
    await hall.clock.settle()
    with pytest.raises(TerminalBusy):
        await line.send(b"c")
    assert hall.bus.stats["waiting_rejected"] == 1
    for task in waiting:
        task.cancel()
    await hall.clock.settle()
    later = started(line.send(b"d"))
    await hall.clock.settle()
    assert not later.done()  # those who gave up have made room
    later.cancel()


async def test_a_full_inbox_drops_the_oldest_counts_and_logs_it(hall) -> None:
    line = hall.line(1)
    for number in range(40):
        await hall.say(hall.tiny.build(1, bytes([number])))
    assert await line.receive() == hall.tiny.build(1, bytes([8]))
    assert hall.bus.stats["inbox_dropped"] == 8
    assert "frame dropped" in hall.log.lines


async def test_a_key_press_that_nobody_took_for_half_a_minute_is_forgotten(hall) -> None:
    line = hall.line(1)
    await hall.say(hall.tiny.build(1, b"old"))
    await hall.clock.advance(31)
    await hall.say(hall.tiny.build(1, b"new"))
    assert await line.receive() == hall.tiny.build(1, b"new")


async def test_an_accept_that_raises_hurts_only_its_own_terminal(hall) -> None:
    one, two = hall.line(1), hall.line(2)

    def broken(_frame: bytes) -> bool:
        raise ZeroDivisionError

    asking = started(one.exchange(b"?", broken, timeout_s=1))
    await hall.hear()
    await hall.say(hall.tiny.build(1))
    with pytest.raises(ZeroDivisionError):
        await asking
    await two.send(b"alive")
    assert await hall.hear() == b"alive"


async def test_before_the_port_is_open_every_call_says_so(make_hall) -> None:
    hall = await make_hall(running=False)
    line = hall.line(1)
    for call in (line.send(b"x"), line.exchange(b"x", anything, timeout_s=1), line.receive()):
        with pytest.raises(TransportUnavailable) as caught:
            await call
        assert caught.value.code == "port.opening"
    with pytest.raises(TransportUnavailable):
        line.check()


async def test_an_absent_port_gives_its_own_reason_to_every_terminal_and_is_tried_again(make_hall) -> None:
    hall = await make_hall(running=False)
    hall.refusal = TransportUnavailable("no such port", code="port.absent", hint="look")
    running = started(hall.bus.run())
    await hall.clock.settle()
    line = hall.line(1)
    with pytest.raises(TransportUnavailable) as caught:
        line.check()
    assert (caught.value.code, caught.value.hint) == ("port.absent", "look")
    await hall.clock.advance(60)
    assert hall.log.lines == ["bus lost"]  # once, not once an attempt
    hall.refusal = None
    await hall.clock.advance(31)
    line.check()
    await hall.clock.advance(2)
    assert hall.log.lines == ["bus lost", "bus open"]
    running.cancel()


async def test_a_lost_port_fails_everybody_who_waits_and_opens_again_by_itself(hall) -> None:
    line, other = hall.line(1), hall.line(2)
    waiting = [
        started(line.exchange(b"a", anything, timeout_s=100)),
        started(other.send(b"b")),
        started(other.send(b"c", urgent=False)),
        started(line.receive()),
    ]
    await hall.clock.settle()
    await hall.unplug()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [TransportLost] * 4
    assert len({id(result) for result in results}) == 4
    assert not hall.bus.is_open
    await hall.clock.advance(1.1)
    await line.send(b"back")
    assert await hall.hear() == b"back"
    assert hall.bus.stats["openings"] == 2
    await hall.clock.advance(2)
    assert hall.log.lines == ["bus open", "bus lost", "bus open"]


async def test_a_serial_server_that_hangs_up_on_every_connection_is_told_once(hall) -> None:
    for _ in range(20):
        await hall.unplug()
        while not hall.bus.is_open:  # it is connected again, and that ends at once
            await hall.clock.advance(0.5)
    assert hall.log.lines == ["bus open", "bus lost"]
    await hall.clock.advance(2)
    assert hall.log.lines == ["bus open", "bus lost", "bus open"]


async def test_key_presses_that_arrived_before_the_loss_are_still_received(hall) -> None:
    line = hall.line(1)
    await hall.say(hall.tiny.build(1, b"key"))
    await hall.unplug()
    assert await line.receive() == hall.tiny.build(1, b"key")
    with pytest.raises(TransportLost):
        await line.receive()


async def test_a_half_frame_of_before_the_loss_does_not_spoil_the_first_one_afterwards(hall) -> None:
    line = hall.line(1)
    await hall.say(hall.tiny.build(1, b"0123456789")[:6])
    await hall.unplug()
    while not hall.bus.is_open:
        await hall.clock.advance(0.01)
    await hall.say(hall.tiny.build(1, b"k"))
    receiving = started(line.receive())
    await hall.clock.settle()
    assert receiving.done()
    assert await receiving == hall.tiny.build(1, b"k")


async def test_a_port_that_keeps_failing_is_tried_less_and_less_often(make_hall) -> None:
    hall = await make_hall(running=False)
    attempts = []
    opening = hall.bus._opener

    async def counting(address, clock):
        attempts.append(hall.clock.monotonic())
        return await opening(address, clock)

    hall.bus._opener = counting
    hall.refusal = TransportUnavailable("absent", code="port.absent")
    running = started(hall.bus.run())
    await hall.clock.advance(300)
    pauses = [later - earlier for earlier, later in itertools.pairwise(attempts)]
    assert pauses[0] <= 1.0
    assert all(5 <= pause <= 8 for pause in pauses[5:])
    running.cancel()


async def test_the_adapters_own_echo_is_neither_reply_nor_key(make_hall) -> None:
    hall = await make_hall("?echo=1")
    line = hall.line(1)
    question = hall.tiny.build(1, b"?")
    asking = started(line.exchange(question, anything, timeout_s=1))
    assert await hall.hear() == question
    await hall.say(question[:2])
    await hall.say(question[2:])
    assert not asking.done()
    await hall.say(hall.tiny.build(1, b"ok"))
    assert await asking == hall.tiny.build(1, b"ok")
    assert hall.bus.stats["collisions"] == 0


async def test_an_echo_that_differs_is_a_collision(make_hall) -> None:
    hall = await make_hall("?echo=1")
    sending = started(hall.line(1).send(b"\x01\x02\x03"))
    await hall.clock.advance(1)
    await sending
    await hall.say(b"\x01\x72\x03")
    assert hall.bus.stats["collisions"] == 1


async def test_a_port_that_takes_no_bytes_is_given_up(make_hall) -> None:
    hall = await make_hall()
    line = hall.line(1)

    async def stuck(_data: bytes) -> None:
        await asyncio.Event().wait()

    hall.devices._peer.write = stuck
    sending = started(line.send(b"x"))
    await hall.clock.advance(5.5)
    with pytest.raises(TransportLost):
        await sending


async def test_a_bus_that_is_stopped_says_so(hall) -> None:
    line = hall.line(1)
    receiving = started(line.receive())
    await hall.clock.settle()
    for task in asyncio.all_tasks():
        if task.get_coro().__qualname__ == "Bus.run":
            task.cancel()
    with pytest.raises(TransportUnavailable) as caught:
        await receiving
    assert caught.value.code == "bus.stopped"
