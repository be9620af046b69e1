"""Two ends of a serial line that are set differently: what one makes out of what the other sends.

For simulators on pseudo-terminals: the kernel keeps what the host has set, though no bit is ever clocked. It keeps the
rate, odd parity and the stop bits; Linux forces 8 data bits and no even parity on a pty (drivers/tty/pty.c), so that
even parity can't be staged on one.
"""

import termios
from dataclasses import dataclass
from typing import Self

_RATES = {getattr(termios, name): int(name[1:]) for name in dir(termios) if name[0] == "B" and name[1:].isdigit()}


@dataclass(frozen=True, slots=True)
class UartLine:
    """``odd``: with a parity bit that makes the number of ones odd."""

    baud: int
    odd: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "9600 8N1" or "9600 8O1". Raises ``ValueError`` for what a pty can't show."""
        baud, form = text.split()
        if form not in ("8N1", "8O1"):
            raise ValueError(f"{form} can't be seen on a pseudo-terminal: 8N1 or 8O1")
        return cls(int(baud), form == "8O1")

    @classmethod
    def of(cls, descriptor: int) -> Self:
        """What the host has set: the master's end shows it."""
        _, _, control, _, _, speed, _ = termios.tcgetattr(descriptor)
        return cls(_RATES.get(speed, 0), bool(control & termios.PARODD))

    def heard(self, data: bytes, other: "UartLine") -> bytes:
        """What of ``data`` crosses between the two ends."""
        if self.baud != other.baud:
            return resampled(data, self.baud, other.baud) if 0 not in (self.baud, other.baud) else b""
        if self.odd != other.odd:
            # The parity bit stands where the other end looks for the stop bit: where it is 0, a framing error.
            return bytes(byte for byte in data if byte.bit_count() % 2 == 0)
        return data


def resampled(data: bytes, sent: int, read: int) -> bytes:
    """Bits clocked out at one rate and in at another: start bit, 8 bits from the lowest, stop bit, one after the other.

    A receiver waits for a falling edge, then looks into the middle of each of its own bit times; a byte whose stop bit
    is not high is a framing error and lost.
    """
    bits = [bit for byte in data for bit in (0, *((byte >> place) & 1 for place in range(8)), 1)] + [1] * 10
    found, at, step = bytearray(), 0.0, sent / read
    while (start := next((place for place in range(int(at), len(bits)) if not bits[place]), None)) is not None:
        at = max(at, float(start))
        looked = [bits[min(int(at + (number + 0.5) * step), len(bits) - 1)] for number in range(10)]
        at += 9.5 * step
        if looked[9]:
            found.append(sum(bit << place for place, bit in enumerate(looked[1:9])))
    return bytes(found)
