"""Files that must never be half: written aside, synced, renamed, the folder synced; keys for their owner only."""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from hallctl.errors import EnrollError

PRIVATE, PUBLIC = 0o600, 0o644


def write(path: Path, data: bytes, mode: int) -> None:
    """Replace a file as a whole. As root it goes to the folder's owner: the daemon has to read it."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)
            _give_to_owner(file.fileno(), path.parent)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        sync_folder(path.parent)
    except OSError as exc:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise EnrollError(
            f"{path} can't be written: {exc.strerror}", code="enroll.file", hint="check the folder's owner and space"
        ) from exc


def append_line(path: Path, line: bytes) -> None:
    """One more line, on disk when this returns. What a crash left of an earlier line is cut off first."""
    try:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PUBLIC), "r+b") as file:
            whole = file.read().rpartition(b"\n")
            file.seek(len(whole[0]) + len(whole[1]))
            file.truncate()
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
    except OSError as exc:
        raise EnrollError(
            f"{path} can't be written: {exc.strerror}", code="enroll.file", hint="check its owner and free space"
        ) from exc


def read(path: Path) -> bytes | None:
    """What stands in a file; ``None`` where there is none. Raises ``EnrollError``."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        hint = "run this as the user that it belongs to, or as root"
        raise EnrollError(f"{path} can't be read: {exc.strerror}", code="enroll.file", hint=hint) from exc


def remove(*paths: Path) -> None:
    """Remove files that may be gone already."""
    try:
        for path in paths:
            path.unlink(missing_ok=True)
        for folder in {path.parent for path in paths}:
            sync_folder(folder)
    except OSError as exc:
        raise EnrollError(
            f"{exc.filename} can't be removed: {exc.strerror}", code="enroll.file", hint="check the folder's owner"
        ) from exc


def sync_folder(folder: Path) -> None:
    """Make renames in it durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time: the daemon renews while a technician installs."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
        _give_to_owner(descriptor, path.parent)
    except OSError as exc:
        raise EnrollError(
            f"{path} can't be opened: {exc.strerror}", code="enroll.file", hint="check the folder's owner"
        ) from exc
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _give_to_owner(descriptor: int, folder: Path) -> None:
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
