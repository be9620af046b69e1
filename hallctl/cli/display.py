"""``hallctl display``."""

from pathlib import Path

import click

from hallctl.cli.command import command
from hallctl.cli.language import _
from hallctl.cli.link import link_options, target_of
from hallctl.cli.who import by_option


@click.command()
@click.argument("name")
@click.option("--text", metavar="TEXT", help="Show TEXT until something else happens at its window.")
@click.option("--clear", is_flag=True, help="Take the text away: back to what its window shows.")
@click.option(
    "--colour", type=click.Choice(["red", "green", "yellow"]), default="red", show_default=True, help="Of TEXT."
)
@click.option("--blink", is_flag=True, help="TEXT blinks.")
@click.option("--on/--off", "lit", default=None, help="Light or darken the panel.")
@click.option("--brightness", type=click.IntRange(1, 100), metavar="PERCENT", help="Dim the panel, 1 to 100.")
@by_option
@link_options
def display(
    *,
    name: str,
    text: str | None,
    clear: bool,
    colour: str,
    blink: bool,
    lit: bool | None,
    brightness: int | None,
    config: Path | None,
    broker: str | None,
    site: str | None,
    controller: str | None,
    as_json: bool,
) -> int:
    """Show a text on the display NAME (a terminal's id), light, darken or dim it.

    What is set by hand holds until the time of day sets it anew (displays.brightness in hall.yaml). --json prints one
    object a reply and line.
    """
    light = lit is not None or brightness is not None
    if (text is not None) + clear + light != 1:
        raise click.UsageError(_("Give one of: --text; --clear; --on, --off or --brightness."))
    target = target_of(config, broker, site, controller)
    if light:
        wishes = {"on": lit, "brightness": brightness}
        data = {"display": name, **{key: wish for key, wish in wishes.items() if wish is not None}}
        return command(target, "display.set", data, as_json=as_json)
    data = {"display": name, "text": text or "", "colour": colour, "blink": blink}
    return command(target, "text.show", data, as_json=as_json)
