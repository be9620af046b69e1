"""Waiting between attempts: longer and longer, never in step with others, and over at once when the plug is put in."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from hallctl.clock import Clock

PLUG_LOOK_S = 0.5  # between two looks for a device that is unplugged


@dataclass(frozen=True, slots=True)
class BackOff:
    """Waits between attempts: from ``first_s`` doubling to ``longest_s``, each shortened by up to a third at random.

    The longest wait is what lets a device be found again within 10 s of coming back.
    """

    first_s: float = 1.0
    longest_s: float = 8.0

    def wait_s(self, failures: int) -> float:
        """How long to wait after so many failures in a row (from 1)."""
        whole: float = min(self.longest_s, self.first_s * 2 ** min(failures - 1, 16))
        return whole * random.uniform(2 / 3, 1.0)


async def rest(clock: Clock, seconds: float, plugged: Callable[[], bool | None]) -> bool:
    """Wait; a device that is unplugged now and plugged in meanwhile ends the wait at once (then: True)."""
    absent = plugged() is False
    while absent and seconds > 0:
        step = min(PLUG_LOOK_S, seconds)
        await clock.sleep(step)
        seconds -= step
        if plugged():
            return True
    await clock.sleep(seconds)
    return False
