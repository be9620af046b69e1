"""``hallctl log-level``: how much the daemon logs, of everything or of one terminal, for a while."""

from pathlib import Path

import click

from hallctl.cli.command import ask, print_reply
from hallctl.cli.language import _
from hallctl.cli.link import link_options, target_of
from hallctl.cli.output import EX_FAILED, EX_OK, local_time
from hallctl.link.result_data import LogLevelResult
from hallctl.model import ReplyState

USUAL = "usual"


@click.command("log-level")
@click.argument("level", metavar="LEVEL", type=click.Choice(["debug", "info", "warning", "error", USUAL]))
@click.argument("terminal", metavar="[TERMINAL]", required=False)
@click.option(
    "--for",
    "seconds",
    metavar="S",
    type=click.FloatRange(1, 86400),
    default=3600,
    show_default=True,
    help="After S seconds it is as usual again.",
)
@link_options
def log_level(
    *,
    level: str,
    terminal: str | None,
    seconds: float,
    config: Path | None,
    broker: str | None,
    site: str | None,
    controller: str | None,
    as_json: bool,
) -> int:
    """Set how much the daemon logs: debug, info, warning, error, or usual (as controller.yaml says).

    With TERMINAL only what is logged about that terminal (or bus) changes.
    """
    target = target_of(config, broker, site, controller)
    wanted = {"terminal": terminal, "level": None if level == USUAL else level, "for_s": seconds}
    reply = ask(target, "log.level", wanted)
    if as_json or reply.state is not ReplyState.SUCCEEDED:
        print_reply(reply, as_json=as_json)
        return EX_OK if reply.state is ReplyState.SUCCEEDED else EX_FAILED
    result = LogLevelResult.model_validate(reply.data)
    subject = result.terminal or _("everything")
    words = _("{subject} is logged from level {level} on")
    if result.until is not None:
        words = _("{subject} is logged from level {level} on until {time}")
    click.echo(words.format(subject=subject, level=result.level, time=local_time(result.until)))
    return EX_OK
