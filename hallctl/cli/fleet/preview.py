"""A dry run: what a push would change on each controller; the same change is told once, with who has it."""

from collections.abc import Iterable

import click

from hallctl.cli.fleet.options import name_of
from hallctl.cli.language import _, counted
from hallctl.cli.output import print_json
from hallctl.fleet.compare import Difference, compare, restarted_terminals
from hallctl.fleet.pushing import Prepared, PushRequest
from hallctl.link.rollouts import TargetRow
from hallctl.link.topics import Topics

Change = tuple[tuple[Difference, ...], tuple[str, ...]]  # what differs, and which terminals are restarted
MOST_NAMES = 6
MOST_LINES = 40


def show_preview(request: PushRequest, prepared: Prepared, *, as_json: bool) -> None:
    """Print what would happen."""
    rows = prepared.planned.plan.targets
    known: dict[tuple[str, str], Change] = {}
    changes = {row.topics: _change(prepared, row, known) for row in rows}
    if as_json:
        for row in rows:
            print_json(_described(row, changes[row.topics]))
        return
    planned = prepared.planned
    head = _("{name} would go to {counted}").format(name=request.source.name, counted=counted(len(rows), "controller"))
    click.echo(
        _("{head}; {number:,} run it already").format(head=head, number=len(planned.unchanged))
        if planned.unchanged
        else head
    )
    if planned.without_document:
        click.echo(
            _("{counted} left out: {names}").format(
                counted=counted(len(planned.without_document), "controller"), names=_names(planned.without_document)
            )
        )
    if planned.not_known:
        click.echo(_("not known to the broker: {names}").format(names=_names(planned.not_known)))
    click.echo(_("waves: {names}").format(names=", ".join(map(str, planned.plan.waves)) or _("none")))
    groups: dict[Change | None, list[Topics]] = {}
    for topics, change in changes.items():
        groups.setdefault(change, []).append(topics)
    for change, ones in sorted(groups.items(), key=lambda pair: -len(pair[1])):
        _print_group(change, ones)


def _print_group(change: Change | None, ones: list[Topics]) -> None:
    click.echo(f"\n{counted(len(ones), 'controller')}: {_names(ones)}")
    if change is None:
        click.echo(_("  what they run is not known (offline, or of an older release): every terminal may be restarted"))
        return
    differences, restarted = change
    for one in differences[:MOST_LINES]:
        click.echo(f"  {one}")
    if len(differences) > MOST_LINES:
        click.echo(_("  and {number} more").format(number=len(differences) - MOST_LINES))
    click.echo(_("  restarted: {names}").format(names=", ".join(restarted) or _("no terminal that runs now")))


def _change(prepared: Prepared, row: TargetRow, known: dict[tuple[str, str], Change]) -> Change | None:
    old = prepared.present.get(row.topics)
    if old is None:
        return None
    pair = row.previous, row.document
    if pair not in known:
        new = prepared.planned.documents[row.document]
        known[pair] = compare(old, new), tuple(restarted_terminals(old, new))
    return known[pair]


def _described(row: TargetRow, change: Change | None) -> dict[str, object]:
    body: dict[str, object] = {"site": row.site, "controller": row.controller, "version": row.version}
    if change is None:
        return {**body, "known": False}
    differences, restarted = change
    return {
        **body,
        "known": True,
        "added": [one.name for one in differences if one.section == "terminals" and one.sign == "+"],
        "removed": [one.name for one in differences if one.section == "terminals" and one.sign == "-"],
        "restarted": list(restarted),
        "changes": [str(one) for one in differences],
    }


def _names(ones: Iterable[Topics]) -> str:
    names = sorted(name_of(one) for one in ones)
    more = _(" and {number:,} more").format(number=len(names) - MOST_NAMES) if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
