"""What stands in the ``result`` of each command's reply: for desks, and for the published schemas.

A command that was refused has an empty result, whatever stands here.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from hallctl.link.event_data import DutyChanged
from hallctl.link.look_data import LookResult
from hallctl.link.payloads import Payload


class Nothing(Payload):
    """The reply's state says it all."""


class TicketResult(Payload):
    """``ticket.print``."""

    printer: str = Field(description="the one that printed it, or was asked")
    confirmed_by: str | None = Field(None, description="the printer's own word for it; null: it has none")
    instead_of: str = Field("", description="the printer that was asked, where a fallback printed it")
    because: str = Field("", description="why the fallback had to")


class AbilityPayload(Payload):
    """One thing that a printer can or can't do."""

    name: str
    state: Literal["yes", "no", "unknown"]
    detail: str


class SelfTestResult(Payload):
    """``printer.test``."""

    printer: str
    abilities: list[AbilityPayload]
    confirmed_by: str | None = Field(None, description="the printer's own word for it; null: it has none")


class Failure(Payload):
    """Why a terminal did not do its part."""

    code: str
    message: str
    hint: str


class TerminalsResult(Payload):
    """Commands that several terminals carry out."""

    done: list[str] = Field(description="terminals that did their part")
    failed: dict[str, Failure] = Field(description="why the others did not")


class Chunk(Payload):
    """A piece of something large."""

    offset: int = Field(description="where it begins, in bytes")
    size: int = Field(description="of the whole, in bytes")
    data: str = Field(description="base64")
    last: bool = Field(description="whether it is the last one")


class EvidenceChunk(Chunk):
    """``evidence.fetch``."""

    sha256: str = Field(description="of the whole")
    media_type: str


class DocumentChunk(Chunk):
    """``config.get``."""

    version: int = Field(description="that runs; 0: the box's own hall.yaml")
    hash: str = Field(description="of the document")
    source: Literal["hall.yaml", "centre"] = Field(description="whose document it is")
    trial: bool = Field(description="whether it may still be taken back")


class ReplayResult(Payload):
    """``replay``: the entries follow."""

    last_seq: int = Field(description="newest number of the event log")


class RebirthResult(Payload):
    """``rebirth``: every retained topic follows."""

    terminals: int = Field(description="how many there are")


class FindingPayload(Payload):
    """One cause; the first one is what keeps it from working."""

    code: str = Field(description="stable code of the book of faults")
    subject: str = Field(description="terminal or bus; empty: the box")
    weight: Literal["box", "centre", "line", "terminal", "warning", "note"] = Field(description="what it takes along")
    message: str = Field(description="one sentence for people")
    hint: str = Field(description="what to do next")
    params: dict[str, Any] = Field(description="values of the sentence")


class DiagnosisResult(Payload):
    """``terminal.diagnose``."""

    terminal: str | None = Field(description="that was asked about; null: the whole box")
    findings: list[FindingPayload] = Field(description="what is wrong, the true cause first; empty: it works")
    box: dict[str, Any] = Field(description="facts that all terminals stand on: clock, broker, disk, model")
    facts: dict[str, Any] = Field(description="by terminal: state, port, line, history, last bytes; for people")


class ExerciseResult(Payload):
    """``terminal.exercise``."""

    terminal: str
    what: str
    done: str = Field(description="what people should see or hear now")


class TraceRecord(Payload):
    """A piece of what crossed a terminal's port, or a note about the port."""

    number: int = Field(description="counts from 1 at the daemon's start; a gap: pieces are missing")
    at: datetime = Field(description="wall time")
    seconds: float = Field(description="monotonic time; only differences mean anything")
    direction: Literal["out", "in", "note"] = Field(description="as seen from the controller")
    data: str = Field("", description="hexadecimal digits")
    note: str = Field("", description="of a note: opened, lost, refused ...")


class TraceResult(Payload):
    """``terminal.trace``."""

    terminal: str = Field(description="id of the terminal or bus")
    driver: str = Field(description="that explains the bytes; empty for a bus")
    port: str = Field(description="where it is plugged in")
    number: int = Field(description="of the newest record here, or where to go on: the next request's `after`")
    missed: int = Field(description="records after `after` that were not kept any more")
    records: list[TraceRecord]


class LogLevelResult(Payload):
    """``log.level``."""

    terminal: str | None = Field(None, description="null: everything that has no level of its own")
    level: str = Field(description="from which on is logged now")
    until: datetime | None = Field(None, description="when it is as usual again; null: it is")


RESULTS: Mapping[str, type[Payload]] = {
    "ticket.print": TicketResult,
    "printer.test": SelfTestResult,
    "number.call": TerminalsResult,
    "number.recall": TerminalsResult,
    "text.show": TerminalsResult,
    "display.set": TerminalsResult,
    "queue.show": TerminalsResult,
    "keypad.beep": TerminalsResult,
    "evaluation.start": TerminalsResult,
    "window.set": TerminalsResult,
    "duty.set": DutyChanged,
    "camera.accept": Nothing,
    "alert.acknowledge": Nothing,
    "evidence.fetch": EvidenceChunk,
    "config.get": DocumentChunk,
    "terminal.diagnose": DiagnosisResult,
    "terminal.exercise": ExerciseResult,
    "replay": ReplayResult,
    "recorded": Nothing,
    "terminal.trace": TraceResult,
    "controller.look": LookResult,
    "log.level": LogLevelResult,
    "rebirth": RebirthResult,
}
"""Result of every command."""
