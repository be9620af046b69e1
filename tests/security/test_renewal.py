"""A certificate is renewed over MQTT before it ends, on a real broker with TLS: nothing falls between the two."""

import asyncio
import contextlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from security.hall_pki import EXAMPLE, GuardedBroker, Pki
from structlog.testing import capture_logs

from hallctl.clock import ManualClock, SystemClock
from hallctl.enroll.desk import Desk
from hallctl.enroll.expiry import Expiry
from hallctl.enroll.identity import Identity
from hallctl.enroll.renewal import Renewal
from hallctl.errors import LinkError
from hallctl.link import BrokerSettings, CommandIntake, Lease, Session, Tls, Topics, Uplink
from hallctl.link.enrolment import EnrollAnswer, EnrollRequest, read_request
from hallctl.link.payloads import command_envelope, read_reply
from hallctl.link.registry import read_state
from hallctl.model import Command, Event, EventType, Reply, ReplyState
from hallctl.outbox import Outbox

pytestmark = pytest.mark.rule("MQ-26")

TOPICS = Topics("gulou", "box-1")
NAME = "gulou/box-1"
REAL = SystemClock(trust_wall_clock=True)
LIFE_DAYS = 1 / 24  # an hour, and an hour back: two thirds of its life are over 20 minutes after it was signed
TO_TWO_THIRDS_S = 21 * 60


class Box:
    """A controller's uplink with its renewal; the network lives in real time, the certificate in the test's."""

    def __init__(self, folder: Path, broker: GuardedBroker, identity: Identity, ca_file: Path, clock) -> None:
        folder.mkdir(exist_ok=True)
        self.clock = clock
        self.identity = identity
        self.outbox = Outbox.open(folder / "outbox.db", TOPICS.site, TOPICS.controller, REAL)
        log = structlog.get_logger()
        self.intake = CommandIntake(self.outbox, REAL, self._handle, log)
        settings = BrokerSettings(
            broker.host, broker.machines, client_id="hallctl-gulou_box-1", tls=Tls(ca_file, identity.path)
        )
        self.uplink = Uplink(
            settings, self.outbox, self.intake, clock=REAL, log=log, lease=Lease(0.2, 2.0), version="test"
        )
        self.warnings: list[str] = []
        expiry = Expiry(timedelta(days=14), self._warn, self._all_clear, clock)
        self.renewal = Renewal(
            identity,
            TOPICS,
            ca_file=ca_file,
            expiry=expiry,
            clock=clock,
            log=log,
            reconnect=self.uplink.reconnect,
        )
        self.uplink.join(self.renewal)

    async def __aenter__(self):
        self._tasks = [asyncio.create_task(self.uplink.run()), asyncio.create_task(self.renewal.run())]
        return self

    async def __aexit__(self, *_exc):
        await self.uplink.stop()
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.outbox.close()

    async def _handle(self, command, _progress):
        return Reply(command.id, ReplyState.SUCCEEDED)

    async def _warn(self, message, _ends):
        self.warnings.append(message)

    async def _all_clear(self):
        self.warnings.clear()


class Watch:
    """An operator who hears everything and commands."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.messages = []

    async def __aenter__(self):
        await self.session.connect()
        await self.session.subscribe("hall/v1/#")
        self._task = asyncio.create_task(self._pump())
        return self

    async def __aexit__(self, *_exc):
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError, LinkError):  # a test may have stopped the broker
            await self._task
        await self.session.disconnect()

    async def _pump(self):
        while True:
            message = await self.session.receive()
            self.session.acknowledge(message)
            self.messages.append(message)

    def of(self, topic):
        return [message.payload for message in self.messages if message.topic == topic]

    async def command(self, number):
        now = REAL.now()
        command = Command(f"c-{number}", "number.call", now + timedelta(seconds=30), {})
        await self.session.publish(TOPICS.command("number.call"), command_envelope(command, "desk", now).encode())


@contextlib.asynccontextmanager
async def serving(broker: GuardedBroker, pki: Pki, clock, authority=None):
    """`hallctl enroll serve` in this process; gives what it has decided."""
    session = broker.session(pki.tls("registrar:ca"), desk=True, client_id="hallctl-registrar")
    await session.connect()
    decided = []

    async def serve():
        async for waiting, result in Desk(session, authority or pki.ca, clock, "test").serve(LIFE_DAYS):
            decided.append((waiting.name, result))

    task = asyncio.create_task(serve())
    yield decided
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, LinkError):  # a test may have stopped the broker
        await task
    await session.disconnect()


async def until(wanted, seconds=20):
    async with asyncio.timeout(seconds):
        while not wanted():
            await asyncio.sleep(0.01)


@pytest.fixture
def clock():
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def identity(pki: Pki) -> Identity:
    return Identity(pki.issue(NAME, days=LIFE_DAYS))


@pytest.fixture
def make_box(tmp_path, guarded, identity, pki, clock):
    return lambda: Box(tmp_path / "box", guarded, identity, pki.ca_file, clock)


async def test_a_renewal_loses_no_event_and_no_answer_and_nobody_hears_of_a_death(
    guarded: GuardedBroker, pki: Pki, clock, identity: Identity, make_box
) -> None:
    old = identity.current().serial
    async with (
        Watch(guarded.session(pki.tls("operator:lina"), desk=True)) as watch,
        serving(guarded, pki, clock) as decided,
        make_box() as box,
    ):
        await until(lambda: box.uplink.connected)
        stop = asyncio.Event()
        busy = asyncio.create_task(_busy(box, watch, stop))
        await clock.advance(TO_TWO_THIRDS_S)
        await until(lambda: identity.current().serial != old and not identity.on_trial and box.uplink.connected)
        sent = len(watch.of(TOPICS.event("key.pressed")))
        await until(lambda: len(watch.of(TOPICS.event("key.pressed"))) > sent + 5)  # it goes on with the new one
        stop.set()
        count = await busy
        await until(lambda: _numbers(watch) == set(range(count)))
        await until(lambda: _answered(watch) == {f"c-{number}" for number in range(count)})
        assert decided == [(NAME, "renewed")]
        assert "offline" not in {read_state(payload).status for payload in watch.of(TOPICS.state) if payload}
        assert {entry.serial for entry in pki.ca.find(NAME)} == {old, identity.current().serial}
        assert box.warnings == []
        # The old one is worth nothing any more, and the box does not mind.
        pki.ca.revoke(old, clock.now(), by="test", reason="renewed")
        guarded.place("crl.pem", pki.ca.crl_path.read_text())
        guarded.stop()
        guarded.start()
        await until(lambda: not box.uplink.connected)
        await until(lambda: box.uplink.connected)


async def _busy(box: Box, watch: Watch, stop: asyncio.Event) -> int:
    """Events and commands without a pause until ``stop``; gives how many of each."""
    number = 0
    while not stop.is_set():
        await box.outbox.append(Event(EventType.KEY_PRESSED, {"n": number}))
        await watch.command(number)
        number += 1
    return number


def _numbers(watch: Watch) -> set[int]:
    return {json.loads(payload)["data"]["n"] for payload in watch.of(TOPICS.event("key.pressed"))}


def _answered(watch: Watch) -> set[str]:
    replies = [message for message in watch.messages if message.topic.startswith(f"{TOPICS.prefix}/reply/")]
    return {read_reply(message.payload).command for message in replies}


async def test_the_request_is_retained_until_it_is_answered_and_gone_afterwards(
    guarded: GuardedBroker, pki: Pki, clock, identity: Identity, make_box
) -> None:
    await clock.advance(TO_TWO_THIRDS_S)
    operator = pki.tls("operator:lina")
    async with make_box() as box:
        async with Watch(guarded.session(operator, desk=True)) as watch:
            await until(lambda: watch.of(TOPICS.enroll_request))
            first = read_request(watch.of(TOPICS.enroll_request)[0])
        guarded.stop()
        guarded.forget()
        guarded.start()
        await until(lambda: not box.uplink.connected)
        async with Watch(guarded.session(operator, desk=True)) as watch:  # the box asks again, for the same key
            await until(lambda: watch.of(TOPICS.enroll_request))
            assert read_request(watch.of(TOPICS.enroll_request)[0]).csr == first.csr
    async with serving(guarded, pki, clock) as decided, make_box() as box:
        await until(lambda: (NAME, "renewed") in decided)
        await until(lambda: box.uplink.connected and not identity.on_trial and identity.asked() is None)
        assert identity.current().serial == pki.ca.find(NAME)[-1].serial
    async with Watch(guarded.session(operator, desk=True)) as late:
        await until(lambda: late.of(TOPICS.enroll_certificate))
        assert late.of(TOPICS.enroll_request) == []


async def test_an_alert_is_raised_when_nobody_answers_and_cleared_by_the_renewal(
    guarded: GuardedBroker, pki: Pki, clock, make_box
) -> None:
    async with make_box() as box:
        await until(lambda: box.uplink.connected)
        await clock.advance(TO_TWO_THIRDS_S)
        assert box.warnings == []
        await clock.advance(3600)  # the next look; the certificate is out of its life
        await until(lambda: box.warnings)
        assert "has expired" in box.warnings[-1]
        assert "the desk has not answered" in box.warnings[-1]


async def test_the_desk_says_no_and_the_alert_says_why(
    guarded: GuardedBroker, pki: Pki, clock, identity: Identity, make_box
) -> None:
    desk = guarded.session(pki.tls("registrar:ca"), desk=True, client_id="hallctl-registrar")
    await desk.connect()
    async with make_box() as box:
        await clock.advance(50 * 60 + 1)
        await until(lambda: box.warnings)
        (waiting,) = await Desk(desk, pki.ca, clock, "test").pending()
        with capture_logs() as logs:
            await Desk(desk, pki.ca, clock, "test").refuse(waiting, "this box is to be taken away")
            await until(lambda: any(one["event"] == "the desk refuses a certificate" for one in logs))
        box.warnings.clear()
        await clock.advance(3600)
        await until(lambda: any("to be taken away" in one for one in box.warnings))
    await desk.disconnect()


async def test_a_box_that_the_broker_refuses_with_its_new_certificate_goes_back_to_the_old_one(
    guarded: GuardedBroker, pki: Pki, clock, identity: Identity, tmp_path: Path
) -> None:
    """The desk signs with a new CA that the box knows already, and the broker does not."""
    other = Pki(tmp_path / "other")
    both = tmp_path / "both.pem"
    both.write_text(pki.ca_file.read_text() + other.ca_file.read_text())
    old = identity.current().serial
    box = Box(tmp_path / "box", guarded, identity, both, clock)
    registrar = guarded.session(pki.tls("registrar:ca"), desk=True, client_id="hallctl-registrar")
    await registrar.connect()
    async with box:
        await until(lambda: box.uplink.connected)
        await clock.advance(TO_TWO_THIRDS_S)
        desk = Desk(registrar, other.ca, clock, "test")
        (waiting,) = await desk.pending()
        with capture_logs() as logs:
            await desk.approve(waiting, LIFE_DAYS)
            await until(lambda: any("used again" in one["event"] for one in logs))
        await until(lambda: box.uplink.connected)
        assert identity.current().serial == old
        assert not identity.on_trial
        await clock.advance(3600)  # and it does not ask again at once
        await until(lambda: any("does not take the new one" in one for one in box.warnings))
        assert identity.asked() is None
    await registrar.disconnect()


async def test_an_old_or_a_foreign_answer_changes_nothing(
    guarded: GuardedBroker, pki: Pki, clock, identity: Identity, make_box
) -> None:
    registrar = guarded.session(pki.tls("registrar:ca"), desk=True, client_id="hallctl-registrar")
    await registrar.connect()
    old = identity.path.read_bytes()
    foreign = pki.issue("gulou/box-2").read_text().partition("-----BEGIN CERTIFICATE")
    async with make_box() as box:
        await until(lambda: box.uplink.connected)
        await clock.advance(TO_TWO_THIRDS_S)
        await until(lambda: identity.asked() is not None)
        for payload in (
            b"{not json",
            EnrollAnswer(fingerprint="0000-0000", at=clock.now(), certificate="x").encode(),
            EnrollAnswer(
                fingerprint=identity.asked().fingerprint, at=clock.now(), certificate=foreign[1] + foreign[2]
            ).encode(),
        ):
            await registrar.publish(TOPICS.enroll_certificate, payload, retain=True)
        before = len(await box.outbox.read_range(1, 99))
        await box.outbox.append(Event(EventType.KEY_PRESSED, {"n": 1}))
        await until(lambda: box.outbox.last_seq > before)
        assert identity.path.read_bytes() == old
        assert identity.asked() is not None
        assert box.uplink.connected
    await registrar.disconnect()


def renewal_of(identity: Identity, clock, **changes) -> EnrollRequest:
    asked = identity.ask(NAME)
    serial, proof = identity.prove(asked.csr)
    return EnrollRequest(**{"csr": asked.csr.decode(), "at": clock.now(), "renews": serial, "proof": proof, **changes})


@pytest.mark.parametrize(
    "case", ["first", "no proof", "another's proof", "revoked", "expired", "unknown", "other name"]
)
async def test_only_a_proved_renewal_of_a_certificate_that_holds_is_signed_by_itself(
    guarded: GuardedBroker, pki: Pki, clock, identity: Identity, case: str
) -> None:
    thief = Identity(pki.issue("gulou/box-2"))
    request = renewal_of(identity, clock)
    if case == "first":
        request = renewal_of(identity, clock, renews="", proof="")
    elif case == "no proof":
        request = renewal_of(identity, clock, proof="")
    elif case == "another's proof":
        request = renewal_of(identity, clock, proof=thief.prove(identity.ask(NAME).csr)[1])
    elif case == "revoked":
        pki.ca.revoke(NAME, clock.now(), by="test", reason="")
    elif case == "expired":
        await clock.advance(2 * 3600)
    elif case == "unknown":
        request = renewal_of(identity, clock, renews="abc")
    elif case == "other name":
        serial, proof = thief.prove(identity.ask(NAME).csr)
        request = renewal_of(identity, clock, renews=serial, proof=proof)
    bootstrap = guarded.session(pki.tls("bootstrap:new-boxes"), desk=True, client_id="hallctl-new")
    await bootstrap.connect()
    async with serving(guarded, pki, clock) as decided:
        await bootstrap.publish(TOPICS.enroll_request, request.encode(), retain=True)
        await until(lambda: decided)
    ((name, result),) = decided
    assert name == NAME
    assert result.startswith("waiting")
    assert len(pki.ca.find(NAME)) == 1
    await bootstrap.disconnect()


async def test_a_request_under_another_box_topic_is_never_signed(
    guarded: GuardedBroker, pki: Pki, clock, identity: Identity
) -> None:
    bootstrap = guarded.session(pki.tls("bootstrap:new-boxes"), desk=True, client_id="hallctl-new")
    await bootstrap.connect()
    async with serving(guarded, pki, clock) as decided:
        topic = Topics("gulou", "box-9").enroll_request
        await bootstrap.publish(topic, renewal_of(identity, clock).encode(), retain=True)
        await bootstrap.publish(topic, b"rubbish", retain=True)
        await until(lambda: len(decided) == 2)
    assert "but came for" in decided[0][1]
    assert "can't be read" in decided[1][1]
    assert len(pki.ca.find(NAME)) == 1
    await bootstrap.disconnect()


@pytest.mark.rule("MQ-19")
async def test_no_part_of_a_key_is_in_any_message_or_line_of_the_log(
    guarded: GuardedBroker, pki: Pki, clock, identity: Identity, make_box
) -> None:
    keys = _lines_of_key(identity.path)
    with capture_logs() as logs:
        async with (
            Watch(guarded.session(pki.tls("operator:lina"), desk=True)) as watch,
            serving(guarded, pki, clock),
            make_box() as box,
        ):
            await until(lambda: box.uplink.connected)
            await clock.advance(TO_TWO_THIRDS_S)
            await until(lambda: _lines_of_key(identity.path) != keys and not identity.on_trial)
            await until(lambda: any(watch.of(TOPICS.enroll_certificate)))
            said = b"\n".join(message.payload for message in watch.messages) + repr(logs).encode()
    for line in (*keys, *_lines_of_key(identity.path), b"PRIVATE"):
        assert line not in said
    assert b"BEGIN CERTIFICATE" in said


def _lines_of_key(path: Path) -> list[bytes]:
    return path.read_bytes().partition(b"-----END PRIVATE")[0].splitlines()[1:]


def test_the_example_lets_a_box_ask_and_hear_the_answer() -> None:
    text = (EXAMPLE / "acl").read_text()
    assert "pattern write hall/v1/%u/enroll/request" in text


async def test_a_certificate_that_can_not_be_renewed_where_it_stands_is_told_at_the_start(
    guarded: GuardedBroker, pki: Pki, clock, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    renewal = Renewal(
        Identity(tmp_path / "file" / "identity.pem"),
        TOPICS,
        ca_file=None,
        expiry=Expiry(timedelta(days=14), _nothing, _nothing, clock),
        clock=clock,
        log=structlog.get_logger(),
        reconnect=lambda: None,
    )
    with capture_logs() as logs:
        task = asyncio.create_task(renewal.run())
        await clock.advance(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert "the certificate will not be renewed" in [one["event"] for one in logs]


async def _nothing(*_arguments: object) -> None: ...


async def test_a_certificate_that_others_renew_is_watched(pki: Pki, clock) -> None:
    path = pki.issue(NAME, days=60)
    told: list[str] = []

    async def warn(message, _ends):
        told.append(message)

    async def all_clear():
        told.clear()

    task = asyncio.create_task(Expiry(timedelta(days=7), warn, all_clear, clock).watch(path, structlog.get_logger()))
    await clock.advance(50 * 86400, rounds=2)
    assert told == []
    await clock.advance(4 * 86400, rounds=2)
    assert "expires in 6.0 days" in told[-1]
    assert str(path) in told[-1]
    path.write_bytes(pki.issue("gulou/box-2", at=clock.now(), days=60).read_bytes())
    await clock.advance(3600, rounds=2)
    assert told == []
    path.write_text("rubbish")
    with capture_logs() as logs:
        await clock.advance(3600, rounds=2)
    assert "the certificate can't be looked at" in [one["event"] for one in logs]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
