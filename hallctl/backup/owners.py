"""Whom restored files belong to: the users and groups of the same names on this machine."""

import grp
import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass

from hallctl.backup.manifest import Manifest
from hallctl.errors import BackupError

Owner = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Owners:
    """Numbers by names; ``None`` where nothing can be given away: only root can."""

    known: Mapping[tuple[str, str], Owner] | None

    @classmethod
    def here(cls, manifest: Manifest) -> "Owners":
        """Look all of a backup's owners up. Raises ``BackupError`` for one that is absent here."""
        if os.geteuid() != 0:
            return cls(None)
        pairs = {(one.user, one.group) for one in manifest.folders} | {(one.user, one.group) for one in manifest.files}
        return cls({pair: (_user(pair[0]), _group(pair[1])) for pair in sorted(pairs)})

    def of(self, user: str, group: str) -> Owner | None:
        """Whom to give a file to; ``None``: leave it to whoever writes it."""
        return self.known[user, group] if self.known is not None else None


def _user(name: str) -> int:
    try:
        return int(name) if name.isascii() and name.isdigit() else pwd.getpwnam(name).pw_uid
    except KeyError as exc:
        raise _absent(f"user {name}") from exc


def _group(name: str) -> int:
    try:
        return int(name) if name.isascii() and name.isdigit() else grp.getgrnam(name).gr_gid
    except KeyError as exc:
        raise _absent(f"group {name}") from exc


def _absent(who: str) -> BackupError:
    return BackupError(f"there is no {who} here", hint="install hallctl first: its install.sh makes them")
