"""What single brokers keep and what they don't: the limits that docs/brokers.md states, as they are."""

import asyncio
from dataclasses import replace

import pytest
from contract.conftest import place_of
from contract.test_every_broker import at, desired, until

from hallctl.errors import LinkError
from hallctl.fleet.simulate.halls import hall_document
from hallctl.link import Topics
from hallctl.link.configuration import read_desired

TOPICS = Topics("hall-1", "box-1")
MARK = "hallctl-test/mark"
MOST_RETAINED = 100  # that a wildcard brings at iotcore


@pytest.fixture
def mosquitto(make_broker):
    """With the settings of configs/broker/mosquitto."""
    return place_of(make_broker("mosquitto"), "mosquitto")


@pytest.fixture
def iotcore(make_broker):
    """The demo's broker where there is no mosquitto."""
    return place_of(make_broker("iotcore"), "iotcore")


async def retained_at(place, *topics):
    """What a newcomer is given."""
    async with at(place, "newcomer") as session:
        await session.subscribe(*topics)
        await session.subscribe(MARK)
        marking = asyncio.create_task(session.publish(MARK, b"{}"))  # comes after what is retained
        found = {}

        def take(message):
            if message.topic == MARK:
                return found
            if message.payload:
                found[message.topic] = message.payload
            return None

        await until(session, take)
        await marking
        return found


@pytest.mark.rule("MQ-28")
async def test_what_mosquitto_has_saved_is_there_after_a_kill(mosquitto):
    async with at(mosquitto, "desk") as session:
        await session.publish(TOPICS.desired, desired(3, hall_document(5)), retain=True)
    async with asyncio.timeout(20):
        while not saved(mosquitto.disk, TOPICS.desired):
            await asyncio.sleep(0.05)
    mosquitto.crash()
    found = await retained_at(mosquitto, TOPICS.desired)
    assert read_desired(found[TOPICS.desired]).version == 3


def saved(folder, topic):
    path = folder / "mosquitto.db"
    return path.exists() and topic.encode() in path.read_bytes()


async def test_a_document_of_the_largest_size_is_retained_by_mosquitto(mosquitto):
    wanted = desired(3, {**hall_document(5), "notes": "x" * (239 * 1024 - 5000)})
    assert 230_000 < len(wanted) < 240 * 1024
    async with at(mosquitto, "desk") as session:
        await session.publish(TOPICS.desired, wanted, retain=True)
    assert (await retained_at(mosquitto, TOPICS.desired))[TOPICS.desired] == wanted


async def test_the_demos_broker_brings_a_hundred_retained_messages_for_a_wildcard_and_no_more(iotcore):
    async with at(iotcore, "box") as session:
        for number in range(MOST_RETAINED + 30):
            await session.publish(TOPICS.terminal(f"t{number}"), b"{}", retain=True)
    assert len(await retained_at(iotcore, f"{TOPICS.prefix}/terminal/+/state")) <= MOST_RETAINED
    one = TOPICS.terminal(f"t{MOST_RETAINED + 29}")
    assert list(await retained_at(iotcore, one)) == [one]  # it is there all the same


async def test_the_demos_broker_does_not_speak_mqtt_3_1_1(iotcore):
    with pytest.raises(LinkError):
        async with at(replace(iotcore, settings=replace(iotcore.settings, protocol="3.1.1")), "old"):
            pass


async def test_the_demos_broker_forgets_everything_when_it_ends(iotcore):
    async with at(iotcore, "desk") as session:
        await session.publish(TOPICS.desired, desired(3, hall_document(5)), retain=True)
    assert TOPICS.desired in await retained_at(iotcore, f"{TOPICS.prefix}/#")
    iotcore.restart()
    assert await retained_at(iotcore, f"{TOPICS.prefix}/#") == {}
