"""What a camera's child does with packets, whether they come from a camera now or from a recording as fast as it plays.

Nothing here knows the time: every packet comes with its own.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from hallctl.camera.clip import ClipWriter, Source
from hallctl.camera.clipfile import PART, Taken, sealed
from hallctl.camera.detector import Detector
from hallctl.camera.messages import Job
from hallctl.camera.picture import Picture
from hallctl.camera.recorder import Kept, Ring, StreamClock
from hallctl.camera.sight import Sight
from hallctl.errors import HallctlError

STATUS_EVERY_S = 2.0
CONFIRM_S = 0.5  # after somebody came or went, so that the second look comes soon
EARLY = 0.85  # a key frame that comes a little early for the next check is taken all the same
LONGEST_GROUP = 1.5  # checks that a group of pictures may last where key frames alone are decoded
GROUPS_TO_TRUST = 3  # short groups in a row, until key frames alone are enough again
UNTIMED_KEPT = 50  # packets at the beginning of a stream without a time of decoding
RAW_EVERY_S = 0.2  # of raw pictures: whole ones would fill the memory
REFERENCE_EVERY_S = 600.0

Say = Callable[..., None]


class Tape:
    """The stream that clips are made of: its ring, and the clips that are being taken."""

    def __init__(self, job: Job, say: Say, *, patient: bool = False) -> None:
        self._job = job
        self._say = say
        self._patient = patient
        self._source: Source | None = None
        self.clock = StreamClock()
        self.ring = Ring(job.ring_s, self.clock)
        self._clips: dict[str, ClipWriter] = {}
        self._writers: list[ClipWriter] = []
        self._last_raw = float("-inf")
        self._untimed: list[Any] = []
        self._rate: Any = None
        self._lock = threading.Lock()  # a stream of its own for clips comes in a thread of its own

    def open(self, template: Any) -> None:
        """A stream begins: what was kept of another one is of no use in a clip with it."""
        self.clock = StreamClock()
        self.ring = Ring(self._job.ring_s, self.clock)
        self._source = Source(template, tuple(self._job.masks))
        self._untimed, self._rate = [], template.average_rate
        for name in list(self._clips):
            self._clips.pop(name).finish()

    def add(self, packet: Any, now: float) -> float:
        """Keep a packet; gives the wall time of its time stamp."""
        stamp = stamp_of(packet)
        if stamp is not None:
            self.clock.note(stamp, now)
        if packet.dts is None:
            group = [] if packet.is_keyframe else self._untimed
            self._untimed = [*group, packet][:UNTIMED_KEPT] if group or packet.is_keyframe else []
        else:
            self._keep_untimed(packet)
            self._keep(packet, stamp)
        return now if stamp is None else self.clock.wall(stamp)

    def _keep_untimed(self, timed: Any) -> None:
        """The first packets of a stream may have no time of decoding: FFmpeg times RTSP from the second picture on, and
        Matroska from the first that is not shown later."""
        if not self._untimed:
            return
        untimed, self._untimed = self._untimed, []
        ticks = max(1, round(1 / (timed.time_base * (self._rate or 25))))
        for before, packet in enumerate(reversed(untimed)):
            packet.time_base = timed.time_base
            packet.dts = timed.dts - ticks * (before + 1)
        for packet in untimed:
            self._keep(packet, stamp_of(packet))

    def _keep(self, packet: Any, stamp: float | None) -> None:
        if stamp is None:
            return
        if self._is_raw() and 0 <= stamp - self._last_raw < RAW_EVERY_S:
            return
        self._last_raw = stamp
        dts = packet.dts
        kept = Kept(bytes(packet), dts if packet.pts is None else packet.pts, dts, packet.is_keyframe, stamp)
        with self._lock:
            self.ring.add(kept)
            for clip in list(self._clips.values()):
                clip.add(kept)

    def begin(self, name: str, since: float, max_s: float) -> None:
        """Begin a clip with what is kept from wall time ``since`` on."""
        if self._source is None:
            raise ValueError("the stream for clips is not there")
        path = Path(self._job.evidence_dir) / f"{name}-clip.mp4"
        free = self._job.free_bytes
        clip = ClipWriter(
            path,
            self._source,
            max_s,
            wall=self.clock.wall,
            free_bytes=free,
            done=self._done,
            name=name,
            patient=self._patient,
        )
        with self._lock:
            for kept in self.ring.since(since):
                clip.add(kept)
            self._clips[name] = clip
        self._writers = [one for one in self._writers if one.is_alive()] + [clip]
        clip.start()

    def finish(self, name: str) -> None:
        """End a clip; ``clip`` or ``clip_failed`` is said when it stands."""
        if (clip := self._clips.pop(name, None)) is not None:
            clip.finish()

    def discard(self, name: str) -> None:
        """Throw a clip away."""
        if (clip := self._clips.pop(name, None)) is not None:
            clip.discard()

    def settle(self) -> None:
        """Wait until every clip that was ended stands."""
        for writer in self._writers:
            if writer.clip not in self._clips:
                writer.join()

    def _is_raw(self) -> bool:
        return self._source is not None and self._source.template.codec_context.name == "rawvideo"

    def _done(self, name: str, taken: Taken | None, trouble: HallctlError | None) -> None:
        self._clips.pop(name, None)
        if taken is not None:
            fields = {"path": str(taken.path), "size": taken.size, "sha256": taken.sha256, "covers": taken.covers}
            self._say("clip", name=name, **fields)
        if trouble is not None:
            code = trouble.code or "evidence.failed"
            self._say("clip_failed", name=name, code=code, message=trouble.message, hint=trouble.hint)


class Watcher:
    """Decodes what has to be decoded of a stream, looks at the posts, and says what it sees."""

    def __init__(self, job: Job, detector: Detector, say: Say, *, patient: bool = False) -> None:
        self._job = job
        self._say = say
        self._sight = Sight(detector, job.posts, job.frozen_after_s)
        self._reference = Path(job.reference) if job.reference else None
        if self._reference is not None:
            self._sight.scene.load(self._reference)
        self._next_reference = 0.0
        self.tape = Tape(job, say, patient=patient)
        self._own = self.tape if job.record is None else Tape(job, say)  # keeps the group of pictures at least
        self._stream: Any = None
        self._keys: Any = None
        self._picture: Picture | None = None
        self._there: dict[str, bool | None] = {}
        self._decode_all = False
        self._short_groups = 0
        self._last_key: float | None = None
        self._next_check = 0.0
        self._next_status = 0.0
        self._began = 0.0
        self._packets = 0
        self._detector_ms = 0.0

    def open(self, stream: Any) -> None:
        """A stream begins (PyAV's video stream)."""
        self._stream = stream
        codec = stream.codec_context
        codec.thread_count = 1
        self._own.open(stream)
        self._keys = _key_decoder(codec)
        self._say("ready", codec=codec.name, width=stream.width, height=stream.height)

    def take(self, packet: Any, now: float) -> None:
        """A packet of the watched stream, which came at wall time ``now``."""
        if packet.size == 0:
            return
        self._packets += 1
        if packet.is_corrupt and packet.is_keyframe:
            return  # half a picture would be decoded, and the other half made up
        wall = self._own.add(packet, now)
        burst = self._choose_mode(packet, wall)
        if self._decode_all:
            for frame in [*burst, *self._decode(packet)]:
                self._show(frame, now)
        elif packet.is_keyframe and wall >= self._next_check - self._job.check_every_s * (1 - EARLY):
            frames = self._decode(packet, self._keys) or self._decode(None, self._keys)
            self._keys.flush_buffers()
            if frames:
                self._show(frames[-1], min(now, wall))
        if now >= self._next_status:
            self._tell_status(now)

    def drain(self, now: float) -> None:
        """The stream has ended: look at what the decoder still held back."""
        if self._decode_all:
            for frame in self._decode(None):
                self._show(frame, now)

    def obey(self, command: dict[str, Any]) -> None:
        """An order of the daemon. Raises ``OSError``, ``ValueError`` or FFmpeg's errors."""
        name = command["name"]
        match command["do"]:
            case "clip_start":
                self.tape.begin(name, command["since"], command["max_s"])
            case "clip_finish":
                self.tape.finish(name)
            case "clip_discard":
                self.tape.discard(name)
            case "snapshot":
                self._say("snapshot", name=name, **self._snapshot(name, command["post"]))
            case "accept":
                self._sight.scene.accept()
                self._next_reference = 0.0

    def _choose_mode(self, packet: Any, wall: float) -> list[Any]:
        """Key frames alone are enough where they come at least as often as the check. Gives what to catch up on."""
        if packet.is_keyframe:
            if self._last_key is not None:
                short = wall - self._last_key <= LONGEST_GROUP * self._job.check_every_s
                self._short_groups = self._short_groups + 1 if short else 0
            self._last_key = wall
            if self._decode_all and self._short_groups >= GROUPS_TO_TRUST:
                self._decode_all = False
                self._stream.codec_context.flush_buffers()
            return []
        if self._decode_all or self._last_key is None:
            return []
        if wall - self._last_key <= LONGEST_GROUP * self._job.check_every_s:
            return []
        self._decode_all, self._short_groups = True, 0
        return [frame for kept in self._own.ring.group()[:-1] for frame in self._decode(self._again(kept))][-1:]

    def _again(self, kept: Kept) -> Any:
        packet = av.Packet(kept.data)
        packet.pts, packet.dts, packet.time_base = kept.pts, kept.dts, self._stream.time_base
        return packet

    def _decode(self, packet: Any, decoder: Any = None) -> list[Any]:
        """The pictures in a packet; a damaged one has none. Damage that lasts is silence, and silence is blindness."""
        try:
            return list((decoder or self._stream.codec_context).decode(packet))
        except av.InvalidDataError:
            return []

    def _show(self, frame: Any, now: float) -> None:
        """A decoded picture: look at it when it is time."""
        known = frame.time is not None and self._own.clock.known
        wall = now if not known else min(now, self._own.clock.wall(frame.time))
        picture = Picture(frame=frame, masks=self._job.masks)
        if frame.key_frame:
            self._sight.note_key_frame(picture, wall)
        if wall >= self._next_check - (0.0 if self._decode_all else self._job.check_every_s * (1 - EARLY)):
            self._look(picture, wall)

    def _look(self, picture: Picture, at: float) -> None:
        self._picture = picture
        began = time.perf_counter()
        scores, reason = self._sight.judge(picture, at)
        self._detector_ms = (time.perf_counter() - began) * 1000
        settled = True
        for post, score in scores.items():
            there = None if score is None else score >= self._job.min_score
            blind = "" if reason == "doubtful" else reason
            if reason == "doubtful" and not there:
                score = there = None  # noqa: PLW2901  # somebody is somebody; nobody in a doubtful picture is nothing
            settled = settled and self._there.get(post) is there
            self._there[post] = there
            self._say("observation", post=post, at=at, score=score, reason=blind)
        pause = self._job.check_every_s if settled else min(CONFIRM_S, self._job.check_every_s)
        self._next_check = at + pause
        if self._reference is not None and at >= self._next_reference and not reason:
            self._next_reference = at + REFERENCE_EVERY_S if self._next_reference else at + 30.0
            self._sight.scene.save(self._reference)

    def _tell_status(self, now: float) -> None:
        mode = "all" if self._decode_all else "key"
        passed = now - self._began if self._began else 0.0
        fps = round(self._packets / passed, 1) if passed > 0 else 0.0
        self._say("status", mode=mode, fps=fps, detector_ms=round(self._detector_ms, 1))
        self._began, self._next_status, self._packets = now, now + STATUS_EVERY_S, 0

    def _snapshot(self, name: str, post: str) -> dict[str, Any]:
        if self._picture is None:
            raise ValueError("there is no picture yet")
        picture = self._picture.bgr.copy()
        if post:
            outline(picture, self._job.posts[post], (0, 200, 255))
        path = Path(self._job.evidence_dir) / f"{name}-snapshot.jpg"
        part = path.with_name(path.name + PART)
        part.touch(mode=0o600)
        part.write_bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes())
        size, sha256 = sealed(part, path)
        return {"path": str(path), "size": size, "sha256": sha256, "covers": None}


def stamp_of(packet: Any) -> float | None:
    """The time stamp of PyAV's packet in seconds of its stream; ``None``: it has none.

    Some files (AVI) know decoding times only.
    """
    ticks = packet.dts if packet.pts is None else packet.pts
    base = packet.time_base
    return None if ticks is None or base is None else ticks * base.numerator / base.denominator


def _key_decoder(codec: Any) -> Any:
    """A decoder for key frames alone. It leaves out what smooths the edges of blocks: nothing is built on these
    pictures, and the detector sees them reduced."""
    decoder = av.CodecContext.create(codec.name, "r")
    decoder.width, decoder.height = codec.width, codec.height
    if codec.pix_fmt:
        decoder.pix_fmt = codec.pix_fmt
    if codec.extradata:
        decoder.extradata = codec.extradata
    decoder.thread_count = 1
    decoder.options = {"skip_loop_filter": "all"}
    return decoder


def outline(picture: Any, zone: list[tuple[float, float]], colour: tuple[int, int, int]) -> None:
    """Draw a polygon (fractions) into a picture (BGR)."""
    height, width = picture.shape[:2]
    corners = np.array([(x * width, y * height) for x, y in zone], np.int32)
    cv2.polylines(picture, [corners], isClosed=True, color=colour, thickness=max(2, height // 360))
