"""What is true of one controller now, folded from its retained messages; pure (mqtt-contract rules 1 and 2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hallctl.fleet.selector import Traits
from hallctl.link.configuration import Desired, Reported
from hallctl.link.payloads import ControllerState, FaultPayload, TerminalPayload
from hallctl.link.registry import fold_state, is_online
from hallctl.link.topics import Topics

ONLINE, OFFLINE, UNKNOWN = "online", "offline", "unknown"


@dataclass(frozen=True, slots=True)
class ControllerStatus:
    """``status`` is online, offline or unknown; ``reason`` is stable: stopped, connection_lost, lease.expired ..."""

    status: str
    since: datetime | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TerminalStatusNow:
    """A terminal's state AND its controller's."""

    terminal: str
    driver: str
    status: str
    since: datetime | None
    reason: str = ""
    message: str = ""
    hint: str = ""
    faults: tuple[FaultPayload, ...] = ()


@dataclass(slots=True)
class ControllerView:
    """One controller as its messages describe it. ``heard`` is when ``state`` last came, wall time of the reader.

    Live: its reader folds what comes into it (a copy for each of a million messages would cost more than the messages).
    """

    topics: Topics
    state: ControllerState | None = None
    heard: datetime | None = None
    terminals: dict[str, TerminalPayload] = field(default_factory=dict)
    alerts: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    desired: Desired | None = None
    reported: Reported | None = None

    @property
    def traits(self) -> Traits:
        """What it is selected by."""
        groups, tags = (tuple(self.state.groups), tuple(self.state.tags)) if self.state else ((), ())
        return Traits(self.topics.site, self.topics.controller, groups, tags)

    @property
    def known(self) -> bool:
        """Whether it has ever said anything itself; a desired document alone is only somebody's wish."""
        return self.state is not None or self.reported is not None or bool(self.terminals)

    def take_state(self, state: ControllerState, heard: datetime) -> None:
        """Take a birth, a heartbeat or a death. A death of another run than the current one changes nothing."""
        if fold_state(self.state, state) is not self.state:
            self.state, self.heard = state, heard

    def take_terminal(self, terminal: str, payload: TerminalPayload | None) -> None:
        """Take a terminal's state; ``None``: its topic was emptied, the terminal is gone."""
        if payload is None:
            self.terminals.pop(terminal, None)
        else:
            self.terminals[terminal] = payload

    def take_alert(self, alert: str, body: Mapping[str, Any] | None) -> None:
        """Take an alert; a cleared or emptied one is open no more."""
        if body is None or body.get("state") == "cleared":
            self.alerts.pop(alert, None)
        else:
            self.alerts[alert] = body

    def status(self, now: datetime) -> ControllerStatus:
        """Whether the controller is online: what it says, as long as its lease holds."""
        state = self.state
        if state is None:
            return ControllerStatus(UNKNOWN, None, "state.absent")
        if state.status == OFFLINE:
            return ControllerStatus(OFFLINE, state.at or self.heard, state.reason)
        if is_online(state, self.heard, now):
            return ControllerStatus(ONLINE, state.since)
        ended = self.heard + timedelta(seconds=state.lease_s) if self.heard else None
        return ControllerStatus(OFFLINE, ended, "lease.expired")

    def terminal(self, name: str, now: datetime) -> TerminalStatusNow:
        """One terminal, as far as its controller can be believed. Raises ``KeyError`` when it is not known."""
        payload, controller = self.terminals[name], self.status(now)
        if controller.status != ONLINE:
            message = f"controller {self.topics.controller} is {controller.status}"
            hint = "its own last word was: " + payload.status
            return TerminalStatusNow(
                name, payload.driver, OFFLINE, controller.since, f"controller.{controller.status}", message, hint
            )
        if self.state is not None and payload.boot != self.state.boot:
            message = "its controller has started again and has not spoken of it yet"
            return TerminalStatusNow(name, payload.driver, UNKNOWN, controller.since, "state.stale", message)
        return TerminalStatusNow(
            name,
            payload.driver,
            payload.status,
            payload.since,
            payload.reason or "",
            payload.message,
            payload.hint,
            tuple(payload.faults),
        )
