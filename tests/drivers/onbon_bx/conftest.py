"""An Onbon driver, and ways to put a simulated card behind it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import pytest
from hallctl_drivers.onbon_bx.config import OnbonOptions
from hallctl_drivers.onbon_bx.driver import OnbonDisplay
from hallctl_drivers.onbon_bx.sim import OnbonSimulator

from hallctl.clock import ManualClock
from hallctl.driver import TerminalContext
from hallctl.transport import Transport
from hallctl.transport.memory import null_modem

T = TypeVar("T")


class Log:
    """Keeps what the driver logs."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def debug(self, event: str, **fields: object) -> None: ...

    def info(self, event: str, **fields: object) -> None: ...

    def warning(self, event: str, **fields: object) -> None:
        self.warnings.append(event)


async def nobody(_signal: object) -> None: ...


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def make_display(clock: ManualClock, log: Log) -> Callable[..., OnbonDisplay]:
    def make(**options: Any) -> OnbonDisplay:
        return OnbonDisplay(TerminalContext("display-1", clock, log, nobody), OnbonOptions(**options))

    return make


@pytest.fixture
def plugged(clock: ManualClock) -> Callable[[OnbonSimulator], contextlib.AbstractAsyncContextManager[Transport]]:
    """The driver's end of a null modem with the card at the other; leaving the block pulls the plug."""

    async def card(simulator: OnbonSimulator, wire: Transport) -> None:
        while True:
            answer = simulator.feed(await wire.read())
            if answer:
                await clock.sleep(simulator.reply_delay_s)
                await wire.write(answer)

    @contextlib.asynccontextmanager
    async def plug(simulator: OnbonSimulator) -> AsyncIterator[Transport]:
        near, far = null_modem("display", "card")
        simulator.connected()
        device = asyncio.create_task(card(simulator, far))
        try:
            yield near
        finally:
            device.cancel()
            await asyncio.gather(device, return_exceptions=True)
            await near.close()

    return plug


@pytest.fixture
def in_time(clock: ManualClock) -> Callable[[Awaitable[T]], Awaitable[T]]:
    """Let ten seconds pass for something that waits."""

    async def run(work: Awaitable[T]) -> T:
        task = asyncio.ensure_future(work)
        await clock.advance(10)
        async with asyncio.timeout(5):
            return await task

    return run
