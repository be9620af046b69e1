"""From the bytes of a shared bus to frames of several wire families.

At each position every framing is asked. What nobody claims is garbage: skipped byte by byte and counted. Pure.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from hallctl.driver import Framing

LONGEST_FRAME = 4096


@dataclass(frozen=True, slots=True)
class Found:
    """One whole, valid frame and the family that it is of."""

    framing: Framing
    frame: bytes


class Deframer:
    """Collects bytes. ``garbage`` counts those that belonged to no frame."""

    def __init__(self) -> None:
        self._framings: list[Framing] = []
        self.garbage = 0
        self._buffer = bytearray()

    def add(self, framing: Framing) -> None:
        """Ask this family from now on, too; twice is harmless."""
        if not any(known is framing for known in self._framings):
            self._framings.append(framing)

    def remove(self, framing: Framing) -> None:
        """Ask this family no more."""
        self._framings = [known for known in self._framings if known is not framing]

    @property
    def pending(self) -> bool:
        """Whether the beginning of a frame waits for its end."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Found]:
        """Take bytes in any pieces; the frames that are whole now, in order."""
        self._buffer += data
        return list(self._cut())

    def drop_stale(self) -> list[Found]:
        """The rest of the frame at the front won't come: give its first byte up and look again behind it."""
        self._skip()
        return list(self._cut())

    def clear(self) -> None:
        """Forget what has been collected: the port was closed."""
        self.garbage += len(self._buffer)
        self._buffer.clear()

    def _cut(self) -> Iterator[Found]:
        while self._buffer:
            found, may_grow = self._look()
            if found is not None:
                del self._buffer[: len(found.frame)]
                yield found
            elif may_grow and len(self._buffer) < LONGEST_FRAME:
                return
            else:
                self._skip()

    def _look(self) -> tuple[Found | None, bool]:
        view = bytes(self._buffer[:LONGEST_FRAME])
        may_grow = False
        for framing in self._framings:
            length = framing.probe(view)
            if 0 < length <= len(view):
                return Found(framing, view[:length]), False
            may_grow = may_grow or length == 0
        return None, may_grow

    def _skip(self) -> None:
        if self._buffer:
            del self._buffer[0]
            self.garbage += 1
