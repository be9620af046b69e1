"""The uplink: birth, lease and death, retained states, and the log pumped to the broker, for ever.

A broker that is down is a state, not an error: the rest of the box runs, events wait in the outbox. On every
connect the birth and every retained topic are published again, at a limited rate.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from hallctl.clock import Clock
from hallctl.driver.terminal import Logger
from hallctl.errors import BrokerUnable, LinkError
from hallctl.link.broker import BrokerSettings, Will
from hallctl.link.commands import CommandIntake
from hallctl.link.companion import Companion
from hallctl.link.configuration import Reported
from hallctl.link.payloads import (
    MAX_REPLY_BYTES,
    ControllerState,
    alert_envelope,
    entry_envelope,
    reply_envelope,
)
from hallctl.link.retained import REPUBLISH_PER_S, Retained
from hallctl.link.session import Session
from hallctl.link.topics import Topics, read_topic
from hallctl.model import Alert, AlertState, Command, Reply, ReplyState, TerminalState
from hallctl.outbox import EntryKind, Outbox, Stored
from hallctl.tasks import first_to_fail

SESSION_EXPIRY_S = 14 * 86400
BATCH = 100
REPLAY_BATCH = 20
REPLAY_JITTER_S = 1.0
FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S = 0.5, 30.0
BIRTH_TIMEOUT_S = 30.0
RESUME_ATTEMPTS = 2
"""A broker that fails so often, one time after the other, can't find our session: then it gets a fresh one to serve."""


class _ConnectAnew(Exception):
    """The session is to be replaced by a new one at once."""


MakeSession = Callable[[BrokerSettings], Session]


@dataclass(frozen=True, slots=True)
class Lease:
    """How often the controller says that it lives, and for how long that holds; seconds."""

    heartbeat_s: float = 10.0
    lease_s: float = 35.0


class Uplink:
    """The controller's end of the contract. ``connected`` and ``reason`` say how it is."""

    def __init__(
        self,
        settings: BrokerSettings,
        outbox: Outbox,
        intake: CommandIntake,
        *,
        clock: Clock,
        log: Logger,
        lease: Lease,
        version: str,
        name: str = "",
        groups: Sequence[str] = (),
        tags: Sequence[str] = (),
        open_alerts: Callable[[], tuple[Alert, ...]] = tuple,
        on_desired: Callable[[bytes], Awaitable[None]] | None = None,
        make_session: MakeSession = Session,
    ) -> None:
        self.connected = False
        self.reason = "not connected yet"
        self.lost: LinkError | None = None  # why it is not connected
        self._settings = settings
        self._outbox = outbox
        self._intake = intake
        self._clock = clock
        self._log = log
        self._lease = lease
        self._about = {"version": version, "name": name, "groups": list(groups), "tags": list(tags)}
        self._open_alerts = open_alerts
        self._on_desired = on_desired
        self._make_session = make_session
        self._topics = Topics(outbox.identity.site, outbox.identity.controller)
        self._since = clock.now()
        self._session: Session | None = None
        self._stopping = False
        self._companions: list[Companion] = []
        self._anew = asyncio.Event()
        self._switching = False
        self._unable = 0
        self._late_replies: list[Reply] = []
        self._retained = Retained(outbox, clock, self._topics)
        self._replays: asyncio.Queue[tuple[int, int]] = asyncio.Queue(8)
        intake.handle("replay", self._replay)
        intake.handle("recorded", self._recorded)
        intake.handle("rebirth", self._rebirth)

    def set_terminal_state(self, state: TerminalState) -> None:
        """Publish a terminal's state soon; only the newest matters."""
        self._retained.set_terminal(state)

    def remove_terminal(self, terminal: str) -> None:
        """A terminal is no more: its retained topic is emptied soon."""
        self._retained.remove_terminal(terminal)

    async def only_terminals(self, terminals: Iterable[str]) -> None:
        """These are all that there are: the topic of every other one, of earlier boots too, is emptied soon."""
        await self._retained.only_terminals(terminals)

    def set_reported(self, reported: Reported) -> None:
        """Publish what became of the configuration soon, and with every connect; only the newest matters."""
        self._retained.set_reported(reported)

    def reply_later(self, replies: list[Reply]) -> None:
        """Publish replies after the next connect: what an earlier boot left in doubt."""
        self._late_replies += replies

    def join(self, companion: Companion) -> None:
        """Let another part speak over this connection. Call it before ``run``."""
        self._companions.append(companion)

    def reconnect(self) -> None:
        """Connect anew with the files of TLS as they are now; nothing is lost, no death is published."""
        self._switching = True
        self._anew.set()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        failures = 0
        while not self._stopping:
            try:
                await self._connected_time()
                failures = 0
            except _ConnectAnew:
                self.connected, failures = False, 0
                continue
            except LinkError as exc:
                self._switching = False
                self._unable = self._unable + 1 if isinstance(exc, BrokerUnable) else 0
                for companion in self._companions:
                    companion.lost(exc)
                was_connected, self.connected = self.connected, False
                failures = 1 if was_connected else failures + 1
                if not self._stopping and (was_connected or self.reason != exc.message):
                    self._log.warning("broker lost", message=exc.message, hint=exc.hint)
                self.reason, self.lost = exc.message, exc
            if not self._stopping:
                await self._clock.sleep(_back_off_s(failures))

    async def stop(self, flush_s: float = 3.0) -> None:
        """Deliver what waits, for a short while, then publish our own death and disconnect."""
        self._stopping = True
        session = self._session
        if session is None or not self.connected:
            return
        with contextlib.suppress(LinkError, TimeoutError):
            async with asyncio.timeout(flush_s):
                await self._flush(session)
        with contextlib.suppress(LinkError, TimeoutError):
            async with asyncio.timeout(flush_s):
                await session.publish(self._topics.state, self._state("offline", "stopped"), retain=True)
        self.connected = False
        await session.disconnect()

    async def publish_reply(self, reply: Reply) -> None:
        """Publish a reply. Raises ``LinkError`` while there is no broker; the stored reply answers a repeat."""
        if self._switching:  # for a moment: the answer must not fall between two connections
            self._late_replies.append(reply)
            return
        if self._session is None or not self.connected:
            raise LinkError("there is no connection to the broker", code="link.lost")
        envelope = reply_envelope(reply, self._outbox.identity, self._clock.now())
        try:
            await self._session.publish(self._topics.reply(reply.command), envelope.encode(MAX_REPLY_BYTES))
        except LinkError:
            if not self._switching:
                raise
            self._late_replies.append(reply)

    async def _connected_time(self) -> None:
        self._anew.clear()
        session = self._make_session(self._settings)
        will = Will(self._topics.state, self._state("offline", "connection_lost", will=True))
        try:
            present = await self._connect(session, will)
            await self._be_born(session)
            self._session, self.connected, self.reason, self._switching = session, True, "", False
            self._log.info("broker connected", broker=self._settings.host, session_present=present)
            await self._work(session)
        except _ConnectAnew:
            await session.disconnect()
            raise
        finally:
            self._session = None
            session.abandon()

    async def _connect(self, session: Session, will: Will) -> bool:
        """Take our session up again, or give it up where the broker has shown that it can't."""
        give_up = self._unable >= RESUME_ATTEMPTS
        present = await session.connect(will, session_expiry_s=SESSION_EXPIRY_S, clean=give_up)
        self._unable = 0
        if give_up:
            self._log.warning("session given up", why=self.reason, hint="commands of that time may be lost: send again")
            if not self._settings.is_v5:  # 3.1.1 keeps no session that began clean
                raise _ConnectAnew
        return present

    async def _be_born(self, session: Session) -> None:
        """Subscribe first: whoever sees the birth may send a command at once."""
        try:
            async with asyncio.timeout(BIRTH_TIMEOUT_S):
                await self._subscribe(session)
                await session.publish(self._topics.state, self._state("online"), retain=True)
        except TimeoutError as exc:
            late = f"the broker {self._settings.host} took our connection, and acknowledged nothing"
            raise BrokerUnable(f"{late} within {BIRTH_TIMEOUT_S:g} s", hint="look at the broker's own log") from exc

    async def _subscribe(self, session: Session) -> None:
        """Also when the broker kept our session: it may have been made by a connect that never got this far.

        Every subscription brings the retained desired document again.
        """
        wanted = (topic for companion in self._companions for topic in companion.topics)
        await session.subscribe(self._topics.command("+"), *wanted)
        if self._on_desired is None:
            return
        try:
            await session.subscribe(self._topics.desired)
        except LinkError as exc:  # a gap in the broker's access list must not cut the rest of the box off
            self._log.warning("the centre can't push a configuration to this box", message=exc.message, hint=exc.hint)

    async def _work(self, session: Session) -> None:
        await first_to_fail(
            self._receive(session),
            self._heartbeat(session),
            self._publish_states(session),
            self._pump(session),
            self._serve_replays(session),
            self._until_anew(),
            *(companion.connected(session) for companion in self._companions),
        )

    async def _until_anew(self) -> None:
        await self._anew.wait()
        raise _ConnectAnew

    async def _receive(self, session: Session) -> None:
        while True:
            message = await session.receive()
            place = read_topic(message.topic)
            if place is not None and place.kind == "command" and not message.retain:
                await self._intake.take(place.name, message.payload, self.publish_reply)
            if message.topic == self._topics.desired and self._on_desired is not None:
                await self._on_desired(message.payload)
            for companion in self._companions:
                if message.topic in companion.topics:
                    await companion.heard(message)
            session.acknowledge(message)

    async def _heartbeat(self, session: Session) -> None:
        while True:
            await self._clock.sleep(self._lease.heartbeat_s)
            await session.publish(self._topics.state, self._state("online"), retain=True)

    async def _publish_states(self, session: Session) -> None:
        while self._late_replies:
            await self.publish_reply(self._late_replies[0])
            del self._late_replies[0]
        for alert in self._open_alerts():
            await self._publish_open_alert(session, alert)
        await self._retained.publish(session)

    async def _publish_open_alert(self, session: Session, alert: Alert) -> None:
        envelope = alert_envelope(alert, self._outbox.identity, self._clock.now())
        topic = self._topics.alert(alert.id)
        if self._is_open(alert):
            await session.publish(topic, envelope.encode(), retain=True)
        if not self._is_open(alert):  # it was cleared meanwhile: leave no zombie behind
            await session.publish(topic, b"", retain=True)
        await self._clock.sleep(1 / REPUBLISH_PER_S)

    def _is_open(self, alert: Alert) -> bool:
        return any(one.id == alert.id for one in self._open_alerts())

    async def _pump(self, session: Session) -> None:
        """Everything beyond the sent cursor, in order, at most ``max_in_flight`` without PUBACK; then what comes."""
        cursor = await self._outbox.sent()
        while True:
            newest = self._outbox.last_seq
            entries = await self._outbox.unsent(BATCH, after=cursor)
            if entries:
                await self._publish_entries(session, entries)
                cursor = entries[-1].seq
                await self._outbox.mark_sent(cursor)
            else:
                cursor = newest
                await self._outbox.wait_beyond(cursor)

    async def _publish_entries(self, session: Session, entries: list[Stored]) -> None:
        await asyncio.gather(*(self._publish_entry(session, entry) for entry in entries))

    async def _publish_entry(self, session: Session, entry: Stored) -> None:
        payload = entry_envelope(entry, self._outbox.identity).encode()
        if entry.kind is EntryKind.EVENT:
            await session.publish(self._topics.event(entry.type), payload)
            return
        topic = self._topics.alert(entry.subject)
        cleared = entry.data.get("state") == AlertState.CLEARED
        await session.publish(topic, payload, retain=not cleared)
        if cleared:
            await session.publish(topic, b"", retain=True)

    async def _serve_replays(self, session: Session) -> None:
        while True:
            first, last = await self._replays.get()
            await self._clock.sleep(random.uniform(0, REPLAY_JITTER_S))  # a thousand boxes may be asked at once
            while first <= last:
                entries = await self._outbox.read_range(first, last, REPLAY_BATCH)
                if not entries:
                    break
                for entry in entries:
                    envelope = entry_envelope(entry, self._outbox.identity)
                    kind = "event" if entry.kind is EntryKind.EVENT else "alert"
                    name = entry.type if kind == "event" else entry.subject
                    await session.publish(f"{self._topics.prefix}/{kind}/{name}", envelope.encode())
                first = entries[-1].seq + 1
                await self._clock.sleep(REPLAY_BATCH / REPUBLISH_PER_S)  # live events go first

    async def _flush(self, session: Session) -> None:
        await self._retained.flush(session)
        while await self._outbox.unsent(1):  # noqa: ASYNC110  # PUBACKs don't follow an injected clock
            await asyncio.sleep(0.02)

    async def _replay(self, command: Command) -> Reply:
        first, last = command.data.get("from"), command.data.get("to")
        if not isinstance(first, int) or not isinstance(last, int) or not 0 < first <= last:
            return Reply(command.id, ReplyState.REJECTED, "data.invalid", "replay needs whole numbers from <= to")
        try:
            self._replays.put_nowait((first, min(last, self._outbox.last_seq)))
        except asyncio.QueueFull:
            return Reply(command.id, ReplyState.REJECTED, "replay.busy", "too many replays wait", "ask again later")
        return Reply(command.id, ReplyState.ACCEPTED, data={"last_seq": self._outbox.last_seq})

    async def _recorded(self, command: Command) -> Reply:
        seq = command.data.get("seq")
        if not isinstance(seq, int) or not 0 <= seq <= self._outbox.last_seq:
            return Reply(command.id, ReplyState.REJECTED, "data.invalid", "recorded needs a number of this log: seq")
        await self._outbox.mark_recorded(min(seq, await self._outbox.sent()))
        return Reply(command.id, ReplyState.SUCCEEDED)

    async def _rebirth(self, command: Command) -> Reply:
        self._retained.mark_all()
        if self._session is not None:
            await self._session.publish(self._topics.state, self._state("online"), retain=True)
            for alert in self._open_alerts():
                await self._publish_open_alert(self._session, alert)
        return Reply(command.id, ReplyState.SUCCEEDED, data={"terminals": len(self._retained.states)})

    def _state(self, status: str, reason: str = "", *, will: bool = False) -> bytes:
        return ControllerState.model_validate(
            {
                "status": status,
                "boot": self._outbox.identity.boot,
                "since": self._since,
                "at": None if will else self._clock.now(),  # nobody knows when a will is said
                "reason": reason,
                "lease_s": self._lease.lease_s,
                "last_seq": self._outbox.last_seq,
                **self._about,
            }
        ).encode()


def _back_off_s(failures: int) -> float:
    whole: float = min(LONGEST_BACK_OFF_S, FIRST_BACK_OFF_S * 2 ** min(failures, 16))
    return whole * random.uniform(0.5, 1.0)
