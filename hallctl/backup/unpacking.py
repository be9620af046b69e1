"""Puts a backup back onto a box that has nothing yet. Everything is checked before anything is written.

An event's id holds the boot number, and whoever keeps events drops one whose id it has seen. The box that was lost may
have started many times since the backup, so the restored one goes on with a number that no start can have had: the
seconds since 1970, which grow faster than anybody can start a daemon.
"""

import contextlib
import hashlib
import os
import tarfile
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO

from hallctl.backup.finding import BOOT
from hallctl.backup.manifest import NAME, Manifest, decode
from hallctl.backup.owners import Owner, Owners
from hallctl.errors import BackupError

_PIECE = 1 << 20
_ANOTHER = "take another copy of the backup"


def read_backup(path: Path) -> Manifest:
    """The list of what is in it; every byte was checked. Raises ``BackupError`` for a damaged or foreign file."""
    sums: dict[str, str] = {}
    manifest = None
    for name, pieces in _members(path):
        if name == NAME:
            manifest = decode(b"".join(pieces))
        else:
            sums[name] = _sum(pieces)
    if manifest is None:
        raise BackupError(f"{path} has no list of its files: it is not whole, or no backup of hallctl", hint=_ANOTHER)
    wrong = [one.member for one in manifest.files if sums.get(one.member) != one.sha256]
    if wrong:
        raise BackupError(f"{path} is damaged: {wrong[0]} is not what was kept", hint=_ANOTHER)
    return manifest


def restore(path: Path, config: Path | None, state: Path | None, now: datetime) -> Manifest:
    """Put everything back, by default where it was. Raises ``BackupError``."""
    manifest = read_backup(path)
    places = {"config": config or Path(manifest.config_folder), "state": state or Path(manifest.state_folder)}
    _check_free(manifest, places)
    if now < manifest.at:
        raise BackupError(
            f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC, and the backup is of {manifest.at:%Y-%m-%d %H:%M}",
            hint="set the clock first (`timedatectl`): the restored box's numbers begin with it",
        )
    owners = Owners.here(manifest)
    try:
        _put_folders(manifest, places, owners)
        _put_files(path, manifest, places, owners)
        _put_boot(manifest, places["state"], int(now.timestamp()), owners)
    except OSError as exc:
        hint = f"mend that, remove what stands in {places['config']} and {places['state']}, and try again"
        raise BackupError(f"the backup could not be put back whole: {exc}", hint=hint) from exc
    return manifest


def _check_free(manifest: Manifest, places: dict[str, Path]) -> None:
    """Nothing that is there is overwritten."""
    names = [(one.place, one.name) for one in manifest.files] + [("state", BOOT)]
    for place, name in names:
        if (places[place] / name).exists():
            raise BackupError(
                f"{places[place] / name} is there already, and a backup is put back only where nothing is",
                hint=f"systemctl stop hallctl, then: mv {places[place]} {places[place]}.before",
            )


def _put_folders(manifest: Manifest, places: dict[str, Path], owners: Owners) -> None:
    for folder in manifest.folders:
        path = places[folder.place] / folder.name
        if path.is_dir():
            continue
        path.mkdir(mode=0o700, parents=True)
        if owner := owners.of(folder.user, folder.group):
            os.chown(path, *owner)
        path.chmod(folder.mode)


def _put_files(path: Path, manifest: Manifest, places: dict[str, Path], owners: Owners) -> None:
    wanted = {one.member: one for one in manifest.files}
    for name, pieces in _members(path):
        one = wanted.get(name)
        if one is not None and (one.place, one.name) != ("state", BOOT):
            _put(places[one.place] / one.name, pieces, one.mode, owners.of(one.user, one.group))


def _put_boot(manifest: Manifest, state: Path, now_s: int, owners: Owners) -> None:
    """The floor of the next boot number, in place of the one that was kept."""
    for folder in manifest.folders:
        if (folder.place, folder.name) == ("state", ""):
            boot = max(now_s, manifest.boot + 1)
            _put(state / BOOT, iter([f"{boot}\n".encode()]), 0o600, owners.of(folder.user, folder.group))


def _put(path: Path, pieces: Iterator[bytes], mode: int, owner: Owner | None) -> None:
    """Write a file that only its owner can read before it has its mode; on disk when this returns."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        if owner is not None:
            os.fchown(file.fileno(), *owner)
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _members(path: Path) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Plain files of the archive with their bytes; anything else in it is none of ours."""
    with _unreadable(path), tarfile.open(path, mode="r:gz") as archive:
        for entry in archive:
            file = archive.extractfile(entry) if entry.isfile() else None
            if file is not None:
                yield entry.name, _pieces(file, path)
        while archive.fileobj is not None and archive.fileobj.read(_PIECE):
            pass  # to the end, where gzip's checksum over the whole stands


def _pieces(file: IO[bytes], path: Path) -> Iterator[bytes]:
    while True:
        with _unreadable(path):
            piece = file.read(_PIECE)
        if not piece:
            return
        yield piece


@contextlib.contextmanager
def _unreadable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as exc:
        raise BackupError(f"there is no file {path}") from exc
    except (tarfile.TarError, EOFError, OSError, zlib.error) as exc:
        raise BackupError(f"{path} can't be read as a backup: {exc}", hint=_ANOTHER) from exc


def _sum(pieces: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()
