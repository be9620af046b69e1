"""Onbon BX-5K/6K frames in words, for traces."""

from hallctl.driver import Direction, by_framing
from hallctl_drivers.onbon_bx import codec
from hallctl_drivers.onbon_bx.codec import Command, Request
from hallctl_drivers.onbon_bx.frame import (
    CLIENT_ADDRESS,
    END,
    SYNC,
    WILDCARD_ADDRESS,
    OnbonFraming,
    Packet,
    parse_packet,
    unescape,
)

_SYNC = bytes((SYNC,))


def _describe(_direction: Direction, frame: bytes) -> str:
    packet = _packet(frame)
    if packet.destination == CLIENT_ADDRESS:
        return f"card {packet.source} {_answer(packet.data)}"
    card = "any card" if packet.destination == WILDCARD_ADDRESS else f"card {packet.destination}"
    return f"{card}: {_request(codec.decode_request(packet.data))}"


def _packet(frame: bytes) -> Packet:
    return parse_packet(unescape(frame.lstrip(_SYNC).removesuffix(bytes((END,)))))


def _answer(data: bytes) -> str:
    reply = codec.decode_reply(data)
    if reply.is_ack:
        return "answers: done" if not reply.error else f"answers: done, with error {reply.error}"
    if reply.command != Command.NAK:
        return f"says {reply.command:04X} of its own accord"
    meaning, remedy = codec.ERRORS.get(reply.error, ("unknown error", ""))
    return f"refuses: error {reply.error}, {meaning}" + (f" ({remedy})" if remedy else "")


def _request(request: Request) -> str:
    match request.command:
        case Command.PING:
            return "are you there?"
        case Command.POWER:
            return "switch the panel on or off"
        case Command.BRIGHTNESS:
            return "set brightness"
        case Command.CLEAR:
            return "clear an area"
        case Command.SHOW:
            areas = codec.decode_areas(request.body)
            return "show " + ", ".join(repr(area.text) for area in areas) if areas else "take all areas away"
    return f"command {request.command:04X}, {len(request.body)} bytes"


explain = by_framing(OnbonFraming(), _describe, _packet)
