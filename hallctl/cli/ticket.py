"""``hallctl ticket print``."""

from pathlib import Path

import click

from hallctl.cli.command import command
from hallctl.cli.link import link_options, target_of


@click.group()
def ticket() -> None:
    """Tickets of a hall."""


@ticket.command("print")
@click.argument("fields", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--printer", metavar="ID", help="Terminal id of the printer; may be left out where there is one.")
@click.option("--layout", metavar="ID", help="Id of the layout; may be left out where there is one.")
@link_options
def print_(
    *,
    fields: tuple[str, ...],
    printer: str | None,
    layout: str | None,
    config: Path | None,
    broker: str | None,
    site: str | None,
    controller: str | None,
    as_json: bool,
) -> int:
    """Print a ticket; the layout's {names} become what NAME=VALUE says.

    Example: hallctl ticket print number=A001 service=户籍 waiting=3. --json prints one object a reply and line.
    """
    data = {"printer": printer, "layout": layout, "fields": dict(_pair(field) for field in fields)}
    return command(target_of(config, broker, site, controller), "ticket.print", data, as_json=as_json)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.UsageError(f"{text!r}: write NAME=VALUE.")
    return name, value
