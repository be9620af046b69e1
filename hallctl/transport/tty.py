"""Opening and closing a tty with pyserial, for one process alone. Everything here blocks.

flock keeps other careful programs out, TIOCEXCL the careless ones (root excepted).
"""

import contextlib
import errno
import fcntl
import os
import struct
import termios

import serial

from hallctl.transport.base import PortAddress
from hallctl.transport.device import unavailable
from hallctl.transport.serial_settings import SerialSettings

_TIOCSRS485 = 0x542F  # asm-generic/ioctls.h
_RS485_ENABLED_RTS_ON_SEND = 0x1 | 0x2  # linux/serial.h: SER_RS485_ENABLED, SER_RS485_RTS_ON_SEND


def open_pyserial(address: PortAddress, settings: SerialSettings) -> serial.Serial:
    """Open and set the line; flock and TIOCEXCL keep others out. Blocks."""
    port = serial.Serial()
    port.port, port.baudrate = address.path, settings.baud
    port.parity, port.bytesize, port.stopbits = settings.parity, settings.bytesize, settings.stopbits
    port.timeout, port.exclusive = 0, True
    try:
        port.open()
        fcntl.ioctl(port.fileno(), termios.TIOCEXCL)
        if settings.rs485:
            _set_rs485(port.fileno())
    except (OSError, ValueError, termios.error) as exc:
        close_pyserial(port)
        raise unavailable(address, _as_os_error(exc)) from exc
    return port


def close_pyserial(port: serial.Serial) -> None:
    """Close at once: unsent bytes would make close(2) wait for up to 30 s."""
    with contextlib.suppress(OSError, termios.error):
        termios.tcflush(port.fileno(), termios.TCOFLUSH)
        fcntl.ioctl(port.fileno(), termios.TIOCNXCL)
    with contextlib.suppress(OSError):
        port.close()


def _as_os_error(exc: Exception) -> OSError:
    """pyserial hides a plain file's ENOTTY in a message without number: give it its number back."""
    if isinstance(exc, OSError) and exc.errno:
        return OSError(exc.errno, os.strerror(exc.errno))
    return OSError(errno.ENOTTY, str(exc))


def _set_rs485(descriptor: int) -> None:
    request = struct.pack("=8I", _RS485_ENABLED_RTS_ON_SEND, 0, 0, 0, 0, 0, 0, 0)
    try:
        fcntl.ioctl(descriptor, _TIOCSRS485, request)
    except OSError as exc:
        if exc.errno not in (errno.ENOTTY, errno.EOPNOTSUPP):  # adapters that switch the direction by themselves
            raise
