"""平安力合 (Ping'an Lihe) frames in words, for traces."""

from hallctl.driver import Direction, by_framing
from hallctl.errors import RemoteCodecError
from hallctl_drivers.pinganlihe import codec
from hallctl_drivers.pinganlihe.codec import Checksum, Command, Frame, Sub

_SUBS = {Sub.WELCOME: "welcome", Sub.PAUSE: "pause", Sub.SERVING: "serving"}


def _describe(_direction: Direction, raw: bytes) -> str:
    if raw[0] == codec.TEXT_START:
        text = codec.decode_text(raw)
        return f"bar {text.address}: show {text.text!r}, {text.colour.name.lower()}, mode {text.mode}"
    return _command(_decode(raw))


def _decode(raw: bytes) -> Frame:
    """By whichever checksum agrees: bars differ in it."""
    try:
        return codec.decode(raw, Checksum.WHOLE)
    except RemoteCodecError:
        return codec.decode(raw, Checksum.LOW_BYTE)


def _command(frame: Frame) -> str:  # noqa: PLR0911  # one return a command
    bar = f"bar {frame.address}"
    match frame.command:
        case Command.ACK:
            return f"{bar} answers: done"
        case Command.ONLINE:
            return f"{bar}: are you there?"
        case Command.VERSION:
            return f"{bar}: which version?"
        case Command.NUMBER | Command.NUMBER_ALTERNATE:
            return f"{bar}: show {frame.data.decode('ascii', 'replace')!r}"
        case Command.WINDOW_BAR | Command.MAIN_BOARD if frame.sub == Sub.CALL:
            call = codec.parse_call(frame.data)
            return f"{bar}: call {call.prefix}{call.number} to window {call.window}"
        case Command.WINDOW_BAR:
            return f"{bar}: {_SUBS.get(Sub(frame.sub), 'other') if frame.sub in set(Sub) else hex(frame.sub)}"
    return f"{bar}: command {frame.command:02X}, subcommand {frame.sub:02X}, {len(frame.data)} bytes"


def _doubt(raw: bytes) -> object:
    return codec.decode_text(raw) if raw[0] == codec.TEXT_START else codec.decode(raw)


explain = by_framing(codec.PingAnLiHeFraming(), _describe, _doubt)
