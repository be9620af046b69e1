"""``hallctl fleet``: the centre's desk. One file a command, loaded when it is asked for."""

from importlib import import_module

import click

from hallctl.cli.localised import localised

COMMANDS = ("status", "show", "diff", "push", "history", "command", "logs", "rebirth", "simulate")


class FleetCommands(click.Group):
    """Loads a command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """In the order of an operator's day."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # the same
        """The command that stands in the module of its name."""
        if cmd_name not in COMMANDS:
            return None
        found = getattr(import_module(f"hallctl.cli.fleet.{cmd_name}"), cmd_name)
        return localised(found) if isinstance(found, click.Command) else None


@click.command(cls=FleetCommands)
def fleet() -> None:
    """Steer all controllers of all sites from the centre: who is there, who runs what, and changing it in waves.

    SELECTOR names controllers: all, or site=NAME, group=NAME, tag=NAME, id=NAME. A comma means and, a repeated option
    means or; NAME may hold * and ?. Everything is at the broker: any other desk sees the same.
    """
