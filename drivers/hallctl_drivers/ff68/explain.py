"""FF 68 frames in words, for traces of pads and keypads."""

from hallctl.driver import Direction, by_framing
from hallctl_drivers.ff68 import codec
from hallctl_drivers.ff68.codec import Frame

_KEYS = {
    codec.KEY_START: "start",
    codec.KEY_EVALUATE: "evaluate",
    codec.KEY_CALL: "call",
    codec.KEY_RECALL: "recall",
    codec.KEY_CANCEL: "cancel",
    codec.KEY_CONFIRM: "confirm",
    codec.KEY_ONE_METRE: "one metre",
    codec.KEY_PAUSE: "pause",
    codec.KEY_TRANSFER: "transfer",
}


def _describe_pad(direction: Direction, raw: bytes) -> str:
    frame = Frame.from_bytes(raw)
    match frame.command, tuple(frame.data):
        case codec.CMD_PAD, (codec.START,):
            return f"pad {frame.address}: start an evaluation"
        case codec.CMD_PAD, (key,) if direction is Direction.OUT:
            return f"pad {frame.address}: key {key} is taken, thank the citizen"
        case codec.CMD_SHOW, (stars,):
            return f"pad {frame.address}: show {stars} stars"
        case codec.CMD_RESULT, (key,):
            return f"pad {frame.address} says: key {key} was pressed"
    return _other("pad", frame)


def _describe_keypad(direction: Direction, raw: bytes) -> str:
    frame = Frame.from_bytes(raw)
    if direction is Direction.IN and frame.data:
        digits = "".join(str(digit) for digit in frame.data[:-1])
        key = _KEYS.get(frame.data[-1], f"{frame.data[-1]:02X}")
        return f"keypad {frame.address} says: key {key}" + (f" after {digits}" if digits else "")
    match frame.command:
        case codec.CMD_SHOW:
            return f"keypad {frame.address}: show {_digits(frame.data)!r}"
        case codec.CMD_BEEP:
            return f"keypad {frame.address}: beep"
    return _other("keypad", frame)


def _digits(data: bytes) -> str:
    return "".join(" " if digit == codec.BLANK else f"{digit:X}" for digit in data)


def _other(what: str, frame: Frame) -> str:
    return f"{what} {frame.address}: command {frame.command:02X} {frame.data.hex(' ')}".rstrip()


explain_pad = by_framing(codec.FRAMING, _describe_pad)
explain_keypad = by_framing(codec.FRAMING, _describe_keypad)
