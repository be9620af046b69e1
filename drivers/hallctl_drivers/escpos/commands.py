"""The printer's ear: cuts a stream of ESC/POS into commands, strictly. Pure; used by the simulator.

A real printer takes an unknown command for text and prints garbage. This one names it, so that a test sees it.
"""

from dataclasses import dataclass

from hallctl.errors import RemoteCodecError

# Prefix -> parameter bytes that follow; -1: length in two bytes (pL pH), -2: length in four, -3: raster, -4: cut,
# -5: DLE DC4.
_PARAMETERS: dict[bytes, int] = {
    b"\x10\x04": 1, b"\x10\x05": 1, b"\x10\x14": -5,
    b"\x1b@": 0, b"\x1bi": 0, b"\x1bm": 0, b"\x1ba": 1, b"\x1bE": 1, b"\x1bG": 1, b"\x1bd": 1, b"\x1bJ": 1,
    b"\x1b!": 1, b"\x1b-": 1,
    b"\x1b2": 0, b"\x1b3": 1, b"\x1bt": 1, b"\x1bR": 1, b"\x1bM": 1, b"\x1b ": 1, b"\x1b{": 1, b"\x1bp": 3,
    b"\x1b$": 2, b"\x1b\\": 2, b"\x1bV": 1,
    b"\x1c&": 0, b"\x1c.": 0, b"\x1c!": 1, b"\x1c-": 1, b"\x1cS": 2, b"\x1cW": 1, b"\x1c(": -1,
    b"\x1d!": 1, b"\x1da": 1, b"\x1dr": 1, b"\x1dI": 1, b"\x1dB": 1, b"\x1db": 1, b"\x1dL": 2, b"\x1dW": 2,
    b"\x1dP": 2, b"\x1dh": 1, b"\x1dw": 1, b"\x1dH": 1, b"\x1df": 1, b"\x1d(": -1, b"\x1d8L": -2, b"\x1dv0": -3,
    b"\x1dV": -4,
}  # fmt: skip
_CONTROLS = (0x00, 0x09, 0x0A, 0x0C, 0x0D, 0x18)


@dataclass(frozen=True, slots=True)
class Text:
    """Bytes of characters, in the encoding that is switched on."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Command:
    """One command: ``name`` is its fixed part (``GS (`` with its letter), ``data`` all that follows."""

    name: bytes
    data: bytes = b""


class CommandDecoder:
    """Feed bytes, take commands; ``next`` raises nothing but ``RemoteCodecError`` and goes on after it."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.taken = b""  # the bytes of what ``next`` gave last

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add what has arrived."""
        self._buffer += data

    def reset(self) -> None:
        """Switched off and on."""
        self._buffer.clear()

    def rest(self) -> bytes:
        """Take what is no whole command yet."""
        return self._take(len(self._buffer))

    def next(self) -> Text | Command | None:
        """The next whole command or run of text; ``None`` while bytes are missing."""
        if not self._buffer:
            return None
        first = self._buffer[0]
        if first in _CONTROLS:
            return Command(self._take(1))
        if first >= 0x20:
            return self._text()
        for length in (2, 3):
            name = bytes(self._buffer[:length])
            if name in _PARAMETERS:
                return self._command(name)
        if len(self._buffer) < 3 and any(name.startswith(self._buffer) for name in _PARAMETERS):
            return None
        unknown = self._take(min(2, len(self._buffer)))
        raise RemoteCodecError(f"unknown command {unknown.hex(' ').upper()}")

    def _text(self) -> Text | None:
        end = next((at for at, byte in enumerate(self._buffer) if byte < 0x20), len(self._buffer))
        return Text(self._take(end))

    def _command(self, name: bytes) -> Command | None:
        head, size = self._lengths(name)
        if len(self._buffer) < head or size is None or len(self._buffer) < head + size:
            return None
        return Command(name, self._take(head + size)[len(name) :])

    def _lengths(self, name: bytes) -> tuple[int, int | None]:
        """Bytes up to where the data begins, and of data; ``None`` where the length has not arrived."""
        start, rest = len(name), self._buffer[len(name) :]
        match _PARAMETERS[name]:
            case -1:
                return start + 3, int.from_bytes(rest[1:3], "little") if len(rest) >= 3 else None
            case -2:
                return start + 4, int.from_bytes(rest[:4], "little") if len(rest) >= 4 else None
            case -3:
                across, down = int.from_bytes(rest[1:3], "little"), int.from_bytes(rest[3:5], "little")
                return start + 5, across * down if len(rest) >= 5 else None
            case -4:
                return start + 1, int(rest[0] in (65, 66, 97, 98, 103, 104)) if rest else None
            case -5:
                return start + 1, {1: 2, 2: 2, 7: 1, 8: 7}.get(rest[0], 0) if rest else None
            case count:
                return start, count

    def _take(self, count: int) -> bytes:
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        self.taken = data
        return data
