"""A bench with USB sockets: a strict libusb for pyusb, and the kernel's folder that lists what is plugged in.

It refuses what Linux and libusb refuse (a second claim, a claim while usblp has it, transfers without a claim,
everything after the plug was pulled), with the same error numbers. What would crash a process with the real libusb, or
hang it for ever, is kept in ``misuse``: a test ends by looking there. Threads may use it, as they use libusb.
"""

import array
import contextlib
import errno
import itertools
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import usb.backend
from usb.core import USBError, USBTimeoutError

_LIBUSB = {
    errno.EIO: -1,
    errno.EACCES: -3,
    errno.ENODEV: -4,
    errno.ENOENT: -5,
    errno.EBUSY: -6,
    errno.EOVERFLOW: -8,
}
_BULK = 2
_IN = 0x80


class Wire(Protocol):
    """The device's side of the cable; the project's simulators are such."""

    def feed(self, data: bytes) -> bytes: ...


@dataclass(frozen=True)
class Setting:
    """One alternate setting of an interface: its class, its protocol, and its bulk endpoints with their packets."""

    kind: int = 7
    protocol: int = 2
    ends: tuple[int, ...] = (0x01, 0x82)
    packet: int = 64
    transfer: int = _BULK


Interfaces = tuple[tuple[Setting, ...], ...]

TWO_WAY: Interfaces = ((Setting(),),)
FAST: Interfaces = ((Setting(packet=512),),)
ONE_WAY: Interfaces = ((Setting(protocol=1, ends=(0x01,)),),)
ALTERNATES: Interfaces = ((Setting(protocol=1, ends=(0x01,)), Setting(ends=(0x03, 0x84))),)
VENDOR: Interfaces = ((Setting(kind=0xFF, protocol=0),),)
KEYBOARD: Interfaces = ((Setting(kind=3, protocol=1, ends=(0x81,), packet=8, transfer=3),),)
KEYBOARD_AND_PRINTER: Interfaces = (*KEYBOARD, (Setting(ends=(0x02, 0x83)),))


@dataclass(eq=False)
class Plugged:
    """One device in one socket, and all that a test may do to it."""

    bench: "UsbBench"
    wire: Wire
    interfaces: Interfaces
    vendor: str
    product: str
    serial: str
    socket: str
    bus: int
    number: int
    there: bool = True
    refusal: int | None = None  # what opening it answers: errno.EACCES without the udev rules
    room: int | None = None  # bytes that it still takes before it stalls; None: everything
    chatters: bool = False  # it answers every idle read at once, with an empty packet
    reads: int = 0
    offered: bytes = b""  # what the write under way, or the last one, brought
    taken: bytearray = field(default_factory=bytearray)
    said: bytearray = field(default_factory=bytearray)
    lp: dict[int, int] = field(default_factory=dict)  # interface -> N of the kernel's lpN while usblp has it
    claims: dict[int, "Handle"] = field(default_factory=dict)
    settings: dict[int, int] = field(default_factory=dict)
    handles: list["Handle"] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The port that means this device and no other."""
        option = f"serial={self.serial}" if self.serial else f"socket={self.socket}"
        return f"usb://{self.vendor}:{self.product}?{option}"

    @property
    def folder(self) -> Path:
        return self.bench.sysfs / self.socket

    @property
    def free(self) -> bool:
        """Whether no process has it open."""
        return not self.handles and not self.claims

    def say(self, data: bytes) -> None:
        """Let it speak without being asked."""
        with self.bench.changed:
            self.said += data
            self.bench.changed.notify_all()

    def stall(self, after: int = 0) -> None:
        """Take so many bytes more, then nothing: no paper."""
        with self.bench.changed:
            self.room = after

    def take_more(self, count: int) -> None:
        """Take so many bytes more, also of a write that waits."""
        with self.bench.changed:
            self.room = (self.room or 0) + count
            self.bench.changed.notify_all()

    def go_on(self) -> None:
        """Take bytes again."""
        with self.bench.changed:
            self.room = None
            self.bench.changed.notify_all()

    def unplug(self) -> None:
        """Pull the plug."""
        with self.bench.changed:
            self.there = False
            self.lp.clear()
            self.bench.devices.remove(self)
            shutil.rmtree(self.folder)
            self.bench.changed.notify_all()


@dataclass(eq=False)
class Handle:
    """What opening gave; ``transfers`` are under way on it."""

    device: Plugged
    closed: bool = False
    transfers: int = 0


class UsbBench:
    """Sockets to plug devices into; ``backend`` is what pyusb takes for libusb, ``sysfs`` the kernel's list."""

    def __init__(self, folder: Path) -> None:
        self.sysfs = folder / "devices"
        self.sysfs.mkdir()
        self.changed = threading.Condition(threading.RLock())
        self.devices: list[Plugged] = []
        self.misuse: list[str] = []
        self.opened = 0  # how often a device was opened
        self.usblp_loaded = True
        self.opening = threading.Event()  # cleared: opening a device hangs
        self.opening.set()
        self.backend = StrictBackend(self)
        self._numbers = itertools.count(2)
        self._hub(1)

    def plug(
        self,
        wire: Wire,
        *,
        interfaces: Interfaces = TWO_WAY,
        vendor: str = "04b8",
        product: str = "0e15",
        serial: str = "X1",
        socket: str = "1-1",
    ) -> Plugged:
        """Plug a device in. usblp, when it is loaded, binds every printer interface at once."""
        bus = int(socket.partition("-")[0])
        device = Plugged(self, wire, interfaces, vendor, product, serial, socket, bus, next(self._numbers))
        connected = getattr(wire, "connected", None)
        if connected is not None:
            wire.emit = device.say  # type: ignore[attr-defined]
            connected()
        with self.changed:
            self._describe(device)
            self.devices.append(device)
            for number in range(len(interfaces)):
                (device.folder / f"{socket}:1.{number}").mkdir()
                self.bind(device, number)
        return device

    def bind(self, device: Plugged, interface: int) -> bool:
        """What the kernel does when it looks for a driver: usblp takes interfaces of class 7."""
        if not self.usblp_loaded or all(setting.kind != 7 for setting in device.interfaces[interface]):
            return False
        used = {number for each in self.devices for number in each.lp.values()}
        number = next(n for n in itertools.count() if n not in used)
        device.lp[interface] = number
        (self._lp_folder(device, interface) / f"lp{number}").mkdir(parents=True)
        return True

    def unbind(self, device: Plugged, interface: int) -> None:
        """Take an interface from usblp."""
        del device.lp[interface]
        shutil.rmtree(self._lp_folder(device, interface))

    def _lp_folder(self, device: Plugged, interface: int) -> Path:
        return device.folder / f"{device.socket}:1.{interface}" / "usbmisc"

    def _describe(self, device: Plugged) -> None:
        device.folder.mkdir()
        lines = {
            "idVendor": device.vendor,
            "idProduct": device.product,
            "busnum": str(device.bus),
            "devnum": str(device.number),
            "manufacturer": "EPSON",
            "product": "TM-T88V",
        }
        if device.serial:
            lines["serial"] = device.serial
        for name, value in lines.items():
            (device.folder / name).write_text(value + "\n")

    def _hub(self, bus: int) -> None:
        hub, interface = self.sysfs / f"usb{bus}", self.sysfs / f"{bus}-0:1.0"
        hub.mkdir()
        interface.mkdir()
        for name, value in (("idVendor", "1d6b"), ("idProduct", "0002"), ("busnum", str(bus)), ("devnum", "1")):
            (hub / name).write_text(value + "\n")


class StrictBackend(usb.backend.IBackend):  # type: ignore[misc]
    """libusb as pyusb 1.3 calls it."""

    def __init__(self, bench: UsbBench) -> None:
        self._bench = bench

    # Descriptors

    def enumerate_devices(self) -> Iterator[Plugged]:
        return iter(list(self._bench.devices))

    def get_parent(self, dev: Plugged) -> None:
        return None

    def get_device_descriptor(self, dev: Plugged) -> Any:
        return SimpleNamespace(
            bLength=18,
            bDescriptorType=1,
            bcdUSB=0x200,
            bDeviceClass=0,
            bDeviceSubClass=0,
            bDeviceProtocol=0,
            bMaxPacketSize0=64,
            idVendor=int(dev.vendor, 16),
            idProduct=int(dev.product, 16),
            bcdDevice=0x100,
            iManufacturer=1,
            iProduct=2,
            iSerialNumber=3 if dev.serial else 0,
            bNumConfigurations=1,
            address=dev.number,
            bus=dev.bus,
            port_number=1,
            port_numbers=(1,),
            speed=3,
        )

    def get_configuration_descriptor(self, dev: Plugged, config: int) -> Any:
        if config:
            raise _error(errno.ENOENT)
        return SimpleNamespace(
            bLength=9,
            bDescriptorType=2,
            wTotalLength=32,
            bNumInterfaces=len(dev.interfaces),
            bConfigurationValue=1,
            iConfiguration=0,
            bmAttributes=0xC0,
            bMaxPower=1,
            extra_descriptors=b"",
        )

    def get_interface_descriptor(self, dev: Plugged, intf: int, alt: int, config: int) -> Any:
        setting = dev.interfaces[intf][alt]  # IndexError ends pyusb's walk over the alternate settings
        return SimpleNamespace(
            bLength=9,
            bDescriptorType=4,
            bInterfaceNumber=intf,
            bAlternateSetting=alt,
            bNumEndpoints=len(setting.ends),
            bInterfaceClass=setting.kind,
            bInterfaceSubClass=1,
            bInterfaceProtocol=setting.protocol,
            iInterface=0,
            extra_descriptors=b"",
        )

    def get_endpoint_descriptor(self, dev: Plugged, ep: int, intf: int, alt: int, config: int) -> Any:
        setting = dev.interfaces[intf][alt]
        return SimpleNamespace(
            bLength=7,
            bDescriptorType=5,
            bEndpointAddress=setting.ends[ep],
            bmAttributes=setting.transfer,
            wMaxPacketSize=setting.packet,
            bInterval=0,
            bRefresh=0,
            bSynchAddress=0,
            extra_descriptors=b"",
        )

    # Opening, and the kernel's driver

    def open_device(self, dev: Plugged) -> Handle:
        if not self._bench.opening.wait(10):
            self._misused("nobody let the opening go on")
        with self._bench.changed:
            if not dev.there:
                raise _error(errno.ENODEV)
            if dev.refusal is not None:
                raise _error(dev.refusal)
            handle = Handle(dev)
            dev.handles.append(handle)
            self._bench.opened += 1
            return handle

    def close_device(self, dev_handle: Handle) -> None:
        with self._bench.changed:
            if dev_handle.closed or dev_handle.transfers:
                self._misused(f"closed twice or with {dev_handle.transfers} transfers under way: libusb would crash")
            dev_handle.closed = True
            dev_handle.device.handles.remove(dev_handle)
            for interface, owner in list(dev_handle.device.claims.items()):
                if owner is dev_handle:
                    del dev_handle.device.claims[interface]

    def get_configuration(self, dev_handle: Handle) -> int:
        with self._here(dev_handle):
            return 1

    def set_configuration(self, dev_handle: Handle, config_value: int) -> None:
        with self._here(dev_handle) as device:
            if device.lp or device.claims:
                raise _error(errno.EBUSY)

    def set_interface_altsetting(self, dev_handle: Handle, intf: int, altsetting: int) -> None:
        with self._here(dev_handle) as device:
            if device.claims.get(intf) is not dev_handle:
                raise _error(errno.ENOENT)
            if altsetting >= len(device.interfaces[intf]):
                raise _error(errno.ENOENT)
            device.settings[intf] = altsetting

    def claim_interface(self, dev_handle: Handle, intf: int) -> None:
        with self._here(dev_handle) as device:
            if intf >= len(device.interfaces):
                raise _error(errno.ENOENT)
            if intf in device.lp or device.claims.get(intf, dev_handle) is not dev_handle:
                raise _error(errno.EBUSY)
            device.claims[intf] = dev_handle

    def release_interface(self, dev_handle: Handle, intf: int) -> None:
        with self._here(dev_handle) as device:
            if device.claims.get(intf) is not dev_handle:
                raise _error(errno.ENOENT)
            if dev_handle.transfers:
                self._misused(f"released with {dev_handle.transfers} transfers under way")
            del device.claims[intf]
            device.settings.pop(intf, None)  # the kernel goes back to the first setting

    def is_kernel_driver_active(self, dev_handle: Handle, intf: int) -> bool:
        with self._here(dev_handle) as device:
            return intf in device.lp

    def detach_kernel_driver(self, dev_handle: Handle, intf: int) -> None:
        with self._here(dev_handle) as device:
            if intf not in device.lp:
                raise _error(errno.ENOENT)
            self._bench.unbind(device, intf)

    def attach_kernel_driver(self, dev_handle: Handle, intf: int) -> None:
        with self._here(dev_handle) as device:
            if intf in device.lp or intf in device.claims:
                raise _error(errno.EBUSY)
            if not self._bench.bind(device, intf):
                raise _error(errno.ENOENT)

    # Transfers

    def bulk_write(self, dev_handle: Handle, ep: int, intf: int, data: "array.array[int]", timeout: int) -> int:
        with self._transfer(dev_handle, ep, intf, data, timeout) as device:
            until, rest = time.monotonic() + timeout / 1000, data.tobytes()
            device.offered = rest
            while True:
                part = rest if device.room is None else rest[: device.room]
                if part:
                    if device.room is not None:
                        device.room -= len(part)
                    rest = rest[len(part) :]
                    device.taken += part
                    device.say(device.wire.feed(part))
                if not rest:
                    return len(data)
                if not self._bench.changed.wait(until - time.monotonic()) and time.monotonic() >= until:
                    break
                self._must_be_there(device)
        if len(rest) < len(data):
            return len(data) - len(rest)  # libusb's time-out is none when bytes were moved
        raise _timeout()

    def bulk_read(self, dev_handle: Handle, ep: int, intf: int, buff: "array.array[int]", timeout: int) -> int:
        with self._transfer(dev_handle, ep, intf, buff, timeout) as device:
            device.reads += 1
            until = time.monotonic() + timeout / 1000
            if len(buff) % device.interfaces[intf][device.settings.get(intf, 0)].packet:
                raise _error(errno.EOVERFLOW)
            while not device.said:
                if device.chatters:
                    return 0
                if not self._bench.changed.wait(until - time.monotonic()) and time.monotonic() >= until:
                    raise _timeout()
                self._must_be_there(device)
            data = bytes(device.said[: len(buff)])
            del device.said[: len(buff)]
            buff[: len(data)] = array.array("B", data)
            return len(data)

    @contextlib.contextmanager
    def _transfer(
        self, handle: Handle, ep: int, intf: int, data: "array.array[int]", timeout: int
    ) -> Iterator[Plugged]:
        with self._here(handle) as device:
            if device.claims.get(intf) is not handle:
                self._misused(f"a transfer on interface {intf}, which is not claimed")
                raise _error(errno.EIO)
            if ep not in device.interfaces[intf][device.settings.get(intf, 0)].ends:
                self._misused(f"a transfer on endpoint {ep:#x}, which the current setting does not have")
                raise _error(errno.ENOENT)
            if timeout <= 0:
                self._misused("a transfer without a time-out would wait for ever")
                raise _error(errno.EIO)
            if not isinstance(data, array.array) or data.itemsize != 1:
                self._misused(f"a transfer of {type(data).__name__}")
                raise _error(errno.EIO)
            handle.transfers += 1
            try:
                yield device
            finally:
                handle.transfers -= 1

    @contextlib.contextmanager
    def _here(self, handle: Handle) -> Iterator[Plugged]:
        with self._bench.changed:
            if handle is None or handle.closed:
                self._misused("a closed handle was used: libusb would crash")
                raise _error(errno.EIO)
            self._must_be_there(handle.device)
            yield handle.device

    def _must_be_there(self, device: Plugged) -> None:
        if not device.there:
            raise _error(errno.ENODEV)

    def _misused(self, what: str) -> None:
        self._bench.misuse.append(what)


def _error(number: int) -> USBError:
    words = {errno.ENODEV: "No such device (it may have been disconnected)", errno.EACCES: "Access denied"}
    return USBError(words.get(number, errno.errorcode[number]), _LIBUSB.get(number, -99), number)


def _timeout() -> USBTimeoutError:
    return USBTimeoutError("Operation timed out", -7, errno.ETIMEDOUT)
