"""Clips on disk. A clip grows as a fragmented MP4, so that a crash or a power cut leaves what was taken until then;
when it ends it becomes an ordinary MP4 with its index in front, as browsers like it.

H.264 is copied as it came. What no browser plays (H.265, MJPEG, raw pictures), and what has masks, is encoded.
"""

import contextlib
import json
import queue
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from hallctl.camera.clipfile import PART, ClipLost, GrowingFile, NoSpace, Taken, explained, finished, salvaged
from hallctl.camera.picture import Masks, painted_over
from hallctl.camera.recorder import Kept
from hallctl.errors import HallctlError

PLAYABLE = ("yuv420p", "yuvj420p")  # of H.264; browsers decode no other
FRAGMENT_US = 1_000_000
SYNC_EVERY_S = 5.0  # of the stream: what a power cut may take
WAITING = 4000  # packets that a slow disk may have to catch up with
LONGEST_STEP_BACK_S = 1.0
LOOK_S = 0.5  # for an end that found no place among the packets
MILLISECOND = Fraction(1, 1000)
_GROWING = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": str(FRAGMENT_US)}
_ENCODER = {"preset": "veryfast", "crf": "26", "g": "50", "bf": "0"}


@dataclass(frozen=True, slots=True)
class Source:
    """What a stream is, as a decoder or a container needs it. ``template``: PyAV's stream; it keeps its container."""

    template: Any
    masks: Masks = ()

    @property
    def copied(self) -> bool:
        """Whether its packets can go into a clip as they are."""
        codec = self.template.codec_context
        return not self.masks and codec.name == "h264" and codec.pix_fmt in PLAYABLE


Done = Callable[[str, Taken | None, HallctlError | None], None]


class ClipWriter(threading.Thread):
    """Writes one clip beside the camera's loop: a slow or full disk holds up nothing but the clip.

    ``done`` is called once, from this thread, with what became of it: the clip, the trouble, or both when the
    trouble cut it short. ``limit_s``: length after which it ends itself. ``wall``: wall time of a packet's stamp, which
    is known better the longer the stream runs.
    """

    def __init__(
        self,
        path: Path,
        source: Source,
        limit_s: float,
        *,
        wall: Callable[[float], float],
        free_bytes: int,
        done: Done,
        name: str,
        patient: bool = False,
    ) -> None:
        super().__init__(name=f"clip {name}", daemon=True)
        self.clip = name
        self._path = path
        self._part = path.with_name(path.name + PART)
        self._source = source
        self._wall = wall
        self._limit_s = limit_s
        self._free_bytes = free_bytes
        self._done = done
        self._patient = patient  # of a recording: wait for the disk
        self._packets: queue.Queue[Kept | None] = queue.Queue(WAITING)
        self._first: Kept | None = None
        self._overflown = False
        self._over = threading.Event()
        self._wanted = True

    def add(self, packet: Kept) -> None:
        """One more packet. A clip begins with a key frame; what comes behind the limit ends it."""
        if self._first is None and not packet.key:
            return
        self._first = self._first or packet
        if packet.stamp - self._first.stamp > self._limit_s or self._overflown:
            self.finish()
            return
        try:
            self._packets.put(packet, block=self._patient and self.is_alive())
        except queue.Full:
            self._overflown = True  # the disk is too slow: what was taken is kept

    def finish(self) -> None:
        """The clip is over; ``done`` tells when the file stands."""
        self._over.set()
        with contextlib.suppress(queue.Full):
            self._packets.put_nowait(None)  # so that it need not look for itself

    def discard(self) -> None:
        """Nobody needs it: the file goes, and ``done`` is not called."""
        self._wanted = False
        self.finish()

    def run(self) -> None:
        """Write until it is over."""
        try:
            self._ask_for_space()
            covers = self._write()
            taken = finished(self._part, self._path, covers) if self._wanted else None
        except Exception as exc:  # noqa: BLE001  # whatever it is: somebody waits for a word of this clip
            self._fail(exc)
            return
        if taken is None:
            self._part.unlink(missing_ok=True)
            return
        slow = ClipLost("the disk for evidence is too slow: the clip ends early", hint="check the disk")
        self._done(self.clip, taken, slow if self._overflown else None)

    def _next(self) -> Kept | None:
        while True:
            try:
                return self._packets.get(timeout=LOOK_S)
            except queue.Empty:
                if self._over.is_set():
                    return None

    def _fail(self, exc: Exception) -> None:
        kept = None
        with contextlib.suppress(OSError):
            if self._wanted:
                kept = salvaged(self._part, self._path)
            else:
                self._part.unlink(missing_ok=True)
        if self._wanted:
            self._done(self.clip, kept, explained(exc))

    def _ask_for_space(self) -> None:
        if shutil.disk_usage(self._path.parent).free < self._free_bytes:
            raise NoSpace(
                f"less than {self._free_bytes >> 20} MiB are free on the disk for evidence",
                hint="make room, or lower limits.evidence_mib in controller.yaml; everything else runs on",
            )

    def _write(self) -> tuple[float, float]:
        first = self._next()
        if first is None:
            raise ClipLost("the clip has no picture", hint="the camera sends none")
        began = synced = last = first.stamp
        with GrowingFile(self._part) as file:
            comment = json.dumps({"hallctl": self.clip, "from": self._wall(began)})
            with av.open(file, "w", format="mp4", options=_GROWING) as out:
                out.metadata["comment"] = comment
                track = (_Copied if self._source.copied else _Encoded)(out, self._source, first)
                packet: Kept | None = first
                while packet is not None:
                    last = max(last, packet.stamp)
                    track.add(packet)
                    if last - synced >= SYNC_EVERY_S:
                        synced = last
                        file.sync()
                    packet = self._next()
                track.close()
        return self._wall(began), self._wall(last)


class _Copied:
    """Packets as they came."""

    def __init__(self, out: Any, source: Source, origin: Kept) -> None:
        self._out = out
        self._base = origin.dts
        self._last = origin.dts - 1
        self._time_base = source.template.time_base
        self._stream = out.add_stream_from_template(source.template)

    def add(self, kept: Kept) -> None:
        if kept.dts <= self._last:
            _require_forward(kept, self._last, self._time_base)
            return
        self._last = kept.dts
        packet = av.Packet(kept.data)
        packet.pts, packet.dts = kept.pts - self._base, kept.dts - self._base
        packet.time_base = self._time_base
        packet.is_keyframe = kept.key
        packet.stream = self._stream
        self._out.mux(packet)

    def close(self) -> None:
        """Nothing is held back."""


class _Encoded:
    """Pictures decoded, masked and encoded as H.264."""

    def __init__(self, out: Any, source: Source, origin: Kept) -> None:
        codec = source.template.codec_context
        self._out, self._masks, self._origin = out, source.masks, origin
        self._decoder = av.CodecContext.create(codec.name, "r")
        self._decoder.width, self._decoder.height = codec.width, codec.height
        if codec.pix_fmt:
            self._decoder.pix_fmt = codec.pix_fmt
        if codec.extradata:
            self._decoder.extradata = codec.extradata
        self._time_base = source.template.time_base
        self._stream = out.add_stream("libx264", rate=25, options=_ENCODER)
        self._stream.width, self._stream.height = codec.width // 2 * 2, codec.height // 2 * 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = MILLISECOND
        self._last = -1

    def add(self, kept: Kept) -> None:
        packet = av.Packet(kept.data)
        packet.pts, packet.dts, packet.time_base = kept.pts, kept.dts, self._time_base
        self._encode(packet)

    def close(self) -> None:
        self._encode(None)
        self._out.mux(self._stream.encode(None))

    def _encode(self, packet: Any) -> None:
        for frame in _decoded(self._decoder, packet):
            stamp = self._origin.stamp if frame.pts is None else float(frame.pts * self._time_base)
            moment = max(self._last + 1, round((stamp - self._origin.stamp) * 1000))
            picture = frame
            if self._masks:
                pixels = painted_over(frame.to_ndarray(format="bgr24"), self._masks)
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="bgr24")
            picture = picture.reformat(width=self._stream.width, height=self._stream.height, format="yuv420p")
            picture.pts, picture.time_base = moment, MILLISECOND
            self._last = moment
            self._out.mux(self._stream.encode(picture))


def _require_forward(kept: Kept, last: int, time_base: Any) -> None:
    """A packet of a moment ago is passed over; a camera that sets its clock back ends the clip."""
    if (last - kept.dts) * time_base > LONGEST_STEP_BACK_S:
        raise ClipLost("the camera's time went back: the clip ends there", hint="see to the camera's clock (NTP)")


def _decoded(decoder: Any, packet: Any) -> list[Any]:
    try:
        return list(decoder.decode(packet))
    except av.InvalidDataError:
        return []  # damaged on its way; the next ones may be whole
