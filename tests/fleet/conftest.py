"""A simulated fleet on a real mosquitto, in this process, and desks beside it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase

import pytest
import structlog

from hallctl.clock import SystemClock
from hallctl.fleet.simulate import BoxPlan, Pace, SimulatedController, plan_fleet, read_faults
from hallctl.link import BrokerSettings

CLOCK = SystemClock(trust_wall_clock=True)
QUIET = structlog.wrap_logger(
    structlog.PrintLogger(), wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR)
)
PACE = Pace(heartbeat_s=0.5, lease_s=3.0, restart_s=0.2)


class Fleet:
    """Simulated controllers; ``boxes`` by id."""

    def __init__(self, folder, broker) -> None:
        self.broker = broker
        self.settings = BrokerSettings(broker.host, broker.port)
        self.boxes: dict[str, SimulatedController] = {}
        self._folder = folder / "fleet"
        self._executor = ThreadPoolExecutor(1)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, count: int, *faults: str, pace: Pace = PACE, plans: list[BoxPlan] | None = None) -> None:
        wrong = read_faults(faults)
        for plan in plans or plan_fleet(count, 5):
            box = SimulatedController(
                plan,
                self.settings,
                self._folder,
                CLOCK,
                faults=wrong.for_box(plan.site, plan.controller),
                pace=pace,
                executor=self._executor,
                log=QUIET,
            )
            self.boxes[plan.controller] = box
            self._tasks.append(asyncio.create_task(box.run()))
        await self.until(lambda: all(b.connected for b in self.boxes.values() if b.allowed.is_set()))

    async def until(self, wanted: Callable[[], bool], seconds: float = 40) -> None:
        async with asyncio.timeout(seconds):
            while not wanted():
                for task in self._tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.02)

    def running(self, pattern: str = "*") -> set[str]:
        """Welcome texts of the documents that boxes run: what tests change."""
        return {welcome_of(b) for name, b in self.boxes.items() if fnmatchcase(name, pattern)}

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._executor.shutdown()


def welcome_of(box: SimulatedController) -> str:
    twin = box.twin
    return twin.hall.document.texts.welcome if twin is not None else "down"


@pytest.fixture
async def fleet(broker, tmp_path):
    """Nobody yet: ``await fleet.start(30)``."""
    found = Fleet(tmp_path, broker)
    yield found
    with contextlib.suppress(asyncio.CancelledError):
        await found.stop()
