"""``hallctl run``: the daemon on an edge box."""

from pathlib import Path

import click

from hallctl.cli.where import find_config


@click.command()
@click.argument("config", required=False, type=click.Path(path_type=Path))
def run(config: Path | None) -> int:
    """Run the controller that CONFIG (controller.yaml) describes, until SIGTERM or SIGINT.

    Default: $HALLCTL_CONFIG, ./controller.yaml, /etc/hallctl/controller.yaml. Log lines go to standard error: words on
    a terminal, one JSON object a line elsewhere.
    """
    from hallctl import daemon  # noqa: PLC0415  # the other commands don't need the edge side

    return daemon.run(find_config(config))
