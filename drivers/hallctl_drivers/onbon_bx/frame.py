"""The wrapper around everything that an Onbon BX-5K/6K card is sent or says: sync, header, CRC, escapes; sans-IO.

Section numbers are those of the vendor's "BX-5K/6K communication protocol, user version" 1.4.
"""

import re
from dataclasses import dataclass

from hallctl.errors import LocalCodecError, RemoteCodecError

SYNC = 0xA5
END = 0x5A
WILDCARD_ADDRESS = 0xFFFE  # section 4: any card, and it answers
BROADCAST_ADDRESS = 0xFFFF  # section 4: every card, none answers
CLIENT_ADDRESS = 0x8000  # section 4: the first address of client software
ANY_DEVICE = 0xFE
VERSION = 0x02

_SYNC_COUNT = 8  # section 3: more than needed, because the first ones get lost on the wire
_HEADER_SIZE = 14
_CRC_SIZE = 2
_MAX_DATA = 4096  # a card's own buffer is 1024 (section 5.1.3)
_LONGEST_ON_BUS = 2400  # twice a card's buffer, were every byte escaped, and the header
_MAX_ESCAPED = 2 * (_HEADER_SIZE + _MAX_DATA + _CRC_SIZE)
_ESCAPES = {b"\xa5": b"\xa6\x02", b"\xa6": b"\xa6\x01", b"\x5a": b"\x5b\x02", b"\x5b": b"\x5b\x01"}
_UNESCAPES = {escaped: plain for plain, escaped in _ESCAPES.items()}
_SPECIAL = re.compile(rb"[\xa5\xa6\x5a\x5b]")
_ESCAPED = re.compile(rb"[\xa6\x5b].?", re.DOTALL)


class CrcError(RemoteCodecError):
    """A whole frame whose CRC is wrong; a card answers it with NAK 5."""


@dataclass(frozen=True, slots=True)
class Packet:
    """Header and data of one frame. ``destination`` and ``source`` are bus addresses, 16 bits each."""

    destination: int
    source: int
    data: bytes
    device_type: int = ANY_DEVICE
    display_mode: int = 0


def _crc_of(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0xA001 if byte & 1 else 0)
    return byte


_CRC_TABLE = tuple(_crc_of(byte) for byte in range(256))


def crc16(data: bytes) -> int:
    """CRC-16 with the reflected polynomial A001 and initial value 0 (appendix)."""
    crc = 0
    for byte in data:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc


def encode_packet(packet: Packet) -> bytes:
    """The bytes on the wire. Raises ``LocalCodecError`` when the packet is larger than a frame can carry."""
    if len(packet.data) > _MAX_DATA:
        raise LocalCodecError(f"{len(packet.data)} bytes of data don't fit into a frame of {_MAX_DATA}")
    header = b"".join(
        (
            packet.destination.to_bytes(2, "little"),
            packet.source.to_bytes(2, "little"),
            bytes(3),  # reserved
            bytes((0, 0)),  # no bar code follows; the check is a CRC
            bytes((packet.display_mode, packet.device_type, VERSION)),
            len(packet.data).to_bytes(2, "little"),
        )
    )
    body = header + packet.data
    body += crc16(body).to_bytes(2, "little")
    return bytes([SYNC] * _SYNC_COUNT) + escape(body) + bytes([END])


def escape(plain: bytes) -> bytes:
    """Keep sync and end out of a frame's inside (section 3.3)."""
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], plain)


def unescape(escaped: bytes) -> bytes:
    """Undo ``escape``; raises ``RemoteCodecError`` for an escape that does not exist or is cut off."""
    return _ESCAPED.sub(_unescaped, escaped)


def _unescaped(found: re.Match[bytes]) -> bytes:
    plain = _UNESCAPES.get(found[0])
    if plain is None:
        raise RemoteCodecError(f"no such escape: {found[0].hex(' ')}")
    return plain


def parse_packet(body: bytes) -> Packet:
    """Read an unescaped frame from header to CRC. Raises ``CrcError`` or ``RemoteCodecError``."""
    if len(body) < _HEADER_SIZE + _CRC_SIZE:
        raise RemoteCodecError(f"a frame of {len(body)} bytes is too short")
    inside, check = body[:-_CRC_SIZE], int.from_bytes(body[-_CRC_SIZE:], "little")
    if crc16(inside) != check:
        raise CrcError(f"CRC is {check:04X}, the frame's bytes give {crc16(inside):04X}")
    header, data = inside[:_HEADER_SIZE], inside[_HEADER_SIZE:]
    if header[7] or header[8]:
        raise RemoteCodecError(f"bar code option {header[7]:02X} and check mode {header[8]:02X} are not supported")
    if header[11] != VERSION:
        raise RemoteCodecError(f"protocol version is {header[11]:02X}, not {VERSION:02X}")
    if int.from_bytes(header[12:14], "little") != len(data):
        raise RemoteCodecError(f"the header promises {header[12] | header[13] << 8} bytes of data, {len(data)} came")
    return Packet(
        destination=int.from_bytes(header[0:2], "little"),
        source=int.from_bytes(header[2:4], "little"),
        data=data,
        device_type=header[10],
        display_mode=header[9],
    )


class OnbonFraming:
    """Finds the family's frames on a shared line (``hallctl.driver.Framing``)."""

    def probe(self, buffer: bytes) -> int:
        """Length of the valid frame at the start; 0: more bytes are needed; -1: no frame of this family."""
        start = len(buffer) - len(buffer.lstrip(bytes((SYNC,))))
        if buffer and not start:
            return -1
        end = buffer.find(END, start)
        inside = buffer[start : end if end >= 0 else None]
        if SYNC in inside or len(inside) > _LONGEST_ON_BUS:
            return -1
        if end < 0:
            return 0
        try:
            parse_packet(unescape(inside))
        except RemoteCodecError:
            return -1
        return end + 1

    def address_of(self, frame: bytes) -> int | None:
        """The card's screen number, in both directions."""
        packet = parse_packet(unescape(frame.strip(bytes((SYNC,)))[:-1]))
        return packet.source if packet.destination == CLIENT_ADDRESS else packet.destination


class PacketDecoder:
    """Cuts a byte stream into packets. Noise before a sync byte is skipped; a frame that is wrong inside is an error.

    ``feed`` bytes in any pieces, then call ``next`` until it gives ``None``. After an error the decoder goes on with
    what follows the bad frame.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take what came from the wire."""
        self._buffer += data

    def reset(self) -> None:
        """Forget a half frame."""
        self._buffer.clear()

    def next(self) -> Packet | None:
        """The next packet; ``None``: more bytes are needed. Raises ``RemoteCodecError`` for a bad frame."""
        self._skip_to_frame()
        end = self._buffer.find(END)
        restart = self._buffer.find(SYNC, 1) if self._buffer else -1
        if restart >= 0 and (end < 0 or restart < end):
            del self._buffer[:restart]
            raise RemoteCodecError("a frame was cut off by the next one")
        if end < 0:
            self._refuse_endless()
            return None
        escaped = bytes(self._buffer[1:end])
        del self._buffer[: end + 1]
        return parse_packet(unescape(escaped))

    def _skip_to_frame(self) -> None:
        """Drop noise and all sync bytes but the last: one is enough (section 3, item 1)."""
        start = self._buffer.find(SYNC)
        if start < 0:
            self._buffer.clear()
            return
        while start + 1 < len(self._buffer) and self._buffer[start + 1] == SYNC:
            start += 1
        del self._buffer[:start]

    def _refuse_endless(self) -> None:
        if len(self._buffer) > _MAX_ESCAPED:
            size = len(self._buffer)
            self._buffer.clear()
            raise RemoteCodecError(f"{size} bytes came without the end of a frame")
