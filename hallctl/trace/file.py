"""The file of a trace: JSON lines, a header and then a record each, readable by eye and with any tool.

A file that was cut off, or that somebody has edited, is read as far as it can be: each line that can't be is named.
The header holds no secret: a port is written without a name or password.
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TextIO

from pydantic import BaseModel, ConfigDict, ValidationError

from hallctl.link.result_data import TraceRecord

FORMAT = 1
_LONGEST_LINE = 64 * 1024


class TraceHeader(BaseModel):
    """The first line: whose wire it is, and who wrote it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    hallctl_trace: int = FORMAT
    version: str = ""
    site: str = ""
    controller: str = ""
    terminal: str
    driver: str = ""
    port: str = ""
    began_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TraceReading:
    """What could be read; ``problems`` name the line of each thing that could not."""

    header: TraceHeader | None
    records: tuple[TraceRecord, ...]
    problems: tuple[str, ...]


class TraceWriter:
    """Writes a trace; every line is flushed, so that a power cut costs the last one at most."""

    def __init__(self, file: TextIO, header: TraceHeader) -> None:
        self._file = file
        self._line(header)

    def write(self, record: TraceRecord) -> None:
        """Raises ``OSError`` when the disk is full."""
        self._line(record)

    def _line(self, value: BaseModel) -> None:
        self._file.write(value.model_dump_json() + "\n")
        self._file.flush()


def trace_text(header: TraceHeader, records: Iterable[TraceRecord]) -> str:
    """A whole file."""
    file = io.StringIO()
    writer = TraceWriter(file, header)
    for record in records:
        writer.write(record)
    return file.getvalue()


def read_trace(lines: Iterable[str]) -> TraceReading:
    """Read as much as there is; raises nothing."""
    header: TraceHeader | None = None
    records: list[TraceRecord] = []
    problems: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if number == 1:
            header, problem = _header(line)
            problems += [problem] if problem else []
            if header is not None:
                continue
        found = _record(line)
        if found is not None:
            records.append(found)
        elif number > 1:
            problems.append(f"line {number}: damaged or cut off, left out")
    return TraceReading(header, tuple(records), tuple(problems))


def _header(line: str) -> tuple[TraceHeader | None, str]:
    try:
        header = TraceHeader.model_validate_json(line)
    except ValidationError:
        return None, "line 1: the header is missing or damaged; name the driver with --driver to see frames in words"
    if header.hallctl_trace > FORMAT:
        return header, f"line 1: format {header.hallctl_trace} is newer than this hallctl: some may be missing"
    return header, ""


def _record(line: str) -> TraceRecord | None:
    if len(line) > _LONGEST_LINE:
        return None
    try:
        record = TraceRecord.model_validate_json(line)
        bytes.fromhex(record.data)
    except ValueError:  # pydantic's ValidationError is one
        return None
    return record
