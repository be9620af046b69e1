"""What /dev/input says: struct input_event <-> events, and which of them are key presses; sans-IO.

Sources: linux/input.h and linux/input-event-codes.h; Documentation/input/event-codes.rst for SYN_DROPPED and for the
values of EV_KEY (0 released, 1 pressed, 2 repeated by the kernel while held).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from hallctl.errors import RemoteCodecError

EV_SYN, EV_KEY, EV_MSC = 0x00, 0x01, 0x04
SYN_REPORT, SYN_DROPPED = 0, 3
MSC_SCAN = 4
RELEASED, PRESSED, REPEATED = 0, 1, 2
_EV_MAX = 0x1F
_EVENT = struct.Struct("@llHHi")
SIZE = _EVENT.size


@dataclass(frozen=True, slots=True)
class Event:
    """One event. The time is the kernel's, in seconds and microseconds."""

    type: int
    code: int
    value: int
    seconds: int = 0
    microseconds: int = 0

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Read exactly one, whatever stands in it."""
        seconds, microseconds, kind, code, value = _EVENT.unpack(raw)
        return cls(kind, code, value, seconds, microseconds)

    @property
    def is_possible(self) -> bool:
        """Whether a kernel says this."""
        value_fits = self.type != EV_KEY or self.value in (RELEASED, PRESSED, REPEATED)
        return self.type <= _EV_MAX and 0 <= self.microseconds < 1_000_000 and value_fits

    def to_bytes(self) -> bytes:
        """As the kernel lays it out on this machine."""
        return _EVENT.pack(self.seconds, self.microseconds, self.type, self.code, self.value)


@dataclass(frozen=True, slots=True)
class Press:
    """A key went down. ``at``: the kernel's time of it in seconds; only differences mean anything."""

    code: int
    at: float


class KeyDecoder:
    """Takes bytes in any pieces and gives the presses in them, in order.

    ``dropped`` counts the times that the kernel ran out of room: what was pressed then is not known, and what is left
    of that report is passed over, as the kernel's documentation asks for.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._buffer = bytearray()
        self._lost = False

    def feed(self, data: bytes) -> list[Press]:
        """Raises ``RemoteCodecError`` for what no kernel says; then everything that waited is forgotten."""
        self._buffer += data
        try:
            return list(self._presses())
        except RemoteCodecError:
            self.reset()
            raise

    def reset(self) -> None:
        """A fresh connection: half an event won't be completed."""
        self._buffer.clear()
        self._lost = False

    def _presses(self) -> Iterator[Press]:
        for event in self._events():
            match event:
                case Event(type=0, code=3):  # EV_SYN, SYN_DROPPED
                    self.dropped += 1
                    self._lost = True
                case Event(type=0, code=0):  # EV_SYN, SYN_REPORT
                    self._lost = False
                case Event(type=1, code=code, value=1) if not self._lost:  # EV_KEY, pressed
                    yield Press(code, event.seconds + event.microseconds / 1e6)

    def _events(self) -> Iterator[Event]:
        while len(self._buffer) >= SIZE:
            seconds, microseconds, kind, code, value = _EVENT.unpack_from(self._buffer)
            del self._buffer[:SIZE]
            event = Event(kind, code, value, seconds, microseconds)
            if kind > _EV_MAX or not 0 <= microseconds < 1_000_000:
                raise RemoteCodecError(f"no input event: {event.to_bytes().hex(' ')}")
            if kind == EV_KEY and value not in (RELEASED, PRESSED, REPEATED):
                raise RemoteCodecError(f"key {code} has value {value}")
            yield event
