"""What serial ports and device files have in common: errors in the technician's words, and the exclusive lock."""

import errno
import fcntl

from hallctl.errors import TransportUnavailable
from hallctl.transport.base import PortAddress

BUSY = ("port.busy", "another process holds it: stop that program, or give this terminal another port")
_ABSENT_SERIAL = ("port.absent", "is the adapter plugged in? `ls -l /dev/serial/by-id` lists the ports that are there")
_ABSENT_FILE = (
    "port.absent",
    "is the device plugged in and switched on? check the path, and `dmesg` after plugging it in",
)
_PERMISSION_SERIAL = ("port.permission", "add the daemon's user to the group dialout, or install the udev rules")
_PERMISSION_FILE = ("port.permission", "add the daemon's user to the group lp, or install the udev rules")
_ABSENT_INPUT = ("port.absent", "is the keyboard plugged in? `ls -l /dev/input/by-id` lists those that are there")
_PERMISSION_INPUT = ("port.permission", "add the daemon's user to the group input, or install the udev rules")
_NOT_A_PORT = ("port.unsupported", "that is no serial port: for a device file or a plain file write file:///...")
_TAKES_NOTHING = "that is no device that bytes can be written to"
_NO_KEYBOARD = "that is no keyboard: write a name of /dev/input/by-id that ends in -event-kbd (small pads: -event-if00)"
_NO_DEVICE = {"input": _NO_KEYBOARD}
_NO_READER = ("port.unconnected", "nobody reads the other end of this pipe")


def unavailable(address: PortAddress, exc: OSError) -> TransportUnavailable:
    """Translate what ``open`` said into a stable code and a hint."""
    code, hint = _advice(address.scheme, exc.errno or 0)
    reason = exc.strerror or str(exc)
    return TransportUnavailable(f"{address}: {reason}", code=code, hint=hint)


def lock(descriptor: int) -> None:
    """Take the advisory lock that keeps a second hallctl (and pyserial with ``exclusive``) out; raises ``OSError``."""
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _advice(scheme: str, number: int) -> tuple[str, str]:
    serial = scheme == "serial"
    match number:
        case errno.ENOENT | errno.ENODEV | errno.ENOTDIR | errno.EIO:
            return {"serial": _ABSENT_SERIAL, "input": _ABSENT_INPUT}.get(scheme, _ABSENT_FILE)
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return {"serial": _PERMISSION_SERIAL, "input": _PERMISSION_INPUT}.get(scheme, _PERMISSION_FILE)
        case errno.EBUSY | errno.EAGAIN:
            return BUSY
        case errno.ENXIO:
            return {"serial": _ABSENT_SERIAL, "input": _ABSENT_INPUT}.get(scheme, _NO_READER)
        case errno.ENOTTY | errno.EINVAL | errno.EISDIR:
            return _NOT_A_PORT if serial else ("port.unsupported", _NO_DEVICE.get(scheme, _TAKES_NOTHING))
    return ("port.unavailable", "")
