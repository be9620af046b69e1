"""``hallctl diagnose``: why a terminal, or anything on a box, does not work, and what to do: the cause comes first."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from hallctl.cli.command import ask, print_reply
from hallctl.cli.diagnose.outside import look_from_outside, name_holders
from hallctl.cli.diagnose.shown import show
from hallctl.cli.link import Target, link_options, open_local, target_of
from hallctl.cli.output import EX_FAILED, EX_OK, print_json
from hallctl.cli.where import find_config
from hallctl.cli.who import by_option
from hallctl.errors import LocalError
from hallctl.model import ReplyState

WAIT_S = 90.0  # a line is asked at a dozen settings
_NO_DAEMON = ("local.absent", "local.stale", "local.mute", "local.closed")


@click.command()
@click.argument("terminal", required=False)
@click.option("--exercise", is_flag=True, help="Let the device do something: a test ticket, 8888, a beep, a picture.")
@click.option("--no-probe", is_flag=True, help="Ask neither the device nor its line; say what is known already.")
@by_option
@link_options
def diagnose(
    *,
    terminal: str | None,
    exercise: bool,
    no_probe: bool,
    config: Path | None,
    broker: str | None,
    site: str | None,
    controller: str | None,
    as_json: bool,
) -> int:
    """Say why TERMINAL does not work, or what is wrong on the whole box, and what to do next.

    The first line names the cause. At the box its daemon is asked over its socket; from the centre, with --broker,
    --site and --controller, over MQTT, with the same output. Exit code 0: all is well, 1: something is wrong.
    --json prints one document.
    """
    if exercise and terminal is None:
        raise click.UsageError("--exercise needs a TERMINAL.")
    target = target_of(config, broker, site, controller)
    dead = asyncio.run(_why_no_daemon(target))
    if dead is not None:
        found = look_from_outside(find_config(config), terminal, dead)
    else:
        found = _asked(target, terminal, probe=not no_probe)
    if as_json:
        print_json(found)
    else:
        show(found)
    done = _exercise(target, str(terminal), as_json=as_json) if exercise and dead is None else EX_OK
    wrong = any(one["weight"] != "note" for one in found["findings"])
    return EX_FAILED if wrong or done else EX_OK


def _asked(target: Target, terminal: str | None, *, probe: bool) -> dict[str, Any]:
    """The daemon's own findings. Raises ``LocalError`` in its words when it refuses."""
    reply = ask(target, "terminal.diagnose", {"terminal": terminal, "probe": probe}, wait_s=WAIT_S)
    if reply.state is not ReplyState.SUCCEEDED:
        raise LocalError(reply.message, code=reply.code, hint=reply.hint)
    found: dict[str, Any] = dict(reply.data)
    return name_holders(found) if target.sockets else found


def _exercise(target: Target, terminal: str, *, as_json: bool) -> int:
    reply = ask(target, "terminal.exercise", {"terminal": terminal}, wait_s=WAIT_S)
    print_reply(reply, as_json=as_json)
    if not as_json and (done := _done(reply.data)):
        click.echo(done)
    return EX_OK if reply.state is ReplyState.SUCCEEDED else EX_FAILED


def _done(data: Mapping[str, Any]) -> str:
    return str(data.get("done", ""))


async def _why_no_daemon(target: Target) -> LocalError | None:
    """Why the daemon of this box can't be asked, when it is this box's that is meant."""
    if not target.sockets:
        return None
    try:
        client = await open_local(target, or_broker=False)
    except LocalError as exc:
        return exc if exc.code in _NO_DAEMON else None
    if client is not None:
        await client.close()
    return None
