"""Hears whether the broker gives back what this box says: where it denies, it may do so without a word.

On MQTT 3.1.1 a denied publication is acknowledged like any other, and most brokers accept every subscription and filter
what they deliver. So after each connect the box looks for its own birth, once, and its log says when it does not come.
"""

import asyncio

from hallctl.clock import Clock
from hallctl.driver.terminal import Logger
from hallctl.errors import LinkError
from hallctl.link.broker import Message
from hallctl.link.registry import read_state
from hallctl.link.session import Session

PATIENCE_S = 15.0


class Echo:
    """A companion of the uplink. ``heard_back``: whether the last birth came back; ``None``: not known yet."""

    def __init__(self, state_topic: str, boot: int, *, clock: Clock, log: Logger) -> None:
        self.heard_back: bool | None = None
        self._topic = state_topic
        self._boot = boot
        self._clock = clock
        self._log = log
        self._came = asyncio.Event()

    @property
    def topics(self) -> tuple[str, ...]:
        """The box's own state."""
        return (self._topic,)

    async def connected(self, session: Session) -> None:
        """Wait for it, then hear of it no more. It may have come before this begins."""
        try:
            self._tell(await self._comes())
            await session.unsubscribe(self._topic)
            await asyncio.Event().wait()  # until the session ends: what is on its way counts for no other one
        finally:
            self._came.clear()

    async def heard(self, message: Message) -> None:
        """Only what this run of the daemon said counts."""
        try:
            state = read_state(message.payload)
        except LinkError:
            return
        if state.boot == self._boot and state.status == "online":
            self._came.set()

    def lost(self, why: LinkError) -> None:
        """The next connect asks anew."""

    async def _comes(self) -> bool:
        try:
            async with self._clock.timeout(PATIENCE_S):
                await self._came.wait()
        except TimeoutError:
            return False
        return True

    def _tell(self, heard: bool) -> None:
        was, self.heard_back = self.heard_back, heard
        if heard and was is False:
            self._log.info("the broker gives back what this box says")
        if not heard and was is not False:
            self._log.warning(
                "the broker does not give back what this box says: its access list may deny it without a word",
                topic=self._topic,
                hint="the user name at the broker has to be SITE/CONTROLLER; the broker's log names what it denies",
            )
