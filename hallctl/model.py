"""Frozen values that every room speaks of: states, events, alerts, commands, replies.

The words are those of docs/architecture.md. Nothing here does anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

JsonObject = Mapping[str, Any]

IDENTIFIER = r"^[a-z0-9][a-z0-9-]{0,62}$"
"""What a site, controller, terminal, window or bus id looks like: one MQTT topic level, one file name."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which controller this is. ``boot`` names one run of the daemon: it grows with every start and is never reused."""

    site: str
    controller: str
    boot: int = 0


class TerminalStatus(StrEnum):
    """What a terminal's own side says; the reader ANDs it with its controller's (mqtt-contract rule 2)."""

    STARTING = "starting"
    ONLINE = "online"
    OFFLINE = "offline"
    QUARANTINED = "quarantined"


class Severity(StrEnum):
    """How much a fault matters: a warning still works, an error doesn't; critical: an error that nobody has taken."""

    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class FaultReport:
    """One thing that is wrong with a device that answers.

    ``code`` is stable and dotted (``paper.end``, ``cover.open``); ``hint`` tells the technician what to do;
    ``since`` is filled in by the supervisor.
    """

    code: str
    severity: Severity
    message: str
    hint: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class TerminalState:
    """Everything that is known of one terminal now.

    ``reason``/``message``/``hint`` say why it is not online; ``faults`` what is wrong although it is;
    ``info`` is what the device said of itself, ``counters`` only ever grow within one boot.
    """

    terminal: str
    driver: str
    status: TerminalStatus
    since: datetime
    reason: str | None = None
    message: str = ""
    hint: str = ""
    faults: tuple[FaultReport, ...] = ()
    info: JsonObject = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Online and without an error."""
        errors = any(fault.severity is Severity.ERROR for fault in self.faults)
        return self.status is TerminalStatus.ONLINE and not errors


class WindowState(StrEnum):
    """What a window is doing; what its display shows follows from it."""

    WELCOME = "welcome"
    CALLING = "calling"
    SERVING = "serving"
    PAUSED = "paused"


class PostState(StrEnum):
    """What is known of a staffed place. ``blind``: its camera can't tell, which is never ``absent``."""

    UNKNOWN = "unknown"
    PRESENT = "present"
    ABSENT = "absent"
    PAUSED = "paused"
    BLIND = "blind"


class Priority(StrEnum):
    """Which quota of the outbox an entry falls under, and how it is committed."""

    NORMAL = "normal"
    HIGH = "high"  # alerts and ratings: synchronous=FULL, a quota of their own


class EventType(StrEnum):
    """Types of events, as they stand in the topic ``event/{type}``."""

    CONTROLLER_STARTED = "controller.started"
    CONTROLLER_STOPPED = "controller.stopped"
    TERMINAL_ONLINE = "terminal.online"
    TERMINAL_OFFLINE = "terminal.offline"
    FAULT_RAISED = "fault.raised"
    FAULT_CLEARED = "fault.cleared"
    TICKET_PRINTED = "ticket.printed"
    TICKET_FAILED = "ticket.failed"
    TICKET_UNKNOWN = "ticket.unknown"
    NUMBER_CALLED = "number.called"
    NUMBER_RECALLED = "number.recalled"
    TEXT_SHOWN = "text.shown"
    DISPLAY_FAILED = "display.failed"
    WINDOW_CHANGED = "window.changed"
    RATING_REQUESTED = "rating.requested"
    RATING_GIVEN = "rating.given"
    RATING_MISSED = "rating.missed"
    KEY_PRESSED = "key.pressed"
    POST_LEFT = "post.left"
    POST_RETURNED = "post.returned"
    POST_BLIND = "post.blind"
    POST_PAUSE_OVER = "post.pause_over"
    DUTY_CHANGED = "duty.changed"
    CONFIG_APPLIED = "config.applied"
    CONFIG_REJECTED = "config.rejected"
    CONFIG_ROLLED_BACK = "config.rolled_back"
    COMMAND_FINISHED = "command.finished"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened. It becomes true when the outbox has committed it and given it a number."""

    type: EventType
    data: JsonObject
    priority: Priority = Priority.NORMAL


class AlertKind(StrEnum):
    """What needs a person."""

    POST_EMPTY = "post.empty"
    CAMERA_BLIND = "camera.blind"
    TERMINAL_FAULT = "terminal.fault"
    TERMINAL_OFFLINE = "terminal.offline"
    CERTIFICATE_EXPIRING = "certificate.expiring"


class AlertState(StrEnum):
    """The life of an alert; retained at the broker until it is cleared."""

    RAISED = "raised"
    ACKNOWLEDGED = "acknowledged"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A file that proves an alert. ``path`` is local; the centre gets name, size and sha256 (hex)."""

    kind: str  # "clip" | "snapshot"; further ones of an alert: "clip-2" ...
    path: str
    size: int
    sha256: str
    media_type: str
    covers: tuple[datetime, datetime] | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """Something needs a person: raised once, acknowledged by somebody, cleared when it is over."""

    id: str
    kind: AlertKind
    subject: str  # the post's window, the terminal, or the controller
    state: AlertState
    raised_at: datetime
    severity: Severity = Severity.ERROR
    cleared_at: datetime | None = None
    message: str = ""
    data: JsonObject = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()

    def cleared(self, at: datetime) -> "Alert":
        """The same alert, over."""
        return replace(self, state=AlertState.CLEARED, cleared_at=at)


@dataclass(frozen=True, slots=True)
class Command:
    """One request to one controller. ``expires`` is absolute wall time."""

    id: str
    name: str
    expires: datetime
    data: JsonObject
    by: str = ""  # who sent it, as the desk says


class ReplyState(StrEnum):
    """What became of a command (mqtt-contract rule 4)."""

    ACCEPTED = "accepted"
    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"
    EXPIRED = "expired"
    UNKNOWN = "unknown"

    @property
    def final(self) -> bool:
        """Whether nothing more will be said of the command."""
        return self not in (ReplyState.ACCEPTED, ReplyState.IN_PROGRESS)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a command. ``code`` is stable, ``message`` and ``hint`` are for people."""

    command: str
    state: ReplyState
    code: str = ""
    message: str = ""
    hint: str = ""
    data: JsonObject = field(default_factory=dict)
