"""configs/broker/bridge: a region's broker bridged to the centre's, the line cut in the middle."""

import asyncio
import contextlib
import re
from pathlib import Path

import pytest
from contract.test_every_broker import ask, desired, until
from fleet.conftest import Fleet

from hallctl.fleet.feed import Arrived, EventFeed
from hallctl.fleet.simulate.halls import hall_document
from hallctl.link import BrokerSettings, Session
from hallctl.link.configuration import Reported
from hallctl.link.payloads import Envelope, read_reply
from hallctl.model import Event, EventType

EXAMPLE = Path(__file__).parents[2] / "configs/broker/bridge/regional.conf"


def bridge_to(port: int) -> str:
    """The example with this centre's address, and without the files of TLS (tests/security has those)."""
    text = EXAMPLE.read_text(encoding="utf-8")
    text = re.sub(r"^address .*$", f"address 127.0.0.1:{port}", text, flags=re.M)
    text = re.sub(r"^restart_timeout .*$", "restart_timeout 1 1", text, flags=re.M)
    lines = [
        line
        for line in text.splitlines()
        if line and not line.startswith(("#", "bridge_ca", "bridge_cert", "bridge_key", "bridge_tls"))
    ]
    return "\n".join(["allow_anonymous true", *lines])


@pytest.fixture
async def region(make_broker, tmp_path):
    """The region's broker with one simulated controller, and the centre's broker."""
    centre = make_broker("mosquitto")
    regional = make_broker("mosquitto")
    regional.kill()  # it may be too young to hear a SIGTERM
    regional.extra = bridge_to(centre.port)
    regional.start()
    fleet = Fleet(tmp_path, regional)
    yield fleet, centre
    with contextlib.suppress(Exception):
        await fleet.stop()


@contextlib.asynccontextmanager
async def at_the_centre(centre, name):
    session = Session(BrokerSettings(centre.host, centre.port, client_id=name))
    await session.connect()
    try:
        yield session
    finally:
        await session.disconnect()


async def test_the_centre_steers_a_box_behind_the_bridge(region):
    fleet, centre = region
    await fleet.start(1)
    box = fleet.boxes["box-0001"]
    async with at_the_centre(centre, "desk") as session:
        await session.subscribe(box.topics.state)
        await until(session, lambda message: message.payload or None)
        await session.subscribe(f"{box.topics.prefix}/reply/+")
        await ask(session, box, "number.recall", {"window": "w1"})
        await until(session, lambda message: read_reply(message.payload) if "/reply/" in message.topic else None)
        await session.subscribe(box.topics.reported)
        await session.publish(box.topics.desired, desired(3, hall_document(5, texts={"welcome": "x"})), retain=True)

        def applied(message):
            if message.topic != box.topics.reported:
                return None
            report = Reported.model_validate_json(message.payload)
            return report if report.applied_version == 3 else None

        await until(session, applied)


@pytest.mark.rule("MQ-28")
async def test_what_happened_while_the_centre_was_down_arrives_afterwards(region):
    fleet, centre = region
    await fleet.start(1)
    box = fleet.boxes["box-0001"]
    async with at_the_centre(centre, "first") as session:
        await session.subscribe(box.topics.state)
        await until(session, lambda message: message.payload or None)
    centre.kill()
    for number in range(200):
        await box.say(Event(EventType.KEY_PRESSED, {"number": number}))
    centre.start()
    feed, seen = EventFeed(), set()
    async with at_the_centre(centre, "recorder") as session:
        await session.subscribe(f"{box.topics.prefix}/event/+", box.topics.state)

        def take(message):
            if message.topic == box.topics.state:
                return None
            for one in feed.take(Envelope.model_validate_json(message.payload)):
                if isinstance(one, Arrived) and one.envelope.type.endswith("key.pressed"):
                    seen.add(one.envelope.data["number"])
            return True if len(seen) == 200 else None

        async def ask_again():
            while True:  # what came before this subscription is asked for, as a recorder does
                await asyncio.sleep(1.0)
                await ask(session, box, "replay", {"from": 1, "to": 1000})

        asking = asyncio.create_task(ask_again())
        await until(session, take, 40)
        asking.cancel()
