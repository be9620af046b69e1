"""What is true of one controller now, folded from its retained messages; pure (mqtt-contract rules 1 and 2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

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


@dataclass(frozen=True, slots=True)
class ControllerView:
    """One controller as its messages describe it. ``heard`` is when ``state`` last came, wall time of the reader."""

    topics: Topics
    state: ControllerState | None = None
    heard: datetime | None = None
    terminals: Mapping[str, TerminalPayload] = field(default_factory=dict)
    alerts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def with_state(self, state: ControllerState, heard: datetime) -> "ControllerView":
        """Take a birth, a heartbeat or a death. A death of another run than the current one changes nothing."""
        if fold_state(self.state, state) is self.state:
            return self
        return replace(self, state=state, heard=heard)

    def with_terminal(self, terminal: str, payload: TerminalPayload | None) -> "ControllerView":
        """Take a terminal's state; ``None``: its topic was emptied, the terminal is gone."""
        rest = {name: known for name, known in self.terminals.items() if name != terminal}
        return replace(self, terminals=rest | ({terminal: payload} if payload else {}))

    def with_alert(self, alert: str, body: Mapping[str, Any] | None) -> "ControllerView":
        """Take an alert; a cleared or emptied one is open no more."""
        rest = {name: known for name, known in self.alerts.items() if name != alert}
        is_open = body is not None and body.get("state") != "cleared"
        return replace(self, alerts=rest | ({alert: body} if is_open and body is not None else {}))

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
