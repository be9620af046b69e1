"""A port seen from outside: whether it is there, whether we may open it, and who has it. Blocks; opens nothing."""

import contextlib
import grp
import os
import pwd
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from hallctl.controller.discover.local import local_ports
from hallctl.diagnose import Holder, PortFacts
from hallctl.errors import HallctlError
from hallctl.transport import PortAddress
from hallctl.transport.usb_names import find_usb

PROC = Path("/proc")
OVERFLOW_UID = 65534  # whose owner has no number in the unit's user namespace
_KINDS = {"serial": "serial", "input": "keyboard", "usb": "printer", "usblp": "printer", "file": "printer"}
_READ_WRITE = stat.S_IRGRP | stat.S_IWGRP


def port_facts(url: str) -> PortFacts:
    """What can be told of a port of hall.yaml; ``url`` may be one that can't be parsed: then little."""
    try:
        address = PortAddress.parse(url)
    except HallctlError:
        return PortFacts(url=url, scheme=url.partition(":")[0])
    if address.host and address.scheme in ("tcp", "rfc2217"):
        return PortFacts(str(address), address.scheme, addresses=_addresses(address.host))
    node = _node(address)
    exists = node is not None and _exists(node)
    others = _others(address, node) if not exists else ()
    if node is None or not exists:
        return PortFacts(url, address.scheme, exists=False, others=others)
    owner, mode, missing = _rights(node)
    allowed = os.access(node, os.R_OK | os.W_OK, effective_ids=True)
    return PortFacts(
        url,
        address.scheme,
        exists=True,
        allowed=allowed,
        owner=owner,
        mode=mode,
        missing_group="" if allowed else missing,
        holders=tuple(holders(node)),
    )


def holders(node: Path) -> Iterator[Holder]:
    """Other processes that have it open, as far as this process may see them (/proc/PID/fd)."""
    real = str(node.resolve())
    for folder in sorted(PROC.glob("[0-9]*"), key=lambda one: int(one.name)):
        if int(folder.name) != os.getpid() and _has_open(folder, real):
            yield Holder(int(folder.name), _name_of(folder))


def _has_open(folder: Path, real: str) -> bool:
    with contextlib.suppress(OSError):
        for descriptor in (folder / "fd").iterdir():
            with contextlib.suppress(OSError):
                if str(descriptor.readlink()) == real:
                    return True
    return False


def _name_of(folder: Path) -> str:
    with contextlib.suppress(OSError):
        return (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
    return "a process that has ended"


def _node(address: PortAddress) -> Path | None:
    if address.scheme in ("usb", "usblp"):
        with contextlib.suppress(HallctlError):
            device = find_usb(address)
            return Path(f"/dev/bus/usb/{device.bus:03}/{device.number:03}") if address.scheme == "usb" else device.lp
        return None
    return Path(address.path)


def _others(address: PortAddress, node: Path | None) -> tuple[str, ...]:
    """What is there instead, by names that stay; ports on the board itself are always there and mean nothing."""
    kind = _KINDS.get(address.scheme)
    found = [one.port for one in local_ports() if one.kind == kind and "/dev/ttyS" not in one.port]
    return tuple(port for port in found if node is None or port.partition("?")[0] != f"serial://{node}")[:8]


def _exists(node: Path) -> bool:
    """A folder that is shut to us hides it: then it is as good as absent."""
    try:
        return node.exists()
    except PermissionError:
        return False


def _rights(node: Path) -> tuple[str, str, str]:
    found = node.stat()
    try:
        group = grp.getgrgid(found.st_gid).gr_name
    except KeyError:
        group = str(found.st_gid)
    try:
        user = pwd.getpwuid(found.st_uid).pw_name
    except KeyError:
        user = str(found.st_uid)
    opens = found.st_mode & _READ_WRITE == _READ_WRITE and found.st_gid not in (*os.getgroups(), os.getegid())
    owner = f"{user}:{group}" if found.st_uid != OVERFLOW_UID else ""
    return owner, stat.filemode(found.st_mode), group if opens else ""


def _addresses(host: str) -> tuple[str, ...]:
    with contextlib.suppress(OSError):
        return tuple(dict.fromkeys(str(one[4][0]) for one in socket.getaddrinfo(host, None)))
    return ()
