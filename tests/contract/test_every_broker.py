"""The contract on every broker: the same tests on mosquitto, the demo's embedded one, and a cluster of three nodes."""

import asyncio
import contextlib
import json
import time
import uuid
from datetime import timedelta

import pytest
import yaml
from contract.conftest import Place
from fleet.conftest import CLOCK, Fleet, welcome_of

from hallctl.errors import LinkError
from hallctl.fleet.desk import Desk
from hallctl.fleet.documents import read_source
from hallctl.fleet.driving import Driver
from hallctl.fleet.feed import Arrived, EventFeed, Gap
from hallctl.fleet.pushing import PushRequest, begin, prepare, see_through, take_up
from hallctl.fleet.reader import HallReader
from hallctl.fleet.rollout_values import WaveBegun
from hallctl.fleet.selector import EVERYONE
from hallctl.fleet.simulate.halls import hall_document
from hallctl.link.configuration import ApplyStatus, HealthRule, Reported, document_hash
from hallctl.link.payloads import Envelope, command_envelope, read_reply
from hallctl.link.rollouts import HEAD_FILTER, RolloutPhase, RolloutRules
from hallctl.model import Command, Event, EventType

NEW = "新年好"
LONG_REPLAY = 2000  # ten seconds of a replay


@contextlib.asynccontextmanager
async def at(place: Place, name: str):
    session = place.session(name)
    await session.connect()
    try:
        yield session
    finally:
        with contextlib.suppress(Exception):
            await session.disconnect()


async def until(session, wanted, seconds=30):
    """The first thing that ``wanted`` makes of a message."""
    async with asyncio.timeout(seconds):
        while True:
            message = await session.receive()
            session.acknowledge(message)
            if (found := wanted(message)) is not None:
                return found


def newest_version() -> int:
    """Beyond what any test before has wanted of a box of this name: a node of a cluster may retain that still."""
    return time.time_ns() // 1_000_000


def desired(version, document):
    made = {"version": version, "hash": document_hash(document), "document": document, "health": {"window_s": 2}}
    return json.dumps(made).encode()


@pytest.mark.rule("MQ-01")
@pytest.mark.rule("MQ-03")
async def test_a_controller_that_dies_is_offline_by_its_will_or_its_lease_and_online_with_its_next_boot(
    place, boxes: Fleet
):
    await boxes.start(1)
    box = boxes.boxes["box-0001"]
    async with at(place, "reader") as session:
        reader = HallReader(session, CLOCK)
        await reader.subscribe()
        following = asyncio.create_task(follow(reader))
        await boxes.until(lambda: status_of(reader, box) == "online")
        box.allowed.clear()
        box.crash()
        await boxes.until(lambda: status_of(reader, box) == "offline")
        box.allowed.set()
        await boxes.until(lambda: status_of(reader, box) == "online")
        assert reader.controllers[box.topics].state.boot == box.boots == 2
        following.cancel()


async def follow(reader):
    async for _ in reader.follow():
        pass


def status_of(reader, box):
    view = reader.controllers.get(box.topics)
    return view.status(CLOCK.now()).status if view else "unknown"


@pytest.mark.rule("MQ-05")
@pytest.mark.rule("MQ-21")
async def test_events_come_in_one_unbroken_sequence_through_a_lost_connection(place, boxes: Fleet):
    await boxes.start(1)
    box = boxes.boxes["box-0001"]
    feed, seen = EventFeed(), []
    async with at(place, "recorder") as session:
        await session.subscribe(f"{box.topics.prefix}/event/+")
        for number in range(60):
            await box.say(Event(EventType.KEY_PRESSED, {"number": number}))
            if number == 30:
                box._daemon.uplink._session.abandon()  # the network breaks

        def take(message):
            for one in feed.take(Envelope.model_validate_json(message.payload)):
                assert not isinstance(one, Gap)
                if isinstance(one, Arrived) and one.envelope.type.endswith("key.pressed"):
                    seen.append(one.envelope.data["number"])
            return True if len(seen) == 60 else None

        await until(session, take)
    assert sorted(seen) == list(range(60))


@pytest.mark.rule("MQ-06")
async def test_what_a_reader_has_missed_is_said_again_when_it_asks(place, boxes: Fleet):
    await boxes.start(1)
    box = boxes.boxes["box-0001"]
    for number in range(20):
        await box.say(Event(EventType.KEY_PRESSED, {"number": number}))
    await boxes.until(lambda: box._daemon.uplink.connected)
    async with at(place, "late") as session:
        await session.subscribe(f"{box.topics.prefix}/event/+")
        await ask(session, box, "replay", {"from": 1, "to": 1000})
        seen = set()

        def take(message):
            envelope = Envelope.model_validate_json(message.payload)
            if envelope.type.endswith("key.pressed"):
                seen.add(envelope.data["number"])
            return True if len(seen) == 20 else None

        await until(session, take)


async def ask(session, box, name, data, command=None):
    made = Command(command or str(uuid.uuid4()), name, CLOCK.now() + timedelta(seconds=30), data, "li@centre")
    payload = command_envelope(made, "tests", CLOCK.now()).encode()
    await session.publish(box.topics.command(name), payload)
    return made.id


@pytest.mark.rule("MQ-09")
async def test_a_live_event_does_not_wait_for_a_long_replay(place, boxes: Fleet):
    await boxes.start(1)
    box = boxes.boxes["box-0001"]
    await asyncio.gather(*(box.say(Event(EventType.KEY_PRESSED, {"number": number})) for number in range(LONG_REPLAY)))
    await all_sent(box)  # else what has never been sent would count as replayed
    async with at(place, "late") as session:
        await session.subscribe(f"{box.topics.prefix}/event/+")
        await ask(session, box, "replay", {"from": 1, "to": LONG_REPLAY})
        await until(session, lambda message: True if message.topic.endswith("key.pressed") else None)
        await box.say(Event(EventType.NUMBER_CALLED, {"window": "w1", "ticket": "A001"}))
        replayed = 1

        def live(message):
            nonlocal replayed
            replayed += message.topic.endswith("key.pressed")
            return replayed if message.topic.endswith("number.called") else None

        assert await until(session, live) < LONG_REPLAY


async def all_sent(box, seconds=30):
    outbox = box._daemon.outbox
    async with asyncio.timeout(seconds):
        while await outbox.sent() < outbox.last_seq:
            await asyncio.sleep(0.02)


@pytest.mark.rule("MQ-10")
async def test_a_command_that_comes_again_gets_its_stored_reply_and_is_carried_out_once(place, boxes: Fleet):
    await boxes.start(1)
    box = boxes.boxes["box-0001"]
    async with at(place, "operator") as session:
        command = str(uuid.uuid4())
        await session.subscribe(box.topics.reply(command))
        replies = []
        for _ in range(3):
            await ask(session, box, "number.recall", {"window": "w1"}, command)
            replies.append(await until(session, lambda message: read_reply(message.payload)))
        assert replies[0] == replies[1] == replies[2]
    assert [one.id for one in box.commands] == [command]


@pytest.mark.rule("MQ-13")
@pytest.mark.rule("MQ-17")
async def test_what_is_wanted_is_applied_and_reported_and_an_older_version_changes_nothing(place, boxes: Fleet):
    await boxes.start(1)
    box = boxes.boxes["box-0001"]
    wanted, version = hall_document(5, texts={"welcome": NEW}), newest_version()
    async with at(place, "operator") as session:
        await session.subscribe(box.topics.reported)
        await session.publish(box.topics.desired, desired(version, wanted), retain=True)

        def applied(message):
            report = Reported.model_validate_json(message.payload)
            return report if report.desired_version == version and report.status.final else None

        report = await until(session, applied)
        assert (report.status, report.applied_hash) == (ApplyStatus.APPLIED, document_hash(wanted))
        await session.publish(box.topics.desired, desired(version - 1, hall_document(5)), retain=True)
        await session.publish(box.topics.desired, desired(version, wanted), retain=True)
        assert (await until(session, applied)).applied_version == version
    assert welcome_of(box) == NEW


@pytest.mark.rule("MQ-18")
async def test_rebirth_says_everything_again(place, boxes: Fleet):
    await boxes.start(1)
    box = boxes.boxes["box-0001"]
    topics = {
        box.topics.state,
        box.topics.reported,
        *(box.topics.terminal(name) for name in box._daemon.floor.states()),
    }
    async with at(place, "operator") as session:
        await session.subscribe(f"{box.topics.prefix}/#")
        await asyncio.sleep(0.5)  # what is retained comes first, and does not count
        heard: set[str] = set()
        await ask(session, box, "rebirth", {})

        def take(message):
            if not message.retain:
                heard.add(message.topic)
            return True if topics <= heard else None

        await until(session, take)


@pytest.mark.rule("MQ-28")
async def test_a_broker_that_has_forgotten_everything_is_told_everything_again(place, boxes: Fleet):
    if place.name.startswith("cluster"):
        pytest.skip("a node of the cluster is killed in a test of its own")
    await boxes.start(3)
    place.restart()
    await boxes.until(lambda: all(box.connected for box in boxes.boxes.values()))
    desk = place.desk()

    async def told():
        async with desk.connected():
            await desk.read(("+",), "config/reported", "terminal/+/state")
        views = desk.reader.controllers.values()
        return len(views) == 3 and all(view.reported and len(view.terminals) == 5 for view in views)

    async with asyncio.timeout(30):
        while not await told():
            await asyncio.sleep(0.2)


async def push(place: Place, path, told, **rules) -> Driver:
    quick = {"first": 4, "grow": 3, "observe_s": 0.5, "wait_s": 40, "resend_s": 2, "abort_count": 1, **rules}
    wanted = PushRequest(
        read_source(path, merge=False),
        EVERYONE,
        RolloutRules.model_validate(quick),
        HealthRule(window_s=2.0),
        beat_s=0.3,
    )
    desk = place.desk()

    async def start() -> Driver:
        await finish_what_this_node_believes_unfinished(place, desk)
        return await begin(desk, wanted, await prepare(desk, wanted), told.append)

    async with asyncio.timeout(120):
        while True:
            try:
                return await see_through(desk, start, told.append)
            except LinkError as exc:  # a cluster drops who comes in a bad moment, before anything was begun
                if place.retains_everywhere:
                    raise
                told.append(str(exc))
                await asyncio.sleep(1)


async def finish_what_this_node_believes_unfinished(place: Place, desk: Desk) -> None:
    """A node that was away when another test ended its rollout still has it running: as the errors' hints say."""
    if place.retains_everywhere:
        return
    await desk.subscribe(HEAD_FILTER)
    await desk.settle()
    for head in desk.book.unfinished():
        try:
            left = await take_up(desk, head.id, lambda _told: None, take_over=False)
        except LinkError as exc:  # what was done with is kept no more, or that node never had it
            if exc.code != "rollout.lost":
                raise
            with contextlib.suppress(LinkError):  # the targets too: it is ended
                left = await take_up(desk, head.id, lambda _told: None, take_over=False, back="another test's")
                await left.drive()
            continue
        await left.drive()
        assert left.rollout.phase.over


def new_hall(folder, welcome):
    """A document of its own for each test: what the test before has wanted may still be retained at a node."""
    path = folder / "hall.yaml"
    path.write_text(yaml.safe_dump(hall_document(5, texts={"welcome": welcome}), allow_unicode=True), encoding="utf-8")
    return path


@pytest.mark.rule("MQ-27")
async def test_a_push_reaches_everybody(place, boxes: Fleet, tmp_path):
    await boxes.start(place.most_boxes)
    welcome = str(uuid.uuid4())
    driver = await push(place, new_hall(tmp_path, welcome), [])
    assert (driver.rollout.phase, driver.rollout.counts) == (RolloutPhase.DONE, {"took": place.most_boxes})
    assert boxes.running() == {welcome}


@pytest.mark.slow
@pytest.mark.rule("MQ-28")
async def test_a_node_that_is_killed_in_mid_push_costs_nothing(place, boxes: Fleet, tmp_path, request):
    if not place.name.startswith("cluster"):
        pytest.skip("there is one node: that it may be killed is shown in tests/fleet")
    cluster = request.getfixturevalue("cluster")
    await boxes.start(30)
    told: list[object] = []
    welcome = str(uuid.uuid4())
    pushing = asyncio.create_task(push(place, new_hall(tmp_path, welcome), told, observe_s=1.0))
    try:
        await boxes.until(
            lambda: pushing.done() or any(isinstance(one, WaveBegun) and one.index == 1 for one in told), 110
        )
    except TimeoutError:
        pytest.fail(f"no second wave; the desk told {told}")
    cluster.kill(1)
    try:
        driver = await pushing
    finally:
        cluster.bring_back(1)
    assert driver.rollout.phase is RolloutPhase.DONE, told[-5:]
    assert driver.rollout.counts == {"took": 30}
    assert boxes.running() == {welcome}
    async with asyncio.timeout(40):  # a node that has just come back still drops who comes too early
        while await reports_seen_by_another_desk(place) < 30:
            await asyncio.sleep(0.2)


async def reports_seen_by_another_desk(place: Place) -> int:
    desk = place.desk()
    with contextlib.suppress(LinkError):
        async with desk.connected():
            await desk.read(("+",), "config/reported")
    return sum(1 for view in desk.reader.controllers.values() if view.reported is not None)
