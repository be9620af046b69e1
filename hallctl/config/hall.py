"""``hall.yaml``: windows, terminals, what they do. The centre pushes it whole; a box without one has it on disk."""

import itertools
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from hallctl.config.base import ClockTime, Identifier, Section
from hallctl.config.posts import Attendance, DutyHours, Post


class Bus(Section):
    """A port that several terminals share."""

    id: Identifier = Field(description="name of the bus")
    port: str = Field(
        description="serial:///dev/serial/by-id/...?baud=9600; of a serial server rfc2217://HOST:PORT?baud=9600, or "
        "its raw port tcp://HOST:PORT?baud=9600"
    )


class Terminal(Section):
    """One device."""

    id: Identifier = Field(description="name of the terminal, unique on this controller")
    driver: str = Field(description="name of an installed driver; `hallctl check` lists them")
    name: str = Field(default="", description="what people call it")
    port: str | None = Field(
        default=None,
        description="its own port: tcp://HOST:PORT, serial:///dev/..., usb://VENDOR:PRODUCT?serial=..., "
        "file:///dev/usb/lp0, input:///dev/input/by-id/...",
    )
    bus: Identifier | None = Field(default=None, description="the bus that it shares, instead of a port")
    address: int | None = Field(default=None, ge=0, le=65534, description="its address on the bus")
    fallback: Identifier | None = Field(
        default=None, description="a printer's: terminal id of the printer that takes over when this one can't print"
    )
    options: dict[str, Any] = Field(default_factory=dict, description="what its driver wants to know")


class Staff(Section):
    """Who serves at a window."""

    number: str = Field(description="staff number, as pads show it")
    name: str = Field(default="", description="name, as pads show it")
    stars: int | None = Field(default=None, ge=0, le=5, description="star level 0 to 5")
    photo: str | None = Field(
        default=None,
        description="a picture (PNG, JPEG, WebP) that pads show: a file beside hall.yaml, or its whole path",
    )


class Window(Section):
    """A service counter."""

    id: Identifier = Field(description="name of the window")
    label: str = Field(description="number or name as displays and tickets show it")
    display: Identifier | None = Field(default=None, description="terminal id of the display above it")
    pad: Identifier | None = Field(default=None, description="terminal id of the evaluation pad")
    keypad: Identifier | None = Field(default=None, description="terminal id of the caller keypad")
    post: Post | None = Field(default=None, description="the place that a camera watches")
    staff: Staff | None = Field(default=None, description="who serves here")


Scale = Annotated[int, Field(ge=1, le=4)]


class TicketText(Section):
    """A line of a ticket layout; exactly one of ``text``, ``columns``, ``qr``, ``logo``, ``rule`` and ``feed``."""

    text: str | None = Field(
        default=None, description="text; {number} {service} {waiting} {time} {window} ... are filled in"
    )
    columns: tuple[str, str] | None = Field(
        default=None, description="text at the left and at the right edge of one line"
    )
    qr: str | None = Field(
        default=None,
        description="content of a QR code; fields are filled in, and quoted where it begins with http:// or https://",
    )
    logo: str | None = Field(
        default=None,
        description="a picture, 8 dots are 1 mm: a file beside hall.yaml or with its whole path, or "
        "data:image/png;base64,... (printed without it where it can't be read)",
    )
    rule: bool = Field(default=False, description="a dashed line")
    feed: int | None = Field(default=None, ge=1, le=20, description="empty lines")
    align: Literal["left", "center", "right"] = Field(default="left", description="where it stands")
    size: tuple[Scale, Scale] = Field(default=(1, 1), description="character scale [width, height], 1 to 4 each")
    bold: bool = Field(default=False, description="bold text")
    module: int = Field(default=6, ge=1, le=16, description="dot size of a QR code")
    optional: bool = Field(default=False, description="left out where a field of it is not given, or is empty")

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        given = [name for name in ("text", "columns", "qr", "logo", "feed") if getattr(self, name) is not None]
        given += ["rule"] * self.rule
        if len(given) != 1:
            what = " and ".join(given) or "nothing"
            raise ValueError(f"a line holds {what} | write exactly one of text, columns, qr, logo, rule and feed")
        return self


class TicketLayout(Section):
    """What a ticket looks like."""

    id: Identifier = Field(description="name of the layout")
    lines: list[TicketText] = Field(min_length=1, description="what is printed, from the top")


class Printing(Section):
    """How tickets wait for a printer."""

    queue_limit: int = Field(
        default=16, ge=1, le=1000, description="so many tickets may wait for one printer; more are refused"
    )
    wait_s: float = Field(
        default=15.0,
        ge=0,
        le=600,
        description="a ticket waits this long for a printer that can't print now (and never beyond its command's "
        "expiry), seconds; then it has failed and nothing is on paper",
    )


class Texts(Section):
    """Wording on displays. {ticket} and {window} are filled in."""

    welcome: str = Field(default="欢迎光临", description="nobody is being served")
    call: str = Field(default="请{ticket}号到{window}号窗口", description="a number is called")
    serving: str = Field(default="正在办理 {ticket}", description="somebody is being served")
    paused: str = Field(default="暂停服务", description="the window is paused")
    board: str = Field(default="{ticket}号→{window}号窗口", description="a line of the main boards")


class Evaluation(Section):
    """Ratings by citizens."""

    timeout_s: float = Field(
        default=60.0, ge=5, le=900, description="no rating within this time is rating.missed, seconds"
    )
    on_completed: bool = Field(default=True, description="ask for a rating when a service is completed")


class Brightness(Section):
    """A step of the day."""

    at: ClockTime = Field(description="from this time of day on, local time of the hall (duty_hours.timezone), HH:MM")
    percent: int = Field(ge=0, le=100, description="0: dark, 100: brightest")


class Displays(Section):
    """What all displays have in common."""

    blink_s: float = Field(
        default=4.0, ge=0, le=60, description="a called number blinks for so long, then stands, seconds; 0: it stands"
    )
    brightness: list[Brightness] = Field(
        default_factory=list,
        description="brightness by time of day, where a display can; none: each keeps what it is set to",
    )
    refresh_s: float = Field(
        default=0.0,
        ge=0,
        le=86400,
        description="every display gets again what it has to show so often, seconds: for displays that never answer, "
        "so that nobody sees that they were without power; 0: only those that come back get it again",
    )

    @model_validator(mode="after")
    def _steps_in_order(self) -> Self:
        times = [step.at for step in self.brightness]
        if any(later <= earlier for earlier, later in itertools.pairwise(times)):
            raise ValueError(
                "the steps of brightness are not in order | write each time of day once, the earliest first"
            )
        return self


class MainBoards(Section):
    """The hall's boards that list the last calls."""

    displays: list[Identifier] = Field(default_factory=list, description="terminal ids")
    lines: int = Field(default=4, ge=1, le=16, description="how many calls a board lists")


class Keypads(Section):
    """Which keys the box acts on by itself; every key becomes an event all the same."""

    local: list[Literal["recall", "evaluate", "pause"]] = Field(
        default=["recall", "evaluate", "pause"], description="keys that act without the centre"
    )


class Alerts(Section):
    """Which troubles of terminals call a person."""

    terminal_offline_after_s: float = Field(
        default=60.0, ge=1, description="a terminal that is offline for this long raises an alert, seconds"
    )


class HallDocument(Section):
    """The whole of hall.yaml."""

    version: int = Field(default=1, ge=0, description="grows with every change; the centre ignores an older one")
    buses: list[Bus] = Field(default_factory=list, description="shared ports")
    terminals: list[Terminal] = Field(default_factory=list, description="every device")
    windows: list[Window] = Field(default_factory=list, description="service counters")
    displays: Displays = Field(default_factory=Displays, description="what all displays have in common")
    main_boards: MainBoards = Field(default_factory=MainBoards, description="boards that list the last calls")
    tickets: list[TicketLayout] = Field(default_factory=list, description="ticket layouts")
    printing: Printing = Field(default_factory=Printing, description="how tickets wait for a printer")
    texts: Texts = Field(default_factory=Texts, description="wording on displays")
    evaluation: Evaluation = Field(default_factory=Evaluation, description="ratings by citizens")
    keypads: Keypads = Field(default_factory=Keypads, description="keys that the box acts on by itself")
    duty_hours: DutyHours = Field(default_factory=DutyHours, description="when posts have to be staffed")
    attendance: Attendance = Field(default_factory=Attendance, description="how an empty post becomes an alert")
    alerts: Alerts = Field(default_factory=Alerts, description="which troubles of terminals call a person")
