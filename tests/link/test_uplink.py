"""The uplink on real brokers: nothing that was committed is lost, and everybody knows who lives."""

import asyncio
import contextlib
import json
from datetime import timedelta

import pytest
import structlog

from hallctl.clock import SystemClock
from hallctl.errors import LinkError
from hallctl.link import BrokerSettings, CommandIntake, Lease, Progress, Session, Topics, Uplink
from hallctl.link.configuration import Reported
from hallctl.link.payloads import command_envelope, read_reply
from hallctl.link.registry import fold_state, is_online, read_state, read_terminal
from hallctl.model import (
    Alert,
    AlertKind,
    AlertState,
    Command,
    Event,
    EventType,
    Reply,
    ReplyState,
    TerminalState,
    TerminalStatus,
)
from hallctl.outbox import Outbox

TOPICS = Topics("hall-1", "box-1")
CLOCK = SystemClock(trust_wall_clock=True)


class Box:
    """A controller's link without a controller."""

    def __init__(self, folder, broker, protocol="5") -> None:
        self.handled: list[Command] = []
        self.outbox = Outbox.open(folder / "outbox.db", TOPICS.site, TOPICS.controller, CLOCK)
        log = structlog.get_logger()
        self.intake = CommandIntake(self.outbox, CLOCK, self.handle, log)
        settings = BrokerSettings(broker.host, broker.port, client_id="hall-1-box-1", protocol=protocol)
        self.uplink = Uplink(
            settings,
            self.outbox,
            self.intake,
            clock=CLOCK,
            log=log,
            lease=Lease(0.2, 2.0),
            version="test",
        )
        self.gate = asyncio.Event()
        self.gate.set()
        self.task: asyncio.Task[None] | None = None

    async def handle(self, command: Command, _progress: Progress) -> Reply:
        self.handled.append(command)
        await self.gate.wait()
        return Reply(command.id, ReplyState.SUCCEEDED, data={"n": len(self.handled)})

    async def __aenter__(self):
        self.task = asyncio.create_task(self.uplink.run())
        return self

    async def __aexit__(self, *_exc):
        await self.uplink.stop()
        await self.crash()

    async def crash(self):
        """Vanish without a word."""
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        await self.outbox.close()


class Desk:
    """A subscriber at the centre that keeps everything."""

    def __init__(self, broker) -> None:
        self.session = Session(BrokerSettings(broker.host, broker.port, client_id="desk"))
        self.messages = []
        self._arrived = asyncio.Condition()

    async def __aenter__(self):
        await self.session.connect()
        await self.session.subscribe("hall/v1/#")
        self.task = asyncio.create_task(self._pump())
        return self

    async def __aexit__(self, *_exc):
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, LinkError):
            await self.task
        await self.session.disconnect()

    async def _pump(self):
        while True:
            message = await self.session.receive()
            async with self._arrived:
                self.messages.append(message)
                self._arrived.notify_all()
            self.session.acknowledge(message)

    async def until(self, wanted, seconds=15):
        async with asyncio.timeout(seconds), self._arrived:
            await self._arrived.wait_for(lambda: wanted(self))

    def bodies(self, topic_part):
        return [json.loads(m.payload) for m in self.messages if topic_part in m.topic and m.payload]

    async def command(self, name, data, id_="c-1", expires_s=30.0):
        now = CLOCK.now()
        command = Command(id_, name, now + timedelta(seconds=expires_s), data)
        await self.session.publish(TOPICS.command(name), command_envelope(command, "desk", now).encode())

    async def reply(self, id_="c-1", count=1):
        await self.until(lambda desk: len(desk.bodies(f"/reply/{id_}")) >= count)
        return [read_reply(m.payload) for m in self.messages if m.topic.endswith(f"/reply/{id_}")][count - 1]


def key(number):
    return Event(EventType.KEY_PRESSED, {"n": number})


def numbers(desk):
    return {body["data"]["n"] for body in desk.bodies("/event/key.pressed")}


async def test_a_birth_is_retained_with_boot_lease_and_last_seq(any_broker, tmp_path):
    async with Box(tmp_path, any_broker) as box:
        await box.outbox.append(key(1))
        async with Desk(any_broker) as desk:
            await desk.until(lambda d: any(b["last_seq"] == 1 for b in d.bodies("/state")))
            state = read_state(next(m.payload for m in reversed(desk.messages) if m.topic == TOPICS.state))
            assert (state.status, state.boot, state.lease_s) == ("online", 1, 2.0)
            assert is_online(state, CLOCK.now(), CLOCK.now())
            assert not is_online(state, CLOCK.now() - timedelta(seconds=3), CLOCK.now())


@pytest.mark.rule("MQ-05")
async def test_events_arrive_in_envelopes_numbered_without_a_gap(any_broker, tmp_path):
    async with Desk(any_broker) as desk, Box(tmp_path, any_broker) as box:
        await asyncio.gather(*(box.outbox.append(key(n)) for n in range(300)))
        await desk.until(lambda d: len(numbers(d)) == 300)
        bodies = desk.bodies("/event/")
        assert [b["seq"] for b in bodies] == sorted(b["seq"] for b in bodies)
        first = bodies[0]
        assert first["specversion"] == "1.0"
        assert first["id"] == "box-1:1:1"
        assert first["source"] == "hall/v1/hall-1/box-1"
        assert first["type"] == "hallctl.event.key.pressed"


@pytest.mark.rule("MQ-02")
async def test_a_clean_stop_publishes_its_own_death_after_what_waited(any_broker, tmp_path):
    async with Desk(any_broker) as desk:
        async with Box(tmp_path, any_broker) as box:
            await desk.until(lambda d: d.bodies("/state"))
            await box.outbox.append(key(7))
        await desk.until(lambda d: d.bodies("/state")[-1]["status"] == "offline")
        assert desk.bodies("/state")[-1]["reason"] == "stopped"
        assert numbers(desk) == {7}


@pytest.mark.rule("MQ-01")
async def test_a_vanished_box_is_declared_dead_by_its_will_with_its_boot(broker, tmp_path):
    async with Desk(broker) as desk:
        box = await Box(tmp_path, broker).__aenter__()
        await desk.until(lambda d: d.bodies("/state"))
        await box.crash()
        await desk.until(lambda d: d.bodies("/state")[-1]["status"] == "offline", seconds=20)
        death = desk.bodies("/state")[-1]
        assert (death["boot"], death["reason"]) == (1, "connection_lost")


@pytest.mark.rule("MQ-01")
def test_an_old_will_does_not_kill_a_newer_boot():
    birth = read_state(b'{"status":"online","boot":8,"lease_s":30}')
    old_will = read_state(b'{"status":"offline","boot":7,"reason":"connection_lost"}')
    own_death = read_state(b'{"status":"offline","boot":8,"reason":"stopped"}')
    assert fold_state(birth, old_will) is birth
    assert fold_state(old_will, birth) is birth
    assert fold_state(birth, own_death) is own_death
    assert fold_state(None, old_will) is old_will


def test_a_box_with_a_fresh_disk_is_believed_and_an_old_birth_is_not():
    old = read_state(b'{"status":"online","boot":57,"at":"2026-03-02T01:00:00Z","lease_s":30}')
    fresh = read_state(b'{"status":"online","boot":1,"at":"2026-03-02T02:00:00Z","lease_s":30}')
    assert fold_state(old, fresh) is fresh
    assert fold_state(fresh, old) is old  # a higher boot is always newer
    late = read_state(b'{"status":"online","boot":3,"at":"2026-03-01T00:00:00Z","lease_s":30}')
    assert fold_state(old, late) is old


@pytest.mark.rule("MQ-06")
async def test_a_broker_that_is_down_at_start_and_killed_later_costs_no_event(broker, tmp_path):
    broker.stop()
    async with Box(tmp_path, broker) as box:
        for n in range(50):
            await box.outbox.append(key(n))
        assert not box.uplink.connected
        broker.start()
        seen = set()
        async with Desk(broker) as desk:
            await desk.until(lambda d: {49} <= numbers(d))
            seen |= numbers(desk)
        broker.kill()
        for n in range(50, 80):
            await box.outbox.append(key(n))
        broker.start()
        async with Desk(broker) as desk:
            await desk.until(lambda d: {79} <= numbers(d), seconds=40)
            await desk.command("replay", {"from": 1, "to": 1000}, "r-1")
            await desk.until(lambda d: set(range(80)) <= numbers(d) | seen)


@pytest.mark.rule("MQ-06")
async def test_a_gap_is_filled_by_replay(any_broker, tmp_path):
    async with Box(tmp_path, any_broker) as box:
        for n in range(30):
            await box.outbox.append(key(n))
        async with Desk(any_broker) as desk:
            await desk.until(lambda d: d.bodies("/state")[-1:] and d.bodies("/state")[-1]["last_seq"] == 30)
            await desk.command("replay", {"from": 11, "to": 20}, "r-1")
            assert (await desk.reply("r-1")).state is ReplyState.ACCEPTED
            await desk.until(lambda d: {b["seq"] for b in d.bodies("/event/")} >= set(range(11, 21)))


@pytest.mark.rule("MQ-10")
async def test_a_repeated_command_acts_once_and_gets_the_stored_reply(any_broker, tmp_path):
    async with Desk(any_broker) as desk, Box(tmp_path, any_broker) as box:
        await desk.until(lambda d: d.bodies("/state"))
        for count in (1, 2, 3):
            await desk.command("number.call", {"window": "w1"})
            reply = await desk.reply(count=count)
            assert (reply.state, reply.data) == (ReplyState.SUCCEEDED, {"n": 1})
        assert len(box.handled) == 1


async def test_a_repeat_while_the_act_runs_says_in_progress(broker, tmp_path):
    async with Desk(broker) as desk, Box(tmp_path, broker) as box:
        await desk.until(lambda d: d.bodies("/state"))
        box.gate.clear()
        await desk.command("ticket.print", {})
        await desk.command("ticket.print", {})
        assert (await desk.reply()).state is ReplyState.IN_PROGRESS
        box.gate.set()
        assert (await desk.reply(count=2)).state is ReplyState.SUCCEEDED
        assert len(box.handled) == 1


@pytest.mark.rule("MQ-11")
async def test_an_expired_command_is_refused(broker, tmp_path):
    async with Desk(broker) as desk, Box(tmp_path, broker) as box:
        await desk.until(lambda d: d.bodies("/state"))
        await desk.command("ticket.print", {}, expires_s=-1)
        assert (await desk.reply()).state is ReplyState.EXPIRED
        assert box.handled == []


async def test_a_malformed_command_stops_nothing(broker, tmp_path):
    async with Desk(broker) as desk, Box(tmp_path, broker):
        await desk.until(lambda d: d.bodies("/state"))
        await desk.session.publish(TOPICS.command("number.call"), b"{not json")
        await desk.command("number.call", {}, "c-2")
        assert (await desk.reply("c-2")).state is ReplyState.SUCCEEDED


@pytest.mark.rule("MQ-12")
async def test_a_command_that_was_running_when_the_box_died_is_unknown_and_not_done_again(broker, tmp_path):
    async with Desk(broker) as desk:
        box = await Box(tmp_path, broker).__aenter__()
        await desk.until(lambda d: d.bodies("/state"))
        box.gate.clear()
        await desk.command("ticket.print", {})
        while not box.handled:
            await asyncio.sleep(0.01)
        await box.crash()
        async with Box(tmp_path, broker) as again:
            (doubtful,) = await again.outbox.settle_doubtful()
            assert (doubtful.command, doubtful.state) == ("c-1", ReplyState.UNKNOWN)
            await desk.until(lambda d: d.bodies("/state")[-1]["boot"] == 2)
            await desk.command("ticket.print", {})
            assert (await desk.reply()).state is ReplyState.UNKNOWN
            assert again.handled == []


@pytest.mark.rule("MQ-22")
async def test_the_contract_also_holds_on_mqtt_3_1_1(broker, tmp_path):
    async with Desk(broker) as desk:
        async with Box(tmp_path, broker, protocol="3.1.1") as box:
            await asyncio.gather(*(box.outbox.append(key(n)) for n in range(50)))
            await desk.until(lambda d: len(numbers(d)) == 50)
            await desk.command("number.call", {})
            assert (await desk.reply()).state is ReplyState.SUCCEEDED
        await desk.until(lambda d: d.bodies("/state")[-1]["reason"] == "stopped")


@pytest.mark.rule("MQ-20")
async def test_terminal_states_are_retained_and_only_the_newest_counts(any_broker, tmp_path):
    async with Box(tmp_path, any_broker) as box:
        for status in (TerminalStatus.STARTING, TerminalStatus.OFFLINE, TerminalStatus.ONLINE):
            box.uplink.set_terminal_state(TerminalState("printer-1", "escpos", status, CLOCK.now()))
        async with Desk(any_broker) as desk:
            await desk.until(
                lambda d: d.bodies("/terminal/printer-1/") and d.bodies("/terminal/")[-1]["status"] == "online"
            )
            state = read_terminal(next(m.payload for m in reversed(desk.messages) if "/terminal/" in m.topic))
            assert state.boot == 1


@pytest.mark.rule("MQ-20")
async def test_a_cleared_alert_is_seen_and_leaves_nothing_retained(any_broker, tmp_path):
    alert = Alert("a-1", AlertKind.POST_EMPTY, "w1", AlertState.RAISED, CLOCK.now())
    async with Box(tmp_path, any_broker) as box:
        await box.outbox.append(alert)
        async with Desk(any_broker) as desk:
            await desk.until(lambda d: d.bodies("/alert/a-1"))
            await box.outbox.append(alert.cleared(CLOCK.now()))
            await desk.until(lambda d: d.bodies("/alert/a-1")[-1]["data"]["state"] == "cleared")
            await desk.until(lambda d: any(m.topic.endswith("a-1") and not m.payload for m in d.messages))
        async with Desk(any_broker) as late:
            await late.until(lambda d: d.bodies("/state"))
            assert late.bodies("/alert/") == []


async def test_an_event_that_is_too_long_is_cut_not_lost(broker, tmp_path):
    async with Desk(broker) as desk, Box(tmp_path, broker) as box:
        await box.outbox.append(Event(EventType.TICKET_FAILED, {"printer": "p", "text": "长" * 9000}))
        await desk.until(lambda d: d.bodies("/event/"))
        (body,) = desk.bodies("/event/")
        assert body["data"]["printer"] == "p"
        assert body["data"]["cut_from_bytes"] > 8192


@pytest.mark.rule("MQ-20")
async def test_what_is_too_large_for_a_message_never_blocks_the_log(broker, tmp_path):
    async with Desk(broker) as desk, Box(tmp_path, broker) as box:
        await box.outbox.append(Event(EventType.KEY_PRESSED, {f"key-{n}": "x" * 190 for n in range(90)}))
        info = {f"key-{n}": "x" * 100 for n in range(200)}
        state = TerminalState("printer-1", "escpos", TerminalStatus.ONLINE, CLOCK.now(), message="长" * 9000, info=info)
        box.uplink.set_terminal_state(state)
        await box.outbox.append(key(2))
        await desk.until(lambda d: 2 in {body["data"].get("n") for body in d.bodies("/event/key.pressed")})
        await desk.until(lambda d: d.bodies("/terminal/printer-1/"))
        assert desk.bodies("/event/")[0]["data"]["key-0"] == "x" * 190
        assert all(len(message.payload) <= 8192 for message in desk.messages)


async def test_a_session_that_never_got_to_subscribe_does_not_leave_the_box_deaf(broker, tmp_path):
    left_over = Session(BrokerSettings(broker.host, broker.port, client_id="hall-1-box-1"))
    await left_over.connect(session_expiry_s=3600, clean=False)
    await left_over.disconnect()
    async with Desk(broker) as desk, Box(tmp_path, broker):
        await desk.until(lambda d: d.bodies("/state"))
        await desk.command("number.call", {})
        assert (await desk.reply()).state is ReplyState.SUCCEEDED


async def test_a_malformed_command_with_an_id_is_rejected_by_name(broker, tmp_path):
    async with Desk(broker) as desk, Box(tmp_path, broker) as box:
        await desk.until(lambda d: d.bodies("/state"))
        await desk.session.publish(TOPICS.command("number.call"), b'{"id": "c-9", "data": {}}')
        reply = await desk.reply("c-9")
        assert (reply.state, reply.code) == (ReplyState.REJECTED, "command.malformed")
        assert box.handled == []


async def test_what_an_earlier_boot_left_in_doubt_is_answered_after_the_connect(broker, tmp_path):
    async with Desk(broker) as desk:
        box = Box(tmp_path, broker)
        await box.outbox.begin_command(Command("c-7", "ticket.print", CLOCK.now(), {}))
        await box.outbox.close()
        again = Box(tmp_path, broker)
        again.uplink.reply_later(await again.outbox.settle_doubtful())
        async with again:
            assert (await desk.reply("c-7")).state is ReplyState.UNKNOWN


async def test_an_alert_that_is_cleared_while_it_is_published_again_leaves_no_zombie(broker, tmp_path):
    alerts = [Alert(f"a-{n}", AlertKind.POST_EMPTY, f"w{n}", AlertState.RAISED, CLOCK.now()) for n in range(60)]
    box = Box(tmp_path, broker)
    box.uplink._open_alerts = lambda: tuple(alerts)
    for alert in list(alerts):
        await box.outbox.append(alert)
    async with Desk(broker) as desk, box:
        await desk.until(lambda d: d.bodies("/alert/a-5"))
        cleared = alerts.pop().cleared(CLOCK.now())
        await box.outbox.append(cleared)
        await desk.until(lambda d: len({m.topic for m in d.messages if "/alert/" in m.topic}) == 60)
        await desk.until(lambda d: any(m.topic.endswith("a-59") and not m.payload for m in d.messages))
    async with Desk(broker) as late:
        await late.until(lambda d: len(d.bodies("/alert/")) >= 59)
        assert not [m for m in late.messages if m.topic.endswith("a-59")]


@pytest.mark.rule("MQ-24")
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_denied_publication_is_an_error_where_the_protocol_says_so(broker, tmp_path, protocol):
    acl = tmp_path / "acl"
    acl.write_text("topic read #\ntopic write mine/#\n")
    broker.stop()
    broker.extra = f"allow_anonymous true\nacl_file {acl}"
    broker.start()
    session = Session(BrokerSettings(broker.host, broker.port, client_id="x", protocol=protocol))
    await session.connect()
    await session.publish("mine/a", b"1")
    if protocol == "5":
        with pytest.raises(LinkError, match="access list"):
            await session.publish("yours/a", b"1")
    else:
        await session.publish("yours/a", b"1")  # MQTT 3.1.1 has no way to say no
    await session.disconnect()


async def test_connect_errors_say_what_to_do():
    with pytest.raises(LinkError, match="nothing listens"):
        await Session(BrokerSettings("127.0.0.1", 1)).connect()
    with pytest.raises(LinkError, match="resolved"):
        await Session(BrokerSettings("no-such-host.invalid")).connect()


def reported(version, status="applied"):
    return Reported(boot=0, at=CLOCK.now(), status=status, desired_version=version)


def online(terminal):
    return TerminalState(terminal, "escpos", TerminalStatus.ONLINE, CLOCK.now())


@pytest.mark.rule("MQ-17", "MQ-20")
async def test_what_became_of_the_configuration_is_retained_and_only_the_newest_counts(any_broker, tmp_path):
    async with Box(tmp_path, any_broker) as box:
        for version in (1, 2, 3):
            box.uplink.set_reported(reported(version))
        async with Desk(any_broker) as desk:
            await desk.until(lambda d: d.bodies("/config/reported"))
        async with Desk(any_broker) as late:
            await late.until(lambda d: d.bodies("/config/reported"))
            (body,) = late.bodies("/config/reported")
            assert (body["desired_version"], body["boot"]) == (3, 1)


@pytest.mark.rule("MQ-17", "MQ-18", "MQ-28")
async def test_what_the_broker_lost_is_published_again_after_the_connect(broker, tmp_path):
    async with Box(tmp_path, broker) as box:
        box.uplink.set_reported(reported(3))
        box.uplink.set_terminal_state(online("p"))
        async with Desk(broker) as desk:
            await desk.until(lambda d: d.bodies("/config/reported") and d.bodies("/terminal/p/"))
        broker.kill()  # without persistence: every retained message is lost
        broker.start()
        async with Desk(broker) as desk:
            await desk.until(lambda d: d.bodies("/config/reported") and d.bodies("/terminal/p/"), seconds=40)


@pytest.mark.rule("MQ-18")
async def test_a_rebirth_publishes_the_report_again(broker, tmp_path):
    async with Box(tmp_path, broker) as box:
        box.uplink.set_reported(reported(3))
        async with Desk(broker) as desk:
            await desk.until(lambda d: d.bodies("/config/reported"))
            await desk.session.publish(TOPICS.reported, b"", retain=True)  # somebody has emptied it
            await desk.command("rebirth", {})
            await desk.until(lambda d: len(d.bodies("/config/reported")) == 2)


@pytest.mark.rule("MQ-18")
async def test_many_changes_in_a_row_are_few_publications(broker, tmp_path):
    async with Desk(broker) as desk, Box(tmp_path, broker) as box:
        await desk.until(lambda d: d.bodies("/state"))
        for version in range(1, 501):
            box.uplink.set_reported(reported(version))
        await desk.until(
            lambda d: d.bodies("/config/reported")[-1:] and d.bodies("/config/reported")[-1]["desired_version"] == 500
        )
        assert len(desk.bodies("/config/reported")) <= 2


async def test_a_desired_document_is_acknowledged_when_it_was_taken_and_comes_again_when_not(broker, tmp_path):
    taken, gate = [], asyncio.Event()

    async def take(payload):
        taken.append(payload)
        await gate.wait()

    async with Desk(broker) as desk:
        await desk.session.publish(TOPICS.desired, b"{}", retain=True)
        box = Box(tmp_path, broker)
        box.uplink._on_desired = take
        await box.__aenter__()
        await desk.until(lambda d: d.bodies("/state"))
        while not taken:
            await asyncio.sleep(0.01)
        await box.crash()  # before it was staged
        gate.set()
        again = Box(tmp_path, broker)
        again.uplink._on_desired = take
        async with again:
            while len(taken) < 2:
                await asyncio.sleep(0.01)
    assert set(taken) == {b"{}"}


async def test_the_retained_desired_document_comes_with_every_connect(broker, tmp_path):
    taken = []

    async def take(payload):
        taken.append(payload)

    async with Desk(broker) as desk:
        await desk.session.publish(TOPICS.desired, b"{}", retain=True)
        for count in (1, 2):
            box = Box(tmp_path, broker)
            box.uplink._on_desired = take
            async with box:
                async with asyncio.timeout(15):
                    while len(taken) < count:
                        await asyncio.sleep(0.01)


async def test_a_terminal_that_was_taken_out_leaves_no_state_behind(any_broker, tmp_path):
    async with Box(tmp_path, any_broker) as box:
        for name in ("a", "b"):
            box.uplink.set_terminal_state(online(name))
        async with Desk(any_broker) as desk:
            await desk.until(lambda d: d.bodies("/terminal/a/") and d.bodies("/terminal/b/"))
            box.uplink.remove_terminal("a")
            await desk.until(lambda d: any(m.topic == TOPICS.terminal("a") and not m.payload for m in d.messages))
        async with Desk(any_broker) as late:
            await late.until(lambda d: d.bodies("/terminal/b/"))
            assert late.bodies("/terminal/a/") == []


async def test_what_an_earlier_boot_published_and_is_there_no_more_is_emptied(broker, tmp_path):
    async with Desk(broker) as desk:
        box = await Box(tmp_path, broker).__aenter__()
        for name in ("a", "b"):
            box.uplink.set_terminal_state(online(name))
        await desk.until(lambda d: d.bodies("/terminal/a/") and d.bodies("/terminal/b/"))
        await box.crash()
        again = Box(tmp_path, broker)
        await again.uplink.only_terminals(["b"])
        async with again:
            await desk.until(lambda d: any(m.topic == TOPICS.terminal("a") and not m.payload for m in d.messages))
            assert not any(m.topic == TOPICS.terminal("b") and not m.payload for m in desk.messages)


async def test_a_terminal_that_is_taken_out_and_comes_again_at_once_has_a_state(broker, tmp_path):
    async with Desk(broker) as desk, Box(tmp_path, broker) as box:
        box.uplink.set_terminal_state(online("a"))
        await desk.until(lambda d: d.bodies("/terminal/a/"))
        box.uplink.remove_terminal("a")
        box.uplink.set_terminal_state(online("a"))
        box.uplink.set_terminal_state(online("z"))
        await desk.until(lambda d: d.bodies("/terminal/z/"))
        async with Desk(broker) as late:
            await late.until(lambda d: d.bodies("/terminal/a/"))


async def test_a_broker_that_refuses_the_desired_topic_does_not_cut_the_box_off(broker, tmp_path, monkeypatch):
    subscribe = Session.subscribe

    async def refusing(session, *filters):
        if TOPICS.desired in filters:
            raise LinkError("the broker refuses a subscription", hint="check the broker's access list")
        await subscribe(session, *filters)

    async def take(payload):
        raise AssertionError(payload)

    monkeypatch.setattr(Session, "subscribe", refusing)
    box = Box(tmp_path, broker)
    box.uplink._on_desired = take
    async with Desk(broker) as desk, box:
        await desk.until(lambda d: d.bodies("/state"))
        await desk.command("number.call", {})
        assert (await desk.reply()).state is ReplyState.SUCCEEDED
