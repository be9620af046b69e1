"""Where the socket is: beside systemd's other run-time files, else in the state directory."""

import os
from collections.abc import Mapping
from pathlib import Path

SOCKET = "control.sock"
RUNTIME = Path("/run/hallctl")  # RuntimeDirectory= of the unit; a person's shell has no RUNTIME_DIRECTORY
MAX_PATH_BYTES = 107  # unix(7): sun_path has 108 with its last zero


def socket_path(state_dir: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Where a daemon puts its socket. systemd may name several run-time directories: the first is ours."""
    runtime = environment.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return Path(runtime or state_dir) / SOCKET


def socket_paths(state_dir: Path, environment: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Where a person finds the socket of a box: each may belong to another box, so its hello decides."""
    found = (socket_path(state_dir, environment), RUNTIME / SOCKET, state_dir / SOCKET)
    return tuple(dict.fromkeys(found))


def is_there(path: Path) -> bool:
    """Whether there is a socket; one in a folder that is shut to us may be."""
    try:
        return path.exists()
    except PermissionError:
        return True
