"""Alpha packets in words, for traces."""

from hallctl.driver import Direction, by_framing
from hallctl_drivers.alpha import codec

_COMMANDS = {
    codec.WRITE_TEXT: "write text",
    codec.WRITE_SPECIAL: "write special function",
    codec.READ_SPECIAL: "read special function",
}
_FUNCTIONS = {
    codec.STATUS: "serial error status",
    codec.CLEAR_STATUS: "clear serial errors",
    codec.DIMMING: "dimming",
    codec.SOFT_RESET: "soft reset",
}


def _describe(_direction: Direction, frame: bytes) -> str:
    packet = codec.decode_packet(frame)
    if (register := codec.read_status(packet)) is not None:
        return f"answer: serial error status: {codec.meaning(register)}"
    whom = f"sign {packet.address}" if packet.address else "every sign"
    if packet.command == codec.WRITE_TEXT:
        text = codec.read_text(packet.data)
        shown = f"{text.text!r}, {text.colour.name.lower()}, {text.mode.name.lower()}"
        return f"{whom}: show {shown}" if text.text else f"{whom}: take the text away"
    what = packet.data[:1].decode("ascii")
    command = _COMMANDS.get(packet.command, f"command {packet.command!r}")
    return f"{whom}: {command}: {_FUNCTIONS.get(what, repr(what))} {packet.data[1:].decode('ascii')}".rstrip()


explain = by_framing(codec.AlphaFraming(), _describe, codec.decode_packet)
