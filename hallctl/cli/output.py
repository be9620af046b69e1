"""What every command prints alike: JSON, tables that measure Chinese right, errors with their hint."""

import io
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hallctl.cli.language import _
from hallctl.cli.words import book_lines, error_line, lines_of
from hallctl.config import ConfigErrors
from hallctl.errors import ConfigError, HallctlError

EX_OK, EX_FAILED, EX_CONFIG = 0, 1, 78

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of words for people.")


def prepare_output() -> None:
    """Chinese names must not crash a command in a C locale: UTF-8, unless the terminal is a Chinese one already."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            chinese = stream.encoding.lower() in ("gbk", "gb2312", "gb18030")
            stream.reconfigure(encoding=stream.encoding if chinese else "utf-8", errors="replace")


def report_error(exc: HallctlError) -> int:
    """Tell an error and its hint on standard error; gives the exit code."""
    match exc:
        case ConfigErrors():
            for error in exc.errors:
                for line in (error_line(str(error)), *book_lines(error.code)):
                    click.echo(line, err=True)
            click.echo(error_line(exc.message), err=True)
        case ConfigError(path=str(path)) if path:
            _tell(exc, f"{path}: {exc.message}" if not exc.line else f"{path}:{exc.line}: {exc.message}")
        case _:
            _tell(exc, exc.message)
    return EX_CONFIG if isinstance(exc, ConfigError | ConfigErrors) else EX_FAILED


def print_json(value: object) -> None:
    """One JSON value on one line; Chinese as it is."""
    click.echo(json.dumps(value, ensure_ascii=False, default=_plain))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """A table with translated ``headings`` (literals: they are collected).

    As wide as its content where nobody looks (a pipe), as wide as the terminal where somebody does.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(_(heading), overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console = Console(file=sys.stdout, highlight=False, width=400, color_system=None)
    buffer = io.StringIO()
    Console(file=buffer, width=console.width, force_terminal=console.is_terminal).print(table)
    click.echo("\n".join(line.rstrip() for line in buffer.getvalue().splitlines()))


def local_time(moment: datetime | None) -> str:
    """A moment in this machine's time zone."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _tell(exc: HallctlError, message: str) -> None:
    for line in lines_of(exc.code, message, exc.hint):
        click.echo(line, err=True)
