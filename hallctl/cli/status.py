"""``hallctl status``: what works, what does not, since when, and what to do about it."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from hallctl.cli.here import read_here
from hallctl.cli.language import _
from hallctl.cli.link import Target, link_options, reach, target_of
from hallctl.cli.output import EX_FAILED, EX_OK, local_time, print_json, print_table
from hallctl.cli.words import code_word, explained, status_word
from hallctl.clock import SystemClock
from hallctl.fleet import ControllerStatus, ControllerView, HallReader, TerminalStatusNow
from hallctl.link import Session
from hallctl.link.configuration import ApplyStatus, Reported
from hallctl.link.payloads import FaultPayload

_COLOURS = {"online": "green", "offline": "red", "quarantined": "red", "starting": "yellow", "unknown": "yellow"}


@click.command()
@link_options
def status(*, config: Path | None, broker: str | None, site: str | None, controller: str | None, as_json: bool) -> int:
    """Show controllers and their terminals: status, since when, what is wrong and what to do.

    With --broker and without --site and --controller: of every controller that the broker knows. Exit code 1 when a
    controller is not online. --json prints one document a controller and line.
    """
    target = target_of(config, broker, site, controller)
    views = reach(target, read_here, lambda session: _read(session, target))
    now = SystemClock().now()
    if not views:
        click.echo(
            _("no controller {controller} of site {site} is known to the broker").format(
                controller=target.controller, site=target.site
            ),
            err=True,
        )
        click.echo(
            _(
                "hint: has it ever been connected? check site and controller in its controller.yaml, and "
                "whether this user may read them (the broker's access list)"
            ),
            err=True,
        )
        return EX_FAILED
    for view in views:
        _show(view, now, as_json=as_json)
    return EX_OK if all(view.status(now).status == "online" for view in views) else EX_FAILED


async def _read(session: Session, target: Target) -> list[ControllerView]:
    reader = HallReader(session, SystemClock(), target.site, target.controller)
    await reader.subscribe()
    await reader.settle()
    return [view for _, view in sorted(reader.controllers.items(), key=lambda item: item[0].prefix)]


def _show(view: ControllerView, now: datetime, *, as_json: bool) -> None:
    controller = view.status(now)
    terminals = [view.terminal(name, now) for name in sorted(view.terminals)]
    if as_json:
        print_json(_described(view, controller, terminals))
        return
    click.echo(_headline(view, controller))
    for line in _configuration(view.reported):
        click.echo(line)
    rows = [row for terminal in terminals for row in _rows(terminal)]
    if rows:
        print_table(("terminal", "driver", "status", "since", "what is wrong", "what to do"), rows)
    if view.alerts:
        click.echo(_("open alerts: {number}, see `hallctl alerts`").format(number=len(view.alerts)))


def _headline(view: ControllerView, controller: ControllerStatus) -> str:
    name = f" ({view.state.name})" if view.state and view.state.name else ""
    since = _(" since {time}").format(time=local_time(controller.since)) if controller.since else ""
    reason = f", {code_word(controller.reason)}" if controller.reason else ""
    return f"{view.topics.site}/{view.topics.controller}{name}: {status_word(controller.status)}{since}{reason}"


def _configuration(reported: Reported | None) -> Iterator[str]:
    """Which hall document runs, and what became of the newest that the centre wanted."""
    if reported is None:
        return
    own = (
        _("its own hall.yaml")
        if not reported.applied_version
        else _("version {version} of the centre").format(version=reported.applied_version)
    )
    yield _("runs {own}").format(own=own)
    if not reported.errors and reported.status in (ApplyStatus.APPLIED, ApplyStatus.PARTIAL):
        return
    what = (
        _("version {version}").format(version=reported.desired_version)
        if reported.desired_version
        else _("the document")
    )
    yield f"{what}: {status_word(reported.status.value)}, {local_time(reported.at)}"
    for mistake in reported.errors:
        message, hint = explained(mistake.code, mistake.message, mistake.hint)
        yield f"  {mistake.pointer or _('document')}: {message}" + (f" ({hint})" if hint else "")
    if reported.errors_cut:
        yield _("  and {number} more").format(number=reported.errors_cut)


def _rows(terminal: TerminalStatusNow) -> Iterator[tuple[str | Text, ...]]:
    own = explained(terminal.reason, terminal.message, terminal.hint)
    wrong = [own] if any(own) else []
    wrong += [_fault(fault) for fault in terminal.faults]
    first, *others = wrong or [("", "")]
    status = Text(status_word(terminal.status), _COLOURS.get(terminal.status, ""))
    yield terminal.terminal, terminal.driver, status, local_time(terminal.since), *first
    for other in others:
        yield "", "", "", "", *other


def _fault(fault: FaultPayload) -> tuple[str, str]:
    since = _(" (since {time})").format(time=local_time(fault.since)) if fault.since else ""
    message, hint = explained(fault.code, fault.message, fault.hint)
    return f"{message}{since}", hint


def _described(
    view: ControllerView, controller: ControllerStatus, terminals: list[TerminalStatusNow]
) -> dict[str, Any]:
    return {
        "site": view.topics.site,
        "controller": view.topics.controller,
        "name": view.state.name if view.state else "",
        "version": view.state.version if view.state else "",
        "status": controller.status,
        "since": controller.since,
        "reason": controller.reason,
        "open_alerts": len(view.alerts),
        "configuration": view.reported.model_dump(mode="json") if view.reported else None,
        "terminals": [
            {
                "terminal": terminal.terminal,
                "driver": terminal.driver,
                "status": terminal.status,
                "since": terminal.since,
                "reason": terminal.reason,
                "message": terminal.message,
                "hint": terminal.hint,
                "faults": [fault.model_dump(mode="json") for fault in terminal.faults],
            }
            for terminal in terminals
        ],
    }
