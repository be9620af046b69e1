"""Brightness by time of day: each display gets it at every step and whenever it comes back."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from hallctl.clock import Clock
from hallctl.config.hall import Brightness
from hallctl.driver import NumberDisplay
from hallctl.driver.terminal import Logger
from hallctl.errors import HallctlError
from hallctl.terminal.supervisor import TerminalSupervisor

LOOK_EVERY_S = 5.0


class Dimmer:
    """One for all displays. ``steps`` in the order of the day; none: nothing is ever set."""

    def __init__(
        self,
        steps: list[Brightness],
        zone: str,
        displays: Mapping[str, TerminalSupervisor],
        *,
        clock: Clock,
        log: Logger,
    ) -> None:
        self._steps = steps
        self._zone = ZoneInfo(zone)
        self._displays = displays
        self._clock = clock
        self._log = log

    def adopt(self, steps: list[Brightness], zone: str) -> None:
        """Follow another document from now on."""
        self._steps, self._zone = steps, ZoneInfo(zone)

    def percent(self, now: datetime) -> int | None:
        """What the time of day asks for; before the first step the last one of the day before still holds."""
        if not self._steps:
            return None
        time = now.astimezone(self._zone).time()
        return next((step.percent for step in reversed(self._steps) if step.at <= time), self._steps[-1].percent)

    async def run(self) -> None:
        """Follow the day until cancelled."""
        before: int | None = None
        while True:
            percent = self.percent(self._clock.now())
            if percent != before and percent is not None:
                await asyncio.gather(*(self.apply(display) for display in self._displays))
            before = percent
            await self._clock.sleep(LOOK_EVERY_S)

    async def apply(self, display: str) -> None:
        """Set one display as the time of day asks. One that is away gets it when it comes back."""
        percent = self.percent(self._clock.now())
        supervisor = self._displays.get(display)
        if percent is None or supervisor is None:
            return
        try:
            await supervisor.act(lambda driver: set_light(driver, percent))
        except HallctlError as exc:
            self._log.debug("brightness not set", terminal=display, why=exc.message)


async def set_light(driver: NumberDisplay, percent: int) -> bool:
    """Dark at 0, else lit with that brightness; false where the display can do neither."""
    if percent == 0:
        return await driver.set_power(False)
    switched = await driver.set_power(True)
    return await driver.set_brightness(percent) or switched
