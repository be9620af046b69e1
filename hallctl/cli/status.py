"""``hallctl status``: what works, what does not, since when, and what to do about it."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from hallctl.cli.link import Target, link_options, reach, target_of
from hallctl.cli.output import EX_FAILED, EX_OK, local_time, print_json, print_table
from hallctl.clock import SystemClock
from hallctl.fleet import ControllerStatus, ControllerView, HallBook, HallReader, TerminalStatusNow
from hallctl.link import Message, Session
from hallctl.link.configuration import ApplyStatus, Reported
from hallctl.link.payloads import FaultPayload
from hallctl.local import LocalClient

_COLOURS = {"online": "green", "offline": "red", "quarantined": "red", "starting": "yellow", "unknown": "yellow"}


@click.command()
@link_options
def status(*, config: Path | None, broker: str | None, site: str | None, controller: str | None, as_json: bool) -> int:
    """Show controllers and their terminals: status, since when, what is wrong and what to do.

    With --broker and without --site and --controller: of every controller that the broker knows. Exit code 1 when a
    controller is not online. --json prints one document a controller and line.
    """
    target = target_of(config, broker, site, controller)
    views = reach(target, _read_here, lambda session: _read(session, target))
    now = SystemClock().now()
    if not views:
        click.echo(f"error: no controller {target.controller} of site {target.site} is known to the broker", err=True)
        click.echo(
            "hint: has it ever been connected? check site and controller in its controller.yaml, and whether this user "
            "may read them (the broker's access list)",
            err=True,
        )
        return EX_FAILED
    for view in views:
        _show(view, now, as_json=as_json)
    return EX_OK if all(view.status(now).status == "online" for view in views) else EX_FAILED


async def _read_here(client: LocalClient) -> list[ControllerView]:
    """At the box itself: what its daemon would have retained at the broker."""
    book = HallBook(SystemClock())
    async for record in client.stream("retained", {}):
        book.take(Message(record["topic"], record["payload"].encode(), retain=False, qos=0, mid=0))
    return list(book.controllers.values())


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
        click.echo(f"open alerts: {len(view.alerts)}, see `hallctl alerts`")


def _headline(view: ControllerView, controller: ControllerStatus) -> str:
    name = f" ({view.state.name})" if view.state and view.state.name else ""
    since = f" since {local_time(controller.since)}" if controller.since else ""
    reason = f", {controller.reason}" if controller.reason else ""
    return f"{view.topics.site}/{view.topics.controller}{name}: {controller.status}{since}{reason}"


def _configuration(reported: Reported | None) -> Iterator[str]:
    """Which hall document runs, and what became of the newest that the centre wanted."""
    if reported is None:
        return
    own = "its own hall.yaml" if not reported.applied_version else f"version {reported.applied_version} of the centre"
    yield f"runs {own}"
    if not reported.errors and reported.status in (ApplyStatus.APPLIED, ApplyStatus.PARTIAL):
        return
    what = f"version {reported.desired_version}" if reported.desired_version else "the document"
    yield f"{what}: {reported.status.value.replace('_', ' ')}, {local_time(reported.at)}"
    for mistake in reported.errors:
        hint = f" ({mistake.hint})" if mistake.hint else ""
        yield f"  {mistake.pointer or 'document'}: {mistake.message or mistake.code}{hint}"
    if reported.errors_cut:
        yield f"  and {reported.errors_cut} more"


def _rows(terminal: TerminalStatusNow) -> Iterator[tuple[str | Text, ...]]:
    wrong = [(terminal.message or terminal.reason, terminal.hint)] if terminal.message or terminal.reason else []
    wrong += [(_fault(fault), fault.hint) for fault in terminal.faults]
    first, *others = wrong or [("", "")]
    status = Text(terminal.status, _COLOURS.get(terminal.status, ""))
    yield terminal.terminal, terminal.driver, status, local_time(terminal.since), *first
    for other in others:
        yield "", "", "", "", *other


def _fault(fault: FaultPayload) -> str:
    since = f" (since {local_time(fault.since)})" if fault.since else ""
    return f"{fault.message or fault.code}{since}"


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
