"""``hallctl fleet show``: everything that is known of one controller."""

from pathlib import Path
from typing import Any

import click

from hallctl.cli.fleet.described import described, desired_values
from hallctl.cli.fleet.options import broker_options, find_one, name_of, settings_of, with_desk
from hallctl.cli.fleet.wrong import document_word
from hallctl.cli.language import _
from hallctl.cli.output import EX_FAILED, EX_OK, local_time, print_json, print_table
from hallctl.cli.words import code_word, explained, status_word
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
    reason = f", {code_word(status.reason)}" if status.reason else ""
    since = _(" since {time}").format(time=local_time(status.since)) if status.since else ""
    title = f" ({state.name})" if state and state.name else ""
    click.echo(f"{name_of(view.topics)}{title}: {status_word(status.status)}{since}{reason}")
    if state is not None:
        click.echo(
            _("hallctl {version}, boot {boot}, last event {last_seq}").format(
                version=state.version or "?", boot=state.boot, last_seq=state.last_seq
            )
        )
        if state.groups or state.tags:
            click.echo(
                _("groups: {groups}; tags: {tags}").format(
                    groups=", ".join(state.groups) or _("none"), tags=", ".join(state.tags) or _("none")
                )
            )
    _print_configuration(view)
    rows = [
        (one.terminal, one.driver, status_word(one.status), local_time(one.since), *words)
        for one in line.terminals
        for words in [
            explained(one.reason, one.message, one.hint),
            *(explained(fault.code, fault.message, fault.hint) for fault in one.faults),
        ]
    ]
    if rows:
        click.echo("")
        print_table(("terminal", "driver", "status", "since", "what is wrong", "what to do"), rows)
    for alert in view.alerts.values():
        click.echo(
            _("alert {id}: {kind} {state}: {message}").format(
                id=alert.get("id"),
                kind=code_word(str(alert.get("kind"))),
                state=status_word(str(alert.get("state"))),
                message=alert.get("message", ""),
            )
        )


def _print_configuration(view: ControllerView) -> None:
    desired, reported = view.desired, view.reported
    if desired is None:
        click.echo(_("desired: nothing was ever pushed, or the broker has lost it"))
    else:
        by = _(" by {by}").format(by=desired.by) if desired.by else ""
        rollout = _(", rollout {rollout}").format(rollout=desired.rollout) if desired.rollout else ""
        click.echo(
            _("desired: version {version} {hash}, {time}{by}{rollout}").format(
                version=desired.version, hash=desired.hash[:8], time=local_time(desired.at), by=by, rollout=rollout
            )
        )
    if reported is None:
        click.echo(_("reported: nothing yet; it may run an older release"))
        return
    click.echo(
        _("runs: version {version} {document}").format(
            version=reported.applied_version, document=document_word(document_of(view))
        )
    )
    words = _("version {version} {status}").format(
        version=reported.desired_version, status=status_word(reported.status.value)
    )
    click.echo(
        _("reported: {words}, {time}, {restarted} terminals touched").format(
            words=words, time=local_time(reported.at), restarted=reported.restarted
        )
    )
    if desired is not None and reported.desired_version < desired.version:
        click.echo(_("  it has not spoken of version {version} yet").format(version=desired.version))
    for mistake in reported.errors:
        message, advice = explained(mistake.code, mistake.message, mistake.hint)
        hint = f" ({advice})" if advice else ""
        click.echo(f"  {mistake.pointer or _('document')} [{mistake.code}] {message}{hint}")
    if reported.errors_cut:
        click.echo(
            _("  and {number} more mistakes that did not fit into the message").format(number=reported.errors_cut)
        )
    if reported.quarantined:
        more = _(" and {number:,} more").format(number=reported.quarantined_cut) if reported.quarantined_cut else ""
        click.echo(_("quarantined: {names}{more}").format(names=", ".join(reported.quarantined), more=more))
