"""What the broker denies is noticed and told, also where the protocol says nothing (MQTT 3.1.1, filtered delivery)."""

import asyncio
import contextlib

import pytest
import structlog
from security.hall_pki import EXAMPLE, GuardedBroker, Pki
from structlog.testing import capture_logs

from hallctl.clock import ManualClock, SystemClock
from hallctl.errors import LinkError
from hallctl.fleet import send_command
from hallctl.link import BrokerSettings, CommandIntake, Echo, Lease, Message, Topics, Uplink
from hallctl.link.echo import PATIENCE_S
from hallctl.link.payloads import ControllerState
from hallctl.model import Reply, ReplyState
from hallctl.outbox import Outbox

pytestmark = pytest.mark.rule("MQ-24")

TOPICS = Topics("gulou", "box-1")
REAL = SystemClock(trust_wall_clock=True)
DENIED = "the broker does not give back what this box says: its access list may deny it without a word"


class Box:
    """An uplink that listens for its own echo, whose patience is the test's clock."""

    def __init__(self, folder, guarded: GuardedBroker, tls, protocol: str) -> None:
        self.clock = ManualClock()
        self.outbox = Outbox.open(folder / "outbox.db", TOPICS.site, TOPICS.controller, REAL)
        log = structlog.get_logger()
        intake = CommandIntake(self.outbox, REAL, self._handle, log)
        settings = BrokerSettings(
            "localhost", guarded.machines, client_id="hallctl-gulou_box-1", tls=tls, protocol=protocol
        )
        self.uplink = Uplink(settings, self.outbox, intake, clock=REAL, log=log, lease=Lease(0.2, 2.0), version="t")
        self.echo = Echo(TOPICS.state, self.outbox.identity.boot, clock=self.clock, log=log)
        self.uplink.join(self.echo)

    async def _handle(self, command, _progress):
        return Reply(command.id, ReplyState.SUCCEEDED)

    async def __aenter__(self):
        self._task = asyncio.create_task(self.uplink.run())
        return self

    async def __aexit__(self, *_exc):
        await self.uplink.stop()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self.outbox.close()


async def until(wanted, seconds=20):
    async with asyncio.timeout(seconds):
        while not wanted():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.rule("MQ-22")
async def test_a_box_that_may_speak_hears_itself_and_says_nothing(guarded, pki, tmp_path, protocol) -> None:
    with capture_logs() as logs:
        async with Box(tmp_path, guarded, pki.tls("gulou/box-1"), protocol) as box:
            await until(lambda: box.echo.heard_back)
            await box.clock.advance(PATIENCE_S + 1)
    assert DENIED not in {one["event"] for one in logs}


@pytest.mark.parametrize(
    ("protocol", "acl"),
    [
        ("3.1.1", "pattern read hall/v1/%u/#\n"),  # nothing may be written, and PUBACKs look as always
        ("5", "pattern write hall/v1/%u/#\n"),  # nothing may be read, and the subscription was accepted
        ("3.1.1", "pattern write hall/v1/%u/#\n"),
    ],
    ids=["silent publish", "silent subscription", "silent subscription on 3.1.1"],
)
@pytest.mark.rule("MQ-22")
async def test_a_box_that_is_denied_without_a_word_says_so_once(guarded, pki, tmp_path, protocol, acl) -> None:
    guarded.place("acl", acl)
    guarded.reload()
    with capture_logs() as logs:
        async with Box(tmp_path, guarded, pki.tls("gulou/box-1"), protocol) as box:
            await until(lambda: box.uplink.connected)
            await box.clock.advance(PATIENCE_S + 1)
            await until(lambda: box.echo.heard_back is False)
            guarded.stop()
            guarded.start()
            await until(lambda: not box.uplink.connected)
            await until(lambda: box.uplink.connected)
            await box.clock.advance(PATIENCE_S + 1)
            (told,) = [one for one in logs if one["event"] == DENIED]
            assert told["topic"] == TOPICS.state
            assert "SITE/CONTROLLER" in told["hint"]
            guarded.place("acl", (EXAMPLE / "acl").read_text())
            guarded.stop()
            guarded.start()
            await until(lambda: box.echo.heard_back)
    assert "the broker gives back what this box says" in {one["event"] for one in logs}


async def test_what_an_earlier_run_said_is_no_echo(guarded: GuardedBroker, pki: Pki, tmp_path) -> None:
    session = guarded.session(pki.tls("gulou/box-1"))
    await session.connect()
    old = ControllerState(status="online", boot=77, lease_s=5)
    await session.publish(TOPICS.state, old.encode(), retain=True)
    await session.disconnect()
    guarded.place("acl", "pattern read hall/v1/%u/#\n")
    guarded.reload()
    async with Box(tmp_path, guarded, pki.tls("gulou/box-1"), "3.1.1") as box:
        await until(lambda: box.uplink.connected)
        await box.clock.advance(PATIENCE_S + 1)
        await until(lambda: box.echo.heard_back is False)


@pytest.mark.parametrize("may_read", [True, False])
@pytest.mark.rule("MQ-22")
async def test_a_desk_whose_command_is_dropped_in_silence_is_told_what_to_check(
    guarded: GuardedBroker, pki: Pki, may_read: bool
) -> None:
    box = guarded.session(pki.tls("gulou/box-1"))
    await box.connect()
    await box.publish(TOPICS.state, ControllerState(status="online", boot=1, lease_s=5).encode(), retain=True)
    await box.disconnect()
    if not may_read:
        guarded.place("acl", "pattern write hall/v1/%u/state\n")
        guarded.reload()
    session = guarded.session(pki.tls("supervisor:wang"), desk=True, protocol="3.1.1")
    await session.connect()
    clock = ManualClock()
    sending = asyncio.create_task(send_command(session, TOPICS, "number.call", {}, clock, by="wang@desk"))
    await until(lambda: session._messages.qsize() == 0)
    await session.subscribe("x")  # what the broker has to say has been said
    async with asyncio.timeout(20):
        while not sending.done():
            await clock.advance(10)
            await asyncio.sleep(0.01)
    with pytest.raises(LinkError) as caught:
        await sending
    assert ("did not answer" if may_read else "nothing is known of controller") in caught.value.message
    assert "access list" in caught.value.hint
    await session.disconnect()


async def test_an_echo_that_comes_before_anybody_waits_counts_for_its_own_session_only() -> None:
    class Heard:
        async def unsubscribe(self, topic: str) -> None:
            assert topic == TOPICS.state

    clock = ManualClock()
    echo = Echo(TOPICS.state, 1, clock=clock, log=structlog.get_logger())
    birth = ControllerState(status="online", boot=1, lease_s=5).encode()
    for came in (True, False):
        if came:
            await echo.heard(Message(TOPICS.state, birth, False, 1, 1))
        waiting = asyncio.create_task(echo.connected(Heard()))
        await clock.advance(PATIENCE_S + 1)
        assert echo.heard_back is came
        await echo.heard(Message(TOPICS.state, birth, False, 1, 2))  # late: of no use for the next session
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
