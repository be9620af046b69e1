"""From records of what passed to frames in words; pure, so that a trace taken live decodes later to the same frames.

Where a conversation has a hole (the port was closed, records are missing, a direction was silent for half a second in
the middle of a frame) nothing that began before it is finished by what comes behind it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from hallctl.driver import Direction, Explained, Explainer
from hallctl.link.result_data import TraceRecord

PATIENCE_S = 0.5  # a byte takes a millisecond at 9600; USB adapters pause for 16
_WAYS = (Direction.OUT, Direction.IN)


@dataclass(frozen=True, slots=True)
class Told:
    """One frame, note or run of bytes that are no frame. ``at``: when its last byte was seen."""

    at: datetime
    direction: Direction
    raw: bytes
    text: str
    known: bool = True


class _Hex:
    """Of a driver that explains nothing."""

    def feed(self, _direction: Direction, data: bytes) -> list[Explained]:
        return [Explained(data, "")]

    def rest(self, _direction: Direction) -> list[Explained]:
        return []


class Decoder:
    """``feed`` records in order, ``end`` behind the last. A driver's explainer that fails costs its words only."""

    def __init__(self, explain: Callable[[], Explainer] | None) -> None:
        self._explainer: Explainer = explain() if explain is not None else _Hex()
        self._last: dict[Direction, TraceRecord] = {}
        self._number: int | None = None

    def feed(self, record: TraceRecord) -> list[Told]:
        """What is told of with this record; what it leaves unfinished waits for the next."""
        told = self._hole(record)
        self._number = record.number
        direction = Direction(record.direction)
        if direction is Direction.NOTE:
            return [*told, *self.end(), Told(record.at, direction, b"", record.note)]
        before = self._last.get(direction)
        if before is not None and record.seconds - before.seconds > PATIENCE_S:
            told += self._rest(direction)
        self._last[direction] = record
        data = bytes.fromhex(record.data)
        return told + self._told(direction, record.at, lambda: self._explainer.feed(direction, data), data)

    def end(self) -> list[Told]:
        """Nothing comes any more for what has begun."""
        return [one for direction in _WAYS for one in self._rest(direction)]

    def _hole(self, record: TraceRecord) -> list[Told]:
        missing = 0 if self._number is None else record.number - self._number - 1
        if missing == 0:
            return []
        words = f"{missing} records are missing" if missing > 0 else "the daemon was started anew"
        return [*self.end(), Told(record.at, Direction.NOTE, b"", words, known=False)]

    def _rest(self, direction: Direction) -> list[Told]:
        before = self._last.pop(direction, None)
        if before is None:
            return []
        return self._told(direction, before.at, lambda: self._explainer.rest(direction), b"")

    def _told(
        self, direction: Direction, at: datetime, explain: Callable[[], list[Explained]], data: bytes
    ) -> list[Told]:
        try:
            return [Told(at, direction, one.raw, one.text, one.known) for one in explain()]
        except Exception as exc:  # noqa: BLE001  # a vendor's explainer may raise anything; the bytes are shown all the same
            self._explainer = _Hex()
            return [Told(at, direction, data, f"the driver can't explain this: {exc!r}", known=False)]
