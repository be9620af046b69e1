"""Who gives a command: it goes with the command and stands in the controller's log with what came of it."""

import getpass
import os
import socket
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
VARIABLE = "HALLCTL_BY"
MAX_LENGTH = 100  # CommandData.by
_KEY = "hallctl.by"


def by_option(function: F) -> F:
    """``--by NAME`` for a command that acts; read it with ``who``."""
    option = click.option(
        "--by",
        metavar="NAME",
        expose_value=False,
        callback=_remember,
        help=f"Who gives the command, for the audit; default: ${VARIABLE}, else user@host.",
    )
    return option(function)


def who() -> str:
    """What ``--by`` says, else the variable, else user@host of this machine."""
    context = click.get_current_context(silent=True)
    named = context.meta.get(_KEY) if context is not None else None
    name = str(named or os.environ.get(VARIABLE) or f"{_user()}@{socket.gethostname()}")
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")[:MAX_LENGTH]


def _remember(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    context.meta[_KEY] = value


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no entry in the user database, no variable
        return f"uid-{os.getuid()}"
