"""``hallctl alerts``: what needs a person, as it comes, and what proves it."""

import asyncio
import contextlib
import getpass
import signal
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from hallctl.cli.command import command
from hallctl.cli.here import read_here
from hallctl.cli.language import _
from hallctl.cli.link import Target, link_options, reach, target_of, with_session
from hallctl.cli.output import EX_FAILED, EX_OK, local_time, print_json, print_table
from hallctl.cli.words import code_word, explained, status_word
from hallctl.clock import SystemClock
from hallctl.fleet import AlertChanged, Change, ControllerView, Gap, HallReader, fetch_evidence
from hallctl.link import Session, Topics


@click.group(invoke_without_command=True)
@click.option("--follow", is_flag=True, help="Go on and print every alert that is raised, acknowledged or cleared.")
@link_options
@click.pass_context
def alerts(
    ctx: click.Context,
    *,
    follow: bool,
    config: Path | None,
    broker: str | None,
    site: str | None,
    controller: str | None,
    as_json: bool,
) -> int:
    """Show the open alerts. --json prints one object an alert and line."""
    if ctx.invoked_subcommand is not None:
        if follow or config or broker or site or controller or as_json:
            raise click.UsageError(_("Write the options behind '{command}'.").format(command=ctx.invoked_subcommand))
        return EX_OK
    target = target_of(config, broker, site, controller)
    if not follow:
        views = reach(target, read_here, lambda session: _read(session, target))
        _print_open(views, as_json=as_json)
        return EX_OK
    with contextlib.suppress(asyncio.CancelledError):
        with_session(target, lambda session: _watch(session, target, as_json=as_json))
    return EX_OK


@alerts.command()
@click.argument("alert")
@click.option("--by", default=getpass.getuser, show_default="your user name", help="Who takes care of it.")
@link_options
def ack(
    *,
    alert: str,
    by: str,
    config: Path | None,
    broker: str | None,
    site: str | None,
    controller: str | None,
    as_json: bool,
) -> int:
    """Say that somebody takes care of ALERT. --json prints one object a reply and line."""
    data = {"alert": alert, "by": by}
    return command(target_of(config, broker, site, controller), "alert.acknowledge", data, as_json=as_json)


@alerts.command()
@click.argument("alert")
@click.option(
    "--kind", default="clip", show_default=True, help="What: clip, snapshot, or clip-2 ... where there are more."
)
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Where to.")
@link_options
def fetch(
    *,
    alert: str,
    kind: str,
    output: Path,
    config: Path | None,
    broker: str | None,
    site: str | None,
    controller: str | None,
    as_json: bool,
) -> int:
    """Fetch the clip or snapshot of ALERT from the controller, and check its sha256.

    --json prints one document {"file": ..., "size": ...}.
    """
    target = target_of(config, broker, site, controller)
    topics = target.topics
    data = with_session(target, lambda session: fetch_evidence(session, topics, alert, kind, SystemClock()))
    part = output.with_name(output.name + ".part")
    try:
        part.write_bytes(data)
        part.replace(output)
    except OSError as exc:
        click.echo(_("error: {output}: {strerror}").format(output=output, strerror=exc.strerror), err=True)
        return EX_FAILED
    if as_json:
        print_json({"file": str(output), "size": len(data)})
    else:
        click.echo(_("{output}: {number} bytes").format(output=output, number=len(data)))
    return EX_OK


async def _read(session: Session, target: Target) -> list[ControllerView]:
    return list((await _settled(session, target)).controllers.values())


async def _watch(session: Session, target: Target, *, as_json: bool) -> None:
    reader = await _settled(session, target)
    _print_open(list(reader.controllers.values()), as_json=as_json)
    await _follow(reader, as_json=as_json)


async def _settled(session: Session, target: Target) -> HallReader:
    reader = HallReader(session, SystemClock(), target.site, target.controller)
    await reader.subscribe()
    await reader.settle()
    return reader


async def _follow(reader: HallReader, *, as_json: bool) -> None:
    """Until SIGINT or SIGTERM."""
    task = asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM):
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async for change in reader.follow():
        _print_change(change, as_json=as_json)


def _print_open(views: Sequence[ControllerView], *, as_json: bool) -> None:
    opened = [(view.topics, body) for view in views for body in view.alerts.values()]
    opened.sort(key=lambda pair: str(pair[1].get("raised_at", "")))
    if as_json:
        for topics, body in opened:
            print_json(_described(topics, body))
    elif opened:
        rows = [_row(topics, body) for topics, body in opened]
        print_table(("alert", "controller", "what", "about", "state", "raised", "message"), rows)
    else:
        click.echo(_("No alert is open."))


def _print_change(change: Change, *, as_json: bool) -> None:
    match change:
        case AlertChanged(topics=topics, body=body) if body is not None:
            if as_json:
                print_json(_described(topics, body))
            else:
                click.echo("  ".join(cell for cell in _row(topics, body) if cell))
        case Gap(source=source, first=first, last=last):
            numbers = (
                _("number {first}").format(first=first)
                if first == last
                else _("numbers {first} to {last}").format(first=first, last=last)
            )
            click.echo(
                _("warning: {source}: {numbers} did not come; there may be alerts among them").format(
                    source=source, numbers=numbers
                ),
                err=True,
            )


def _row(topics: Topics, body: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        str(body.get("id", "")),
        f"{topics.site}/{topics.controller}",
        code_word(str(body.get("kind", ""))),
        str(body.get("subject", "")),
        _state(body),
        _local(str(body.get("raised_at", ""))),
        _message(body),
    )


def _state(body: Mapping[str, Any]) -> str:
    """Its state, who has taken it, and that nobody has for too long."""
    state, data = str(body.get("state", "")), body.get("data") or {}
    if state == "acknowledged":
        return _("{state} by {name}").format(state=status_word(state), name=data.get("acknowledged_by", "?"))
    word = status_word(state)
    return _("{state}, critical").format(state=word) if body.get("severity") == "critical" else word


def _message(body: Mapping[str, Any]) -> str:
    """What it is about, how long it was, and what proves it."""
    data, evidence = body.get("data") or {}, body.get("evidence") or ()
    length = data.get("absent_s", data.get("blind_s"))
    words = explained(str(data.get("code") or data.get("reason") or ""), str(body.get("message", "")), "")[0]
    if length is not None:
        words += _(", for {duration}").format(duration=timedelta(seconds=round(float(length))))
    if evidence:
        words += f" [{', '.join(status_word(str(one.get('kind', ''))) for one in evidence)}]"
    if data.get("no_clip"):
        words += _(" (no clip: {reason})").format(reason=data["no_clip"])
    return words


def _local(text: str) -> str:
    try:
        return local_time(datetime.fromisoformat(text))
    except ValueError:
        return text


def _described(topics: Topics, body: Mapping[str, Any]) -> dict[str, Any]:
    return {"site": topics.site, "controller": topics.controller, **body}
