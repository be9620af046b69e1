"""Events of a keyboard in words, for traces."""

from hallctl.driver import Direction, Explainer, FrameExplainer
from hallctl_drivers.keyboard import codec
from hallctl_drivers.keyboard.codec import Event
from hallctl_drivers.keyboard.keys import NAMES

_VALUES = {codec.RELEASED: "released", codec.PRESSED: "pressed", codec.REPEATED: "held"}


def _probe(buffer: bytes) -> int:
    if len(buffer) < codec.SIZE:
        return 0
    return codec.SIZE if Event.from_bytes(buffer[: codec.SIZE]).is_possible else -1


def _describe(_direction: Direction, raw: bytes) -> str:
    event = Event.from_bytes(raw)
    match event:
        case Event(type=codec.EV_KEY, code=code, value=value):
            return f"{NAMES.get(code, f'key {code}')} {_VALUES[value]}"
        case Event(type=codec.EV_SYN, code=codec.SYN_DROPPED):
            return "the kernel had no room: keys are lost"
        case Event(type=codec.EV_SYN):
            return "end of a report"
        case Event(type=codec.EV_MSC, code=codec.MSC_SCAN, value=value):
            return f"scan code {value:X}"
    return f"event type {event.type}, code {event.code}, value {event.value}"


def explain() -> Explainer:
    """What ``hallctl trace`` prints."""
    return FrameExplainer(_probe, _describe)
