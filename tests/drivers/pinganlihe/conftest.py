"""A bar's driver on a small bus: it cuts bytes with the family's framing, as the owner of a real bus does."""

from collections.abc import Callable
from typing import Any

import pytest
from hallctl_drivers.pinganlihe import PLUGIN
from hallctl_drivers.pinganlihe.config import PingAnLiHeOptions
from hallctl_drivers.pinganlihe.driver import PingAnLiHeBar

from hallctl.clock import ManualClock
from hallctl.driver import BusLine, TerminalContext, WireSimulator
from hallctl.errors import TransportLost, TransportTimeout


class SmallBus(BusLine):
    """One address on a bus with several simulated bars. A bar that answers later than asked for counts as silent."""

    def __init__(self, address: int, *bars: WireSimulator) -> None:
        self.name = "bus-1"
        self.address = address
        self.bars = bars
        self.sent: list[bytes] = []
        self.urgent: list[bool] = []
        self.unplugged = False
        self.time = max((bar.now() for bar in bars), default=0.0)
        for bar in bars:
            bar.now = lambda: self.time

    def check(self) -> None:
        if self.unplugged:
            raise TransportLost(f"{self.name}: unplugged")

    async def send(self, frame: bytes, *, urgent: bool = True) -> None:
        self._put(frame, urgent)

    async def exchange(
        self, frame: bytes, accept: Callable[[bytes], bool], *, timeout_s: float, urgent: bool = True
    ) -> bytes:
        heard = self._put(frame, urgent, timeout_s)
        for candidate in self._cut(heard):
            if PLUGIN.framing and PLUGIN.framing.address_of(candidate) == self.address and accept(candidate):
                return candidate
        raise TransportTimeout(f"{self.name}: no answer")

    async def receive(self) -> bytes:
        raise NotImplementedError("bars say nothing unasked")

    def _put(self, frame: bytes, urgent: bool, timeout_s: float = 0.0) -> bytes:
        self.check()
        self.sent.append(frame)
        self.urgent.append(urgent)
        self.time += 0.1  # the gap that the owner of a real bus keeps
        answers = [(bar.feed(frame), bar.reply_delay_s) for bar in self.bars]
        return b"".join(answer for answer, delay_s in answers if delay_s <= timeout_s)

    @staticmethod
    def _cut(heard: bytes) -> list[bytes]:
        assert PLUGIN.framing is not None
        frames = []
        while heard:
            size = PLUGIN.framing.probe(heard)
            if size == 0:
                break
            if size > 0:
                frames.append(heard[:size])
            heard = heard[max(1, size) :]
        return frames


class Log:
    def debug(self, event: str, **fields: object) -> None: ...

    def info(self, event: str, **fields: object) -> None: ...

    def warning(self, event: str, **fields: object) -> None: ...


async def nobody(_signal: object) -> None: ...


@pytest.fixture
def make_bar() -> Callable[..., PingAnLiHeBar]:
    def make(**options: Any) -> PingAnLiHeBar:
        context = TerminalContext("bar-1", ManualClock(), Log(), nobody)
        return PingAnLiHeBar(context, PingAnLiHeOptions(**options))

    return make


@pytest.fixture
def small_bus() -> type[SmallBus]:
    return SmallBus
