"""The socket's file: taken where it is free or left behind by a daemon that died, never from one that lives."""

import contextlib
import socket
import stat
from pathlib import Path

from hallctl.errors import LocalError
from hallctl.local.place import MAX_PATH_BYTES

MODE = 0o660  # owner and group; the group is the daemon's own
PROBE_S = 2.0
BACKLOG = 16


def listen(path: Path) -> socket.socket:
    """A listening socket that owner and group may connect to. Raises ``LocalError`` that says why it can't be."""
    size = len(str(path).encode())
    if size > MAX_PATH_BYTES:
        hint = f"give the box a shorter state_dir: {MAX_PATH_BYTES} bytes is what Linux takes"
        raise LocalError(f"{path}: a path of {size} bytes is too long for a socket", code="local.path", hint=hint)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _make_room(path)
        made.bind(str(path))
        path.chmod(MODE)
        made.listen(BACKLOG)
        made.setblocking(False)
    except OSError as exc:
        made.close()
        hint = "check owner and free space of its directory"
        raise LocalError(f"{path}: {exc.strerror or exc}", code="local.path", hint=hint) from exc
    except LocalError:
        made.close()
        raise
    return made


def remove(path: Path, inode: int) -> None:
    """Take the file away, unless another daemon has put its own there meanwhile."""
    with contextlib.suppress(OSError):
        if path.lstat().st_ino == inode:
            path.unlink()


def _make_room(path: Path) -> None:
    """Remove what a daemon that was killed left behind."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise LocalError(f"{path} is there and is no socket", code="local.path", hint="move it away")
    if _lives(path):
        hint = "is a second daemon started with the same state_dir? stop one of them"
        raise LocalError(f"another daemon listens at {path}", code="local.taken", hint=hint)
    path.unlink(missing_ok=True)


def _lives(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_S)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:  # it has too many clients, or does not let us in: somebody is there
            return True
    return True
