"""``hallctl fleet rebirth``: controllers publish everything again that is retained of them."""

from pathlib import Path

import click

from hallctl.cli.fleet.command import send_to_all
from hallctl.cli.fleet.options import broker_options, by_option, selection_of, settings_of, to_option, with_desk

AT_ONCE = 16  # each answers with all of its terminals: not the whole fleet at one time


@click.command()
@to_option(required=True)
@click.option("--all", "everything", is_flag=True, help="List also those that did it.")
@by_option
@broker_options
def rebirth(
    *, to: tuple[str, ...], everything: bool, by: str, config: Path | None, broker: str | None, as_json: bool
) -> int:
    """Ask controllers to publish again what is retained of them: for a broker that has lost it.

    Every controller does that by itself whenever it connects. --json prints one object a controller and line.
    """
    return send_to_all(
        "rebirth",
        {},
        selection_of(to),
        lambda work: with_desk(settings_of(config, broker), work, by),
        at_once=AT_ONCE,
        everything=everything,
        as_json=as_json,
    )
