"""How a trace looks: a line of words a frame, its bytes below; or the bytes alone."""

from collections.abc import Iterable

import click

from hallctl.cli.language import _
from hallctl.cli.output import print_json
from hallctl.link.result_data import TraceRecord
from hallctl.trace import Told
from hallctl.transport import Direction

_ARROWS = {Direction.OUT: "->", Direction.IN: "<-", Direction.NOTE: "--"}
_ROW = 16
_ROWS = 4
_INDENT = " " * 16


def print_told(told: Iterable[Told], *, as_json: bool, whole: bool = False) -> None:
    """Frames and notes; of a long frame the first rows only, unless ``whole``."""
    for one in told:
        if as_json:
            print_json(_as_json(one))
            continue
        mark = "" if one.known else "?? "
        click.echo(f"{one.at.astimezone():%H:%M:%S.%f}"[:12] + f" {_ARROWS[one.direction]} {mark}{one.text}".rstrip())
        for line in _rows(one.raw, whole=whole):
            click.echo(line)


def print_raw(records: Iterable[TraceRecord], *, as_json: bool) -> None:
    """What passed, piece by piece as it was seen."""
    for record in records:
        if as_json:
            print_json(record.model_dump(mode="json"))
            continue
        direction = Direction(record.direction)
        click.echo(f"{record.at.astimezone():%H:%M:%S.%f}"[:12] + f" {_ARROWS[direction]} {record.note}".rstrip())
        for line in _rows(bytes.fromhex(record.data), whole=True):
            click.echo(line)


def _rows(raw: bytes, *, whole: bool) -> list[str]:
    starts = range(0, len(raw), _ROW)
    shown = starts if whole or len(starts) <= _ROWS else starts[: _ROWS - 1]
    lines = [_row(raw[start : start + _ROW]) for start in shown]
    left = len(raw) - len(shown) * _ROW
    return [*lines, _INDENT + _("... {count} bytes more (--whole)").format(count=left)] if left > 0 else lines


def _row(raw: bytes) -> str:
    seen = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in raw)
    return f"{_INDENT}{raw.hex(' '):<{_ROW * 3}} {seen}"


def _as_json(one: Told) -> dict[str, object]:
    return {
        "at": one.at,
        "direction": one.direction.value,
        "text": one.text,
        "known": one.known,
        "bytes": one.raw.hex(),
    }
