"""The state directory: the daemon's alone. What it keeps there decides what is printed, what runs, and who was seen.

Clips show people, the twin's documents are carried out, the log says what happened: so others read nothing of it and
write nothing into it, whatever umask the daemon was started with.
"""

import os
import pwd
import stat
from pathlib import Path

from hallctl.errors import StateDirError

OWNER_ONLY = 0o077


def take(folder: Path) -> None:
    """Make the folder ready for this process, which from now on makes files for its own user only.

    Raises ``StateDirError`` where others may write into it, or where root would leave files in it that the daemon's
    user could not open any more; ``OSError`` where it can't be made or looked at.
    """
    os.umask(OWNER_ONLY)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if os.geteuid() == 0 and found.st_uid != 0:
        raise StateDirError(
            "it belongs to another user, and root would leave files in it that this user can't open",
            hint=f"systemctl start hallctl, or: runuser -u {_name(found.st_uid)} -- hallctl run",
        )
    if found.st_mode & stat.S_IWOTH:
        message = f"everybody may write into it (mode {stat.S_IMODE(found.st_mode):04o})"
        raise StateDirError(message, hint=f"chmod 700 {folder}")


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"'#{user}'"
