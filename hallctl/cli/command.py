"""Sends one command of the contract and prints what became of it."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from hallctl.cli.language import _, marked
from hallctl.cli.link import Target, reach
from hallctl.cli.output import EX_FAILED, EX_OK, print_json
from hallctl.cli.who import who
from hallctl.cli.words import error_line, explained, hint_line, warning_line
from hallctl.clock import SystemClock
from hallctl.fleet import send_command
from hallctl.fleet.request import EXPIRES_S
from hallctl.local.words import EXPIRES_S as LOCAL_S
from hallctl.model import Reply, ReplyState

_WORDS: Mapping[ReplyState, str] = {
    ReplyState.ACCEPTED: marked("accepted"),
    ReplyState.IN_PROGRESS: marked("in progress"),
    ReplyState.SUCCEEDED: marked("done"),
    ReplyState.FAILED: marked("failed"),
    ReplyState.REJECTED: marked("refused"),
    ReplyState.TIMED_OUT: marked("timed out"),
    ReplyState.EXPIRED: marked("expired, nothing was done"),
    ReplyState.UNKNOWN: marked("it is not known whether it was done"),
}


def command(target: Target, name: str, data: Mapping[str, Any], *, as_json: bool) -> int:
    """Send a command; prints every reply (JSON: one object a line) and gives the exit code of the last."""
    final = ask(target, name, data, on_progress=lambda reply: print_reply(reply, as_json=as_json))
    print_reply(final, as_json=as_json)
    return EX_OK if final.state is ReplyState.SUCCEEDED else EX_FAILED


def ask(
    target: Target,
    name: str,
    data: Mapping[str, Any],
    *,
    on_progress: Callable[[Reply], None] = lambda _reply: None,
    wait_s: float = EXPIRES_S,
) -> Reply:
    """Send a command and give its final reply, which may take ``wait_s``."""
    topics = target.topics
    wanted = {key: readable(value) for key, value in data.items() if value is not None}
    by, clock = who(), SystemClock()
    return reach(
        target,
        lambda client: client.command(name, wanted, by=by, expires_s=max(wait_s, LOCAL_S), on_progress=on_progress),
        lambda session: send_command(
            session, topics, name, wanted, clock, timeout_s=wait_s, by=by, on_progress=on_progress
        ),
    )


def readable(value: Any) -> Any:
    """Arguments as they were typed: in a C locale Python hands UTF-8 over as lone surrogates, which no JSON takes."""
    if isinstance(value, Mapping):
        return {readable(key): readable(item) for key, item in value.items()}
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return value


def print_reply(reply: Reply, *, as_json: bool) -> None:
    """One reply: JSON on a line, or in words, failures on standard error."""
    if as_json:
        print_json(
            {
                "command": reply.command,
                "state": reply.state.value,
                "code": reply.code,
                "message": reply.message,
                "hint": reply.hint,
                "data": dict(reply.data),
            }
        )
        return
    failed = reply.state.final and reply.state is not ReplyState.SUCCEEDED
    code = f" [{reply.code}]" if reply.code else ""
    message, hint = explained(reply.code, reply.message, reply.hint) if reply.code else (reply.message, reply.hint)
    words = _(_WORDS[reply.state]) + (f": {message}" if message and message != reply.code else "") + code
    click.echo(error_line(words) if failed else words, err=failed)
    if hint:
        click.echo(hint_line(hint), err=True)
    for line in _partly(reply.data):
        click.echo(line, err=True)


def _why(why: Mapping[str, Any]) -> str:
    return explained(str(why.get("code", "")), str(why.get("message", "")), "")[0]


def _partly(data: Mapping[str, Any]) -> list[str]:
    """Terminals that did not do their part although the command succeeded."""
    failed = data.get("failed")
    if not isinstance(failed, Mapping):
        return []
    return [warning_line(f"{name}: {_why(why)}") for name, why in failed.items() if isinstance(why, Mapping)]
