"""``hallctl trace``: what goes over a terminal's wire, in words and in hex, live or from a file."""

import click

from hallctl.cli.trace.decode import decode
from hallctl.cli.trace.live import live

__all__ = ["trace"]


class _Trace(click.Group):
    """``hallctl trace printer-1`` is ``hallctl trace live printer-1``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = args[0] in self.commands or args[0].startswith("-")
        return super().resolve_command(ctx, args if known else ["live", *args])


@click.command(cls=_Trace, subcommand_metavar="TERMINAL | decode FILE [OPTIONS]")
def trace() -> None:
    """Show what goes over a terminal's wire: `hallctl trace TERMINAL`, frames in words and in hex, until Ctrl-C.

    `hallctl trace TERMINAL --to FILE` keeps it for the vendor, `hallctl trace decode FILE` shows it later. A trace
    holds what is printed and shown: treat it like a ticket.
    """


trace.add_command(live)
trace.add_command(decode)
