"""The example access list on a real mosquitto: a credential reaches its own topics and no others, both ways."""

import asyncio
import contextlib
import re
from pathlib import Path

import pytest
from security.hall_pki import EXAMPLE, GuardedBroker, Pki

from hallctl.enroll import holder_of
from hallctl.enroll.acl import access_list
from hallctl.errors import LinkError
from hallctl.link import Topics

pytestmark = pytest.mark.rule("MQ-26")

OWN, OTHER = Topics("gulou", "box-1"), Topics("gulou", "box-2")
PEOPLE = ("operator:lina", "supervisor:wang", "recorder:centre", "registrar:ca", "bootstrap:new-boxes")
ALL_OF = (
    "state",
    "terminal/printer-1/state",
    "event/ticket.printed",
    "alert/a-1",
    "config/desired",
    "config/reported",
    "command/number.call",
    "command/alert.acknowledge",
    "command/evidence.fetch",
    "command/replay",
    "command/recorded",
    "reply/c-1",
    "enroll/request",
    "enroll/certificate",
)
FLEET = ("hall-fleet/v1/rollout/r-1", "hall-fleet/v1/document/abc")
EVERYTHING = (*(f"{t.prefix}/{rest}" for t in (OWN, OTHER) for rest in ALL_OF), *FLEET)

WATCH = {"state", "terminal/printer-1/state", "event/ticket.printed", "alert/a-1", "reply/c-1"}
COMMANDS = {rest for rest in ALL_OF if rest.startswith("command/")}


def of_both(*rests):
    return {f"{topics.prefix}/{rest}" for topics in (OWN, OTHER) for rest in rests}


MAY_WRITE = {
    "gulou/box-1": {
        f"{OWN.prefix}/{rest}" for rest in ALL_OF if rest not in COMMANDS | {"config/desired", "enroll/certificate"}
    },
    "operator:lina": of_both(*COMMANDS, "config/desired") | set(FLEET),
    "supervisor:wang": of_both("command/alert.acknowledge", "command/evidence.fetch"),
    "recorder:centre": of_both("command/replay", "command/recorded"),
    "registrar:ca": of_both("enroll/request", "enroll/certificate"),
    "bootstrap:new-boxes": of_both("enroll/request"),
}
MAY_READ = {
    "gulou/box-1": {f"{OWN.prefix}/{rest}" for rest in ALL_OF},
    "operator:lina": set(EVERYTHING),
    "supervisor:wang": of_both(*WATCH),
    "recorder:centre": of_both(*WATCH),
    "registrar:ca": of_both("state", "enroll/request"),
    "bootstrap:new-boxes": of_both("enroll/certificate"),
}
ON_8883 = {"gulou/box-1", "recorder:centre"}
# Who may write everything, only here: it stands in for whoever rightly writes a topic.
EVERYBODY = "\n# the test's own hand\nuser operator:test\ntopic readwrite #\n"


@contextlib.asynccontextmanager
async def connected(session):
    await session.connect()
    try:
        yield session
    finally:
        await session.disconnect()


async def heard(session, marker):
    """Topics that come until the marker does."""
    topics = set()
    async with asyncio.timeout(20):
        while (message := await session.receive()).topic != marker:
            session.acknowledge(message)
            topics.add(message.topic)
    return topics


@pytest.fixture
def open_handed(guarded: GuardedBroker) -> GuardedBroker:
    text = (EXAMPLE / "acl").read_text() + EVERYBODY
    # Each role also hears the marker, so that a test knows when nothing more will come.
    text = re.sub(r"^(user .*)$", r"\1\ntopic read marker", text, flags=re.M) + "pattern read marker\n"
    guarded.place("acl", text)
    guarded.reload()
    return guarded


@pytest.mark.parametrize("name", MAY_WRITE)
@pytest.mark.rule("MQ-24")
async def test_what_a_credential_may_not_write_is_denied_and_told(guarded: GuardedBroker, pki: Pki, name: str) -> None:
    took = set()
    async with connected(guarded.session(pki.tls(name), desk=name not in ON_8883)) as session:
        for topic in EVERYTHING:
            try:
                await session.publish(topic, b"{}")
                took.add(topic)
            except LinkError as exc:
                assert topic in exc.message
                assert "access list" in exc.hint
    assert took == MAY_WRITE[name]


@pytest.mark.parametrize("name", MAY_READ)
async def test_a_credential_hears_what_it_may_read_whatever_it_subscribes_to(
    open_handed: GuardedBroker, pki: Pki, name: str
) -> None:
    async with (
        connected(open_handed.session(pki.tls(name), desk=name not in ON_8883)) as reader,
        connected(open_handed.session(pki.tls("operator:test"), desk=True, client_id="hallctl-hand")) as hand,
    ):
        await reader.subscribe("#")
        for topic in EVERYTHING:
            await hand.publish(topic, b"{}")
        await hand.publish("marker", b"{}")
        assert await heard(reader, "marker") == MAY_READ[name]


@pytest.mark.parametrize("name", MAY_READ)
async def test_what_is_retained_is_guarded_alike(open_handed: GuardedBroker, pki: Pki, name: str) -> None:
    async with connected(open_handed.session(pki.tls("operator:test"), desk=True)) as hand:
        for topic in EVERYTHING:
            await hand.publish(topic, b"{}", retain=True)
    async with (
        connected(open_handed.session(pki.tls(name), desk=name not in ON_8883)) as reader,
        connected(open_handed.session(pki.tls("operator:test"), desk=True, client_id="hallctl-hand")) as hand,
    ):
        await reader.subscribe("#")
        await hand.publish("marker", b"{}")
        assert await heard(reader, "marker") == MAY_READ[name]


@pytest.mark.rule("MQ-22")
async def test_a_denied_publication_on_mqtt_3_1_1_is_dropped_all_the_same(open_handed: GuardedBroker, pki: Pki) -> None:
    async with (
        connected(open_handed.session(pki.tls("gulou/box-1"), protocol="3.1.1")) as box,
        connected(open_handed.session(pki.tls("operator:test"), desk=True)) as hand,
    ):
        await hand.subscribe("hall/v1/#", "marker")
        await box.publish(OTHER.state, b"{}")  # MQTT 3.1.1 has no way to say no
        await box.publish(OWN.command("number.call"), b"{}")
        await box.publish(OWN.state, b"{}")
        await hand.publish("marker", b"{}")
        assert await heard(hand, "marker") == {OWN.state}


async def test_nobody_takes_the_session_of_another_over(guarded: GuardedBroker, pki: Pki) -> None:
    async with connected(guarded.session(pki.tls("gulou/box-1"))) as box:
        other = pki.tls("gulou/box-2")
        desk = pki.tls("supervisor:wang")
        async with connected(guarded.session(other, client_id="hallctl-gulou_box-1")):
            await box.publish(OWN.state, b"1")
        for tls, at_desk in ((other, False), (desk, True)):
            for stolen in ("gulou/box-1", "recorder:centre", ""):
                with pytest.raises(LinkError, match="refuses us"):
                    await guarded.session(tls, desk=at_desk, client_id=stolen).connect()
        async with connected(guarded.session(desk, desk=True, client_id="hallctl-gulou/box-1")):
            await box.publish(OWN.state, b"2")
        async with connected(guarded.session(pki.tls("gulou/box-1"), desk=True, client_id="hallctl-x")):
            await box.publish(OWN.state, b"3")


async def test_the_second_connection_with_a_certificate_of_a_machine_ends_the_first(
    guarded: GuardedBroker, pki: Pki
) -> None:
    tls = pki.tls("gulou/box-1")
    first = guarded.session(tls, client_id="hallctl-one")
    await first.connect()
    async with connected(guarded.session(tls, client_id="hallctl-two")):
        async with asyncio.timeout(10):
            await first.wait_lost()
    first.abandon()


@pytest.mark.parametrize("stranger", ["nobody:x", "gulou", "operator:other"])
async def test_a_certificate_that_the_list_does_not_know_reaches_nothing(
    guarded: GuardedBroker, pki: Pki, stranger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hallctl.enroll.authority.holder_of", lambda _name: holder_of("operator:somebody"))
    async with connected(guarded.session(pki.tls(stranger), desk=True)) as session:
        for topic in EVERYTHING:
            with pytest.raises(LinkError, match="refuses to take"):
                await session.publish(topic, b"{}")


async def test_a_revoked_name_is_silenced_at_once_although_its_connection_lives_on(
    open_handed: GuardedBroker, pki: Pki
) -> None:
    async with (
        connected(open_handed.session(pki.tls("gulou/box-1"))) as box,
        connected(open_handed.session(pki.tls("operator:test"), desk=True)) as hand,
    ):
        await box.subscribe(OWN.command("+"))
        await box.publish(OWN.state, b"{}")
        pki.ca.revoke("gulou/box-1", pki.ca.entries[-1].at, by="test", reason="stolen")
        open_handed.place("crl.pem", pki.ca.crl_path.read_text())
        open_handed.reload()
        await box.publish(OWN.state, b"{}")  # a revocation list is looked at when somebody connects
        open_handed.place("acl", access_list([], ["gulou/box-1"]) + EVERYBODY)
        open_handed.reload()
        with pytest.raises(LinkError, match="refuses to take"):
            await box.publish(OWN.state, b"{}")
        await hand.subscribe(OWN.command("+"))
        await hand.publish(OWN.command("number.call"), b"{}")
        await hand.receive()
        await box.subscribe("x")  # what the broker had for the box would have come before this is acknowledged
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await box.receive()


def test_the_example_is_what_the_command_writes() -> None:
    holders = [holder_of(name) for name in PEOPLE]
    assert Path(EXAMPLE / "acl").read_text() == access_list(holders)


def test_every_setting_stands_once_where_it_may() -> None:
    lines = [line.split()[0] for line in (EXAMPLE / "mosquitto.conf").read_text().splitlines() if line[:1].isalpha()]
    first = lines.index("listener")
    assert len(set(lines[:first])) == first
