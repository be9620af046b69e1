"""Supervisors, drivers, bus and simulators together on a real pseudo-terminal."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from hallctl_drivers.ff68 import KEYPAD, PAD, codec
from hallctl_drivers.ff68.sim import Ff68KeypadSimulator, Ff68PadSimulator

from hallctl.clock import SystemClock
from hallctl.driver import EvaluationRequest, Key, KeyPressed, RatingSubmitted, TerminalContext, on_pty
from hallctl.model import TerminalStatus
from hallctl.terminal import BackOff, Bus, TerminalSupervisor
from hallctl.transport import PortAddress


class Log:
    def debug(self, event: str, **_fields: object) -> None:
        return

    info = warning = debug


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not condition():  # what is watched are plain attributes
            await asyncio.sleep(0.01)


class Counter:
    """A window's pad and keypad under supervision."""

    def __init__(self, link: str) -> None:
        self.clock = SystemClock()
        self.emitted: list[object] = []
        self.bus = Bus("counter", PortAddress.parse(f"serial://{link}"), self.clock, Log())
        self.pad = self._supervisor("pad-1", PAD, 0x81)
        self.keypad = self._supervisor("keypad-1", KEYPAD, 1)

    def _supervisor(self, name: str, plugin, address: int) -> TerminalSupervisor:
        driver = plugin.make(TerminalContext(name, self.clock, Log(), self._emit), plugin.options())
        line = self.bus.attach(address, plugin.framing, plugin.bus_gap_s)
        return TerminalSupervisor(
            name,
            plugin.name,
            driver,
            lambda: contextlib.nullcontext(line),
            clock=self.clock,
            log=Log(),
            on_state=self._on_state,
            back_off=BackOff(0.05, 0.2),
        )

    async def _emit(self, signal: object, /) -> None:
        self.emitted.append(signal)

    async def _on_state(self, _old: object, _new: object) -> None:
        return

    def both(self, status: TerminalStatus) -> bool:
        return self.pad.state.status is status and self.keypad.state.status is status


@contextlib.asynccontextmanager
async def supervised(link: str) -> AsyncIterator[Counter]:
    counter = Counter(link)
    tasks = [asyncio.create_task(work) for work in (counter.bus.run(), counter.pad.run(), counter.keypad.run())]
    try:
        yield counter
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_terminals_say_why_they_are_offline_and_come_back_by_themselves(tmp_path) -> None:
    link = str(tmp_path / "bus")
    pad, keypad = Ff68PadSimulator(address=0x81, repeat_s=0.2), Ff68KeypadSimulator(address=1, repeat_s=0.2)
    async with supervised(link) as counter:
        await until(lambda: counter.both(TerminalStatus.OFFLINE) and counter.pad.state.reason == "port.absent")
        assert "/dev/serial/by-id" in counter.pad.state.hint
        for round_ in (1, 2):
            async with on_pty([pad, keypad], link):
                await until(lambda: counter.both(TerminalStatus.ONLINE))
                await counter.pad.act(lambda driver: driver.start_evaluation(EvaluationRequest()))
                await until(lambda: pad.evaluating)
                pad.press(3)
                await until(lambda number=round_: pad.thanked == number)
                keypad.press_key(codec.KEY_CALL, str(round_))  # the same key again so soon would be its repeat
                await until(lambda number=round_: keypad.acknowledged == number)
            await until(lambda: counter.both(TerminalStatus.OFFLINE))
            assert counter.keypad.state.reason in ("port.lost", "port.absent")
        ratings = [signal for signal in counter.emitted if signal == RatingSubmitted(5)]
        keys = [
            signal for signal in counter.emitted if signal in (KeyPressed(Key.NEXT, "1"), KeyPressed(Key.NEXT, "2"))
        ]
        assert (len(ratings), len(keys), len(counter.emitted)) == (2, 2, 4)
