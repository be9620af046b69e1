"""Keyboards as pads and keypads: every key once, in order, on disk; and what the kernel says, read right."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hallctl_drivers.keyboard import PAD
from hallctl_drivers.keyboard.codec import Event
from hallctl_drivers.keyboard.config import KeyboardKeypadOptions, KeyboardPadOptions
from hallctl_drivers.keyboard.driver import KeyboardKeypad, KeyboardPad
from hallctl_drivers.keyboard.keys import CODES
from hallctl_drivers.keyboard.sim import KeyboardSimulator
from pydantic import ValidationError

from hallctl.clock import ManualClock, SystemClock
from hallctl.driver import EvaluationRequest, Key, KeyPressed, RatingSubmitted, TerminalContext, on_tcp
from hallctl.errors import HallctlError, OutboxError, RemoteCodecError, TransportLost
from hallctl.transport import PortAddress, null_modem, open_port


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def debug(self, event: str, **_fields: object) -> None:
        self.lines.append(event)

    info = warning = debug


class Desk:
    """A keyboard's driver on a null modem, and the keyboard at its other end."""

    def __init__(self, make: Any, options: Any, fault: str | None = None) -> None:
        self.clock = ManualClock()
        self.log = Log()
        self.taken: list[Any] = []
        self.disk_fails: Exception | None = None
        self.keyboard = KeyboardSimulator(fault)
        self.keyboard.now = self.clock.monotonic
        self.driver = make(TerminalContext("pad-1", self.clock, self.log, self._keep), options)
        self.error: BaseException | None = None

    async def _keep(self, signal: Any) -> None:
        if self.disk_fails is not None:
            raise self.disk_fails
        self.taken.append(signal)

    @contextlib.asynccontextmanager
    async def plugged(self) -> AsyncIterator[None]:
        near, far = null_modem()
        sending: list[asyncio.Task[None]] = []
        self.keyboard.emit = lambda data: sending.append(asyncio.create_task(far.write(data)))
        await self.driver.start(near)
        listening = asyncio.create_task(self.driver.listen())
        try:
            yield
        finally:
            await asyncio.gather(*sending)
            if listening.done():
                self.error = listening.exception()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await near.close()

    async def press(self, *names: str, pause_s: float = 1.0) -> list[Any]:
        """Keys, one after another; what has been handed on since."""
        for name in names:
            self.keyboard.press(name)
            await self.clock.settle()
            await self.clock.advance(pause_s)
        taken, self.taken = self.taken, []
        return taken


def pad(fault: str | None = None, **options: Any) -> Desk:
    return Desk(KeyboardPad, KeyboardPadOptions(**options), fault)


def keypad(fault: str | None = None, **options: Any) -> Desk:
    return Desk(KeyboardKeypad, KeyboardKeypadOptions(**options), fault)


async def test_a_key_is_a_rating_only_while_one_is_asked_for_and_only_once() -> None:
    desk = pad()
    async with desk.plugged():
        assert await desk.press("KEY_5") == []
        await desk.driver.start_evaluation(EvaluationRequest("A001", id="w1-1"))
        assert await desk.press("KEY_KP5", "KEY_KP1") == [RatingSubmitted(5, request="w1-1", ticket="A001")]
        await desk.driver.start_evaluation(EvaluationRequest("A002", id="w1-2"))
        await desk.driver.end_evaluation()
        assert await desk.press("KEY_1") == []
        await desk.driver.start_evaluation(EvaluationRequest("A003", id="w1-3", timeout_s=30))
        await desk.clock.advance(31)
        assert await desk.press("KEY_2") == []
        assert (await desk.driver.poll()).info["unasked"] == 4


async def test_a_hall_may_let_citizens_rate_at_any_time_with_keys_of_its_own() -> None:
    desk = pad(only_when_asked=False, scores={"KEY_A": 5, "KEY_B": 1})
    async with desk.plugged():
        assert await desk.press("KEY_A", "KEY_B", "KEY_5") == [RatingSubmitted(5), RatingSubmitted(1)]
        info = (await desk.driver.poll()).info
        assert (info["unmapped"], info["unmapped_key"], info["keys"]) == (1, "KEY_5", 3)


async def test_keys_that_are_read_late_and_all_at_once_are_as_far_apart_as_they_were() -> None:
    desk = keypad()
    desk.keyboard.now = itertools.count(100.0, 0.5).__next__
    async with desk.plugged():
        desk.keyboard.press("KEY_1", "KEY_1", "KEY_1", "KEY_KPENTER", "KEY_KPENTER")
        await desk.clock.settle()
        assert desk.taken == [KeyPressed(Key.NEXT, "111"), KeyPressed(Key.NEXT)]


async def test_a_keyboard_whose_time_begins_anew_is_heard_at_once() -> None:
    desk = keypad()
    async with desk.plugged():
        await desk.clock.advance(1000)
        assert await desk.press("KEY_KPENTER") == [KeyPressed(Key.NEXT)]
        desk.keyboard.now = lambda: 1.0
        assert await desk.press("KEY_KPENTER") == [KeyPressed(Key.NEXT)]


async def test_digits_are_the_argument_of_the_key_behind_them() -> None:
    desk = keypad()
    async with desk.plugged():
        keys = ("KEY_1", "KEY_KP1", "KEY_2", "KEY_BACKSPACE", "KEY_3", "KEY_KPSLASH", "KEY_KPENTER")
        assert await desk.press(*keys) == [KeyPressed(Key.TRANSFER, "113"), KeyPressed(Key.NEXT)]
        assert await desk.press("KEY_9", "KEY_9", pause_s=0.1) == []
        await desk.clock.advance(11)
        assert await desk.press("KEY_KPPLUS") == [KeyPressed(Key.RECALL)]


@pytest.mark.parametrize(
    ("fault", "heard"), [(None, 1), ("chatter", 1), ("stuck", 1), ("mute", 0), ("dropped", 0), ("half_events", 1)]
)
async def test_a_bad_keyboard_makes_no_presses_of_its_own(fault: str | None, heard: int) -> None:
    desk = keypad(fault)
    async with desk.plugged():
        assert await desk.press("KEY_KPENTER") == [KeyPressed(Key.NEXT)] * heard
        info = (await desk.driver.poll()).info
    assert (info.get("bounces", 0) > 0) == (fault == "chatter")
    assert (info.get("dropped", 0) > 0) == (fault == "dropped")


async def test_what_could_not_be_written_is_kept_and_written_in_order() -> None:
    desk = keypad()
    async with desk.plugged():
        desk.disk_fails = OutboxError("disk full")
        assert await desk.press("KEY_1", "KEY_KPENTER", "KEY_KPMINUS") == []
        desk.disk_fails = None
        await desk.clock.advance(2)
        assert desk.taken == [KeyPressed(Key.NEXT, "1"), KeyPressed(Key.PAUSE)]
    assert desk.log.lines.count("key not kept yet") == 1


async def test_what_waits_for_the_disk_outlives_a_lost_port() -> None:
    desk = keypad()
    desk.disk_fails = OutboxError("disk full")
    async with desk.plugged():
        assert await desk.press("KEY_KPENTER") == []
    desk.disk_fails = None
    async with desk.plugged():
        await desk.clock.advance(2)
        assert desk.taken == [KeyPressed(Key.NEXT)]


async def test_a_port_that_is_lost_while_the_disk_is_full_ends_the_session_and_keeps_the_key() -> None:
    desk = keypad()
    desk.disk_fails = OutboxError("disk full")
    near, far = null_modem()
    await desk.driver.start(near)
    listening = asyncio.create_task(desk.driver.listen())
    await far.write(Event(1, CODES["KEY_KPENTER"], 1).to_bytes())
    await desk.clock.advance(5)
    await far.close()
    await desk.clock.settle()
    with pytest.raises(TransportLost):
        await asyncio.wait_for(listening, 5)
    desk.disk_fails = None
    async with desk.plugged():
        await desk.clock.settle()
        assert desk.taken == [KeyPressed(Key.NEXT)]


async def test_what_was_heard_before_the_plug_was_pulled_is_handed_on_though_the_disk_is_slow() -> None:
    desk = keypad()
    gate, keep = asyncio.Event(), desk.driver._context.emit

    async def slow(signal: Any) -> None:
        await gate.wait()
        await keep(signal)

    desk.driver = KeyboardKeypad(TerminalContext("pad-1", desk.clock, desk.log, slow), KeyboardKeypadOptions())
    near, far = null_modem()
    await desk.driver.start(near)
    listening = asyncio.create_task(desk.driver.listen())
    for name in ("KEY_KPENTER", "KEY_KPMINUS"):
        await far.write(Event(1, CODES[name], 1).to_bytes())
    await desk.clock.settle()
    await far.close()
    await desk.clock.settle()
    assert not listening.done()
    gate.set()
    with pytest.raises(TransportLost):
        await asyncio.wait_for(listening, 5)
    assert desk.taken == [KeyPressed(Key.NEXT), KeyPressed(Key.PAUSE)]


async def test_more_keys_than_can_wait_are_counted_and_told() -> None:
    desk = keypad(repeat_s=0)
    desk.disk_fails = OutboxError("disk full")
    async with desk.plugged():
        for _ in range(260):
            desk.keyboard.press("KEY_KPENTER")
        await desk.clock.settle()
        info = (await desk.driver.poll()).info
    assert (info["keys"], info["overflow"]) == (260, 4)


async def test_nonsense_ends_the_session_and_so_does_a_pulled_plug() -> None:
    desk = keypad()
    async with desk.plugged():
        desk.keyboard.emit(Event(0x44, 1, 1).to_bytes())
        await desk.clock.settle()
    assert isinstance(desk.error, RemoteCodecError)
    near, far = null_modem()
    await desk.driver.start(near)
    listening = asyncio.create_task(desk.driver.listen())
    await desk.clock.settle()
    await far.close()
    with pytest.raises(TransportLost):
        await listening


async def test_the_simulated_keyboard_works_over_tcp() -> None:
    clock, taken = SystemClock(), asyncio.Queue[Any]()
    keyboard = KeyboardSimulator()
    driver = KeyboardPad(TerminalContext("pad-1", clock, Log(), taken.put), KeyboardPadOptions(only_when_asked=False))
    async with on_tcp(keyboard) as address, await open_port(PortAddress.parse(address), clock) as port:
        await driver.start(port)
        listening = asyncio.create_task(driver.listen())
        async with asyncio.timeout(10):
            while taken.empty():
                keyboard.press("KEY_4")
                await asyncio.sleep(0.05)
            assert await taken.get() == RatingSubmitted(4)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_a_bus_is_no_port_for_a_keyboard() -> None:
    with pytest.raises(HallctlError, match="port of its own"):
        await pad().driver.start(None)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"scores": {"KEY_KPENTR": 5}}, r"'KEY_KPENTR' is no key \| did you mean KEY_KPENTER\?"),
        ({"scores": {"1": 5}}, r"did you mean KEY_1\?"),
        ({"scores": {"kp_enter": 5}}, r"did you mean KEY_KPENTER\?"),
        ({"scores": {"Σ": 5}}, "names are as KEY_1"),
        ({"scores": {"KEY_1": 6}}, "5"),
    ],
)
def test_a_key_that_does_not_exist_is_refused_with_those_that_do(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        PAD.options.model_validate(options)
