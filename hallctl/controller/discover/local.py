"""Ports of this box by names that stay: serial adapters, USB printers, keyboards that are pads."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from serial.tools import list_ports

from hallctl.transport.usb_names import SYSFS, UsbIdentity, usb_devices

DEV = Path("/dev")
INPUTS = Path("/sys/class/input")
_PRINTER_CLASS = "07"
_ANY_EVENTS = re.compile(r"-event(-if[0-9]+)?\Z")  # udev's names of what is neither keyboard, mouse nor joystick
_PAD_KEYS = (*range(2, 7), 79, 80, 81, 75, 76)  # 1 to 5 in the row and on the number pad, linux/input-event-codes.h
_BUILT_IN = re.compile(r"tty(S|AMA|mxc|THS)[0-9]+\Z")  # on the board itself: these names stay


@dataclass(frozen=True, slots=True)
class LocalPort:
    """One port. ``kind``: ``serial``, ``printer`` or ``keyboard``; ``port`` is ready for hall.yaml."""

    kind: str
    port: str
    description: str
    note: str = ""


def local_ports(dev: Path = DEV, sysfs: Path = SYSFS, inputs: Path = INPUTS) -> list[LocalPort]:
    """Everything that a terminal or a bus may be plugged into, in the order of their names."""
    return [*_serial_ports(dev), *_usb_printers(sysfs), *_keyboards(dev, inputs)]


def _serial_ports(dev: Path) -> Iterator[LocalPort]:
    """By id; adapters that share a serial number have one name among them, so these go by the socket."""
    names = {link.resolve(): link for link in _links(dev / "serial" / "by-path")}
    names |= {link.resolve(): link for link in _links(dev / "serial" / "by-id")}
    described = {Path(port.device).resolve(): port.description or "" for port in list_ports.comports()}
    for device, link in sorted(names.items(), key=lambda pair: str(pair[1])):
        words = _words(described.get(device, ""), device)
        yield LocalPort("serial", f"serial://{link}?baud=9600", words, _socket_note(link))
    for device, words in sorted(described.items()):
        if device not in names and dev == DEV:
            note = "" if _BUILT_IN.match(device.name) else "given out in the order of plugging in: it may change"
            yield LocalPort("serial", f"serial://{device}?baud=9600", _words(words, device), note)


def _usb_printers(sysfs: Path) -> Iterator[LocalPort]:
    printers = [device for device in usb_devices(sysfs) if _prints(device)]
    twins = Counter((device.vendor, device.product, device.serial) for device in printers)
    for device in sorted(printers, key=lambda one: one.socket):
        alone = twins[device.vendor, device.product, device.serial] == 1
        if device.serial and alone:
            query, note = f"?serial={device.serial}", ""
        else:
            query, note = f"?socket={device.socket}", "no serial number of its own: named by its socket"
        name = f"usb://{device.vendor}:{device.product}{query}"
        yield LocalPort("printer", name, f"{device} ({device.lp})" if device.lp else str(device), note)


def _prints(device: UsbIdentity) -> bool:
    classes = device.folder.glob("*/bInterfaceClass")
    return any(path.read_text(encoding="ascii", errors="replace").strip() == _PRINTER_CLASS for path in classes)


def _keyboards(dev: Path, inputs: Path) -> Iterator[LocalPort]:
    """By id; of two pads of one kind only one has that name, so the other one goes by its socket."""
    names = {
        link.resolve(): link
        for folder in ("by-path", "by-id")
        for link in _links(dev / "input" / folder)
        if _has_keys(link, inputs)
    }
    for device, link in sorted(names.items(), key=lambda pair: str(pair[1])):
        yield LocalPort("keyboard", f"input://{link}", _words("", device), _socket_note(link))


def _has_keys(link: Path, inputs: Path) -> bool:
    """udev calls a keyboard what has its whole left side; a pad of five keys is known by what the kernel says."""
    if link.name.endswith("-event-kbd"):
        return True
    if not _ANY_EVENTS.search(link.name):
        return False
    try:
        words = (inputs / link.resolve().name / "device/capabilities/key").read_text(encoding="ascii").split()
        bits = sum(int(word, 16) << 64 * place for place, word in enumerate(reversed(words)))
    except (OSError, ValueError):
        return False
    return any(bits >> key & 1 for key in _PAD_KEYS)


def _socket_note(link: Path) -> str:
    return "by its socket: plugged in elsewhere it has another name" if link.parent.name == "by-path" else ""


def _links(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _words(description: str, device: Path) -> str:
    useful = "" if description in ("", "n/a") else f"{description}, "
    return f"{useful}now {device}"
