"""What watching a post costs: hallctl beside two other ways, on the same recording, in the same run.

    .venv/bin/python bench/attendance.py [--video FILE] [--seconds 120] [--post 0.36,0,0.78,1]

- hallctl: the child's own watcher: key frames, one check every 2 s, an unchanged post reuses its answer.
- plain: OpenCV's VideoCapture, every frame decoded, the detector once a second.
- motion: every frame decoded, five looks a second for motion, the detector behind motion (as NVRs do).

All three use the same detector on the same crop. The stream is 1080p H.264 at 25 pictures a second with a key frame
every 2 s, made of FILE (scaled up) with a sensor's noise put on it; without FILE of a drawn counter where somebody
comes and goes. Processor time is of the whole process, all threads. The packets come from a
file: what the network costs is not in any of them.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from hallctl.camera.detector import Detector, score_at_post, surroundings
from hallctl.camera.detectors import load_detector
from hallctl.camera.messages import Job, Stream
from hallctl.camera.watcher import Watcher, stamp_of

WIDTH, HEIGHT, FPS, GOP_S = 1920, 1080, 25, 2
MODELS = Path(__file__).parents[1] / "build" / "models"
Zone = list[tuple[float, float]]


def main() -> None:
    """Make the stream, run the three ways, print a table and a JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, help="a recording to make the stream of")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--post", default="0.36,0,0.78,1", help="left,top,right,bottom as fractions")
    parser.add_argument("--check", type=float, default=2.0, help="hallctl's check, seconds")
    options = parser.parse_args()
    x0, y0, x1, y1 = (float(one) for one in options.post.split(","))
    zone = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    detector = load_detector(MODELS / "person-ssdlite300.onnx")
    with tempfile.TemporaryDirectory() as folder:
        stream = Path(folder) / "stream.mp4"
        print(f"making {options.seconds:g} s of {WIDTH}x{HEIGHT} H.264 ...", flush=True)
        seconds = make(stream, options.video, options.seconds)
        bits = stream.stat().st_size * 8 / seconds / 1e6
        ways = {
            "hallctl": lambda: hallctl(stream, zone, detector, options.check),
            "plain": lambda: plain(stream, zone, detector),
            "motion": lambda: motion(stream, zone, detector),
        }
        detector.detect(np.zeros((300, 300, 3), np.uint8), 0.3)  # what is made at the first use
        found = {name: measured(way, seconds) for name, way in ways.items()}
    print(f"{seconds:.0f} s, {bits:.1f} Mbit/s, a key frame every {GOP_S} s; one post a camera\n")
    print(f"{'way':8} {'CPU s a camera-hour':>20} {'posts a core':>13} {'detections':>11} {'of plain':>9}")
    for name, one in found.items():
        share = one["cpu_s"] / found["plain"]["cpu_s"]
        hour, posts = one["cpu_s"] / seconds * 3600, seconds / one["cpu_s"]
        print(f"{name:8} {hour:20.0f} {posts:13.1f} {one['detections']:11} {share:9.3f}")
    print(json.dumps({"seconds": seconds, "mbit_s": round(bits, 2), **found}))


def measured(way: Any, seconds: float) -> dict[str, Any]:
    """Processor seconds of one way, and how often it asked the detector."""
    began = time.process_time()
    detections = way()
    cpu_s = time.process_time() - began
    return {"cpu_s": round(cpu_s, 3), "detections": detections, "ms_a_second": round(1000 * cpu_s / seconds, 2)}


def hallctl(path: Path, zone: Zone, detector: Detector, check_every_s: float) -> int:
    """The watcher of a camera's child."""
    counting = Counting(detector)
    with tempfile.TemporaryDirectory() as folder, av.open(str(path)) as source:
        stream = source.streams.video[0]
        job = Job(
            watch=Stream(str(path), str(path)),
            record=None,
            check_every_s=check_every_s,
            min_score=0.3,
            model="",
            model_kind="auto",
            model_sha256=None,
            evidence_dir=folder,
            free_bytes=0,
            ring_s=28.0,
            frozen_after_s=10.0,
            posts={"post": zone},
        )
        watcher = Watcher(job, counting, lambda *_, **__: None)
        watcher.open(stream)
        for packet in source.demux(stream):
            if packet.size:
                watcher.take(packet, stamp_of(packet) or 0.0)
    return counting.count


def plain(path: Path, zone: Zone, detector: Detector) -> int:
    """Every frame decoded to pixels, the detector once a second."""
    counting, capture, number = Counting(detector), cv2.VideoCapture(str(path)), 0
    while True:
        good, picture = capture.read()
        if not good:
            return counting.count
        if number % FPS == 0:
            score_at_post(counting, picture, zone)
        number += 1


def motion(path: Path, zone: Zone, detector: Detector) -> int:
    """Every frame decoded, five looks a second for motion near the post, the detector when there is some."""
    counting, capture, number = Counting(detector), cv2.VideoCapture(str(path)), 0
    average: Any = None
    while True:
        good, picture = capture.read()
        if not good:
            return counting.count
        number += 1
        if number % (FPS // 5):
            continue
        x0, y0, x1, y1 = surroundings(zone, picture.shape[1], picture.shape[0])
        small = cv2.resize(cv2.cvtColor(picture[y0:y1, x0:x1], cv2.COLOR_BGR2GRAY), (160, 180)).astype(np.float32)
        average = small if average is None else average
        changed = cv2.absdiff(small, average) > 25
        cv2.accumulateWeighted(small, average, 0.2)
        if changed.mean() > 0.002:
            score_at_post(counting, picture, zone)


class Counting:
    """A detector that counts its looks."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.count = 0

    def detect(self, picture: Any, min_score: float) -> Any:
        """As the detector."""
        self.count += 1
        return self._detector.detect(picture, min_score)


def make(path: Path, video: Path | None, seconds: float) -> float:
    """A 1080p stream with a sensor's noise; gives its length in seconds."""
    rng = np.random.default_rng(3)
    grain = [rng.normal(0, 2, (HEIGHT, WIDTH, 1)).round().astype(np.int8) for _ in range(5)]
    options = {"preset": "veryfast", "g": str(GOP_S * FPS), "sc_threshold": "0", "bf": "0", "b": "4000000"}
    options |= {"maxrate": "5000000", "bufsize": "8000000"}
    count = 0
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for picture in pictures(video, seconds):
            noisy = cv2.add(
                picture, np.roll(grain[count % 5], int(rng.integers(0, WIDTH)), axis=1).repeat(3, 2), dtype=0
            )
            out.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="bgr24")))
            count += 1
        out.mux(stream.encode(None))
    return count / FPS


def pictures(video: Path | None, seconds: float) -> Iterator[Any]:
    """``FPS`` a second."""
    if video is None:
        yield from drawn(seconds)
        return
    with av.open(str(video)) as source:
        shown = 0
        for frame in source.decode(video=0):
            picture = cv2.resize(frame.to_ndarray(format="bgr24"), (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
            while shown / FPS <= (frame.time or 0.0):
                if shown >= seconds * FPS:
                    return
                yield picture
                shown += 1


def drawn(seconds: float) -> Iterator[Any]:
    """A counter; somebody sits there for 50 s of every minute, and moves a little every few seconds."""
    empty = np.full((HEIGHT, WIDTH, 3), (196, 206, 210), np.uint8)
    rng = np.random.default_rng(1)
    for _ in range(60):
        x, y, wide, high = (int(rng.integers(0, most)) for most in (WIDTH, HEIGHT // 2, 220, 180))
        cv2.rectangle(empty, (x, y), (x + wide, y + high), tuple(int(c) for c in rng.integers(80, 220, 3)), -1)
    cv2.rectangle(empty, (0, HEIGHT - 150), (WIDTH, HEIGHT), (92, 120, 150), -1)
    person = cv2.resize(cv2.imread(str(MODELS / "person.png")), (620, 620), interpolation=cv2.INTER_AREA)
    for number in range(int(seconds * FPS)):
        second, picture = number / FPS, empty.copy()
        if second % 60 < 50:
            left = WIDTH // 2 - 310 + 8 * (int(second / 5) % 4)
            picture[HEIGHT - 720 : HEIGHT - 100, left : left + 620] = person
        yield picture


if __name__ == "__main__":
    main()
