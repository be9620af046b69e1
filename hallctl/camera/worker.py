"""The child process of one camera: ``python -m hallctl.camera.worker``.

It opens the stream, looks at the posts, keeps the ring and takes clips. A read that hangs or a decoder that crashes
takes only this process along; the daemon kills and replaces it. It ends when its standard input ends.
"""

import json
import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from hallctl.camera.detector import Picture, SsdLite
from hallctl.camera.messages import Job, line
from hallctl.camera.recorder import Clip, Kept, Ring, StreamClock, sealed
from hallctl.camera.sight import Sight
from hallctl.errors import HallctlError

OPEN_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 8.0
STATUS_EVERY_S = 2.0
KEY_EVERY_S = 0.5  # every picture of MJPEG is a key frame: so many are enough
EARLY = 0.85  # a key frame that comes a little early for the next check is taken all the same


class Worker:
    """Everything that the child does, in one loop over the stream's packets."""

    def __init__(self, job: Job, commands: "queue.SimpleQueue[dict[str, Any]]") -> None:
        self._job = job
        self._commands = commands
        self._sight = Sight(SsdLite(Path(job.model), published=job.published_model), dict(job.posts))
        self._clock = StreamClock()
        self._ring = Ring(job.ring_s, self._clock)
        self._clips: dict[str, Clip] = {}
        self._picture: Picture | None = None
        self._stream: Any = None
        self._decode_all = not job.remux
        self._last_key: float | None = None
        self._next_check = 0.0
        self._next_status = 0.0
        self._next_key = 0.0
        self._frames = 0
        self._detector_ms = 0.0
        self._is_file = Path(job.url).is_file()

    def run(self) -> None:
        """Watch the stream until it ends; raises what PyAV raises."""
        timeout = None if self._is_file else (OPEN_TIMEOUT_S, READ_TIMEOUT_S)
        with av.open(self._job.url, format=self._job.container, options=self._job.options, timeout=timeout) as source:
            self._stream = stream = source.streams.video[0]
            stream.codec_context.thread_count = 1
            say(line("ready", codec=stream.codec_context.name, width=stream.width, height=stream.height))
            began = time.time()
            for packet in source.demux(stream):
                if packet.size == 0:
                    continue
                if self._is_file:
                    _keep_pace(packet, began)
                self._take(packet, time.time())
                self._obey()

    def _take(self, packet: Any, now: float) -> None:
        self._frames += 1
        if packet.pts is not None and packet.dts is not None:
            kept = Kept(bytes(packet), packet.pts, packet.dts, packet.is_keyframe, float(packet.pts * packet.time_base))
            self._clock.note(kept.stamp, now)
            self._ring.add(kept)
            for clip in self._clips.values():
                clip.add(kept)
        self._choose_mode(packet, now)
        due = now >= self._next_check - self._job.check_every_s * (1 - EARLY)
        if self._decode_all:
            pictures = self._decode(packet)
            if pictures and packet.is_keyframe and now >= self._next_key:
                self._next_key = now + KEY_EVERY_S
                self._sight.note_key_frame(pictures[-1].to_ndarray(format="bgr24"), now)
            if due and pictures:
                self._look(pictures[-1], now)
        elif packet.is_keyframe and due:
            self._look_at_key_frame(packet, now)
        if now >= self._next_status:
            self._tell_status(now)

    def _choose_mode(self, packet: Any, now: float) -> None:
        """Key frames alone are enough only where they come at least as often as the check."""
        if not packet.is_keyframe:
            late = self._last_key is not None and now - self._last_key > 1.5 * self._job.check_every_s
            self._decode_all = self._decode_all or late
            return
        self._last_key = now

    def _look_at_key_frame(self, packet: Any, now: float) -> None:
        pictures = self._decode(packet) or self._decode(None)
        self._stream.codec_context.flush_buffers()
        if pictures:
            self._sight.note_key_frame(pictures[-1].to_ndarray(format="bgr24"), now)
            self._look(pictures[-1], now)

    def _decode(self, packet: Any) -> list[Any]:
        """The pictures in a packet; a damaged one has none. Damage that lasts is silence, and silence is blindness."""
        try:
            return list(self._stream.codec_context.decode(packet))
        except av.InvalidDataError:
            return []

    def _look(self, frame: Any, now: float) -> None:
        self._next_check = now + self._job.check_every_s
        self._picture = frame.to_ndarray(format="bgr24")
        began = time.perf_counter()
        scores, reason = self._sight.judge(self._picture)
        self._detector_ms = (time.perf_counter() - began) * 1000
        for post, score in scores.items():
            say(line("observation", post=post, at=now, score=score, reason=reason))

    def _tell_status(self, now: float) -> None:
        mode = "all" if self._decode_all else "key"
        fps = round(self._frames / STATUS_EVERY_S, 1) if self._next_status else 0.0
        say(line("status", mode=mode, fps=fps, detector_ms=round(self._detector_ms, 1)))
        self._next_status, self._frames = now + STATUS_EVERY_S, 0

    def _obey(self) -> None:
        while not self._commands.empty():
            command = self._commands.get()
            try:
                self._carry_out(command)
            except (OSError, ValueError, av.FFmpegError) as exc:
                say(line("failed", request=command["do"], name=command["name"], message=str(exc)))

    def _carry_out(self, command: dict[str, Any]) -> None:
        name = command["name"]
        match command["do"]:
            case "clip_start":
                folder, now = Path(self._job.evidence_dir), time.time()
                clip = Clip(name, folder / f"{name}-clip.mp4", now + command["max_s"], self._clock)
                for kept in self._ring.since(now - command["preroll_s"]):
                    clip.add(kept)
                self._clips[name] = clip
            case "clip_finish":
                if name not in self._clips:
                    raise ValueError("no such clip is being taken")
                result = self._clips[name].close(self._stream, remux=self._job.remux)
                del self._clips[name]
                say(line("clip", name=name, **result))
            case "snapshot":
                say(line("snapshot", name=name, **self._snapshot(name, command["post"])))

    def _snapshot(self, name: str, post: str) -> dict[str, Any]:
        if self._picture is None:
            raise ValueError("there is no picture yet")
        picture = self._picture.copy()
        height, width = picture.shape[:2]
        corners = np.array([(x * width, y * height) for x, y in self._job.posts[post]], np.int32)
        cv2.polylines(picture, [corners], isClosed=True, color=(0, 200, 255), thickness=2)
        path = Path(self._job.evidence_dir) / f"{name}-snapshot.jpg"
        part = path.with_name(path.name + ".part")
        part.touch(mode=0o600)
        part.write_bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes())
        return sealed(part, path) | {"covers": None}


def _keep_pace(packet: Any, began: float) -> None:
    """A recording plays at its own pace."""
    if packet.pts is not None and packet.time_base is not None:
        time.sleep(max(0.0, began + float(packet.pts * packet.time_base) - time.time()))


def say(message: bytes) -> None:
    """One line to the daemon."""
    sys.stdout.buffer.write(message)
    sys.stdout.buffer.flush()


def explain(exc: BaseException) -> tuple[str, str, str]:  # noqa: PLR0911  # one return a kind of error
    """An error of PyAV as code, message and hint."""
    network = "check the camera's power, cable and address"
    match exc:
        case HallctlError():
            return "camera.model", exc.message, exc.hint
        case av.HTTPUnauthorizedError() | av.HTTPForbiddenError():
            return "camera.unauthorised", "the camera refuses user and password", "check username and password"
        case av.HTTPNotFoundError():
            return "camera.no_such_stream", "the camera has no stream of this name", "check the path in url"
        case av.ExitError() | TimeoutError():
            return "camera.stalled", "the camera stopped sending", network
        case FileNotFoundError():
            return "camera.unreachable", "there is no such device or file", "check url"
        case av.FFmpegError() | OSError():
            return "camera.unreachable", f"the stream can't be read: {exc.strerror or exc}", network
    return "camera.failed", repr(exc), "tell the maintainers; the log has the trace"


def main() -> int:
    """Read the job from standard input, work, say why it ended."""
    av.logging.set_level(None)
    job = Job.decode(sys.stdin.readline())
    commands: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(commands,), daemon=True).start()
    try:
        Worker(job, commands).run()
    except (HallctlError, av.FFmpegError, OSError) as exc:
        code, message, hint = explain(exc)
        say(line("error", code=code, message=_without_secret(message, job), hint=hint))
        return 1
    say(line("error", code="camera.ended", message="the stream has ended", hint=""))
    return 0


def _listen(commands: "queue.SimpleQueue[dict[str, Any]]") -> None:
    for text in sys.stdin:
        commands.put(json.loads(text))
    os._exit(0)  # the daemon has gone


def _without_secret(text: str, job: Job) -> str:
    return text.replace(job.url, job.shown_url)


if __name__ == "__main__":
    sys.exit(main())
