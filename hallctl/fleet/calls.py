"""One command to many controllers: one id for all of them, so that one subscription brings every reply.

An id is unique within each controller's command log, and that is all that the contract asks for (MQ-10).
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from hallctl.clock import Clock
from hallctl.errors import LinkError
from hallctl.link.broker import Message
from hallctl.link.payloads import command_envelope, read_reply
from hallctl.link.topics import ROOT, Topics, read_topic
from hallctl.model import Command, Reply

EXPIRES_S = 30.0
GRACE_S = 5.0
AT_ONCE = 64


class Line(Protocol):
    """What calls need of a session."""

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, expiry_s: int | None = None
    ) -> None:
        """Publish and wait for the PUBACK."""

    async def subscribe(self, *topic_filters: str) -> None:
        """Subscribe at QoS 1."""

    async def unsubscribe(self, *topic_filters: str) -> None:
        """Ask for no more."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one controller answered; ``reply`` is ``None`` when it did not: then ``problem`` says why."""

    topics: Topics
    reply: Reply | None
    problem: str = ""


class Calls:
    """Sends commands and matches replies; whoever reads the session gives every message to ``take``."""

    def __init__(self, line: Line, clock: Clock, by: str) -> None:
        self._line = line
        self._clock = clock
        self._by = by
        self._waiting: dict[tuple[str, Topics], asyncio.Queue[Reply]] = {}

    def take(self, message: Message) -> None:
        """A message came; what is no reply to us is ignored."""
        place = read_topic(message.topic)
        if place is None or place.kind != "reply":
            return
        queue = self._waiting.get((place.name, place.topics))
        if queue is None:
            return
        try:
            queue.put_nowait(read_reply(message.payload))
        except LinkError:
            return  # unreadable: its sender will not say it better; the wait runs out

    async def ask_all(
        self,
        whom: Iterable[Topics],
        name: str,
        data: Mapping[str, Any],
        *,
        timeout_s: float = EXPIRES_S,
        at_once: int = AT_ONCE,
        on_progress: Callable[[Topics, Reply], None] = lambda _topics, _reply: None,
    ) -> AsyncIterator[Answer]:
        """Ask all, at most ``at_once`` at one time; gives answers as they come. Raises ``LinkError``."""
        command = str(uuid.uuid4())
        replies = f"{ROOT}/+/+/reply/{command}"
        await self._line.subscribe(replies)
        turn = asyncio.Semaphore(at_once)

        async def one(topics: Topics) -> Answer:
            async with turn:
                return await self._ask(topics, command, name, data, timeout_s, on_progress)

        tasks = [asyncio.create_task(one(topics)) for topics in whom]
        try:
            for task in asyncio.as_completed(tasks):
                yield await task
            await self._line.unsubscribe(replies)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(
        self,
        topics: Topics,
        command: str,
        name: str,
        data: Mapping[str, Any],
        timeout_s: float,
        on_progress: Callable[[Topics, Reply], None],
    ) -> Answer:
        now = self._clock.now()
        request = Command(command, name, now + timedelta(seconds=timeout_s), data, self._by)
        queue: asyncio.Queue[Reply] = asyncio.Queue()
        self._waiting[command, topics] = queue
        accepted = False
        try:
            async with self._clock.timeout(timeout_s + GRACE_S):
                payload = command_envelope(request, "hallctl/fleet", now).encode()
                await self._line.publish(topics.command(name), payload, expiry_s=int(timeout_s))
                while True:
                    reply = await queue.get()
                    if reply.state.final or (name == "replay" and reply.state == "accepted"):
                        return Answer(topics, reply)
                    accepted = True
                    on_progress(topics, reply)
        except TimeoutError:
            words = "it was accepted and is not finished; look before you repeat it" if accepted else "no answer"
            return Answer(topics, None, words)
        finally:
            self._waiting.pop((command, topics), None)
