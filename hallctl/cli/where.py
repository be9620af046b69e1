"""Which controller.yaml a command means."""

import os
from pathlib import Path

import click

from hallctl.cli.language import _
from hallctl.errors import ConfigError

SYSTEM_CONFIG = Path("/etc/hallctl/controller.yaml")

config_option = click.option(
    "--config",
    "config",
    type=click.Path(path_type=Path),
    help="controller.yaml; default: $HALLCTL_CONFIG, ./controller.yaml, /etc/hallctl/controller.yaml.",
)


def find_config(given: Path | None) -> Path:
    """The document that is named, or the first that is there. Raises ``ConfigError``."""
    named = given or (Path(os.environ["HALLCTL_CONFIG"]) if os.environ.get("HALLCTL_CONFIG") else None)
    if named is not None:
        return named
    for candidate in (Path("controller.yaml"), SYSTEM_CONFIG):
        if candidate.exists():
            return candidate
    raise ConfigError(
        _("there is no controller.yaml here and no {path}").format(path=SYSTEM_CONFIG),
        hint=_("name it: --config FILE, or set HALLCTL_CONFIG"),
    )
