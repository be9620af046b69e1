"""H.264 in RTP (RFC 6184): single NAL units and FU-A fragments, for interleaved RTSP (RFC 2326, 10.12)."""

import struct
from dataclasses import dataclass

PAYLOAD_TYPE = 96
CLOCK = 90_000  # ticks a second
FRAGMENT = 1400  # bytes of a NAL unit in one packet
_FU_A = 28


@dataclass
class RtpStream:
    """Sequence numbers of one sender."""

    ssrc: int
    sequence: int = 0

    def packets(self, units: tuple[bytes, ...], timestamp: int) -> list[bytes]:
        """One picture as RTP packets; the last one carries the marker."""
        payloads = [payload for unit in units for payload in _payloads(unit)]
        return [self._packet(payload, timestamp, last=payload is payloads[-1]) for payload in payloads]

    def _packet(self, payload: bytes, timestamp: int, *, last: bool) -> bytes:
        self.sequence = (self.sequence + 1) & 0xFFFF
        kind = PAYLOAD_TYPE | (0x80 if last else 0)
        return struct.pack(">BBHII", 0x80, kind, self.sequence, timestamp & 0xFFFFFFFF, self.ssrc) + payload


def interleaved(channel: int, packet: bytes) -> bytes:
    """An RTP packet within the RTSP connection."""
    return struct.pack(">cBH", b"$", channel, len(packet)) + packet


def _payloads(unit: bytes) -> list[bytes]:
    if len(unit) <= FRAGMENT:
        return [unit]
    header, rest = unit[0], unit[1:]
    pieces = [rest[start : start + FRAGMENT] for start in range(0, len(rest), FRAGMENT)]
    fragments = []
    for number, piece in enumerate(pieces):
        flags = (0x80 if number == 0 else 0) | (0x40 if number == len(pieces) - 1 else 0)
        fragments.append(bytes((header & 0xE0 | _FU_A, flags | header & 0x1F)) + piece)
    return fragments
