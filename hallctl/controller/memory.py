"""Keeps what the hall knows on disk, so that a restart of the daemon loses no called number.

It is written behind the facts and never in their way: an event says that a number was called; this says what a display
has to show when it, or the daemon, comes back.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from zoneinfo import ZoneInfo

from hallctl.clock import Clock
from hallctl.driver.terminal import Logger
from hallctl.errors import HallctlError
from hallctl.hall import Hall
from hallctl.hall.signal import RatingSubmitted
from hallctl.model import Event, EventType

KEY = "hall"
Load = Callable[[str], Awaitable[Any]]
Save = Callable[[str, Any], Awaitable[None]]
Newest = Callable[[EventType], Awaitable[list[Event]]]


class HallMemory:
    """``recall`` once at the start, ``changed`` whenever the hall decided something, ``run`` beside it."""

    def __init__(
        self, hall: Hall, load: Load, save: Save, newest: Newest, *, clock: Clock, log: Logger, zone: str
    ) -> None:
        self._hall = hall
        self._load = load
        self._save = save
        self._newest = newest
        self._clock = clock
        self._log = log
        self._zone = ZoneInfo(zone)
        self._changed = asyncio.Event()

    async def recall(self) -> None:
        """Take up what was saved. Numbers of another day (in the hall's time zone) are over.

        An answer's fact is on disk before this memory of it: a daemon that was killed between the two finds it there,
        or the tablet that says it again would be counted twice.
        """
        saved = await self._load(KEY)
        if saved is not None:
            self._take_up(saved)
        for event in await self._newest(EventType.RATING_GIVEN):
            rating = RatingSubmitted(event.data["score"], event.data.get("answer", ""))
            if not self._hall.has_taken(rating):
                self._hall.taken(rating)

    def _take_up(self, saved: Any) -> None:
        try:
            self._hall.recall_memory(saved, same_day=saved["day"] == self._today())
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            self._log.warning("what windows were doing can't be read: all begin anew", why=repr(exc))

    def adopt(self, zone: str) -> None:
        """The hall's time zone from now on."""
        self._zone = ZoneInfo(zone)
        self._changed.set()

    def changed(self) -> None:
        """Save it soon."""
        self._changed.set()

    async def run(self) -> None:
        """Save after changes until cancelled; many changes at once are one write."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self.save()

    async def save(self) -> None:
        """Save now. A log that can't be written is told by everything else that writes to it."""
        try:
            await self._save(KEY, {"day": self._today(), **self._hall.remember()})
        except HallctlError as exc:
            self._log.warning("what windows are doing can't be saved", why=exc.message)

    def _today(self) -> str:
        return self._clock.now().astimezone(self._zone).date().isoformat()
