"""Writes a backup: a tar.gz with the files as they are, and at its end the list of them."""

import contextlib
import grp
import gzip
import hashlib
import io
import os
import pwd
import sqlite3
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO

from hallctl import __version__
from hallctl.backup.finding import Box, Found, found, last_boot, left_out
from hallctl.backup.manifest import NAME, Folder, Kept, Manifest, Place, encode
from hallctl.config import ControllerConfig
from hallctl.errors import BackupError


def pack(config_path: Path, config: ControllerConfig, out: IO[bytes], now: datetime, *, evidence: bool) -> Manifest:
    """Write a backup to ``out``. Raises ``BackupError`` where something can't be read or written."""
    box = Box.of(config_path, config)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="hallctl-backup-") as scratch,
            gzip.GzipFile("", "wb", fileobj=out, compresslevel=6, mtime=now.timestamp()) as packed,
            tarfile.open(fileobj=packed, mode="w|") as archive,
        ):
            kept = (_added(archive, one, now) for one in found(box, Path(scratch), evidence=evidence))
            files = tuple(one for one in kept if one is not None)
            manifest = _manifest(box, config, files, now)
            data = encode(manifest)
            archive.addfile(_entry(NAME, len(data), 0o600, now), io.BytesIO(data))
    except (OSError, sqlite3.Error) as exc:
        hint = "run it as root or as the daemon's user; look at free space (df)"
        raise BackupError(f"the backup could not be taken: {exc}", hint=hint) from exc
    return manifest


def _manifest(box: Box, config: ControllerConfig, files: tuple[Kept, ...], now: datetime) -> Manifest:
    return Manifest(
        version=__version__,
        site=config.site,
        controller=config.controller,
        at=now,
        boot=last_boot(box.state),
        config_folder=str(box.config),
        state_folder=str(box.state),
        folders=(*_folders("config", box.config, files), *_folders("state", box.state, files)),
        files=files,
        left_out=tuple(left_out(config, box)),
    )


def _added(archive: tarfile.TarFile, one: Found, now: datetime) -> Kept | None:
    """Put a file into the archive; of one that still grows, what is there. ``None``: it has gone meanwhile."""
    mode, owner = stat.S_IMODE(one.status.st_mode), _owner(one.status)
    try:
        file = _Hashing(one.path)
    except FileNotFoundError:
        return None
    with file:
        archive.addfile(_entry(f"{one.place}/{one.name}", file.size, mode, now), file)
    return Kept(one.place, one.name, mode, *owner, file.size, file.digest.hexdigest())


def _entry(name: str, size: int, mode: int, now: datetime) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, mode, int(now.timestamp())
    return entry


class _Hashing(io.FileIO):
    """A file whose bytes are hashed as they are read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")
        self.size = os.fstat(self.fileno()).st_size
        self.digest = hashlib.sha256()

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes."""
        data = super().read(-1 if size is None else size)
        self.digest.update(data)
        return data


def _folders(place: Place, folder: Path, files: tuple[Kept, ...]) -> Iterator[Folder]:
    """The folders of these files, the upper ones first."""
    parents = {parent for one in files if one.place == place for parent in Path(one.name).parents}
    for name in sorted({"", *(str(parent) for parent in parents if parent.parts)}):
        with contextlib.suppress(FileNotFoundError):
            status = (folder / name).stat()
            yield Folder(place, name, stat.S_IMODE(status.st_mode), *_owner(status))


def _owner(status: os.stat_result) -> tuple[str, str]:
    """Names of user and group; the number of one that has no name."""
    user, group = str(status.st_uid), str(status.st_gid)
    with contextlib.suppress(KeyError):
        user = pwd.getpwuid(status.st_uid).pw_name
    with contextlib.suppress(KeyError):
        group = grp.getgrgid(status.st_gid).gr_name
    return user, group
