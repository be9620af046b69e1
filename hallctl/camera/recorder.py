"""The packets of a stream: kept in a ring, so that a clip can begin before the reason for it."""

from collections import deque
from dataclasses import dataclass


class StreamClock:
    """Wall time of a stream's own time stamps.

    Packets arrive in bursts (FFmpeg holds back the first seconds while it probes a stream), their time stamps don't:
    the packet that was least delayed tells how the two go together.
    """

    CREEP = 1e-3  # by how much the camera's clock may run slower than ours
    JUMP_S = 10.0

    def __init__(self) -> None:
        self._offset: float | None = None
        self._noted = 0.0

    @property
    def known(self) -> bool:
        """Whether a time stamp has come yet."""
        return self._offset is not None

    def note(self, stamp: float, arrived: float) -> None:
        """A packet with this time stamp (seconds of the stream) arrived at this wall time."""
        found = arrived - stamp
        if self._offset is None or abs(found - self._offset) > self.JUMP_S:
            self._offset = found
        else:
            self._offset = min(self._offset + self.CREEP * (arrived - self._noted), found)
        self._noted = arrived

    def wall(self, stamp: float) -> float:
        """Wall time (seconds of the epoch) of a time stamp."""
        return stamp + (self._offset or 0.0)


@dataclass(frozen=True, slots=True)
class Kept:
    """A packet as it is kept: its bytes, its own time stamps, and the first of them in seconds of the stream."""

    data: bytes
    pts: int
    dts: int
    key: bool
    stamp: float


class Ring:
    """The last ``seconds`` of a stream."""

    def __init__(self, seconds: float, clock: StreamClock) -> None:
        self._seconds = seconds
        self._clock = clock
        self._packets: deque[Kept] = deque()

    def add(self, packet: Kept) -> None:
        """Keep a packet and forget what is too old: whole groups of pictures, for without its key frame none plays."""
        if self._packets and packet.stamp < self._packets[-1].stamp - self._seconds:
            self._packets.clear()  # the stream's time began anew
        self._packets.append(packet)
        while packet.stamp - self._packets[0].stamp > self._seconds:
            self._packets.popleft()

    def since(self, at: float) -> list[Kept]:
        """From the last key frame at or before wall time ``at`` (else the first one kept) to now."""
        packets = list(self._packets)
        keys = [index for index, packet in enumerate(packets) if packet.key]
        before = [index for index in keys if self._clock.wall(packets[index].stamp) <= at]
        start = before[-1] if before else (keys[0] if keys else len(packets))
        return packets[start:]

    def group(self) -> list[Kept]:
        """The newest group of pictures: from the last key frame on."""
        return self.since(float("inf"))
