"""What commands carry: their data, validated. The names are those of the MQTT contract."""

from datetime import date, time
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from hallctl.driver import Colour
from hallctl.errors import RequestRefused
from hallctl.model import Command, WindowState

Name = Annotated[str, StringConstraints(min_length=1, max_length=63)]
Window = Annotated[Name, Field(description="id of a window of hall.yaml")]
Display = Annotated[Name, Field(description="terminal id of a display")]
HourAndMinute = Annotated[time, WithJsonSchema({"type": "string", "pattern": r"^\d\d:\d\d(:\d\d)?$"})]
"""A time of the hall's day: ``09:00``. JSON Schema's own ``time`` would need an offset."""


class Request(BaseModel):
    """Base of every command's data: frozen; an unknown field is refused, so that a typing error is never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PrintTicket(Request):
    """``ticket.print``: print a ticket of a layout on a printer; the only one where none is named."""

    printer: Name | None = Field(None, description="terminal id of the printer; may be left out where there is one")
    layout: Name | None = Field(None, description="id of the layout; may be left out where there is one")
    fields: dict[str, str] = Field(default_factory=dict, description="what the layout's {names} become")


class TestPrinter(Request):
    """``printer.test``: print a self-test, and say what the printer can and can't do."""

    printer: Name | None = Field(None, description="terminal id of the printer; may be left out where there is one")


class CallNumber(Request):
    """``number.call``: call a ticket to a window."""

    window: Window
    ticket: Annotated[str, StringConstraints(min_length=1, max_length=16)] = Field(description="the number on it")


class RecallNumber(Request):
    """``number.recall``: show a window's last call again."""

    window: Window


class ShowText(Request):
    """``text.show``: put a text on a display; an empty text takes it away."""

    display: Display
    text: Annotated[str, StringConstraints(max_length=200)]
    colour: Colour = Colour.RED
    blink: bool = False


class SetDisplay(Request):
    """``display.set``: light, darken or dim a display until somebody, or the time of day, sets it anew."""

    display: Display
    on: bool | None = Field(None, description="false: dark")
    brightness: Annotated[int, Field(ge=1, le=100)] | None = Field(None, description="percent")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.on is None and self.brightness is None:
            raise ValueError("give on, brightness, or both")
        return self


class ShowQueue(Request):
    """``queue.show``: how many wait for a window, for its keypad."""

    window: Window
    waiting: Annotated[int, Field(ge=0, le=99_999, description="how many wait")]


class BeepKeypad(Request):
    """``keypad.beep``: make the keypad of a window sound."""

    window: Window


class StartEvaluation(Request):
    """``evaluation.start``: ask the citizen at a window for a rating."""

    window: Window
    ticket: str | None = Field(None, description="what is rated; left out: the last called one")


class SetWindow(Request):
    """``window.set``: set what a window is doing."""

    window: Window
    state: WindowState


class DutySpan(Request):
    """Hours of a day, in the hall's time."""

    start: HourAndMinute
    end: HourAndMinute

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.end <= self.start:
            raise ValueError("end is not later than start")
        return self


class SetDuty(Request):
    """``duty.set``: the hours of one day, whatever hall.yaml and the calendar say; no hours: nobody has to be there."""

    date: date
    spans: list[DutySpan] | None = Field(None, description="the day's hours; left out: as hall.yaml says again")


class AcceptScene(Request):
    """``camera.accept``: what a camera shows now is right: it was moved on purpose."""

    camera: Name = Field(description="terminal id of the camera")


class AcknowledgeAlert(Request):
    """``alert.acknowledge``: somebody takes care of an alert."""

    alert: Name = Field(description="its id")
    by: Annotated[str, StringConstraints(min_length=1, max_length=100)] = Field(description="who takes care of it")


class FetchEvidence(Request):
    """``evidence.fetch``: one chunk of a clip or snapshot; the reply carries base64, total size and sha256."""

    alert: Name = Field(description="its id")
    kind: Annotated[str, StringConstraints(pattern=r"^(clip|snapshot)(-\d{1,3})?$")] = Field(
        description="as the alert's evidence says"
    )
    offset: Annotated[int, Field(ge=0, description="byte to begin at")] = 0


class GetConfig(Request):
    """``config.get``: one chunk of the hall document that runs; the reply carries base64, version, hash and source."""

    offset: Annotated[int, Field(ge=0, description="byte to begin at")] = 0


class Diagnose(Request):
    """``terminal.diagnose``: why a terminal, or anything on the box, does not work: findings and facts."""

    terminal: Name | None = Field(None, description="terminal id; left out: the box, and every terminal on it")
    probe: bool = Field(
        default=True,
        description="ask the device now, and where it is offline its line at other rates, parities and addresses",
    )


class Exercise(Request):
    """``terminal.exercise``: make a device do something that people see or hear."""

    terminal: Name = Field(description="terminal id")
    what: Literal["ticket", "digits", "beep", "frame"] | None = Field(
        None, description="a test ticket, 8888 on a display, a beep, a camera's picture; left out: what it can do"
    )


class TraceTerminal(Request):
    """``terminal.trace``: what crosses a terminal's port, as it was kept, or as soon as something does.

    Ask again with the answer's ``number`` as ``after``, and nothing is missed while the ring holds it.
    """

    terminal: Name = Field(description="id of a terminal with a port or a bus line, or of a bus")
    after: Annotated[int, Field(ge=0)] | None = Field(
        None, description="only records after this number; 0: all that are kept; left out: from now on"
    )
    wait_s: Annotated[float, Field(ge=0, le=20)] = Field(0, description="how long to wait for the first record, s")


class LookAtController(Request):
    """``controller.look``: how the box is at this moment: terminals, buses, event log, link, process."""


class SetLogLevel(Request):
    """``log.level``: how much is logged, of everything or of one terminal; it goes back by itself."""

    terminal: Name | None = Field(None, description="id of a terminal or bus; left out: everything")
    level: Literal["debug", "info", "warning", "error"] | None = Field(
        None, description="least level that is logged; left out: as controller.yaml says, now"
    )
    for_s: Annotated[float, Field(ge=1, le=86400)] = Field(3600, description="then it is as usual again, seconds")


REQUESTS: dict[str, type[Request]] = {
    "ticket.print": PrintTicket,
    "printer.test": TestPrinter,
    "number.call": CallNumber,
    "number.recall": RecallNumber,
    "text.show": ShowText,
    "display.set": SetDisplay,
    "queue.show": ShowQueue,
    "keypad.beep": BeepKeypad,
    "evaluation.start": StartEvaluation,
    "window.set": SetWindow,
    "duty.set": SetDuty,
    "camera.accept": AcceptScene,
    "alert.acknowledge": AcknowledgeAlert,
    "evidence.fetch": FetchEvidence,
    "config.get": GetConfig,
    "terminal.diagnose": Diagnose,
    "terminal.exercise": Exercise,
    "terminal.trace": TraceTerminal,
    "controller.look": LookAtController,
    "log.level": SetLogLevel,
}


def read_request(command: Command) -> Request:
    """Validate a command's data. Raises ``RequestRefused`` that names every wrong field."""
    model = REQUESTS.get(command.name)
    if model is None:
        known = ", ".join(sorted(REQUESTS))
        raise RequestRefused("command.unknown", f"no command is called {command.name!r}", hint=f"commands: {known}")
    try:
        return model.model_validate(dict(command.data))
    except ValidationError as exc:
        wrong = "; ".join(f"{'.'.join(map(str, error['loc'])) or 'data'}: {error['msg']}" for error in exc.errors())
        fields = ", ".join(model.model_fields)
        raise RequestRefused("data.invalid", f"{command.name}: {wrong}", hint=f"fields: {fields}") from exc
