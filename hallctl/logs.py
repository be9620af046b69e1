"""Logging: one JSON object a line under systemd or into a file, coloured words on a terminal."""

import logging
import sys

import structlog


def configure(level: str, *, json_lines: bool | None = None) -> None:
    """Set up structlog once for the process. ``json_lines=None``: JSON unless standard error is a terminal."""
    as_json = json_lines if json_lines is not None else not sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False) if as_json else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if as_json else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
