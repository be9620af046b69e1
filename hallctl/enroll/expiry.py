"""Says in time that a certificate ends: an alert, raised while too little of its life is left, cleared afterwards."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

from hallctl.clock import Clock
from hallctl.driver.terminal import Logger
from hallctl.enroll import files
from hallctl.enroll.keys import lifetime, read_certificates
from hallctl.errors import EnrollError

LOOK_EVERY_S = 3600.0
SHARE = 6  # a short-lived certificate warns at a sixth of its life, after its renewal had a sixth to succeed

Warn = Callable[[str, datetime], Awaitable[None]]
AllClear = Callable[[], Awaitable[None]]


class Expiry:
    """``warn`` raises the alert and ``all_clear`` ends it; both may be called again and again."""

    def __init__(self, warn_before: timedelta, warn: Warn, all_clear: AllClear, clock: Clock) -> None:
        self._warn_before = warn_before
        self._warn = warn
        self._all_clear = all_clear
        self._clock = clock

    async def look(self, begins: datetime, ends: datetime, why: str) -> None:
        """Judge a certificate. ``why``: what keeps it from being renewed."""
        left = ends - self._clock.now()
        if left >= min(self._warn_before, (ends - begins) / SHARE):
            await self._all_clear()
            return
        when = "has expired" if left <= timedelta(0) else f"expires in {left.total_seconds() / 86400:.1f} days"
        await self._warn(f"the certificate towards the broker {when}: {why}", ends)

    async def watch(self, path: Path, log: Logger) -> None:
        """Look at a certificate that others renew, once an hour, for ever."""
        while True:
            try:
                (leaf, *_) = read_certificates(files.read(path) or b"", str(path))
                await self.look(*lifetime(leaf), f"a new one has to be put into {path}")
            except EnrollError as exc:
                log.warning("the certificate can't be looked at", message=exc.message, hint=exc.hint)
            await self._clock.sleep(LOOK_EVERY_S)
