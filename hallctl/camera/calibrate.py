"""One look through a camera with everything drawn that decides: zones, masks, what the detector finds."""

import itertools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2

from hallctl.camera.detector import Detector, people_near
from hallctl.camera.messages import Job
from hallctl.camera.picture import Bgr, Picture
from hallctl.camera.watcher import outline
from hallctl.camera.worker import explain, open_stream
from hallctl.errors import TransportUnavailable
from hallctl.post.zone import contains

LEAST_SHOWN = 0.15  # what scores less is clutter
LOOK_S = 6.0  # long enough for the camera's exposure and for two key frames of most cameras
_ZONE, _MASK, _PERSON, _OTHER = (0, 200, 255), (60, 60, 60), (80, 220, 60), (200, 160, 60)


@dataclass(frozen=True, slots=True)
class Found:
    """What the detector found near a post. ``box``: left, top, right, bottom as fractions; ``counts``: in the zone."""

    post: str
    score: float
    box: tuple[float, float, float, float]
    counts: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """A look. ``key_every_s``: longest pause between key frames, or ``None`` when fewer than two came."""

    picture: Bgr
    codec: str
    size: tuple[int, int]
    fps: float
    key_every_s: float | None
    found: tuple[Found, ...]


def look_through(job: Job, detector: Detector, *, seconds: float = LOOK_S) -> Calibration:
    """Open the watched stream, look for a while, and judge the last picture. Raises ``TransportUnavailable``."""
    try:
        return _look(job, detector, seconds)
    except (av.FFmpegError, OSError) as exc:
        code, message, hint = explain(exc)
        raise TransportUnavailable(f"{job.watch.shown}: {message}", code=code, hint=hint) from exc


def _look(job: Job, detector: Detector, seconds: float) -> Calibration:
    with open_stream(job.watch) as source:
        stream = source.streams.video[0]
        stream.codec_context.thread_count = 1
        frame, count, keys, last = None, 0, list[float](), 0.0
        is_file, ends_at = Path(job.watch.url).is_file(), time.monotonic() + seconds
        for packet in source.demux(stream):
            if packet.size == 0 or packet.pts is None:
                continue
            count, last = count + 1, float(packet.pts * packet.time_base)
            keys += [last] if packet.is_keyframe else []
            frame = next(reversed(_decoded(stream, packet)), frame)
            if last - keys[0] >= seconds if is_file and keys else time.monotonic() >= ends_at:
                break
        if frame is None:
            raise TransportUnavailable(f"{job.watch.shown}: no picture came", hint="check the camera")
        pauses = [later - earlier for earlier, later in itertools.pairwise(keys)]
        picture = Picture(frame=frame, masks=job.masks).bgr
        found = [
            Found(post, one.score, _box(one), contains(zone, (one.x, one.y)))
            for post, zone in job.posts.items()
            for one in people_near(detector, picture, zone, LEAST_SHOWN)
        ]
        rate = round((count - 1) / (last - keys[0]), 1) if keys and last > keys[0] else 0.0
        size = (stream.width, stream.height)
        return Calibration(picture, stream.codec_context.name, size, rate, max(pauses, default=None), tuple(found))


def drawn(job: Job, look: Calibration) -> Bgr:
    """The picture with zones (yellow, by name), masks (filled), people who count (green) and others (blue)."""
    picture = look.picture.copy()
    height, width = picture.shape[:2]
    for mask in job.masks:
        outline(picture, mask, _MASK)
    for post, zone in job.posts.items():
        outline(picture, zone, _ZONE)
        left, top = min(x for x, _ in zone) * width, min(y for _, y in zone) * height
        _write(picture, post, int(left) + 4, int(top) + 4, _ZONE)
    for one in look.found:
        colour = _PERSON if one.counts and one.score >= job.min_score else _OTHER
        x0, y0, x1, y1 = (round(value * side) for value, side in zip(one.box, (width, height) * 2, strict=True))
        cv2.rectangle(picture, (x0, y0), (x1, y1), colour, max(1, height // 540))
        _write(picture, f"{one.score:.2f}", x0, max(0, y1), colour)
    return picture


def as_png(picture: Bgr) -> bytes:
    """The picture as a PNG file's bytes."""
    return cv2.imencode(".png", picture)[1].tobytes()


def _decoded(stream: Any, packet: Any) -> list[Any]:
    try:
        return list(stream.codec_context.decode(packet))
    except av.InvalidDataError:
        return []


def _box(one: Any) -> tuple[float, float, float, float]:
    return one.x - one.width / 2, one.y - one.height / 2, one.x + one.width / 2, one.y + one.height / 2


def _write(picture: Bgr, text: str, x: int, y: int, colour: tuple[int, int, int]) -> None:
    scale = max(0.4, picture.shape[0] / 900)
    (wide, high), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    y = min(y, picture.shape[0] - high - 2 * below)
    cv2.rectangle(picture, (x, y), (x + wide + 4, y + high + below + 4), (20, 20, 20), -1)
    cv2.putText(picture, text, (x + 2, y + high + 2), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)
