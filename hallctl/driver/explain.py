"""A wire's bytes in words: what a driver's ``explain`` gives for traces, and what most families build it from.

Sans-IO and for people only: nothing is decided by it. Every byte that goes in comes out again, once and in order, as
part of a frame or as bytes that are none, so that a trace never hides anything.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from hallctl.driver.line import Framing
from hallctl.errors import HallctlError
from hallctl.transport import Direction

LONGEST = 4096  # bytes that may wait for the end of a frame


@dataclass(frozen=True, slots=True)
class Explained:
    """One frame with a line about it; ``known`` is false for bytes that are no frame."""

    raw: bytes
    text: str
    known: bool = True


class Explainer(Protocol):
    """One conversation in both directions, bytes in any pieces."""

    def feed(self, direction: Direction, data: bytes) -> list[Explained]:
        """What has become whole with these bytes."""

    def rest(self, direction: Direction) -> list[Explained]:
        """Nothing more comes for what has begun: give it up and say what can be said."""


class FrameExplainer:
    """Cuts by ``probe`` (see ``Framing``) and describes whole frames.

    ``describe``: direction and a frame that ``probe`` has accepted -> one line. ``doubt``: bytes that are no frame ->
    why not, as the codec says it; an error that it or ``describe`` raises is the explanation.
    """

    def __init__(
        self,
        probe: Callable[[bytes], int],
        describe: Callable[[Direction, bytes], str],
        doubt: Callable[[bytes], object] | None = None,
    ) -> None:
        self._probe = probe
        self._describe = describe
        self._doubt = doubt
        self._buffers: dict[Direction, bytearray] = {way: bytearray() for way in Direction}

    def feed(self, direction: Direction, data: bytes) -> list[Explained]:
        """Frames that are whole now, and bytes between them."""
        self._buffers[direction] += data
        return list(self._cut(direction))

    def rest(self, direction: Direction) -> list[Explained]:
        """The frame at the front won't be finished; behind its first byte another may stand whole."""
        found: list[Explained] = []
        lost = bytearray()
        buffer = self._buffers[direction]
        while buffer:
            lost.append(buffer[0])
            del buffer[0]
            for one in self._cut(direction):
                if not one.known:
                    lost += one.raw
                    continue
                found += self._garbage(lost)
                lost = bytearray()
                found.append(one)
        return found + self._garbage(lost)

    def _cut(self, direction: Direction) -> Iterator[Explained]:
        buffer = self._buffers[direction]
        lost = bytearray()
        while buffer:
            length = self._probe(bytes(buffer[:LONGEST]))
            if length == 0 and len(buffer) < LONGEST:
                break
            if not 0 < length <= len(buffer):
                lost.append(buffer[0])
                del buffer[0]
                continue
            yield from self._garbage(lost)
            lost = bytearray()
            frame = bytes(buffer[:length])
            del buffer[:length]
            yield self._frame(direction, frame)
        yield from self._garbage(lost)

    def _frame(self, direction: Direction, frame: bytes) -> Explained:
        try:
            return Explained(frame, self._describe(direction, frame))
        except HallctlError as exc:
            return Explained(frame, exc.message)

    def _garbage(self, lost: bytearray) -> list[Explained]:
        if not lost:
            return []
        raw = bytes(lost)
        try:
            if self._doubt is not None:
                self._doubt(raw)
        except HallctlError as exc:
            return [Explained(raw, exc.message, known=False)]
        return [Explained(raw, "no frame of this family", known=False)]


def by_framing(
    framing: Framing, describe: Callable[[Direction, bytes], str], doubt: Callable[[bytes], object] | None = None
) -> Callable[[], Explainer]:
    """The factory of a family that has a ``Framing``."""
    return lambda: FrameExplainer(framing.probe, describe, doubt)
