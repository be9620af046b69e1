"""Reads what controllers publish. Lenient: a message that can't be read is counted and changes nothing."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from hallctl.clock import Clock
from hallctl.errors import LinkError
from hallctl.fleet.feed import Arrived, EventFeed, Gap
from hallctl.fleet.view import ControllerView
from hallctl.link.broker import Message
from hallctl.link.configuration import Reported, read_desired
from hallctl.link.payloads import ControllerState, Envelope, TerminalPayload
from hallctl.link.session import Session
from hallctl.link.topics import Place, Topics, filters, read_topic

SETTLE_S = 0.5


@dataclass(frozen=True, slots=True)
class ControllerChanged:
    """A controller's ``state`` came."""

    topics: Topics


@dataclass(frozen=True, slots=True)
class TerminalChanged:
    """A terminal's state came."""

    topics: Topics
    terminal: str


@dataclass(frozen=True, slots=True)
class ReportChanged:
    """A controller reported what became of its configuration."""

    topics: Topics


@dataclass(frozen=True, slots=True)
class AlertChanged:
    """An alert came: raised, acknowledged or cleared; ``None``: its topic was emptied."""

    topics: Topics
    alert: str
    body: Mapping[str, Any] | None


Change = ControllerChanged | TerminalChanged | ReportChanged | AlertChanged | Arrived | Gap


class HallBook:
    """What messages say of some controllers, folded one after the other; whoever brings them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._feed = EventFeed()
        self.controllers: dict[Topics, ControllerView] = {}
        self.unreadable = 0

    def take(self, message: Message) -> list[Change]:
        """Fold one message in; gives what it changed."""
        place = read_topic(message.topic)
        if place is None:
            return []
        try:
            return self._fold(place, message)
        except (ValidationError, LinkError):
            self.unreadable += 1
            return []

    def _fold(self, place: Place, message: Message) -> list[Change]:
        match place.kind:
            case "state" if message.payload:
                state = ControllerState.model_validate_json(message.payload)
                return self._fold_state(self._view(place), state, message.retain)
            case "terminal":
                payload = TerminalPayload.model_validate_json(message.payload) if message.payload else None
                self._view(place).take_terminal(place.name, payload)
                return [TerminalChanged(place.topics, place.name)]
            case "alert":
                return self._fold_alert(self._view(place), place.name, message)
            case "event":
                return [*self._feed.take(Envelope.model_validate_json(message.payload))]
            case "config":
                return self._fold_config(self._view(place), place.name, message.payload)
        return []

    def _view(self, place: Place) -> ControllerView:
        view = self.controllers.get(place.topics)
        if view is None:
            view = self.controllers[place.topics] = ControllerView(place.topics)
        return view

    def _fold_config(self, view: ControllerView, name: str, payload: bytes) -> list[Change]:
        if name == "reported":
            view.reported = Reported.model_validate_json(payload) if payload else None
            return [ReportChanged(view.topics)]
        if name == "desired":
            view.desired = read_desired(payload) if payload else None
        return []

    def _fold_state(self, view: ControllerView, state: ControllerState, retained: bool) -> list[Change]:
        view.take_state(state, self._heard(state, retained))
        if state.status != "online":
            return [ControllerChanged(view.topics)]
        return [ControllerChanged(view.topics), *self._feed.heartbeat(view.topics.prefix, state.last_seq, state.boot)]

    def _heard(self, state: ControllerState, retained: bool) -> datetime:
        """A retained heartbeat is as old as it says; a live one came now, whatever the box's clock shows."""
        now = self._clock.now()
        return min(state.at, now) if retained and state.at is not None else now

    def _fold_alert(self, view: ControllerView, alert: str, message: Message) -> list[Change]:
        envelope = Envelope.model_validate_json(message.payload) if message.payload else None
        body = envelope.data if envelope else None
        before = view.alerts.get(alert)
        if message.retain and envelope is not None:  # what is open now, whatever its number: the heartbeat came first
            self._feed.note(envelope)
            view.take_alert(alert, body)
            return [] if body == before else [AlertChanged(view.topics, alert, body)]
        arrived = self._feed.take(envelope) if envelope else []
        if not any(isinstance(one, Arrived) and one.late for one in arrived):  # a replay tells what was, not what is
            view.take_alert(alert, body)
        gaps = [one for one in arrived if isinstance(one, Gap)]
        if (envelope is not None and not arrived) or body == before:
            return [*gaps]  # seen, or published again after a connect: nothing is new
        return [AlertChanged(view.topics, alert, body), *gaps]


class HallReader(HallBook):
    """Everything that is known of some controllers. ``site`` and ``controller``: ids, or ``+`` for all.

    ``topics``: what to subscribe to instead, where less (or the desired documents too) is wanted.
    """

    def __init__(
        self, session: Session, clock: Clock, site: str = "+", controller: str = "+", *, topics: Sequence[str] = ()
    ) -> None:
        super().__init__(clock)
        self._session = session
        self._filters = tuple(topics) or filters(site, controller)

    async def subscribe(self) -> None:
        """Ask the broker for everything; the retained messages come first. Raises ``LinkError``."""
        await self._session.subscribe(*self._filters)

    async def settle(self, quiet_s: float = SETTLE_S) -> None:
        """Take what is retained: until none has come for ``quiet_s``. Raises ``LinkError`` when the link is lost.

        Live messages don't count: a thousand controllers have a hundred heartbeats a second, there is never silence.
        """
        until = self._clock.monotonic() + quiet_s
        while (left_s := until - self._clock.monotonic()) > 0:
            try:
                async with self._clock.timeout(left_s):
                    message = await self._session.receive()
            except TimeoutError:
                return
            if message.retain:
                until = self._clock.monotonic() + quiet_s
            self.take(message)
            self._session.acknowledge(message)

    async def follow(self) -> AsyncIterator[Change]:
        """What changes, for ever. A message is acknowledged after the consumer has dealt with it."""
        while True:
            message = await self._session.receive()
            for change in self.take(message):
                yield change
            self._session.acknowledge(message)


def described(envelope: Envelope) -> dict[str, Any]:
    """An envelope as plain JSON values."""
    found: dict[str, Any] = json.loads(envelope.model_dump_json())
    return found
