"""A node of the cluster is killed: sessions, wills, messages and what was retained there are missed and made good.

The box is at the node that dies, whoever listens is at another one. For a moment that one drops everybody who publishes
(ejabberd asks the dead node for subscribers), so the centre connects again, as every part of hallctl does.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from contract.clusters import Balancer, Cluster
from contract.test_every_broker import all_sent, ask, desired, follow, newest_version, until
from fleet.conftest import CLOCK, Fleet

from hallctl.errors import LinkError
from hallctl.fleet.feed import Arrived, EventFeed
from hallctl.fleet.reader import HallReader
from hallctl.fleet.simulate.halls import hall_document
from hallctl.link import BrokerSettings, Message, Session
from hallctl.link.configuration import Reported
from hallctl.link.payloads import Envelope, read_reply
from hallctl.model import Event, EventType

pytestmark = [pytest.mark.slow, pytest.mark.rule("MQ-28")]
DIES = 1


class Centre:
    """A session that connects again, and publishes until it is acknowledged."""

    def __init__(self, settings: BrokerSettings) -> None:
        self._settings = settings
        self._topics: list[str] = []
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._ready = asyncio.Event()
        self._session = Session(settings)

    async def run(self) -> None:
        while True:
            with contextlib.suppress(LinkError):
                self._session = Session(self._settings)
                await self._session.connect()
                await self._session.subscribe(*self._topics)
                self._ready.set()
                while True:
                    message = await self._session.receive()
                    self._session.acknowledge(message)
                    self._inbox.put_nowait(message)
            self._ready.clear()
            await asyncio.sleep(0.2)

    async def subscribe(self, *topics: str) -> None:
        self._topics += topics
        with contextlib.suppress(LinkError):  # the next connection does
            await self._session.subscribe(*topics)

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        while True:
            await self._ready.wait()
            with contextlib.suppress(LinkError):
                return await self._session.publish(topic, payload, retain=retain)
            await asyncio.sleep(0.1)

    async def receive(self) -> Message:
        return await self._inbox.get()

    def acknowledge(self, message: Message) -> None:
        """That was done as it came."""


@dataclass
class Scene:
    """A box at the node that will die, and the centre at one that lives."""

    cluster: Cluster
    fleet: Fleet
    centre: Centre

    @property
    def box(self):
        return self.fleet.boxes["box-0001"]

    def kill(self) -> None:
        """The node that the box is at."""
        self.cluster.kill(DIES)


@pytest.fixture(params=["5", "3.1.1"])
async def scene(request, cluster: Cluster, tmp_path: Path) -> AsyncIterator[Scene]:
    """Connected and ready; the node is started again afterwards."""
    here, dies, there = cluster.ports
    centre = Centre(settings(here, request.param, "centre"))
    await centre.subscribe("hallctl-test/nothing")
    connected = asyncio.create_task(centre.run())
    async with Balancer([there, dies]) as balancer:  # its first connection goes to the second
        fleet = Fleet(tmp_path, At(balancer.port))
        fleet.settings = settings(balancer.port, request.param)
        await fleet.start(1)
        yield Scene(cluster, fleet, centre)
        with contextlib.suppress(Exception):
            await fleet.stop()
    connected.cancel()
    if not cluster.lives(DIES):
        cluster.bring_back(DIES)


@dataclass
class At:
    """Where a fleet connects to."""

    port: int
    host: str = "127.0.0.1"


def settings(port: int, protocol: str, name: str = "desk") -> BrokerSettings:
    """Somebody at a node, or at the balancer."""
    user = f"{name}@localhost"
    return BrokerSettings("127.0.0.1", port, name, protocol, username=user, password="x")  # noqa: S106


async def test_a_box_that_dies_with_its_node_has_no_will_and_is_offline_by_its_lease(scene: Scene):
    reader = HallReader(scene.centre, CLOCK)
    await reader.subscribe()
    following = asyncio.create_task(follow(reader))
    view = await online(scene, reader)
    scene.box.allowed.clear()
    scene.kill()
    scene.box.crash()
    await scene.fleet.until(lambda: view.status(CLOCK.now()).status == "offline")
    assert view.status(CLOCK.now()).reason == "lease.expired"
    scene.box.allowed.set()
    await scene.fleet.until(lambda: view.status(CLOCK.now()).status == "online")
    following.cancel()


async def online(scene: Scene, reader: HallReader):
    def found():
        return reader.controllers.get(scene.box.topics)

    await scene.fleet.until(lambda: found() is not None and found().status(CLOCK.now()).status == "online")
    return found()


async def test_a_box_whose_session_died_subscribes_again_and_acts_once_on_a_command(scene: Scene):
    await scene.centre.subscribe(f"{scene.box.topics.prefix}/reply/+")
    await in_service(scene)
    scene.kill()
    replies: set[str] = set()
    listening = asyncio.create_task(collect(scene, replies))
    async with asyncio.timeout(60):
        while "c-1" not in replies:  # as a desk does it: the same id, until there is an answer
            await ask(scene.centre, scene.box, "number.recall", {"window": "w1"}, "c-1")
            await asyncio.sleep(0.2)
    listening.cancel()
    assert [one.id for one in scene.box.commands] == ["c-0", "c-1"]


async def in_service(scene: Scene) -> None:
    """The way from the centre to the box through the node is shown to work before it is cut."""

    async def asking() -> None:
        while True:  # a node that has just come back may drop who comes: the same id, until it is answered
            await ask(scene.centre, scene.box, "number.recall", {"window": "w1"}, "c-0")
            await asyncio.sleep(1)

    asks = asyncio.create_task(asking())
    await until(scene.centre, lambda message: True if message.topic.endswith("/c-0") else None)
    asks.cancel()


async def collect(scene: Scene, replies: set[str]) -> None:
    while True:
        message = await scene.centre.receive()
        scene.centre.acknowledge(message)
        replies.add(read_reply(message.payload).command)


async def test_events_that_the_node_took_along_are_missed_by_their_numbers_and_said_again(scene: Scene):
    feed, seen = EventFeed(), set()
    await scene.centre.subscribe(f"{scene.box.topics.prefix}/event/+")
    for number in range(200):
        await scene.box.say(Event(EventType.KEY_PRESSED, {"number": number}))
        if number == 100:
            scene.kill()
    await all_sent(scene.box, 60)
    replay = asyncio.create_task(every_second(scene, "replay", {"from": 1, "to": 1000}))

    def take(message):
        if "/event/" in message.topic:
            for one in feed.take(Envelope.model_validate_json(message.payload)):
                if isinstance(one, Arrived) and one.envelope.type.endswith("key.pressed"):
                    seen.add(one.envelope.data["number"])
        return True if len(seen) == 200 else None

    await until(scene.centre, take, 60)
    replay.cancel()


async def every_second(scene: Scene, name: str, arguments: dict[str, object]) -> None:
    """As a desk or a recorder that misses something: again until it is there."""
    while True:
        await ask(scene.centre, scene.box, name, arguments)
        await asyncio.sleep(1)


async def test_what_was_retained_at_the_node_is_published_again_and_a_wish_comes_by_the_new_node(scene: Scene):
    topics = scene.box.topics
    heard: set[str] = set()
    await scene.centre.subscribe(f"{topics.prefix}/reply/+")
    await in_service(scene)
    scene.kill()
    reborn = asyncio.create_task(every_second(scene, "rebirth", {}))
    await scene.centre.subscribe(f"{topics.prefix}/#")  # what was retained there is gone: only what is said anew comes
    wanted = {topics.state, topics.reported, *(topics.terminal(name) for name in scene.box._daemon.floor.states())}

    def take(message):
        if not message.retain:
            heard.add(message.topic)
        return True if wanted <= heard else None

    await until(scene.centre, take, 60)
    reborn.cancel()
    version = newest_version()
    wish = desired(version, hall_document(5, texts={"welcome": str(version)}))

    async def wishing() -> None:
        while True:  # as a desk does it, until the box has spoken of it
            await scene.centre.publish(topics.desired, wish, retain=True)
            await asyncio.sleep(2)

    wishes = asyncio.create_task(wishing())

    def applied(message):
        if message.topic != topics.reported:
            return None
        return True if Reported.model_validate_json(message.payload).applied_version == version else None

    await until(scene.centre, applied, 60)
    wishes.cancel()
