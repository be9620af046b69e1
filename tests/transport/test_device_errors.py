"""What open(2) said, in stable codes."""

import errno
import os

import pytest

from hallctl.transport import PortAddress
from hallctl.transport.device import unavailable

SERIAL = PortAddress.parse("serial:///dev/ttyUSB0")
FILE = PortAddress.parse("file:///dev/usb/lp0")


@pytest.mark.parametrize(
    ("address", "number", "code", "hint"),
    [
        (SERIAL, errno.ENOENT, "port.absent", "/dev/serial/by-id"),
        (SERIAL, errno.ENXIO, "port.absent", "/dev/serial/by-id"),
        (SERIAL, errno.EACCES, "port.permission", "dialout"),
        (SERIAL, errno.EBUSY, "port.busy", "another process"),
        (SERIAL, errno.EAGAIN, "port.busy", "another process"),
        (SERIAL, errno.ENOTTY, "port.unsupported", "file:///"),
        (FILE, errno.ENOENT, "port.absent", "plugged in"),
        (FILE, errno.EACCES, "port.permission", "group lp"),
        (FILE, errno.EBUSY, "port.busy", "another process"),
        (FILE, errno.ENXIO, "port.unconnected", "reads"),
        (FILE, errno.EISDIR, "port.unsupported", "no device"),
        (FILE, errno.ENOMEM, "port.unavailable", ""),
    ],
)
def test_each_refusal_of_the_kernel_has_its_code_and_hint(
    address: PortAddress, number: int, code: str, hint: str
) -> None:
    error = unavailable(address, OSError(number, os.strerror(number)))
    assert error.code == code
    assert hint in error.hint
    assert address.path in error.message
