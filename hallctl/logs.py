"""Logging: one JSON object a line under systemd or into a file, coloured words on a terminal.

How much is logged can be changed while the process runs, for everything or for one terminal (``LEVELS``), and the last
lines are kept in memory (``RECENT``) for whoever can't read the journal. Both are the process's, as its log is.
"""

import json
import logging
import sys
from collections import deque
from collections.abc import Iterator
from typing import Any

import structlog

KEEP_LINES = 2000
LONGEST_LINE = 8 * 1024
_NUMBERS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "exception": logging.ERROR,
    "critical": logging.CRITICAL,
}


class Levels:
    """The least level that is logged: ``usual``, and what was set for a while instead of it."""

    def __init__(self) -> None:
        self.usual = "info"
        self._set: dict[str, str] = {}

    def level(self, subject: str = "") -> str:
        """Of a terminal or bus; empty: of everything that has none of its own."""
        return self._set.get(subject) or self._set.get("") or self.usual

    def set(self, subject: str, level: str | None) -> None:
        """``None``: as usual again."""
        self._set.pop(subject, None)
        if level is not None:
            self._set[subject] = level

    def reset(self, usual: str) -> None:
        """Nothing is set, and this is usual."""
        self.usual = usual
        self._set.clear()

    def __call__(self, _logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """As a processor of structlog."""
        subject = str(event.get("terminal") or event.get("bus") or "") if self._set else ""
        if _NUMBERS.get(method, logging.INFO) < _NUMBERS[self.level(subject)]:
            raise structlog.DropEvent
        return event


class Recent:
    """The last lines, the oldest dropped; each is JSON, whatever a terminal shows."""

    def __init__(self, limit: int = KEEP_LINES) -> None:
        self._events: deque[dict[str, Any]] = deque(maxlen=limit)

    def lines(self) -> Iterator[str]:
        """The oldest first; a very long one is cut."""
        for event in list(self._events):
            yield json.dumps(event, ensure_ascii=False, default=str)[:LONGEST_LINE]

    def __call__(self, logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """As a processor of structlog: an exception is put into words while it is at hand."""
        self._events.append(dict(structlog.processors.format_exc_info(logger, method, {**event})))
        return event


LEVELS = Levels()
RECENT = Recent()


def configure(level: str, *, json_lines: bool | None = None) -> None:
    """Set up structlog once for the process. ``json_lines=None``: JSON unless standard error is a terminal."""
    as_json = json_lines if json_lines is not None else not sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False) if as_json else structlog.dev.ConsoleRenderer()
    )
    LEVELS.reset(level)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            LEVELS,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            RECENT,
            *([structlog.processors.format_exc_info] if as_json else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),  # ``LEVELS`` decides, line by line
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
