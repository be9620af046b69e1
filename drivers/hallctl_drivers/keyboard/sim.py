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
_BOUNCE_S = 0.0002
_REPEAT_S = 0.033  # after a quarter of a second, as the kernel does


class KeyboardSimulator(WireSimulator):
    """``press`` a key by its name; whoever is connected hears it."""

    FAULTS: ClassVar[Mapping[str, str]] = {
        "mute": "no key says anything",
        "chatter": "its contacts bounce: a key is pressed several times within a millisecond",
        "stuck": "a key that was pressed is held for ever, and repeated by the kernel",
        "dropped": "the kernel runs out of room at every key, and says so",
        "half_events": "the stream breaks off within an event (not on a real device)",
    }

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
        now = self.now()
        down = self._report(code, PRESSED, now)
        up = self._report(code, RELEASED, now + 0.05)
        match self.fault:
            case "mute":
                return
            case "chatter":
                edges = [(PRESSED, RELEASED)[edge % 2] for edge in range(2 * _BOUNCES)]
                times = [now + edge * _BOUNCE_S for edge in range(2 * _BOUNCES)]
                self.emit(b"".join(self._report(code, *edge) for edge in zip(edges, times, strict=True)))
            case "stuck":
                times = [now + 0.25 + count * _REPEAT_S for count in range(_REPEATS)]
                self.emit(down + b"".join(self._report(code, REPEATED, at) for at in times))
            case "dropped":
                self.emit(self._event(EV_SYN, SYN_DROPPED, 0, now) + down + up)
            case "half_events":
                self.emit(down + up[:-7])
            case _:
                self.emit(down + up)

    def _report(self, code: int, value: int, at: float) -> bytes:
        scan = self._event(EV_MSC, MSC_SCAN, 0x70000 + code, at) if value != REPEATED else b""
        return scan + self._event(EV_KEY, code, value, at) + self._event(EV_SYN, SYN_REPORT, 0, at)

    def _event(self, kind: int, code: int, value: int, at: float) -> bytes:
        return Event(kind, code, value, int(at), int(at % 1 * 1_000_000)).to_bytes()
