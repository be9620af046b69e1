"""What a serial port knows of its line: the modem's wires, and how many bytes have come damaged."""

import contextlib
import fcntl
import struct
import termios
from collections.abc import Mapping
from dataclasses import dataclass, field

TIOCGICOUNT = 0x545D  # asm-generic/ioctls.h
_MODEM = {"CTS": termios.TIOCM_CTS, "DSR": termios.TIOCM_DSR, "CD": termios.TIOCM_CAR, "RI": termios.TIOCM_RI}


@dataclass(frozen=True, slots=True)
class UartState:
    """``modem``: CTS, DSR, CD, RI; ``errors``: frame, parity, overrun, break. Empty where a port has none (a pty)."""

    modem: Mapping[str, bool] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)


def read_uart(descriptor: int) -> UartState:
    """Ask the port's driver; may take some milliseconds on a USB adapter, and never raises."""
    modem: dict[str, bool] = {}
    errors: dict[str, int] = {}
    with contextlib.suppress(OSError):
        bits = struct.unpack("I", fcntl.ioctl(descriptor, termios.TIOCMGET, bytes(4)))[0]
        modem = {name: bool(bits & bit) for name, bit in _MODEM.items()}
    with contextlib.suppress(OSError):
        # linux/serial.h, serial_icounter_struct: cts dsr rng dcd rx tx frame overrun parity brk buf_overrun
        found = struct.unpack("20i", fcntl.ioctl(descriptor, TIOCGICOUNT, bytes(80)))
        errors = {"frame": found[6], "overrun": found[7], "parity": found[8], "break": found[9]}
    return UartState(modem, errors)
