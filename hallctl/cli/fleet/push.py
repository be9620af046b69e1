"""``hallctl fleet push``: a configuration to many controllers, in waves, and back when it does harm."""

import asyncio
import re
import signal
from collections.abc import Coroutine
from pathlib import Path

import click

from hallctl.cli.fleet.options import broker_options, by_option, listening, selection_of, settings_of, to_option
from hallctl.cli.fleet.preview import show_preview
from hallctl.cli.fleet.progress import Progress, exit_code
from hallctl.cli.language import _
from hallctl.cli.output import EX_OK, report_error
from hallctl.clock import SystemClock
from hallctl.config import ConfigErrors
from hallctl.fleet.desk import Desk
from hallctl.fleet.documents import Source, read_source, refused
from hallctl.fleet.driving import Driver, TakenOver
from hallctl.fleet.pushing import PushRequest, begin, prepare, see_through, take_up
from hallctl.link.configuration import HealthRule
from hallctl.link.rollouts import RolloutRules

THRESHOLD = re.compile(r"^([0-9]+(?:\.[0-9]+)?)(%?)$")


@click.command()
@click.argument("file", required=False, type=click.Path(exists=True, path_type=Path))
@to_option()
@click.option("--merge", is_flag=True, help="FILE is a merge patch (RFC 7396) onto what each controller runs.")
@click.option("--dry-run", is_flag=True, help="Only say what would change on each controller.")
@click.option("--first", default=5, show_default=True, type=click.IntRange(1), help="Controllers of the first wave.")
@click.option("--grow", default=4.0, show_default=True, type=click.FloatRange(1, 100), help="Growth from wave to wave.")
@click.option("--observe", default=60.0, show_default=True, type=click.FloatRange(0), help="Seconds after each wave.")
@click.option(
    "--wait", default=120.0, show_default=True, type=click.FloatRange(1), help="Seconds that one may say nothing."
)
@click.option("--abort-at", default="5%", show_default=True, metavar="N|P%", help="So many failures: all go back.")
@click.option("--accept-partial", is_flag=True, help="Terminals that can't run as configured are no failure.")
@click.option(
    "--health-window", default=30.0, show_default=True, type=click.FloatRange(0, 3600), help="Seconds to come back in."
)
@click.option("--max-lost", default=0, show_default=True, type=click.IntRange(0), help="Terminals that may stay away.")
@click.option("--expect", type=click.IntRange(0), help="Send nothing unless exactly so many controllers fit.")
@click.option("--resume", "resume", is_flag=False, flag_value="", metavar="[ID]", help="Go on with an interrupted one.")
@click.option("--go-back", "go_back", metavar="ID", help="Take an unfinished one back.")
@click.option("--take-over", is_flag=True, help="Also when another desk drives it.")
@click.option("--beat", default=2.0, hidden=True, type=float)
@by_option
@broker_options
def push(
    *,
    file: Path | None,
    to: tuple[str, ...],
    merge: bool,
    dry_run: bool,
    first: int,
    grow: float,
    observe: float,
    wait: float,
    abort_at: str,
    accept_partial: bool,
    health_window: float,
    max_lost: int,
    expect: int | None,
    resume: str | None,
    go_back: str | None,
    take_over: bool,
    beat: float,
    by: str,
    config: Path | None,
    broker: str | None,
    as_json: bool,
) -> int:
    """Push FILE to controllers: a hall.yaml for all, or a folder with SITE/CONTROLLER.yaml for each.

    It goes in waves. Controllers that are offline come last and take it when they are back. When too many fail, all
    that got it go back to what they ran. An interrupted push goes on with --resume, at any desk.

    Exit codes: 0 all run it; 1 aborted, or some failed; 75 some are pending: offline, they take it when they are back.
    """
    settings = settings_of(config, broker)
    progress = Progress(as_json=as_json)
    if resume is not None or go_back is not None:
        if file is not None:
            raise click.UsageError(_("--resume and --go-back take no FILE: what is pushed is at the broker."))
        return _run(
            _go_on(
                Desk(settings, SystemClock(), by, listen_s=listening()), resume, go_back, progress, take_over=take_over
            ),
            progress,
        )
    if file is None:
        raise click.UsageError(_("Name the FILE to push, or --resume."))
    if not to and not file.is_dir():
        raise click.UsageError(_("Say which controllers: --to SELECTOR, or --to all."))
    count, percent = _threshold(abort_at)
    source = read_source(file, merge=merge)
    _require_right(source, accept_partial=accept_partial)
    request = PushRequest(
        source,
        selection_of(to),
        RolloutRules(
            first=first,
            grow=grow,
            observe_s=observe,
            wait_s=wait,
            abort_count=count,
            abort_percent=percent,
            accept_partial=accept_partial,
        ),
        HealthRule(window_s=health_window, max_lost=max_lost),
        expect=expect,
        beat_s=beat,
    )
    desk = Desk(settings, SystemClock(), by, listen_s=listening())
    if dry_run:
        return asyncio.run(_preview(desk, request, as_json=as_json))
    return _run(_push(desk, request, progress), progress)


async def _preview(desk: Desk, request: PushRequest, *, as_json: bool) -> int:
    async with desk.connected():
        show_preview(request, await prepare(desk, request, look=True), as_json=as_json)
    return EX_OK


async def _push(desk: Desk, request: PushRequest, progress: Progress) -> int:
    async def start() -> Driver | None:
        prepared = await prepare(desk, request)
        progress.planned(request, prepared)
        if not prepared.planned.plan.targets:
            return None
        driver = await begin(desk, request, prepared, progress)
        _begun(driver, progress)
        return driver

    driver = await see_through(desk, start, progress)
    return exit_code(driver) if driver else EX_OK


async def _go_on(desk: Desk, resume: str | None, go_back: str | None, progress: Progress, *, take_over: bool) -> int:
    async def start() -> Driver:
        back = None if go_back is None else f"{desk.by} said so"
        driver = await take_up(desk, go_back or resume or None, progress, take_over=take_over, back=back)
        _begun(driver, progress)
        return driver

    driver = await see_through(desk, start, progress)
    return exit_code(driver) if driver else EX_OK


def _run(work: Coroutine[object, object, int], progress: Progress) -> int:
    try:
        return asyncio.run(work)
    except TakenOver as exc:
        return report_error(exc)
    except (KeyboardInterrupt, asyncio.CancelledError):
        progress.interrupted()
        return 130


def _begun(driver: Driver, progress: Progress) -> None:
    """SIGTERM ends this desk; the rollout stays as it is, and another desk can go on. SIGINT is asyncio's own."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    progress.begun(driver)


def _threshold(text: str) -> tuple[int | None, float | None]:
    found = THRESHOLD.match(text.strip())
    if found is None or (not found[2] and "." in found[1]):
        raise click.UsageError(
            _("--abort-at: write a number of controllers (3), or percent of those that got it (5%).")
        )
    if found[2]:
        return None, min(100.0, float(found[1]))
    return max(1, int(found[1])), None


def _require_right(source: Source, *, accept_partial: bool) -> None:
    """What `hallctl check` would refuse is not pushed; with --accept-partial only what no box could run at all."""
    checked = [source.whole] if source.whole else [*source.each.values()]
    problems = [problem for one in checked for problem in refused(one)]
    if problems and not accept_partial:
        raise ConfigErrors(problems)
    for problem in [problem for one in checked for problem in one.hall.problems]:
        click.echo(_("warning: {problem}").format(problem=problem), err=True)
