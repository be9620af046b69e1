"""The device's side of pads and keypads: strict about what it hears, stubborn about what it says.

What a device says it repeats up to three times until the host's acknowledgement came. ``tick`` makes the next
repeat; with ``repeat_s`` set and an event loop running it ticks by itself.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from hallctl.driver import WireSimulator
from hallctl.errors import ConfigError
from hallctl_drivers.ff68 import codec
from hallctl_drivers.ff68.codec import Frame

ATTEMPTS = 3
NOISE = bytes.fromhex("ff 00 68 ff 68 16")

FAULTS = {
    "mute": "hears everything, shows everything, says nothing",
    "noise": "bytes of noise stand before and behind what it says",
    "half_frames": "the first attempt of what it says breaks off in the middle",
    "wrong_address": "what it says carries the next address",
    "bad_checksum": "what it says has a wrong checksum",
    "echo": "the adapter echoes: the host hears every byte that it sends",
    "collisions": "another device speaks into the first attempt of what it says",
}


class Ff68Simulator(WireSimulator):
    """What a pad and a keypad share. ``gave_up`` counts what nobody acknowledged."""

    FAULTS: ClassVar[Mapping[str, str]] = FAULTS

    def __init__(self, fault: str | None = None, address: int = 1, *, repeat_s: float | None = 0.5) -> None:
        super().__init__(fault)
        if not 1 <= address <= 0xFF:
            raise ConfigError(f"{address} is no address of an FF 68 device", hint="addresses are 1 to 255")
        self.address = address
        self.repeat_s = repeat_s
        self.gave_up = 0
        self.acknowledged = 0
        self._heard = bytearray()
        self._saying: Frame | None = None
        self._attempts = 0
        self._timer: asyncio.TimerHandle | None = None

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the bus; others' frames and noise are passed over, broken frames counted in ``refused``."""
        self._heard += data
        while self._heard:
            length = codec.probe(bytes(self._heard))
            if length == 0:
                break
            if length < 0:
                self._refuse_head()
                continue
            frame = Frame.from_bytes(bytes(self._heard[:length]))
            del self._heard[:length]
            self._take(frame)
        return data if self.fault == "echo" else b""

    def tick(self) -> bool:
        """Repeat what has not been acknowledged; false when there is nothing (more) to say."""
        if self._saying is None:
            return False
        if self._attempts >= ATTEMPTS:
            self.gave_up += 1
            self._saying = None
            return False
        self._speak()
        return True

    @abstractmethod
    def _obey(self, frame: Frame) -> str | None:
        """Do what the host wants; a word says why the device refuses."""

    @abstractmethod
    def _acknowledgement(self, frame: Frame) -> Frame:
        """What the host has to send so that ``frame`` is not repeated."""

    def _thanked(self) -> None:
        """The host has acknowledged (default: the device doesn't show it)."""
        return

    def _say(self, frame: Frame) -> None:
        self._saying, self._attempts = frame, 0
        self._speak()

    def _speak(self) -> None:
        assert self._saying is not None  # noqa: S101  # both callers have just looked
        raw = _spoil(self.fault, self._saying.to_bytes(), first=self._attempts == 0)
        self._attempts += 1
        if raw:
            self.emit(raw)
        self._start_timer()

    def _start_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self.repeat_s is not None:
            self._timer = loop.call_later(self.repeat_s, self.tick)

    def _take(self, frame: Frame) -> None:
        if frame.address != self.address:
            return
        if self._saying is not None and frame == self._acknowledgement(self._saying):
            self._saying = None
            self.acknowledged += 1
            self._thanked()
        elif (why := self._obey(frame)) is not None:
            self.refused.append(f"{why}: {frame.to_bytes().hex(' ')}")

    def _refuse_head(self) -> None:
        if self._heard.startswith(codec.HEAD):
            self.refused.append(f"broken frame: {self._heard[:16].hex(' ')}")
        del self._heard[0]


class Ff68PadSimulator(Ff68Simulator):
    """Four or five keys that are lit while ``evaluating``; ``thanked`` counts the thanks that citizens saw."""

    def __init__(
        self,
        fault: str | None = None,
        address: int = 1,
        *,
        keys: int = 4,
        digits: bool = False,
        repeat_s: float | None = 0.5,
    ) -> None:
        super().__init__(fault, address, repeat_s=repeat_s)
        self.keys = keys
        self.evaluating = False
        self.stars: int | None = None
        self.digits = digits
        self.number: str | None = None
        self.thanked = 0

    def press(self, score_index: int) -> bool:
        """A citizen presses a key; false while the keys are dark."""
        if not 0 <= score_index < self.keys:
            raise ConfigError(f"this pad has no key {score_index}", hint=f"its keys are 0 to {self.keys - 1}")
        if not self.evaluating:
            return False
        self.evaluating = False
        self._say(codec.result(self.address, score_index))
        return True

    def _obey(self, frame: Frame) -> str | None:
        match frame.command, frame.data:
            case codec.CMD_PAD, bytes(data) if data == bytes([codec.START]):
                self.evaluating = True
            case codec.CMD_SHOW, bytes(data) if len(data) == 1 and data[0] <= 5:
                self.stars = data[0]
            case codec.CMD_SHOW, bytes(data) if self.digits and _are_digits(data):
                self.number = _shown(data)
            case codec.CMD_PAD, bytes(data) if len(data) == 1 and data[0] < self.keys:
                pass  # a second acknowledgement of what is settled already
            case _:
                return "a pad knows no such frame"
        return None

    def _acknowledgement(self, frame: Frame) -> Frame:
        return codec.acknowledge_result(frame)

    def _thanked(self) -> None:
        self.thanked += 1


class Ff68KeypadSimulator(Ff68Simulator):
    """21 keys and six digits: ``waiting`` and ``ticket`` as they are shown (``None``: blank), ``beeps`` counted."""

    def __init__(self, fault: str | None = None, address: int = 1, *, repeat_s: float | None = 0.5) -> None:
        super().__init__(fault, address, repeat_s=repeat_s)
        self.waiting: str | None = None
        self.ticket: str | None = None
        self.beeps = 0
        self._said: Frame | None = None

    def press_key(self, key: int, argument: str = "") -> None:
        """Staff type digits and press a function key (``codec.KEY_...``)."""
        self._said = codec.key_press(self.address, argument, key)
        self._say(self._said)

    def _obey(self, frame: Frame) -> str | None:
        match frame.command, frame.data:
            case codec.CMD_BEEP, b"":
                self.beeps += 1
            case codec.CMD_SHOW, bytes(data) if _are_digits(data):
                self.waiting, self.ticket = _shown(data[:3]), _shown(data[3:])
            case _ if frame == self._said:
                pass  # a second acknowledgement of what is settled already
            case _:
                return "a keypad knows no such frame"
        return None

    def _acknowledgement(self, frame: Frame) -> Frame:
        return frame


def _are_digits(data: bytes) -> bool:
    return len(data) == 2 * codec.DIGITS and all(digit <= codec.BLANK for digit in data)


def _shown(digits: bytes) -> str | None:
    text = "".join("" if digit == codec.BLANK else str(digit) for digit in digits)
    return text or None


def _spoil(fault: str | None, raw: bytes, *, first: bool) -> bytes:
    """What of ``raw`` reaches the host."""
    spoiled = raw
    match fault:
        case "mute":
            spoiled = b""
        case "noise":
            spoiled = NOISE + raw + NOISE
        case "half_frames" if first:
            spoiled = raw[: len(raw) // 2]
        case "collisions" if first:  # two open collectors: a zero of either wins
            spoiled = bytes(byte & other for byte, other in zip(raw, raw[2:] + raw[:2], strict=True))
        case "wrong_address":
            frame = Frame.from_bytes(raw)
            spoiled = Frame(frame.address % 0xFF + 1, frame.command, frame.data).to_bytes()
        case "bad_checksum":
            spoiled = raw[:-2] + bytes([raw[-2] ^ 0x55]) + raw[-1:]
    return spoiled
