"""``hallctl``: the group of all commands, and how errors reach the person at the keyboard.

Exit codes: 0 ok, 1 failed, 2 wrong usage, 78 the configuration is wrong (sysexits.h EX_CONFIG).
"""

from importlib import import_module
from typing import Any

import click

from hallctl.cli.language import click_speaks
from hallctl.cli.localised import localised
from hallctl.cli.output import prepare_output, report_error
from hallctl.errors import HallctlError

COMMANDS = (
    "discover",
    "check",
    "run",
    "status",
    "diagnose",
    "top",
    "trace",
    "log-level",
    "support-bundle",
    "ticket",
    "printer",
    "call",
    "display",
    "rate",
    "alerts",
    "camera",
    "duty",
    "fleet",
    "enroll",
    "backup",
    "restore",
    "sim",
)


class Commands(click.Group):
    """Loads a command's module when it is asked for: ``hallctl sim`` starts without the MQTT side."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """In the order of a technician's day, not of the alphabet."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # the same
        """The command that stands in the module of its name."""
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        found = getattr(import_module(f"hallctl.cli.{name}"), name)
        return localised(found) if isinstance(found, click.Command) else None

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run with help and click's own words in the language of the locale."""
        with click_speaks():
            return click.Group.main(localised(self), *args, **kwargs)

    def invoke(self, ctx: click.Context) -> None:
        """Run a command: what it returns is the exit code, what it raises is told without a traceback."""
        try:
            code = super().invoke(ctx)
        except HallctlError as exc:
            code = report_error(exc)
        ctx.exit(code if isinstance(code, int) else 0)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hallctl", message="hallctl %(version)s")
def cli() -> None:
    """Runs a service hall's printers, displays, pads and presence cameras, and steers them from the centre.

    Exit codes: 0 ok, 1 failed, 2 wrong usage, 78 the configuration is wrong.
    """


def main() -> None:
    """The console script."""
    prepare_output()
    cli(prog_name="hallctl")


if __name__ == "__main__":
    main()
