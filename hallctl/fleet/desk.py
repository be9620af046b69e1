"""A desk at the broker: one session whose messages feed the registry, the book of rollouts and calls.

``connected`` is one connection's life; everything that was learned outlives it. Retained messages are complete once
the desk has heard itself: what a broker has for a subscription comes before what is published after it.
"""

import asyncio
import contextlib
import getpass
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from dataclasses import replace

from hallctl.clock import Clock
from hallctl.errors import LinkError
from hallctl.fleet.book import RolloutBook
from hallctl.fleet.calls import Calls
from hallctl.fleet.reader import Change, HallReader
from hallctl.fleet.reading import Slices, site_filters
from hallctl.link.broker import BrokerSettings, Message
from hallctl.link.rollouts import desk_topic
from hallctl.link.session import Session
from hallctl.link.topics import ROOT, Topics, read_topic

QUIET_S = 0.5
BETWEEN_S = 0.1  # between two slices; at the very end it is QUIET_S
MARKER_S, TRY_MARKER_S = 10.0, 2.0
FILTERS_A_PACKET = 100
REBIRTH_S = 10.0
REPORTED = "config/reported"
Listener = Callable[[Change], None]


def whoami() -> str:
    """user@host, as the audit of commands and rollouts names us."""
    return f"{getpass.getuser()}@{socket.gethostname()}"[:100]


class Desk:
    """One operator's view of the fleet, and hand on it. ``id`` names this process among all desks.

    ``listen_s``: where a broker may retain too little or something old (a cluster's nodes, each for itself), heartbeats
    are heard for so long, and everybody who is heard is asked to say everything again (``rebirth``).
    """

    def __init__(self, settings: BrokerSettings, clock: Clock, by: str = "", *, listen_s: float = 0.0) -> None:
        self.listen_s = listen_s
        self.id = secrets.token_hex(6)
        self.by = by or whoami()
        self.clock = clock
        self.book = RolloutBook()
        self._settings = replace(settings, client_id=f"hallctl-desk-{self.id}")
        self._session: Session | None = None
        self.reader = HallReader(Session(self._settings), clock)
        self.listeners: list[Listener] = []
        self.raw_listeners: list[Callable[[Message], None]] = []
        self.head_listeners: list[Callable[[str], None]] = []
        self.calls = Calls(self, clock, self.by)
        self._heard_at = 0.0
        self._marker: asyncio.Event | None = None
        self._may_mark = True
        self._came = self._came_bytes = 0
        self._read_sites: set[str] = set()
        self._fresh: set[Topics] = set()  # whose report has come live

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator["Desk"]:
        """One connection. When it is lost, the block is cancelled and ``LinkError`` raised."""
        session = Session(self._settings)
        await session.connect()
        self._session = session
        try:
            async with _until_lost(self._pump(session)):
                yield self
        finally:
            self._session = None
            with contextlib.suppress(LinkError):
                await session.disconnect()

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, expiry_s: int | None = None
    ) -> None:
        """Publish and wait for the PUBACK. Raises ``LinkError``."""
        await self._live().publish(topic, payload, qos=qos, retain=retain, expiry_s=expiry_s)

    async def publish_all(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Publish retained messages, many at once. Raises the first ``LinkError``."""
        await asyncio.gather(*(self.publish(topic, payload, retain=True) for topic, payload in messages))

    async def subscribe(self, *topic_filters: str) -> None:
        """Subscribe at QoS 1. Raises ``LinkError``."""
        for at in range(0, len(topic_filters), FILTERS_A_PACKET):
            await self._live().subscribe(*topic_filters[at : at + FILTERS_A_PACKET])

    async def unsubscribe(self, *topic_filters: str) -> None:
        """Ask for no more of these. Raises ``LinkError``."""
        for at in range(0, len(topic_filters), FILTERS_A_PACKET):
            await self._live().unsubscribe(*topic_filters[at : at + FILTERS_A_PACKET])

    @property
    def lost(self) -> bool:
        """Whether there is no connection now."""
        return self._session is None or self._session.lost

    async def settle(self, *, marker: bool = True, between: bool = False) -> None:
        """Return once everything that is retained has come. Raises ``LinkError``.

        ``marker``: we have to be able to write below ``hall-fleet``; else that is only tried, and silence has to do.
        ``between``: more is asked for afterwards, so that it need not be quite sure.
        """
        quiet_s = BETWEEN_S if between else QUIET_S
        self._heard_at = self.clock.monotonic()
        heard = await self._marked(must=marker)
        if between and heard:
            return
        while (left_s := self._heard_at + quiet_s - self.clock.monotonic()) > 0:
            await self.clock.sleep(left_s)

    async def read(self, sites: Sequence[str], *names: str, marker: bool = True) -> None:
        """Everything that is retained under these names of the controllers of these sites (``+``: of all).

        ``names``: state, config/reported, terminal/+/state ... Live messages go on coming. Raises ``LinkError``.
        """
        await self.subscribe(*site_filters(sites, ["state"]))
        await self.settle(marker=marker, between=bool(names))
        self._read_sites = {view.topics.site for view in self.reader.controllers.values()}
        for name in names:
            await self._read_in_slices(sorted(self._read_sites), name, marker=marker)
        if names:
            await self.settle(marker=marker)
        if self.listen_s:
            await self._listen(names)

    async def _listen(self, names: Sequence[str]) -> None:
        """Hear heartbeats for a while; everybody who is heard says everything again: what is retained may be old."""
        await self.clock.sleep(self.listen_s)
        await self.read_new_sites(*names)
        asked = {topics for topics in self.reader.controllers if self.is_online(topics)}
        self._fresh.clear()
        async for _ in self.calls.ask_all(asked, "rebirth", {}, timeout_s=REBIRTH_S):
            pass
        with contextlib.suppress(TimeoutError):  # what follows the answers: reports and states, at their limited rate
            async with self.clock.timeout(self.listen_s):
                while REPORTED in names and not asked <= self._fresh:
                    await self.clock.sleep(BETWEEN_S)

    async def read_new_sites(self, *names: str) -> None:
        """The same for sites that have turned up since."""
        new = {view.topics.site for view in self.reader.controllers.values()} - self._read_sites
        self._read_sites |= new
        for name in names if new else ():
            await self._read_in_slices(sorted(new), name, marker=False)

    async def _read_in_slices(self, sites: Sequence[str], name: str, *, marker: bool) -> None:
        slices, at = Slices(), 0
        while at < len(sites):
            part = sites[at : at + slices.size]
            at += len(part)
            before, before_bytes = self._came, self._came_bytes
            await self.subscribe(*site_filters(part, [name]))
            await self.settle(marker=marker, between=True)
            slices.learn(len(part), self._came - before, self._came_bytes - before_bytes)

    def is_online(self, topics: Topics) -> bool:
        """Whether a controller's lease holds."""
        view = self.reader.controllers.get(topics)
        return view is not None and view.status(self.clock.now()).status == "online"

    async def _marked(self, *, must: bool) -> bool:
        """Whether we have heard ourselves. Raises ``LinkError`` where we must and don't."""
        if not (self._may_mark or must):
            return False
        try:
            await self._hear_ourselves(MARKER_S if must else TRY_MARKER_S)
        except LinkError:
            if must or self.lost:
                raise
            self._may_mark = False
        return self._may_mark

    async def _hear_ourselves(self, patience_s: float) -> None:
        """Raises ``LinkError`` with a hint when the broker does not let us."""
        topic = desk_topic(self.id)
        self._marker = asyncio.Event()
        await self.subscribe(topic)
        await self.publish(topic, b"{}")
        try:
            async with self.clock.timeout(patience_s):
                await self._marker.wait()
        except TimeoutError as exc:
            hint = "an operator may read and write hall-fleet/#: check the broker's access list"
            raise LinkError(
                "the broker does not give back what this desk publishes", code="link.access", hint=hint
            ) from exc

    async def _pump(self, session: Session) -> None:
        while True:
            message = await session.receive()
            self._take(message)
            session.acknowledge(message)

    def _take(self, message: Message) -> None:
        self._came += 1
        self._came_bytes += len(message.payload)
        if not message.retain and (place := read_topic(message.topic)) is not None and place.kind == "config":
            self._fresh.add(place.topics)
        if message.retain:  # live ones never cease: a thousand controllers have a hundred heartbeats a second
            self._heard_at = self.clock.monotonic()
        if message.topic.startswith(ROOT):
            self.calls.take(message)
            for hear in self.raw_listeners:
                hear(message)
            for change in self.reader.take(message):
                for listener in self.listeners:
                    listener(change)
        elif message.topic == desk_topic(self.id):
            if self._marker is not None:
                self._marker.set()
        elif (rollout := self.book.take(message)) is not None:
            for tell in self.head_listeners:
                tell(rollout)

    def _live(self) -> Session:
        if self._session is None:
            raise LinkError("there is no connection to the broker", code="link.lost")
        return self._session


@contextlib.asynccontextmanager
async def _until_lost(pump: Coroutine[object, object, None]) -> AsyncIterator[None]:
    """Run the pump beside the block; when it fails, cancel the block and raise the pump's error instead."""
    block = asyncio.current_task()
    task = asyncio.create_task(pump)
    ended: list[BaseException] = []

    def over(done: "asyncio.Task[None]") -> None:
        if not done.cancelled() and (error := done.exception()) is not None and block is not None:
            ended.append(error)
            block.cancel()

    task.add_done_callback(over)
    try:
        yield
    except asyncio.CancelledError:
        if ended and block is not None and block.uncancel() == 0:
            raise ended[0] from None
        raise
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, LinkError):
            await task
