"""What all staged failures have in common: a stage sets up a box whose one trouble is known.

A stage is an async generator function that writes the box's documents and yields once when the devices are there; what
stands behind its ``yield`` runs when the daemon has been started (``then``), or ends the staging.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from local_box import Box

FAST = {"reply_timeout_s": 0.3, "poll_every_s": 0.5}
Enter = Callable[..., AbstractAsyncContextManager[Any]]


@dataclass(frozen=True)
class Stage:
    """``first``: what the first line says; ``code``: of the first finding; ``terminal`` ``None``: the box is asked."""

    name: str
    first: str
    code: str
    terminal: str | None
    enter: Enter
    daemon: bool = True
    slow: bool = False


STAGES: list[Stage] = []


def stage(name: str, first: str, code: str, *, terminal: str | None = "p1", daemon: bool = True, slow: bool = False):
    """Put a failure on the table. The decorated context manager gets ``box`` and ``stand`` (the test's fixtures)."""

    def add(function: Enter) -> Enter:
        STAGES.append(Stage(name, first, code, terminal, function, daemon, slow))
        return function

    return add


def table() -> list[str]:
    """The rows of docs/diagnose.md."""
    ordered = sorted(STAGES, key=lambda one: (one.code, one.name))
    return [f"| {one.name} | `{one.code}` | {one.first.removeprefix('p1: ')} |" for one in ordered]


@dataclass
class Stand:
    """What a stage may use of pytest."""

    monkeypatch: Any
    request: Any


def printer(port: str, **options: object) -> dict[str, Any]:
    return {"id": "p1", "driver": "escpos", "port": port, "options": {**FAST, **options}}


def bar(name: str, address: int) -> dict[str, Any]:
    options = {"ack_timeout_s": 0.3, "poll_every_s": 0.5}
    return {"id": name, "driver": "pinganlihe", "bus": "line", "address": address, "options": options}


def on_line(path: str, *bars: dict[str, Any], query: str = "baud=9600") -> dict[str, Any]:
    return {"buses": [{"id": "line", "port": f"serial://{path}?{query}"}], "terminals": list(bars)}


__all__ = ["STAGES", "AsyncIterator", "Box", "Stage", "Stand", "bar", "on_line", "printer", "stage", "table"]
