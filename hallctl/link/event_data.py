"""What stands in the ``data`` of each type of event: for whoever reads events, and for the published schemas.

The rooms that write events don't build these; tests hold what really stands in their logs against them. Readers
ignore what they don't know, so fields may be added; one that is here is neither renamed nor taken away within v1.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from hallctl.link.configuration import ApplyStatus, Mistake
from hallctl.link.payloads import Payload
from hallctl.model import EventType, ReplyState, WindowState


class ControllerStarted(Payload):
    """The daemon has started, and every terminal has been tried once."""

    boot: int
    version: str = Field(description="version of hallctl")
    terminals: int = Field(description="how many run")
    quarantined: list[str] = Field(description="terminals that can't run as configured")
    doubtful_commands: list[str] = Field(description="ids of commands that the last run left half done")


class ControllerStopped(Payload):
    """The daemon stops because it was told to."""

    boot: int


class TerminalOnline(Payload):
    """A terminal answers."""

    terminal: str
    driver: str


class TerminalOffline(Payload):
    """A terminal does not answer any more."""

    terminal: str
    driver: str
    reason: str | None = Field(description="stable code, as in the terminal's state")
    message: str
    hint: str = Field(description="what a technician can do")


class FaultChanged(Payload):
    """A device that answers has a fault, or has it no more."""

    terminal: str
    code: str = Field(description="stable code: paper.end, cover.open ...")
    severity: Literal["warning", "error", "critical"]
    message: str
    hint: str = Field(description="what a technician can do")


class TicketPrinted(Payload):
    """A ticket is on paper."""

    command: str = Field(description="id of the command ticket.print")
    printer: str = Field(description="the one that printed it")
    layout: str
    fields: dict[str, str]
    confirmed_by: str | None = Field(description="the printer's own word for it; null: it has none")
    instead_of: str = Field("", description="the printer that was asked, where a fallback printed it")
    because: str = Field("", description="why the fallback had to")


class TicketFailed(Payload):
    """Surely nothing is on paper."""

    command: str = Field(description="id of the command ticket.print")
    printer: str
    layout: str
    fields: dict[str, str]
    text: str = Field(description="what would be on the paper")
    code: str
    message: str
    hint: str


class TicketUnknown(Payload):
    """A ticket may be on paper or not; it is never printed again by itself."""

    command: str = Field(description="id of the command ticket.print")
    reason: str
    text: str = Field(description="what would be on the paper; empty where the layout is not there any more")
    fields: dict[str, str]
    printer: str = ""
    printers: list[str] = Field(
        default_factory=list, description="after a stop within it: the one asked and its fallbacks; any may hold it"
    )
    layout: str = ""
    instead_of: str = Field("", description="the printer that was asked, where a fallback was at it")
    because: str = Field("", description="why the fallback had to")


class NumberCalled(Payload):
    """A number was called to a window, or shown again."""

    window: str
    label: str = Field(description="what citizens call the window")
    ticket: str


class TextShown(Payload):
    """Somebody put a text on a display, or took it away."""

    display: str
    text: str = Field(description="empty: taken away")


class DisplayFailed(Payload):
    """A terminal could not show or ask what it should."""

    terminal: str
    code: str
    message: str
    hint: str


class WindowChanged(Payload):
    """A window does something else."""

    window: str
    label: str = Field(description="what citizens call the window")
    state: WindowState
    before: WindowState
    ticket: str | None = Field(description="the last called one")
    by: Literal["command", "keypad"]


class RatingAsked(Payload):
    """A citizen was asked for a rating, or did not answer in time."""

    window: str
    label: str = Field(description="what citizens call the window")
    ticket: str | None
    staff: str | None = Field(description="number of who sits there")


class RatingGiven(Payload):
    """A citizen has rated."""

    pad: str
    score: int = Field(ge=1, le=5, description="5 very satisfied ... 1 very dissatisfied")
    answer: str = Field("", description="id of the answer, where the pad gives one: readers count it once")
    window: str = Field("", description="missing where the pad belongs to no window")
    label: str = Field("", description="what citizens call the window")
    ticket: str | None = None
    asked: bool = Field(False, description="whether it answers a question")
    after_s: float | None = Field(None, description="since the question; null: it was an earlier one, or none")
    staff: str | None = Field(None, description="number of who sits there")


class KeyPressed(Payload):
    """A key of a keypad."""

    keypad: str
    window: str | None
    key: str = Field(description="by meaning: next, recall, evaluate, pause, transfer ...")
    argument: str = Field(description="what was typed before it")
    handled: bool = Field(description="whether the box acted on it as well")
    refused: str | None = Field(description="why it did not, though it should")
    ticket: str | None = Field(description="the last called one")


class PostLeft(Payload):
    """Nobody is at a post any more."""

    window: str
    label: str
    cameras: list[str]
    since: datetime
    last_seen: datetime | None


class PostReturned(Payload):
    """Somebody is there again."""

    window: str
    label: str
    cameras: list[str]
    absent_s: float


class PostBlind(Payload):
    """No camera can tell whether somebody is there."""

    window: str
    label: str
    cameras: list[str]
    reason: str
    since: datetime


class PostPauseOver(Payload):
    """A pause has lasted longer than it may, and excuses nobody any more."""

    window: str
    label: str
    cameras: list[str]
    paused_s: float


class DutyChanged(Payload):
    """The centre has set the hours of a day."""

    date: date
    spans: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = Field(
        description="from and to, HH:MM in the hall's time; none: no duty"
    )
    why: str = Field(description="what says so: an exception, the calendar, the week")


class ConfigDecided(Payload):
    """The box has decided upon a desired document."""

    version: int
    hash: str
    status: ApplyStatus
    runs_version: int = Field(description="version that runs; 0: the box's own hall.yaml")
    restarted: int = Field(description="how many terminals were started, restarted or stopped for it")
    quarantined: int = Field(description="how many terminals can't run as configured")
    errors: list[Mistake] = Field(description="the first ones")
    errors_more: int
    rollout: str
    by: str = Field(description="who pushed it")


class CommandFinished(Payload):
    """A command that acts is over: who sent it, when it came, what became of it."""

    command: str = Field(description="its id; empty where it could not be read")
    name: str
    by: str = Field(description="who sent it, as the desk says")
    received_at: datetime
    state: ReplyState
    code: str
    message: str
    arguments: dict[str, Any] = Field(description="long ones are cut")


class Gap(Payload):
    """Numbers of the log that nobody can have any more."""

    first: int = Field(alias="from")
    last: int = Field(alias="to")
    count: int = Field(description="how many of them were dropped")
    high: bool = Field(False, description="over the quota of alerts and ratings, not over the ordinary one")
    too_old: bool = Field(False, description="sent, but never recorded by anybody, and older than limits.outbox_days")


EVENTS: Mapping[EventType, type[Payload]] = {
    EventType.CONTROLLER_STARTED: ControllerStarted,
    EventType.CONTROLLER_STOPPED: ControllerStopped,
    EventType.TERMINAL_ONLINE: TerminalOnline,
    EventType.TERMINAL_OFFLINE: TerminalOffline,
    EventType.FAULT_RAISED: FaultChanged,
    EventType.FAULT_CLEARED: FaultChanged,
    EventType.TICKET_PRINTED: TicketPrinted,
    EventType.TICKET_FAILED: TicketFailed,
    EventType.TICKET_UNKNOWN: TicketUnknown,
    EventType.NUMBER_CALLED: NumberCalled,
    EventType.NUMBER_RECALLED: NumberCalled,
    EventType.TEXT_SHOWN: TextShown,
    EventType.DISPLAY_FAILED: DisplayFailed,
    EventType.WINDOW_CHANGED: WindowChanged,
    EventType.RATING_REQUESTED: RatingAsked,
    EventType.RATING_GIVEN: RatingGiven,
    EventType.RATING_MISSED: RatingAsked,
    EventType.KEY_PRESSED: KeyPressed,
    EventType.POST_LEFT: PostLeft,
    EventType.POST_RETURNED: PostReturned,
    EventType.POST_BLIND: PostBlind,
    EventType.POST_PAUSE_OVER: PostPauseOver,
    EventType.DUTY_CHANGED: DutyChanged,
    EventType.CONFIG_APPLIED: ConfigDecided,
    EventType.CONFIG_REJECTED: ConfigDecided,
    EventType.CONFIG_ROLLED_BACK: ConfigDecided,
    EventType.COMMAND_FINISHED: CommandFinished,
    EventType.GAP: Gap,
}
"""Data of every type of event."""
