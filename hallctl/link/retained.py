"""What stands retained at the broker beside the birth: every terminal's state, and what became of the configuration.

Only the newest of each matters, so nothing queues here: what is dirty is published when there is a connection, at a
limited rate. Ids of terminals are on disk before their first state is published, so that a later boot can empty the
topics of those that are no more.
"""

import asyncio
from collections.abc import Iterable

from hallctl.clock import Clock
from hallctl.errors import LinkError
from hallctl.link.configuration import Reported, encode_reported
from hallctl.link.payloads import terminal_payload
from hallctl.link.session import Session
from hallctl.link.topics import Topics
from hallctl.model import TerminalState
from hallctl.outbox import Outbox

REPUBLISH_PER_S, REPUBLISH_AT_ONCE = 200.0, 20
TERMINALS_KEY = "uplink.terminals"


class Retained:
    """The retained topics of one controller. ``states``: how each of its terminals is."""

    def __init__(self, outbox: Outbox, clock: Clock, topics: Topics) -> None:
        self.states: dict[str, TerminalState] = {}
        self._outbox = outbox
        self._clock = clock
        self._topics = topics
        self._dirty: set[str] = set()
        self._gone: set[str] = set()
        self._published: frozenset[str] | None = None
        self._reported: Reported | None = None
        self._reported_dirty = False
        self._changed = asyncio.Event()

    def set_terminal(self, state: TerminalState) -> None:
        """Publish a terminal's state soon."""
        self.states[state.terminal] = state
        self._gone.discard(state.terminal)
        self._dirty.add(state.terminal)
        self._changed.set()

    def remove_terminal(self, terminal: str) -> None:
        """A terminal is no more: its topic is emptied soon."""
        self.states.pop(terminal, None)
        self._dirty.discard(terminal)
        self._gone.add(terminal)
        self._changed.set()

    async def only_terminals(self, terminals: Iterable[str]) -> None:
        """These are all that there are: every other one, those of earlier boots included, is removed."""
        for terminal in (await self._recall() | self.states.keys()) - frozenset(terminals):
            self.remove_terminal(terminal)

    def set_reported(self, reported: Reported) -> None:
        """Publish what became of the configuration soon."""
        self._reported = reported
        self._reported_dirty = True
        self._changed.set()

    def mark_all(self) -> None:
        """Everything is to be published again."""
        self._dirty |= self.states.keys()
        self._reported_dirty = True
        self._changed.set()

    async def publish(self, session: Session) -> None:
        """Publish everything, then what changes, for ever. Raises ``LinkError`` when the session is lost."""
        self.mark_all()
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self.flush(session, at_once=REPUBLISH_AT_ONCE)

    async def flush(self, session: Session, at_once: int | None = None) -> None:
        """Publish what is dirty; where more than ``at_once`` wait, one after the other at a limited rate."""
        await self._publish_reported(session)
        await self._empty_gone(session)
        while self._dirty:
            many = at_once is not None and len(self._dirty) > at_once
            await self._publish_state(session, self._dirty.pop())
            await self._clock.sleep(1 / REPUBLISH_PER_S if many else 0)

    async def _publish_state(self, session: Session, terminal: str) -> None:
        await self._remember(terminal)
        if terminal not in self.states:  # it was removed meanwhile
            return
        payload = terminal_payload(self.states[terminal], self._outbox.identity.boot)
        try:
            await session.publish(self._topics.terminal(terminal), payload.encode(), retain=True)
        except LinkError:
            self._dirty.add(terminal)
            raise

    async def _publish_reported(self, session: Session) -> None:
        if self._reported is None or not self._reported_dirty:
            return
        reported = self._reported.model_copy(update={"boot": self._outbox.identity.boot})
        self._reported_dirty = False
        try:
            await session.publish(self._topics.reported, encode_reported(reported), retain=True)
        except LinkError:
            self._reported_dirty = True
            raise
        await self._clock.sleep(1 / REPUBLISH_PER_S)

    async def _recall(self) -> frozenset[str]:
        """Which terminals may have a state at the broker, of this boot or an earlier one."""
        if self._published is None:
            saved = await self._outbox.load_state(TERMINALS_KEY)
            self._published = self._published or frozenset(saved if isinstance(saved, list) else ())
        return self._published

    async def _remember(self, terminal: str) -> None:
        published = await self._recall()
        if terminal not in published:  # the others that wait with it, so that a first boot saves once
            await self._save(published | self._dirty | {terminal})

    async def _save(self, published: frozenset[str]) -> None:
        self._published = published
        await self._outbox.save_state(TERMINALS_KEY, sorted(published))

    async def _empty_gone(self, session: Session) -> None:
        if not self._gone:
            return
        emptied: set[str] = set()
        for terminal in sorted(self._gone):
            if terminal in self._gone:  # it may have come back while the others were emptied
                await session.publish(self._topics.terminal(terminal), b"", retain=True)
                emptied.add(terminal)
            await self._clock.sleep(1 / REPUBLISH_PER_S)
        back = emptied - self._gone  # one of these came back while its topic was emptied: it is published again
        self._gone -= emptied
        await self._save(await self._recall() - (emptied - back))
