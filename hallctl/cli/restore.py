"""``hallctl restore``: a backup onto a new box, or only a look into it."""

from datetime import UTC, datetime
from pathlib import Path

import click

from hallctl.backup import Manifest, read_backup
from hallctl.backup import restore as put_back
from hallctl.cli.backup import described
from hallctl.cli.language import _
from hallctl.cli.output import EX_OK, json_option, local_time, print_json


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Only check that FILE is whole, and list what is in it.")
@click.option("--config-folder", type=click.Path(path_type=Path), help="Where configuration goes; default: as it was.")
@click.option("--state-dir", type=click.Path(path_type=Path), help="Where state goes; default: as it was.")
@json_option
def restore(*, file: Path, check: bool, config_folder: Path | None, state_dir: Path | None, as_json: bool) -> int:
    """Put the backup FILE back: onto a box where hallctl is installed and not configured. Nothing is overwritten.

    The box that it was taken of must not run any more: two boxes with one identity throw each other out.
    """
    manifest = read_backup(file) if check else put_back(file, config_folder, state_dir, datetime.now(UTC))
    if as_json:
        print_json(described(manifest))
        return EX_OK
    _tell(manifest, listed=check)
    if not check:
        click.echo(_("Put back. Next: hallctl check, then systemctl start hallctl."))
    return EX_OK


def _tell(manifest: Manifest, *, listed: bool) -> None:
    who = f"{manifest.site}/{manifest.controller}"
    about = _("{who} of {at}, hallctl {version}, {n} files")
    click.echo(about.format(who=who, at=local_time(manifest.at), version=manifest.version, n=len(manifest.files)))
    for one in manifest.files if listed else ():
        click.echo(_("  {file} ({n} bytes)").format(file=one.member, n=one.size))
    for path in manifest.left_out:
        click.echo(_("advice: {path} was not kept: bring it from elsewhere").format(path=path))
