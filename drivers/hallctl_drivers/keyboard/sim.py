"""A keyboard's side: it says keys as the kernel reports them, and takes nothing."""

from collections.abc import Mapping
from typing import ClassVar

from hallctl.driver import WireSimulator
from hallctl.errors import ConfigError
from hallctl_drivers.keyboard.codec import (
    EV_KEY,
    EV_MSC,
    EV_SYN,
    MSC_SCAN,
    PRESSED,
    RELEASED,
    REPEATED,
    SYN_DROPPED,
    SYN_REPORT,
    Event,
)
from hallctl_drivers.keyboard.keys import CODES

_BOUNCES = 3
_REPEATS = 5


class KeyboardSimulator(WireSimulator):
    """``press`` a key by its name; whoever is connected hears it."""

    FAULTS: ClassVar[Mapping[str, str]] = {
        "mute": "no key says anything",
        "chatter": "its contacts bounce: a key is pressed several times within a millisecond",
        "stuck": "a key that was pressed is held for ever, and repeated by the kernel",
        "dropped": "the kernel runs out of room at every key, and says so",
        "half_events": "the stream breaks off within an event (not on a real device)",
    }

    def __init__(self, fault: str | None = None) -> None:
        super().__init__(fault)
        self._seconds = 1_700_000_000

    def feed(self, data: bytes) -> bytes:
        """A keyboard takes nothing."""
        self.refused.append(f"{len(data)} bytes for a keyboard")
        return b""

    def press(self, *names: str) -> None:
        """Press and release each key."""
        for name in names:
            if name not in CODES:
                raise ConfigError(f"there is no key {name!r}", hint="names are those of linux/input-event-codes.h")
            self._say(CODES[name])

    def _say(self, code: int) -> None:
        down = self._report(code, PRESSED)
        up = self._report(code, RELEASED)
        match self.fault:
            case "mute":
                return
            case "chatter":
                self.emit((down + up) * _BOUNCES)
            case "stuck":
                self.emit(down + self._report(code, REPEATED) * _REPEATS)
            case "dropped":
                self.emit(self._event(EV_SYN, SYN_DROPPED, 0) + down + up)
            case "half_events":
                self.emit(down + up[:-7])
            case _:
                self.emit(down + up)

    def _report(self, code: int, value: int) -> bytes:
        self._seconds += 1
        scan = self._event(EV_MSC, MSC_SCAN, 0x70000 + code) if value != REPEATED else b""
        return scan + self._event(EV_KEY, code, value) + self._event(EV_SYN, SYN_REPORT, 0)

    def _event(self, kind: int, code: int, value: int) -> bytes:
        return Event(kind, code, value, self._seconds, 0).to_bytes()
