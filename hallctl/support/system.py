"""What the box itself is and has: versions, hardware, ports, disk, clock, the unit. Each fact may be missing."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from hallctl import __version__

ASK_S = 20
UNIT = "hallctl.service"
JOURNAL_LINES = 5000
_USB_FACTS = ("idVendor", "idProduct", "manufacturer", "product", "serial", "speed", "bMaxPower")
_PORTS = (
    "ttyS*",
    "ttyUSB*",
    "ttyACM*",
    "serial/by-id/*",
    "serial/by-path/*",
    "usb/lp*",
    "input/by-id/*",
    "video*",
)
_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "system/unit.txt": ("systemctl", "--no-pager", "--full", "status", UNIT),
    "system/clock.txt": ("timedatectl", "show"),
    "system/network.txt": ("ip", "-brief", "address"),
    "system/routes.txt": ("ip", "route"),
    "log/journal.txt": ("journalctl", "--no-pager", "--lines", str(JOURNAL_LINES), "--output", "short-iso", "-u", UNIT),
}


def system_facts(state_dir: Path) -> dict[str, str]:
    """Name of the member to its text. What can't be had says why in its place."""
    facts: dict[str, Callable[[], str]] = {
        "system/versions.txt": _versions,
        "system/usb.txt": _usb,
        "system/ports.txt": _ports,
        "system/disk.txt": lambda: _disk(state_dir),
        "system/memory.txt": lambda: Path("/proc/meminfo").read_text(),
        "system/load.txt": lambda: Path("/proc/loadavg").read_text(),
    }
    told = {name: _told(fact) for name, fact in facts.items()}
    return told | {name: _output(*command) for name, command in _COMMANDS.items()}


def _told(fact: Callable[[], str]) -> str:
    try:
        return fact()
    except OSError as exc:
        return f"can't be read: {exc}\n"


def _output(*command: str) -> str:
    try:
        ran = subprocess.run(command, capture_output=True, timeout=ASK_S, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        return f"{command[0]} is not installed here\n"
    except (OSError, subprocess.TimeoutExpired) as exc:
        return f"{command[0]} failed: {exc}\n"
    return (ran.stdout + ran.stderr).decode("utf-8", "replace")


def _versions() -> str:
    installed = sorted(f"{one.name} {one.version}" for one in importlib.metadata.distributions())
    release = Path("/etc/os-release")
    lines = [f"hallctl {__version__}", f"Python {platform.python_version()}", " ".join(platform.uname())]
    lines += release.read_text().splitlines() if release.exists() else []
    return "\n".join([*lines, "", *installed]) + "\n"


def _usb() -> str:
    """Every USB device with its place; /sys is there without any tool."""
    lines = []
    for device in sorted(Path("/sys/bus/usb/devices").glob("*")):
        known = {name: _first_line(device / name) for name in _USB_FACTS}
        if known["idVendor"]:
            about = ", ".join(f"{name} {value}" for name, value in known.items() if value)
            lines.append(f"{device.name}: {about}")
    return "\n".join(lines) + "\n" if lines else "no USB device is seen\n"


def _ports() -> str:
    """Serial ports, printers and input devices, with owner and mode, and the stable names that lead to them."""
    patterns = (
        "ttyS*",
        "ttyUSB*",
        "ttyACM*",
        "serial/by-id/*",
        "serial/by-path/*",
        "usb/lp*",
        "input/by-id/*",
        "video*",
    )
    lines = []
    for path in (path for pattern in patterns for path in sorted(Path("/dev").glob(pattern))):
        stat = path.stat()
        target = f" -> {os.path.realpath(path)}" if path.is_symlink() else ""
        lines.append(f"{stat.st_mode & 0o777:04o} {stat.st_uid}:{stat.st_gid} {path}{target}")
    return "\n".join(lines) + "\n" if lines else "there are no ports\n"


def _disk(state_dir: Path) -> str:
    usage = shutil.disk_usage(state_dir)
    lines = [f"{state_dir}: {usage.total} bytes, {usage.used} used, {usage.free} free"]
    for path in sorted(state_dir.rglob("*"))[:2000]:
        stat = path.lstat()
        lines.append(f"{stat.st_mode & 0o777:04o} {stat.st_size:>12} {path.relative_to(state_dir)}")
    return "\n".join(lines) + "\n"


def _first_line(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
