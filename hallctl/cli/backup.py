"""``hallctl backup``: one file with a box's configuration, identity and memory, while its daemon runs."""

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import click

from hallctl.backup import Manifest, pack
from hallctl.cli.language import _
from hallctl.cli.output import EX_OK, json_option, print_json
from hallctl.cli.where import config_option, find_config
from hallctl.config import load_controller
from hallctl.errors import BackupError


@click.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--evidence", is_flag=True, help="With clips and snapshots, which may be gigabytes.")
@config_option
@json_option
def backup(*, file: Path, evidence: bool, config: Path | None, as_json: bool) -> int:
    """Keep this box in FILE (tar.gz; - is standard output), to be put back by `hallctl restore`. The daemon may run.

    Kept are the folder of controller.yaml, the event log, the centre's document, the certificate and the cameras'
    references. FILE holds keys and passwords: keep it like one.
    """
    path = find_config(config)
    document = load_controller(path)
    if str(file) == "-":
        manifest = pack(path, document, sys.stdout.buffer, datetime.now(UTC), evidence=evidence)
    else:
        manifest = _into(file, lambda out: pack(path, document, out, datetime.now(UTC), evidence=evidence))
    if as_json and str(file) != "-":
        print_json(described(manifest))
    elif not as_json:
        size = f", {file.stat().st_size >> 10} KiB" if str(file) != "-" else ""
        who = f"{manifest.site}/{manifest.controller}"
        click.echo(_("{who}: {n} files{size}").format(who=who, n=len(manifest.files), size=size), err=True)
    for one in manifest.left_out:
        advice = _("advice: {path} stands in neither folder and is not in the backup: keep it yourself")
        click.echo(advice.format(path=one), err=True)
    return EX_OK


def described(manifest: Manifest) -> dict[str, object]:
    """A backup for --json."""
    return {
        "site": manifest.site,
        "controller": manifest.controller,
        "at": manifest.at,
        "version": manifest.version,
        "boot": manifest.boot,
        "config_folder": manifest.config_folder,
        "state_folder": manifest.state_folder,
        "files": [{"name": one.member, "bytes": one.size, "sha256": one.sha256} for one in manifest.files],
        "left_out": list(manifest.left_out),
    }


def _into(file: Path, work: Callable[[IO[bytes]], Manifest]) -> Manifest:
    """Write it aside, for the owner only, and put it in place when it is whole."""
    if file.exists():
        raise BackupError(f"{file} is there already", hint="name another file")
    aside = file.with_name(f"{file.name}.part")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as out:
            manifest = work(out)
            out.flush()
            os.fsync(out.fileno())
        aside.replace(file)
    except OSError as exc:
        raise BackupError(f"{file} can't be written: {exc.strerror}", hint="is the folder there and not full?") from exc
    finally:
        aside.unlink(missing_ok=True)
    return manifest
