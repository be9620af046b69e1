"""One USB printer through libusb: found, claimed, read, written and given back. Everything here blocks.

pyusb opens by bus and device number what ``usb_names`` found by name. usblp, the kernel's own printer driver, is
detached while the port is open and bound again afterwards, also when a killed process had left it detached.
"""

import contextlib
import errno
import os
from dataclasses import dataclass
from typing import Any, Self

from hallctl.errors import TransportUnavailable
from hallctl.transport.base import PortAddress
from hallctl.transport.device import BUSY
from hallctl.transport.usb_names import UsbIdentity

_PRINTER_CLASS = 7
_VENDOR_CLASS = 0xFF
_IPP_OVER_USB = 4  # a protocol of class 7 that takes no ESC/POS
_BULK = 2
_IN = 0x80
_PERMISSION = ("port.permission", "add the daemon's user to the group lp, or install the udev rules")
_ABSENT = ("port.absent", "it was unplugged at this moment: plug it in again")
_NO_LIBUSB = "install hallctl[usb], or Debian's libusb-1.0-0"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a printer's bytes go and come from. ``incoming`` is ``None`` for one that never answers."""

    interface: int
    alternate: int
    outgoing: int
    incoming: int | None
    packet: int  # bytes; a read asks for whole packets, or libusb reports an overflow


class UsbPrinterDevice:
    """A claimed printer interface. One thread may read while another writes."""

    def __init__(self, device: Any, ends: Endpoints, identity: UsbIdentity) -> None:
        self._device = device
        self._ends = ends
        self._identity = identity

    @classmethod
    def open(cls, address: PortAddress, identity: UsbIdentity, backend: Any = None) -> Self:
        """Claim the printer. Raises ``TransportUnavailable``: absent, busy, permission, unsupported."""
        core = _pyusb()
        _refuse_when_printed_to(address, identity)
        try:
            device = _find(identity, backend or _libusb())
            if device is None and backend is None:
                device = _find(identity, _libusb(fresh=True))
            if device is None:
                raise TransportUnavailable(f"{address}: it is gone again", code=_ABSENT[0], hint=_ABSENT[1])
            return cls._claim(address, device, identity)
        except (core.USBError, NotImplementedError) as exc:
            raise _unavailable(address, exc) from exc
        except core.NoBackendError as exc:
            raise TransportUnavailable(
                f"{address}: libusb is missing", code="port.unsupported", hint=_NO_LIBUSB
            ) from exc

    @classmethod
    def _claim(cls, address: PortAddress, device: Any, identity: UsbIdentity) -> Self:
        from usb import util  # noqa: PLC0415  # belongs to an extra

        try:
            ends = _endpoints(address, device)
        except Exception:
            util.dispose_resources(device)
            raise
        try:
            if device.is_kernel_driver_active(ends.interface):
                device.detach_kernel_driver(ends.interface)
            util.claim_interface(device, ends.interface)
            if ends.alternate:
                device.set_interface_altsetting(ends.interface, ends.alternate)
        except Exception:
            cls(device, ends, identity).close()
            raise
        return cls(device, ends, identity)

    def read(self, timeout_s: float) -> bytes:
        """What the printer says within ``timeout_s``, possibly nothing. Raises ``OSError`` when it is gone."""
        if self._ends.incoming is None:
            return b""
        return bytes(self._patiently(self._device.read, self._ends.incoming, 16 * self._ends.packet, timeout_s) or b"")

    def write(self, data: bytes, timeout_s: float) -> int:
        """Hand over what the printer takes within ``timeout_s``; gives the number of bytes, possibly 0."""
        return int(self._patiently(self._device.write, self._ends.outgoing, data, timeout_s) or 0)

    @property
    def speaks(self) -> bool:
        """Whether there is a way back."""
        return self._ends.incoming is not None

    @property
    def plugged(self) -> bool:
        """Whether the kernel still lists it: one without a way back is not missed before the next write."""
        return self._identity.plugged

    def close(self) -> None:
        """Release the printer and give it back to the kernel. Never raises."""
        from usb import util  # noqa: PLC0415  # belongs to an extra

        core = _pyusb()
        with contextlib.suppress(core.USBError):
            util.release_interface(self._device, self._ends.interface)
        with contextlib.suppress(core.USBError, NotImplementedError):  # no driver to bind: nothing to give back
            self._device.attach_kernel_driver(self._ends.interface)
        with contextlib.suppress(core.USBError):
            util.dispose_resources(self._device)

    def _patiently(self, call: Any, endpoint: int, argument: Any, timeout_s: float) -> Any:
        """A transfer that lasts too long is none: without paper a printer takes nothing, idle it says nothing."""
        core = _pyusb()
        try:
            return call(endpoint, argument, int(timeout_s * 1000))
        except core.USBTimeoutError:
            return None
        except core.USBError as exc:
            if exc.errno == errno.EPIPE:  # a halted endpoint stays halted over closing and opening
                with contextlib.suppress(core.USBError, NotImplementedError):
                    self._device.clear_halt(endpoint)
            raise OSError(exc.errno or errno.EIO, exc.strerror or str(exc)) from exc


def _find(identity: UsbIdentity, backend: Any) -> Any:
    """libusb's own handle of the device that the kernel has under this number now."""
    numbers = (identity.bus, identity.number)
    return _pyusb().find(backend=backend, custom_match=lambda found: (found.bus, found.address) == numbers)


def _refuse_when_printed_to(address: PortAddress, identity: UsbIdentity) -> None:
    """usblp lets one process in: who has its node open (CUPS, say) is printing, and detaching would tear that off."""
    if identity.lp is None:
        return
    try:
        os.close(os.open(identity.lp, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as exc:
        if exc.errno == errno.EBUSY:
            raise TransportUnavailable(f"{address}: {identity.lp} is in use", code=BUSY[0], hint=BUSY[1]) from exc


def _endpoints(address: PortAddress, device: Any) -> Endpoints:
    """The printer's interface: class 7 with a way back first, then class 7 without, then a maker's own class."""
    configuration = device.get_active_configuration()
    usable = [ends for ends in (_of_interface(interface) for interface in configuration) if ends is not None]
    if not usable:
        hint = "that device is no printer: `lsusb -v` shows what it is; check vendor and product in the port"
        raise TransportUnavailable(f"{address}: it has no printer interface", code="port.unsupported", hint=hint)
    return min(usable, key=lambda pair: pair[0])[1]


def _of_interface(interface: Any) -> tuple[int, Endpoints] | None:
    kind = interface.bInterfaceClass
    bulk = [end for end in interface if end.bmAttributes & 3 == _BULK]
    outgoing = [end for end in bulk if not end.bEndpointAddress & _IN]
    incoming = [end for end in bulk if end.bEndpointAddress & _IN]
    if kind not in (_PRINTER_CLASS, _VENDOR_CLASS) or not outgoing:
        return None
    ends = Endpoints(
        interface.bInterfaceNumber,
        interface.bAlternateSetting,
        outgoing[0].bEndpointAddress,
        incoming[0].bEndpointAddress if incoming else None,
        incoming[0].wMaxPacketSize if incoming else 64,
    )
    rank = (0 if incoming else 1) + (0 if kind == _PRINTER_CLASS else 2)
    return rank + (4 if interface.bInterfaceProtocol == _IPP_OVER_USB else 0), ends


def _unavailable(address: PortAddress, exc: Exception) -> TransportUnavailable:
    number = getattr(exc, "errno", None) or 0
    match number:
        case errno.EACCES | errno.EPERM:
            code, hint = _PERMISSION
        case errno.ENODEV | errno.ENOENT | errno.EIO:
            code, hint = _ABSENT
        case errno.EBUSY:
            code, hint = BUSY
        case _:
            code, hint = "port.unavailable", "unplug the printer and plug it in again"
    return TransportUnavailable(f"{address}: {getattr(exc, 'strerror', None) or exc}", code=code, hint=hint)


def _pyusb() -> Any:
    try:
        import usb.core  # noqa: PLC0415  # belongs to an extra
    except ImportError as exc:
        raise TransportUnavailable("a usb:// port needs pyusb", code="port.unsupported", hint=_NO_LIBUSB) from exc
    return usb.core


_contexts: list[Any] = []  # kept for ever: a context must outlive the devices that were found through it


def _libusb(*, fresh: bool = False) -> Any:
    """The system's libusb; where there is none, the one that comes with the package libusb-package.

    libusb hears of plugs from udev; where no udev runs (a container), one that was started before a device was plugged
    in never lists it. ``fresh`` starts another one.
    """
    from usb.backend import libusb1  # noqa: PLC0415  # belongs to an extra

    if libusb1.get_backend() is None:
        return _packaged_libusb()
    if fresh:
        _contexts.append(libusb1._LibUSB(libusb1._lib))  # pyusb has no other way to a second context
    return _contexts[-1] if _contexts else libusb1.get_backend()


def _packaged_libusb() -> Any:
    try:
        import libusb_package  # noqa: PLC0415  # belongs to an extra
    except ImportError:
        return None
    return libusb_package.get_libusb1_backend()
