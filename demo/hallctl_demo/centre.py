"""The centre of the demo: a recorder, an operator, and a queue system that answers the keypads' next key.

It sees the hall only through the broker, as a real one would.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hallctl.clock import Clock
from hallctl.errors import HallctlError, LinkError
from hallctl.fleet.evidence import fetch_evidence
from hallctl.fleet.feed import Gap
from hallctl.fleet.reader import HallReader
from hallctl.fleet.request import send_command
from hallctl.fleet.view import ControllerView
from hallctl.link import BrokerSettings, Session, Topics
from hallctl.link.broker import Message
from hallctl.model import Reply
from hallctl_demo.document import CONTROLLER, SITE

TOPICS = Topics(SITE, CONTROLLER)


class Expected(HallctlError):
    """Something that should have happened did not."""


class Centre:
    """Connected to the broker twice: once to listen, once to ask."""

    def __init__(self, port: int, clock: Clock, events_file: Path) -> None:
        self.commands = 0
        self.envelopes: list[dict[str, Any]] = []
        self.gaps: list[Gap] = []
        self.replies: Counter[str] = Counter()
        self._clock = clock
        self._listening = Session(BrokerSettings("127.0.0.1", port, client_id="demo-recorder"))
        self._asking = Session(BrokerSettings("127.0.0.1", port, client_id="demo-operator"))
        self._reader = HallReader(self._listening, clock, SITE, CONTROLLER)
        self._turn = asyncio.Lock()
        self._changed = asyncio.Condition()
        self._file = events_file.open("w", encoding="utf-8")
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Centre":
        await self._listening.connect()
        await self._asking.connect()
        await self._reader.subscribe()
        self._task = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, LinkError):
                await self._task
        await self._asking.disconnect()
        await self._listening.disconnect()
        self._file.close()

    @property
    def view(self) -> ControllerView | None:
        """What is known of the hall's controller."""
        return self._reader.controllers.get(TOPICS)

    def events(self, kind: str, **data: object) -> list[dict[str, Any]]:
        """The events of a type whose data has these values."""
        wanted = f"hallctl.event.{kind}"
        return [
            one
            for one in self.envelopes
            if one["type"] == wanted and all(one["data"].get(key) == value for key, value in data.items())
        ]

    def alerts(self, kind: str, state: str) -> list[dict[str, Any]]:
        """The messages about alerts of a kind in a state."""
        wanted = f"hallctl.alert.{kind}"
        return [one for one in self.envelopes if one["type"] == wanted and one["data"]["state"] == state]

    async def command(self, name: str, **data: object) -> Reply:
        """Ask the controller to do something; gives its final reply."""
        async with self._turn:
            self.commands += 1  # each of them acts, and leaves its trace in the audit
            reply = await send_command(self._asking, TOPICS, name, data, self._clock)
        self.replies[reply.state.value] += 1
        return reply

    async def fetch(self, alert: str, kind: str) -> bytes:
        """A clip or snapshot, chunk by chunk, proven by its sha256."""
        async with self._turn:
            return await fetch_evidence(self._asking, TOPICS, alert, kind, self._clock)

    async def until(self, wanted: Callable[[], object], what: str, seconds: float = 25.0) -> None:
        """Wait until ``wanted()``; raises ``Expected`` that says what did not happen."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(wanted)
        except TimeoutError as exc:
            raise Expected(f"{what}: not within {seconds:g} s") from exc

    async def nudge(self) -> None:
        """Something outside the broker has changed: look at the conditions again."""
        async with self._changed:
            self._changed.notify_all()

    async def _listen(self) -> None:
        seen: set[tuple[str, str]] = set()
        while True:
            message = await self._listening.receive()
            self._record(message, seen)
            self.gaps += [change for change in self._reader.take(message) if isinstance(change, Gap)]
            self._listening.acknowledge(message)
            await self.nudge()

    def _record(self, message: Message, seen: set[tuple[str, str]]) -> None:
        kept = ("/event/" in message.topic or "/alert/" in message.topic) and message.payload
        if not kept:
            return
        envelope = json.loads(message.payload)
        key = (envelope["source"], envelope["id"])
        if key in seen:
            return
        seen.add(key)
        self.envelopes.append(envelope)
        self._file.write(message.payload.decode() + "\n")
        self._file.flush()
