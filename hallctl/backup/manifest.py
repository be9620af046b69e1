"""What stands in a backup: a list with checksum, owner and mode of every file, as JSON; pure."""

import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Literal, get_args

from hallctl.errors import BackupError

FORMAT = 1
NAME = "manifest.json"
Place = Literal["config", "state"]


@dataclass(frozen=True, slots=True)
class Kept:
    """A file. ``name`` is its path below the folder of ``place``; owners go by name: another box has other numbers."""

    place: Place
    name: str
    mode: int
    user: str
    group: str
    size: int
    sha256: str

    @property
    def member(self) -> str:
        """Its name in the archive."""
        return f"{self.place}/{self.name}"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder below ``place``; an empty name is the folder of the place itself."""

    place: Place
    name: str
    mode: int
    user: str
    group: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A whole backup. ``boot``: the last boot number that the box had used; ``left_out``: files in neither folder."""

    version: str
    site: str
    controller: str
    at: datetime
    boot: int
    config_folder: str
    state_folder: str
    folders: tuple[Folder, ...]
    files: tuple[Kept, ...]
    left_out: tuple[str, ...] = ()


def encode(manifest: Manifest) -> bytes:
    """As it stands in the archive."""
    body = {"format": FORMAT, **asdict(manifest), "at": manifest.at.isoformat()}
    return json.dumps(body, ensure_ascii=False, indent=1).encode()


def decode(data: bytes) -> Manifest:
    """Raises ``BackupError`` for what is no list, has another format, or names a path that leads elsewhere."""
    try:
        body = json.loads(data)
        if body["format"] != FORMAT:
            raise BackupError(f"the backup has format {body['format']}, this hallctl knows {FORMAT}")
        folders = tuple(Folder(**_known(one, Folder)) for one in body["folders"])
        files = tuple(Kept(**_known(one, Kept)) for one in body["files"])
        at = datetime.fromisoformat(body["at"])
        known = _known(body, Manifest) | {"folders": folders, "files": files, "at": at}
        manifest = Manifest(**{**known, "left_out": tuple(body["left_out"])})
    except (ValueError, TypeError, KeyError) as exc:
        raise BackupError(f"the backup's list of files can't be read: {exc!r}", hint="take another backup") from exc
    for place, name in [(one.place, one.name) for one in folders] + [(one.place, one.name) for one in files]:
        _check_place(place, name)
    return manifest


def _check_place(place: str, name: str) -> None:
    """What was written by hand could name any file of the box."""
    parts = PurePosixPath(name)
    if place not in get_args(Place) or parts.is_absolute() or ".." in parts.parts or "\0" in name:
        raise BackupError(
            f"the backup names {place}/{name}, which is no place in it", hint="this is no backup of hallctl"
        )


def _known(body: dict[str, Any], kind: type[Folder | Kept | Manifest]) -> dict[str, Any]:
    names = {one.name for one in fields(kind)}
    return {key: value for key, value in body.items() if key in names}
