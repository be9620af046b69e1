"""ESC/POS, the way back: what a printer says, cut into frames. Pure.

Four kinds of answers share one line and are told apart by fixed bits (Epson, "ESC/POS Command Reference", the pages
of ``DLE EOT``, ``GS a``, ``GS r`` and ``GS ( H``): ``b & 93 == 12`` answers ``DLE EOT``, ``b & 93 == 10`` begins four
bytes of automatic status, ``b & 90 == 0`` answers ``GS r``, 37 and 5F begin a block that ends with 00.
"""

from dataclasses import dataclass

from hallctl.errors import RemoteCodecError

_BLOCK_LIMIT = 96  # bytes; the longest block that printers send (GS I) has 80
_XON_XOFF = (0x11, 0x13)


@dataclass(frozen=True, slots=True)
class RealTime:
    """The byte that answers ``DLE EOT n``; it does not say which n."""

    value: int


@dataclass(frozen=True, slots=True)
class AutoStatus:
    """Automatic Status Back: four bytes, sent on every change."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Queued:
    """The byte that answers ``GS r``, in its turn behind the print data."""

    value: int


@dataclass(frozen=True, slots=True)
class Printed:
    """``GS ( H``: everything before the command with this id is on paper."""

    ident: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """Another block (``GS I`` and the like): header byte and content."""

    header: int
    data: bytes


Frame = RealTime | AutoStatus | Queued | Printed | Block


class StatusDecoder:
    """Feed bytes in any pieces, take frames. ``next`` raises nothing but ``RemoteCodecError``, and goes on after it."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._passed = b""
        self.taken = b""  # the bytes of what ``next`` gave last, and of flow control before it

    def feed(self, data: bytes) -> None:
        """Add what has arrived."""
        self._buffer += data

    def reset(self) -> None:
        """Forget half a frame."""
        self._buffer.clear()

    def rest(self) -> bytes:
        """Take what is no whole frame yet."""
        self._take(len(self._buffer))
        return self.taken

    def next(self) -> Frame | None:
        """The next whole frame, or ``None`` while bytes are missing. A byte that can't begin a frame is dropped."""
        while self._buffer and self._buffer[0] in _XON_XOFF:
            self._passed += self._buffer[:1]
            del self._buffer[0]
        if not self._buffer:
            return None
        first = self._buffer[0]
        if first & 0x93 == 0x12:
            return RealTime(self._take(1)[0])
        if first & 0x93 == 0x10:
            return self._auto_status()
        if first & 0x90 == 0:
            return Queued(self._take(1)[0])
        if first in (0x37, 0x5F):
            return self._block()
        raise self._garbage(f"no answer begins with the byte {first:02X}")

    def _auto_status(self) -> Frame | None:
        if any(byte & 0x90 for byte in self._buffer[1:4]):
            raise self._garbage(f"automatic status is broken: {self._buffer[:4].hex(' ')}")
        return AutoStatus(self._take(4)) if len(self._buffer) >= 4 else None

    def _block(self) -> Frame | None:
        end = self._buffer.find(0, 1, _BLOCK_LIMIT)
        if end < 0 and len(self._buffer) >= _BLOCK_LIMIT:
            raise self._garbage("a block does not end")
        if any(byte & 0x80 for byte in self._buffer[1 : end if end >= 0 else _BLOCK_LIMIT]):
            raise self._garbage("a block holds bytes that are no ASCII")
        if end < 0:
            return None
        block = self._take(end + 1)
        if block[0] == 0x37 and block[1] == 0x22:
            if len(block) != 7:
                raise RemoteCodecError(f"an answer to GS ( H has 7 bytes, not {len(block)}")
            return Printed(block[2:6])
        return Block(block[0], block[1:-1])

    def _take(self, count: int) -> bytes:
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        self.taken, self._passed = self._passed + data, b""
        return data

    def _garbage(self, message: str) -> RemoteCodecError:
        self._take(1)
        return RemoteCodecError(message, hint="is this an ESC/POS printer, and is the serial port's speed right?")
