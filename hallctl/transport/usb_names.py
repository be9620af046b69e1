"""USB devices by what never changes: vendor, product and serial number, or the socket that they are plugged into.

The kernel lists every device under /sys/bus/usb/devices, readable for everybody, so that a printer can be named
although this process may not open it. Numbers such as /dev/usb/lp0 and bus addresses change with every plug.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from hallctl.errors import ConfigError, TransportUnavailable
from hallctl.transport.base import PortAddress

SYSFS = Path("/sys/bus/usb/devices")
OPTIONS = ("serial", "socket")
_DEVICE = re.compile(r"[0-9]+-[0-9]+(\.[0-9]+)*\Z")


@dataclass(frozen=True, slots=True)
class UsbIdentity:
    """One plugged device. ``socket``: bus and ports on the way to it, as ``1-1.4``; ``folder``: its sysfs folder."""

    vendor: str
    product: str
    serial: str
    socket: str
    bus: int
    number: int
    folder: Path
    maker: str = ""
    model: str = ""

    @property
    def lp(self) -> Path | None:
        """The kernel's printer node, ``None`` while usblp is not bound."""
        nodes = sorted(self.folder.glob(f"{self.socket}:*/usbmisc/lp*"))
        return Path("/dev/usb") / nodes[0].name if nodes else None

    @property
    def plugged(self) -> bool:
        """Whether it is still there under the same number."""
        try:
            return _read(self.folder / "devnum") == str(self.number)
        except OSError:
            return False

    def __str__(self) -> str:
        name = {"serial": self.serial} if self.serial else {"socket": self.socket}
        return f"usb://{self.vendor}:{self.product}?{urlencode(name)}"


@dataclass(frozen=True, slots=True)
class UsbName:
    """What a ``usb://`` or ``usblp://`` port asks for."""

    vendor: str
    product: str
    serial: str | None = None
    socket: str | None = None

    @classmethod
    def from_address(cls, address: PortAddress) -> "UsbName":
        """Read host and options; raises ``ConfigError`` that says what is wrong."""
        vendor, _, product = address.host.partition(":")
        options = dict(address.options)
        for name, value in address.options:
            if name not in OPTIONS:
                raise ConfigError(f"{address}: unknown option {name!r}", hint=f"options: {', '.join(OPTIONS)}")
            if not value:
                raise ConfigError(f"{address}: {name} is empty", hint=f"leave {name} out, or write its value")
        return cls(vendor, product, options.get("serial"), options.get("socket"))

    def matches(self, found: UsbIdentity) -> bool:
        """Whether this device is meant."""
        return (
            (found.vendor, found.product) == (self.vendor, self.product)
            and self.serial in (None, found.serial)
            and self.socket in (None, found.socket)
        )


def usb_devices(sysfs: Path = SYSFS) -> Iterator[UsbIdentity]:
    """Every plugged device, hubs included; one that is unplugged meanwhile is left out."""
    for folder in sorted(sysfs.glob("*-*")):
        if not _DEVICE.match(folder.name):
            continue
        try:
            yield _identity(folder)
        except (OSError, ValueError):
            continue


def find_usb(address: PortAddress, sysfs: Path = SYSFS) -> UsbIdentity:
    """The one device that a port means.

    Raises ``TransportUnavailable``: ``port.absent`` when it is not plugged in, ``port.ambiguous`` when several fit.
    """
    name = UsbName.from_address(address)
    found = [device for device in usb_devices(sysfs) if name.matches(device)]
    if not found:
        raise TransportUnavailable(
            f"{address}: no such device is plugged in", code="port.absent", hint=_near(name, sysfs)
        )
    if len(found) > 1:
        listed = ", ".join(_described(device) for device in found)
        raise TransportUnavailable(
            f"{address}: {len(found)} devices fit: {listed}",
            code="port.ambiguous",
            hint="add ?serial=... to the port, or ?socket=... where they have no serial numbers",
        )
    return found[0]


def is_usb_plugged(address: PortAddress, sysfs: Path = SYSFS) -> bool:
    """Whether the device is there, and for ``usblp://`` whether the kernel's driver has it."""
    try:
        device = find_usb(address, sysfs)
    except (TransportUnavailable, ConfigError):
        return False
    return address.scheme == "usb" or device.lp is not None


def find_lp(address: PortAddress, sysfs: Path = SYSFS) -> Path:
    """The kernel's node of the printer that a ``usblp://`` port means.

    Raises ``TransportUnavailable`` as ``find_usb`` does, and ``port.absent`` when usblp has not bound it.
    """
    node = find_usb(address, sysfs).lp
    if node is None:
        hint = "`modprobe usblp`; or write usb:// instead of usblp://, which needs no kernel driver"
        raise TransportUnavailable(f"{address}: the kernel has no printer node for it", code="port.absent", hint=hint)
    return node


def _near(name: UsbName, sysfs: Path) -> str:
    """What a technician looks at next: another device of the same kind, or what is there at all."""
    devices = list(usb_devices(sysfs))
    same = [device for device in devices if (device.vendor, device.product) == (name.vendor, name.product)]
    if same:
        return f"of this kind there is {', '.join(map(_described, same))}"
    printers = [device for device in devices if device.lp is not None]
    known = ", ".join(map(str, printers)) or "none"
    return f"is it plugged in and switched on? `lsusb` lists what is there; printers that the kernel sees: {known}"


def _described(device: UsbIdentity) -> str:
    return f"serial={device.serial or '(none)'} socket={device.socket}"


def _identity(folder: Path) -> UsbIdentity:
    return UsbIdentity(
        vendor=_read(folder / "idVendor"),
        product=_read(folder / "idProduct"),
        serial=_optional(folder / "serial"),
        socket=folder.name,
        bus=int(_read(folder / "busnum")),
        number=int(_read(folder / "devnum")),
        folder=folder,
        maker=_optional(folder / "manufacturer"),
        model=_optional(folder / "product"),
    )


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace").strip()


def _optional(path: Path) -> str:
    try:
        return _read(path)
    except OSError:
        return ""
