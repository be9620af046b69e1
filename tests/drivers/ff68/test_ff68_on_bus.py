"""Pads and keypads on one real pseudo-terminal behind the bus owner: several at once, faults, unplugging."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from hallctl_drivers.ff68 import KEYPAD, PAD, codec
from hallctl_drivers.ff68.sim import Ff68KeypadSimulator, Ff68PadSimulator

from hallctl.clock import SystemClock
from hallctl.driver import EvaluationRequest, Key, KeyPressed, RatingSubmitted, TerminalContext, on_pty
from hallctl.errors import TransportError
from hallctl.terminal import Bus
from hallctl.transport import PortAddress

PATIENCE_S = 10.0
REPEAT_S = 0.15


@dataclass
class Log:
    lines: list[str] = field(default_factory=list)

    def debug(self, event: str, **_fields: object) -> None:
        self.lines.append(event)

    info = warning = debug


class Installation:
    """The host's side: a bus, its drivers, and everything that they emitted, by terminal."""

    def __init__(self, link: str, query: str = "?baud=9600") -> None:
        self.log = Log()
        self.bus = Bus("counter", PortAddress.parse(f"serial://{link}{query}"), SystemClock(), self.log)
        self.emitted: dict[str, list[object]] = {}
        self.drivers: dict[str, object] = {}
        self._tasks = [asyncio.create_task(self.bus.run())]

    def add(self, name: str, plugin, address: int) -> None:
        self.emitted[name] = []

        async def emit(signal: object) -> None:
            self.emitted[name].append(signal)

        driver = plugin.make(TerminalContext(name, SystemClock(), self.log, emit), plugin.options())
        line = self.bus.attach(address, plugin.framing, plugin.bus_gap_s)
        self.drivers[name] = driver
        self._tasks.append(asyncio.create_task(self._supervise(driver, line)))

    async def _supervise(self, driver, line) -> None:
        while True:
            with contextlib.suppress(TransportError):
                await driver.start(line)
                await driver.listen()
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # what is watched are plain attributes of simulators
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def installed(link: str, query: str = "?baud=9600") -> AsyncIterator[Installation]:
    installation = Installation(link, query)
    try:
        yield installation
    finally:
        await installation.stop()


def pads_and_keypads() -> tuple[list[Ff68PadSimulator], list[Ff68KeypadSimulator]]:
    pads = [Ff68PadSimulator(address=0x80 + number, repeat_s=REPEAT_S) for number in (1, 2, 3)]
    keypads = [Ff68KeypadSimulator(address=number, repeat_s=REPEAT_S) for number in (1, 2, 3)]
    return pads, keypads


def add_all(hall: Installation, pads, keypads) -> None:
    for pad in pads:
        hall.add(f"pad-{pad.address - 0x80}", PAD, pad.address)
    for keypad in keypads:
        hall.add(f"keypad-{keypad.address}", KEYPAD, keypad.address)


async def test_three_windows_share_one_bus_without_mixing_anything_up(tmp_path) -> None:
    pads, keypads = pads_and_keypads()
    async with on_pty([*pads, *keypads], str(tmp_path / "bus")) as link, installed(link) as hall:
        add_all(hall, pads, keypads)
        await until(lambda: hall.bus.is_open)
        for number, (pad, keypad) in enumerate(zip(pads, keypads, strict=True), 1):
            await hall.drivers[f"keypad-{number}"].show_queue(number, f"A00{number}")
            await hall.drivers[f"pad-{number}"].start_evaluation(EvaluationRequest(stars=number))
            await until(lambda pad=pad, keypad=keypad: pad.evaluating and keypad.ticket is not None)
            assert (keypad.waiting, keypad.ticket, pad.stars) == (str(number), f"00{number}", number)
        for number, (pad, keypad) in enumerate(zip(pads, keypads, strict=True), 0):
            assert pad.press(number + 1)
            keypad.press_key(codec.KEY_TRANSFER, str(number))
        await until(lambda: all(pad.thanked for pad in pads) and all(keypad.acknowledged for keypad in keypads))
        assert [hall.emitted[f"pad-{n}"] for n in (1, 2, 3)] == [[RatingSubmitted(score)] for score in (3, 4, 5)]
        assert [hall.emitted[f"keypad-{n}"] for n in (1, 2, 3)] == [
            [KeyPressed(Key.TRANSFER, argument)] for argument in "012"
        ]
        assert [simulator.refused for simulator in (*pads, *keypads)] == [[]] * 6
        assert hall.bus.stats["garbage_bytes"] == hall.bus.stats["unknown_addresses"] == 0


@pytest.mark.parametrize("fault", ["noise", "half_frames", "collisions", "echo"])
async def test_one_disturbed_keypad_loses_no_press_of_its_own_nor_of_its_neighbour(fault: str, tmp_path) -> None:
    disturbed = Ff68KeypadSimulator(fault, 1, repeat_s=REPEAT_S)
    neighbour = Ff68KeypadSimulator(None, 2, repeat_s=REPEAT_S)
    query = "?baud=9600&echo=1" if fault == "echo" else "?baud=9600"
    async with on_pty([disturbed, neighbour], str(tmp_path / "bus")) as link, installed(link, query) as hall:
        hall.add("one", KEYPAD, 1)
        hall.add("two", KEYPAD, 2)
        await until(lambda: hall.bus.is_open)
        disturbed.press_key(codec.KEY_CALL)
        await until(lambda: disturbed.acknowledged == 1)
        neighbour.press_key(codec.KEY_RECALL)
        await until(lambda: neighbour.acknowledged == 1)
        assert hall.emitted == {"one": [KeyPressed(Key.NEXT)], "two": [KeyPressed(Key.RECALL)]}


async def test_an_echoing_adapter_that_nobody_configured_causes_no_endless_acknowledging(tmp_path) -> None:
    keypad = Ff68KeypadSimulator("echo", 1, repeat_s=REPEAT_S)
    async with on_pty([keypad], str(tmp_path / "bus")) as link, installed(link) as hall:
        hall.add("one", KEYPAD, 1)
        await until(lambda: hall.bus.is_open)
        keypad.press_key(codec.KEY_CALL)
        await until(lambda: keypad.acknowledged == 1 and hall.bus.stats["frames_in"] >= 2)
        await hall.drivers["one"].show_queue(1, "002")
        await until(lambda: keypad.ticket == "002")
        assert hall.emitted["one"] == [KeyPressed(Key.NEXT)]
        assert hall.bus.stats["frames_out"] < 6  # a machine under load may take an echo for a repeat, once or twice


@pytest.mark.parametrize("fault", ["mute", "wrong_address", "bad_checksum"])
async def test_a_keypad_that_can_not_be_understood_gives_up_and_its_neighbour_works(fault: str, tmp_path) -> None:
    broken = Ff68KeypadSimulator(fault, 1, repeat_s=0.03)
    neighbour = Ff68KeypadSimulator(None, 3, repeat_s=REPEAT_S)
    async with on_pty([broken, neighbour], str(tmp_path / "bus")) as link, installed(link) as hall:
        hall.add("one", KEYPAD, 1)
        hall.add("three", KEYPAD, 3)
        await until(lambda: hall.bus.is_open)
        broken.press_key(codec.KEY_CALL)
        await until(lambda: broken.gave_up == 1)
        neighbour.press_key(codec.KEY_CALL)
        await until(lambda: neighbour.acknowledged == 1)
        assert hall.emitted == {"one": [], "three": [KeyPressed(Key.NEXT)]}
        stats = hall.bus.stats
        assert stats["unknown_addresses"] == (3 if fault == "wrong_address" else 0)
        assert (stats["garbage_bytes"] > 0) == (fault == "bad_checksum")


async def test_an_unplugged_bus_says_why_and_everything_works_again_after_replugging(tmp_path) -> None:
    link = str(tmp_path / "bus")
    pad, keypad = Ff68PadSimulator(address=0x81, repeat_s=REPEAT_S), Ff68KeypadSimulator(address=1, repeat_s=REPEAT_S)
    async with installed(link) as hall:
        add_all(hall, [pad], [keypad])
        async with on_pty([pad, keypad], link):
            await until(lambda: hall.bus.is_open)
            await hall.drivers["keypad-1"].show_queue(3, "A007")
            await until(lambda: keypad.ticket == "007")
        await until(lambda: not hall.bus.is_open)
        with pytest.raises(TransportError) as caught:
            await hall.drivers["pad-1"].poll()
        assert caught.value.code in ("port.lost", "port.absent")
        keypad.ticket = None
        async with on_pty([pad, keypad], link):
            await until(lambda: hall.bus.is_open)
            await until(lambda: keypad.ticket == "007")
            await hall.drivers["pad-1"].start_evaluation(EvaluationRequest())
            await until(lambda: pad.evaluating)
            pad.press(3)
            await until(lambda: pad.thanked == 1)
        assert hall.emitted["pad-1"] == [RatingSubmitted(5)]
        assert hall.log.lines.count("bus lost") <= 2


async def test_a_press_while_the_bus_is_unplugged_is_heard_by_its_repeat(tmp_path) -> None:
    link = str(tmp_path / "bus")
    keypad = Ff68KeypadSimulator(address=1, repeat_s=None)
    async with installed(link) as hall:
        hall.add("one", KEYPAD, 1)
        keypad.press_key(codec.KEY_CALL)
        async with on_pty([keypad], link):
            await until(lambda: hall.bus.is_open)
            assert keypad.tick()
            await until(lambda: keypad.acknowledged == 1)
        assert hall.emitted["one"] == [KeyPressed(Key.NEXT)]
