"""``hallctl fleet show``: everything that is known of one controller."""

from pathlib import Path
from typing import Any

import click

from hallctl.cli.fleet.described import described, desired_values
from hallctl.cli.fleet.options import broker_options, find_one, name_of, settings_of, with_desk
from hallctl.cli.output import EX_FAILED, EX_OK, local_time, print_json, print_table
from hallctl.fleet.desk import Desk
from hallctl.fleet.overview import ControllerLine, document_of, overview
from hallctl.fleet.view import ControllerView
from hallctl.link.topics import ROOT


@click.command()
@click.argument("controller", metavar="CONTROLLER")
@broker_options
def show(*, controller: str, config: Path | None, broker: str | None, as_json: bool) -> int:
    """Show all that is known of CONTROLLER (an id, or SITE/ID): documents, mistakes, terminals, alerts.

    Exit code 1 when something is wrong with it. --json prints one document.
    """
    line = with_desk(settings_of(config, broker), lambda desk: _read(desk, controller))
    if as_json:
        print_json(_values(line))
    else:
        _print(line)
    return EX_FAILED if line.has_problem else EX_OK


async def _read(desk: Desk, text: str) -> ControllerLine:
    site = text.split("/", maxsplit=1)[0] if "/" in text else "+"
    names = ("state", "config/reported", "config/desired", "terminal/+/state", "alert/+")
    one = text.rsplit("/", maxsplit=1)[-1]
    await desk.subscribe(*(f"{ROOT}/{site}/{one}/{name}" for name in names))
    await desk.settle(marker=False)
    view = desk.reader.controllers[find_one(desk, text)]
    return overview([view], desk.clock.now()).lines[0]


def _values(line: ControllerLine) -> dict[str, Any]:
    alerts = [dict(body) for body in line.view.alerts.values()]
    return {**described(line), "desired": desired_values(line.view.desired), "alerts": alerts}


def _print(line: ControllerLine) -> None:
    view, status = line.view, line.status
    state = view.state
    reason = f", {status.reason}" if status.reason else ""
    since = f" since {local_time(status.since)}" if status.since else ""
    click.echo(
        f"{name_of(view.topics)}{f' ({state.name})' if state and state.name else ''}: {status.status}{since}{reason}"
    )
    if state is not None:
        click.echo(f"hallctl {state.version or '?'}, boot {state.boot}, last event {state.last_seq}")
        if state.groups or state.tags:
            click.echo(f"groups: {', '.join(state.groups) or 'none'}; tags: {', '.join(state.tags) or 'none'}")
    _print_configuration(view)
    rows = [
        (one.terminal, one.driver, one.status, local_time(one.since), wrong, hint)
        for one in line.terminals
        for wrong, hint in [(one.message or one.reason, one.hint), *((f.message or f.code, f.hint) for f in one.faults)]
    ]
    if rows:
        click.echo("")
        print_table(("terminal", "driver", "status", "since", "what is wrong", "what to do"), rows)
    for alert in view.alerts.values():
        click.echo(f"alert {alert.get('id')}: {alert.get('kind')} {alert.get('state')}: {alert.get('message', '')}")


def _print_configuration(view: ControllerView) -> None:
    desired, reported = view.desired, view.reported
    if desired is None:
        click.echo("desired: nothing was ever pushed, or the broker has lost it")
    else:
        by = f" by {desired.by}" if desired.by else ""
        rollout = f", rollout {desired.rollout}" if desired.rollout else ""
        click.echo(f"desired: version {desired.version} {desired.hash[:8]}, {local_time(desired.at)}{by}{rollout}")
    if reported is None:
        click.echo("reported: nothing yet; it may run an older release")
        return
    click.echo(f"runs: version {reported.applied_version} {document_of(view)}")
    words = f"version {reported.desired_version} {reported.status.value.replace('_', ' ')}"
    click.echo(f"reported: {words}, {local_time(reported.at)}, {reported.restarted} terminals touched")
    if desired is not None and reported.desired_version < desired.version:
        click.echo(f"  it has not spoken of version {desired.version} yet")
    for mistake in reported.errors:
        hint = f" ({mistake.hint})" if mistake.hint else ""
        click.echo(f"  {mistake.pointer or 'document'} [{mistake.code}] {mistake.message}{hint}")
    if reported.errors_cut:
        click.echo(f"  and {reported.errors_cut} more mistakes that did not fit into the message")
    if reported.quarantined:
        more = f" and {reported.quarantined_cut} more" if reported.quarantined_cut else ""
        click.echo(f"quarantined: {', '.join(reported.quarantined)}{more}")
