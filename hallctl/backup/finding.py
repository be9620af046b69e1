"""What a backup keeps of a box whose daemon runs: copies as of one moment where files change together, else the files.

The daemon replaces its files by renaming, so that each is whole whenever it is read. The event log is copied by SQLite.
Of the twin the record is read first: the documents that it names are there before it is, and go only after another
record has come; then it is tried again.
"""

import contextlib
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hallctl.backup.manifest import Place
from hallctl.config import ControllerConfig
from hallctl.config.base import Section
from hallctl.errors import BackupError, TwinError
from hallctl.twin import TWIN_FOLDER, TwinStore
from hallctl.twin.store import RECORD

LOG, BOOT, EVIDENCE = "outbox.db", "outbox.boot", "evidence"
EXAMPLES = "examples"  # install.sh's own, of the version that is installed
MOST_CONFIGURATION = 64 << 20  # bytes: /etc/hallctl has a few thousand; more is somebody's home
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Found:
    """A file to be kept, read from ``path`` (which may be a copy) and kept with the owner and mode of ``status``."""

    place: Place
    name: str
    path: Path
    status: os.stat_result


@dataclass(frozen=True, slots=True)
class Box:
    """The two folders of a box, as absolute paths without links."""

    config: Path
    state: Path

    @classmethod
    def of(cls, config_path: Path, config: ControllerConfig) -> "Box":
        """Raises ``BackupError`` where they can't be told apart."""
        box = cls(config_path.resolve().parent, config.state_dir.resolve())
        if box.config.is_relative_to(box.state):
            raise BackupError(
                f"{config_path} stands in the state directory {box.state}", hint="keep configuration and state apart"
            )
        return box


def found(box: Box, scratch: Path, *, evidence: bool) -> list[Found]:
    """Every file of a backup. Raises ``BackupError``, ``OSError`` or ``sqlite3.Error``; copies go into ``scratch``."""
    rest = [one for one in _below("state", box.state) if _is_kept(one.name, evidence=evidence)]
    return [*_configuration(box), *_log(box.state, scratch), *_twin(box.state, scratch), *rest]


def left_out(section: Section, box: Box) -> Iterator[str]:
    """Files that controller.yaml names and that stand in neither folder."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from left_out(value, box)
        elif isinstance(value, Path) and value.is_file():
            place = value.resolve()
            if not (place.is_relative_to(box.config) or place.is_relative_to(box.state)):
                yield str(value)


def last_boot(folder: Path) -> int:
    """The highest boot number that this box is known to have used; 0 where it never ran."""
    with contextlib.suppress(OSError, ValueError):
        return int((folder / BOOT).read_text(encoding="ascii"))
    return 0


def _configuration(box: Box) -> Iterator[Found]:
    size = 0
    for one in _below("config", box.config, without=(box.state, box.config / EXAMPLES)):
        size += one.status.st_size
        if size > MOST_CONFIGURATION:
            raise BackupError(
                f"{box.config} holds more than {MOST_CONFIGURATION >> 20} MiB, which no box's configuration does",
                hint="put controller.yaml and what it names into a folder of their own",
            )
        yield one


def _is_kept(name: str, *, evidence: bool) -> bool:
    """Not the log and the twin, which are copied; nor what was set aside as damaged."""
    first = name.split("/", 1)[0]
    copied = first in (LOG, f"{LOG}-wal", f"{LOG}-shm", TWIN_FOLDER)
    return not copied and ".corrupt-" not in first and (evidence or first != EVIDENCE)


def _below(place: Place, folder: Path, *, without: tuple[Path, ...] = ()) -> Iterator[Found]:
    """Plain files; a link counts as the file that it leads to. Sockets and pipes are nothing to keep."""
    for here, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = sorted(name for name in folders if Path(here, name) not in without)
        for name in sorted(names):
            path = Path(here, name)
            with contextlib.suppress(FileNotFoundError):  # the daemon has removed it meanwhile
                status = path.stat()
                if stat.S_ISREG(status.st_mode):
                    yield Found(place, str(path.relative_to(folder)), path, status)


def _raise(exc: OSError) -> None:
    if not isinstance(exc, FileNotFoundError):  # the daemon has never run
        raise exc


def _log(folder: Path, scratch: Path) -> list[Found]:
    """The event log as of one moment, whatever is being written into it."""
    original = folder / LOG
    if not original.exists():
        return []
    copy = scratch / LOG
    with contextlib.ExitStack() as stack:
        source = sqlite3.connect(f"{original.as_uri()}?mode=rw", uri=True)
        stack.callback(source.close)
        target = sqlite3.connect(copy)
        stack.callback(target.close)
        source.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")  # one file; the daemon turns it back
        wrong = target.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if wrong != "ok":
        hint = "the daemon's next start sets it aside; take the backup then"
        raise BackupError(f"the event log {original} is damaged: {wrong}", hint=hint)
    return [Found("state", LOG, copy, original.stat())]


def _twin(folder: Path, scratch: Path) -> list[Found]:
    """A record and every document that it names."""
    for number in range(_TRIES):
        copy = scratch / f"twin-{number}"
        copy.mkdir()
        copied = _copied(folder / TWIN_FOLDER, copy)
        with contextlib.suppress(TwinError):
            if TwinStore(copy).peek().needs <= {Path(one.name).stem for one in copied}:
                return copied
    hint = "`hallctl check` says what is wrong with it"
    raise BackupError(f"{folder / TWIN_FOLDER} has no record with all its documents", hint=hint)


def _copied(folder: Path, copy: Path) -> list[Found]:
    copied = []
    for one in sorted(_below("state", folder), key=lambda one: one.name != RECORD):
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(one.path, copy / one.name)
            copied.append(Found("state", f"{TWIN_FOLDER}/{one.name}", copy / one.name, one.status))
    return copied
