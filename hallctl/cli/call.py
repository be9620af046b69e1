"""``hallctl call``."""

from pathlib import Path

import click

from hallctl.cli.command import command
from hallctl.cli.language import _
from hallctl.cli.link import link_options, target_of
from hallctl.cli.who import by_option


@click.command()
@click.argument("window")
@click.argument("ticket", required=False)
@click.option("--recall", is_flag=True, help="Show the window's last call again.")
@by_option
@link_options
def call(
    *,
    window: str,
    ticket: str | None,
    recall: bool,
    config: Path | None,
    broker: str | None,
    site: str | None,
    controller: str | None,
    as_json: bool,
) -> int:
    """Call TICKET to WINDOW (a window's id). --json prints one object a reply and line."""
    if recall == (ticket is not None):
        raise click.UsageError(_("Give a TICKET to call, or --recall."))
    name = "number.recall" if recall else "number.call"
    data = {"window": window, "ticket": ticket}
    return command(target_of(config, broker, site, controller), name, data, as_json=as_json)
