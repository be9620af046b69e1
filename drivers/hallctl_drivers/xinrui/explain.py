"""欣瑞 (Xinrui) frames in words, for traces."""

from hallctl.driver import Direction, by_framing
from hallctl_drivers.xinrui import codec

_REPLY_SIZE = 5


def _describe(_direction: Direction, frame: bytes) -> str:
    if len(frame) == _REPLY_SIZE:
        reply = codec.decode_reply(frame)
        return f"bar {reply.address} answers: {'shown' if reply.done else 'not shown'}"
    text = codec.decode_text(frame)
    colours = sorted({colour for _, colour in text.cells})
    return f"bar {text.address}: show {text.text!r}, colour {', '.join(map(str, colours)) or 'none'}"


explain = by_framing(codec.XinruiFraming(), _describe, codec.decode_text)
