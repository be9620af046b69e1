"""``hallctl rate``."""

from pathlib import Path

import click

from hallctl.cli.command import command
from hallctl.cli.link import link_options, target_of
from hallctl.cli.who import by_option


@click.command()
@click.argument("window")
@click.option("--ticket", metavar="NUMBER", help="The ticket whose service is rated.")
@by_option
@link_options
def rate(
    *,
    window: str,
    ticket: str | None,
    config: Path | None,
    broker: str | None,
    site: str | None,
    controller: str | None,
    as_json: bool,
) -> int:
    """Ask the citizen at WINDOW for a rating; it comes as the event rating.given.

    --json prints one object a reply and line.
    """
    data = {"window": window, "ticket": ticket}
    return command(target_of(config, broker, site, controller), "evaluation.start", data, as_json=as_json)
