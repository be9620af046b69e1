"""Clips: packets are kept in a ring and remuxed, not re-encoded, so that a clip costs hardly any processor time.

Streams whose packets no browser plays (MJPEG, raw V4L2) are encoded as H.264 when a clip is closed.
"""

import hashlib
from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

MILLISECOND = Fraction(1, 1000)


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
        """Keep a packet and forget what is too old."""
        if self._packets and packet.stamp < self._packets[-1].stamp - self._seconds:
            self._packets.clear()  # the stream's time began anew
        self._packets.append(packet)
        while packet.stamp - self._packets[0].stamp > self._seconds:
            self._packets.popleft()

    def since(self, at: float) -> list[Kept]:
        """From the last key frame at or before ``at`` (else the first one kept) to now."""
        packets = list(self._packets)
        keys = [index for index, packet in enumerate(packets) if packet.key]
        before = [index for index in keys if self._clock.wall(packets[index].stamp) <= at]
        start = before[-1] if before else (keys[0] if keys else len(packets))
        return packets[start:]


@dataclass
class Clip:
    """A clip that is being taken. ``closed`` holds what became of it."""

    name: str
    path: Path
    ends_at: float
    clock: StreamClock
    packets: list[Kept] = field(default_factory=list)
    closed: dict[str, Any] | None = None

    def add(self, packet: Kept) -> None:
        """One more packet, as long as the clip may grow."""
        if self.closed is None and self.clock.wall(packet.stamp) <= self.ends_at:
            self.packets.append(packet)

    def close(self, stream: Any, *, remux: bool) -> dict[str, Any]:
        """Write the file: whole under its name, or not at all. Gives path, size, sha256 and true coverage."""
        if self.closed is not None:
            return self.closed
        if not self.packets:
            raise ValueError("the clip has no picture")
        part = self.path.with_name(self.path.name + ".part")
        part.touch(mode=0o600)
        if remux:
            _remux(part, stream, self.packets)
        else:
            _encode(part, stream, self.packets)
        covers = [self.clock.wall(packet.stamp) for packet in (self.packets[0], self.packets[-1])]
        self.closed = sealed(part, self.path) | {"covers": covers}
        self.packets = []
        return self.closed


def sealed(part: Path, path: Path) -> dict[str, Any]:
    """Rename a finished file and say what it is."""
    data = part.read_bytes()
    part.chmod(0o600)
    part.replace(path)
    return {"path": str(path), "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _remux(path: Path, stream: Any, packets: list[Kept]) -> None:
    base = packets[0].dts
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as out:
        target = out.add_stream_from_template(stream)
        for kept in packets:
            packet = av.Packet(kept.data)
            packet.pts, packet.dts = kept.pts - base, kept.dts - base
            packet.time_base = stream.time_base
            packet.is_keyframe = kept.key
            packet.stream = target
            out.mux(packet)


def _encode(path: Path, stream: Any, packets: list[Kept]) -> None:
    source = stream.codec_context
    decoder = av.CodecContext.create(source.name, "r")
    decoder.width, decoder.height = source.width, source.height
    if source.pix_fmt:
        decoder.pix_fmt = source.pix_fmt
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as out:
        target = out.add_stream("libx264", rate=25, options={"preset": "veryfast", "crf": "26"})
        target.width, target.height, target.pix_fmt = source.width // 2 * 2, source.height // 2 * 2, "yuv420p"
        target.codec_context.time_base = MILLISECOND
        for kept in packets:
            for picture in decoder.decode(av.Packet(kept.data)):
                frame = picture.reformat(width=target.width, height=target.height, format="yuv420p")
                frame.pts, frame.time_base = int((kept.stamp - packets[0].stamp) * 1000), MILLISECOND
                out.mux(target.encode(frame))
        out.mux(target.encode(None))
