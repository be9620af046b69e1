"""``hallctl fleet status``: how all halls are, in a few lines; then only what somebody has to look at."""

import asyncio
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from hallctl.cli.fleet.described import described
from hallctl.cli.fleet.options import (
    broker_options,
    name_of,
    selection_of,
    settings_of,
    stay_at_desk,
    to_option,
    with_desk,
)
from hallctl.cli.fleet.wrong import document_word, wrong_of
from hallctl.cli.language import _, counted
from hallctl.cli.output import EX_FAILED, EX_OK, local_time, print_json, print_table
from hallctl.cli.words import explained, status_word
from hallctl.fleet import TerminalStatusNow
from hallctl.fleet.desk import Desk
from hallctl.fleet.overview import ControllerLine, Overview, TerminalFilter, overview
from hallctl.fleet.planning import selected
from hallctl.fleet.selector import Selection

NAMES = ("config/reported", "terminal/+/state", "alert/+")
FEW = 20  # so many controllers are listed even when nothing is wrong with them
MOST_TERMINALS = 5
MOST_LINES = 200
REFRESH_S = 1.0
COLOURS = {"online": "green", "offline": "red", "unknown": "yellow", "quarantined": "red", "starting": "yellow"}


@click.command()
@to_option()
@click.option("--problems", is_flag=True, help="Only controllers that somebody has to look at, each terminal of them.")
@click.option("--all", "everything", is_flag=True, help="List every controller.")
@click.option("--terminal-status", "statuses", multiple=True, metavar="STATUS", help="online, offline, quarantined ...")
@click.option("--driver", "drivers", multiple=True, metavar="NAME", help="Only terminals of this driver.")
@click.option("--watch", is_flag=True, help="Go on showing it until Ctrl-C.")
@broker_options
def status(
    *,
    to: tuple[str, ...],
    problems: bool,
    everything: bool,
    statuses: tuple[str, ...],
    drivers: tuple[str, ...],
    watch: bool,
    config: Path | None,
    broker: str | None,
    as_json: bool,
) -> int:
    """Show how controllers and terminals are, and which document each controller runs.

    First the numbers, then what somebody has to look at. --terminal-status and --driver list the terminals themselves.
    Exit code 1 when a controller is not online or has refused its document. --json prints one document a
    controller and line.
    """
    selection, wanted = selection_of(to), TerminalFilter(frozenset(statuses), frozenset(drivers))
    settings = settings_of(config, broker)
    if watch:
        return stay_at_desk(settings, lambda desk: _watch(desk, selection, wanted))
    found = with_desk(settings, lambda desk: _read(desk, selection, wanted))
    lines = found.problems if problems else found.lines
    if as_json:
        for line in lines:
            print_json(described(line))
    else:
        _show(found, everything=everything, problems=problems, list_terminals=wanted.asks)
    return EX_FAILED if any(line.wrong for line in found.lines) or not found.lines else EX_OK


async def _read(desk: Desk, selection: Selection, wanted: TerminalFilter) -> Overview:
    await desk.read(selection.sites, *NAMES, marker=False)
    return _overview(desk, selection, wanted)


def _overview(desk: Desk, selection: Selection, wanted: TerminalFilter) -> Overview:
    return overview(selected(desk.reader.controllers.values(), selection), desk.clock.now(), wanted)


async def _watch(desk: Desk, selection: Selection, wanted: TerminalFilter) -> int:
    """Redraws until it is cancelled; the screen's height decides how many problems are seen."""
    await desk.read(selection.sites, *NAMES, marker=False)
    console = Console()
    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            live.update(_screen(_overview(desk, selection, wanted), console), refresh=True)
            await asyncio.sleep(REFRESH_S)
            await desk.read_new_sites(*NAMES)


def _screen(found: Overview, console: Console) -> Text:
    buffer = io.StringIO()
    inner = Console(file=buffer, width=console.width, force_terminal=False, highlight=False)
    for line in _summary(found):
        inner.print(line)
    room = max(5, console.height - buffer.getvalue().count("\n") - 3)
    rows = [row for line in found.problems for row in _rows(line)]
    for row in rows[:room]:
        cells = [str(cell) for cell in row if str(cell)]
        inner.print("  ".join(cells), overflow="ellipsis", no_wrap=True)
    if len(rows) > room:
        inner.print(_("and {number} more lines").format(number=len(rows) - room))
    return Text(buffer.getvalue())


def _show(found: Overview, *, everything: bool, problems: bool, list_terminals: bool) -> None:
    if not found.lines:
        click.echo(_("no controller fits; has any been connected? does this broker keep retained messages?"), err=True)
        return
    if not problems:
        for text in _summary(found):
            click.echo(text)
    few = len(found.lines) <= FEW and not problems
    lines = found.lines if everything or few or list_terminals else found.problems
    if not lines:
        click.echo(_("nothing is wrong") if not problems else _("no problems"))
        return
    if not everything and not few and not list_terminals and not problems:
        click.echo(_("\n{counted} to look at:").format(counted=counted(len(lines), "controller")))
    most = None if everything or problems else MOST_LINES
    rows = [row for line in lines[:most] for row in _rows(line, all_terminals=list_terminals or problems)]
    print_table(("controller", "status", "since", "document", "what is wrong", "what to do"), rows)
    if most is not None and len(lines) > most:
        click.echo(
            _("and {number:,} more controllers: --problems or --all lists them").format(number=len(lines) - most)
        )


def _summary(found: Overview) -> Iterator[str]:
    sites = _(" at {counted}").format(counted=counted(found.sites, "site")) if found.sites > 1 else ""
    yield f"{counted(len(found.lines), 'controller')}{sites}: {_numbers(found.statuses)}"
    yield _("configuration: {numbers}").format(numbers=_numbers(found.configurations))
    yield _("documents: {numbers}").format(numbers=_numbers(found.documents, 6))
    if len(found.releases) > 1:
        yield _("hallctl: {numbers}").format(numbers=_numbers(found.releases, 6))
    terminals = sum(found.terminal_statuses.values())
    yield f"{counted(terminals, 'terminal')}: {_numbers(found.terminal_statuses) or _('none')}"
    troubled = [(name, number) for name, number in found.drivers_troubled.most_common() if number]
    if troubled:
        words = ", ".join(
            _("{name} {number:,} of {total:,}").format(name=name, number=number, total=found.drivers[name])
            for name, number in troubled[:8]
        )
        yield _("  not working: {words}").format(words=words)
    if found.alerts:
        yield _("open alerts: {alerts:,}, see `hallctl alerts`").format(alerts=found.alerts)


def _numbers(counts: Counter[str], most: int = 10) -> str:
    pairs = [f"{number:,} {document_word(name)}" for name, number in counts.most_common(most)]
    return ", ".join(
        [*pairs, *([_("{number} others").format(number=len(counts) - most)] if len(counts) > most else [])]
    )


def _rows(line: ControllerLine, *, all_terminals: bool = False) -> Iterator[Sequence[str | Text]]:
    view, status = line.view, line.status
    first, *others = wrong_of(line) or (("", ""),)
    document = _document(line)
    coloured = Text(status_word(status.status), COLOURS.get(status.status, ""))
    yield name_of(view.topics), coloured, local_time(status.since), document, *first
    for other in others:
        yield "", "", "", "", *other
    terminals = line.terminals if all_terminals and not line.troubled else line.troubled
    shown = terminals if all_terminals else terminals[:MOST_TERMINALS]
    for one in shown:
        wrong, hint = _wrong(one)
        state = Text(status_word(one.status), COLOURS.get(one.status, ""))
        yield f"  {one.terminal} ({one.driver})", state, local_time(one.since), "", wrong, hint
    if len(terminals) > len(shown):
        yield _("  and {number} more terminals").format(number=len(terminals) - len(shown)), "", "", "", "", ""


def _wrong(one: TerminalStatusNow) -> tuple[str, str]:
    own = explained(one.reason, one.message, one.hint)
    faults = [explained(fault.code, fault.message, fault.hint) for fault in one.faults]
    wrong = own[0] or ", ".join(message for message, _hint in faults)
    return wrong, own[1] or next((hint for _message, hint in faults if hint), "")


def _document(line: ControllerLine) -> str:
    reported = line.view.reported
    if reported is None:
        return ""
    if reported.applied_version == 0:
        return _("own hall.yaml")
    return f"v{reported.applied_version} {reported.applied_hash[:8]}"
