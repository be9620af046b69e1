"""Clips on disk: true to what they say, whole after a crash, ended by a full disk, played by others."""

import errno
import hashlib
import json
import os
import queue
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from hallctl.camera import clip as clips
from hallctl.camera.clip import ClipWriter, Source
from hallctl.camera.clipfile import GrowingFile, salvaged
from hallctl.camera.recorder import Kept
from hallctl.camera.runner import salvage
from hallctl.clock import SystemClock

BEGAN = datetime(2026, 11, 23, 1, tzinfo=UTC).timestamp()
FPS = 10


def recording(path, codec="libx264", seconds=6, size=(320, 192), pix_fmt="yuv420p", **options):
    """A film whose brightness tells its time: picture n has grey 40 + n."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        for number in range(seconds * FPS):
            pixels = np.full((size[1], size[0], 3), 40 + number % 200, np.uint8)
            pixels[: size[1] // 2, : size[0] // 2] = 230
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        out.mux(stream.encode(None))
    return path


def packets(path):
    """The stream, and its packets."""
    source = av.open(str(path))
    stream = source.streams.video[0]
    kept = []
    for packet in source.demux(stream):
        if packet.size:
            stamp = float(packet.pts * packet.time_base)
            kept.append(Kept(bytes(packet), packet.pts, packet.dts, packet.is_keyframe, stamp))
    return stream, kept


class Desk:
    def __init__(self):
        self.told = queue.Queue()

    def __call__(self, name, taken, trouble):
        self.told.put((name, taken, trouble))


def wall_of(stamp):
    return BEGAN + stamp


def write(path, source, kept, *, limit_s=600.0, free_bytes=0, end=True):
    desk = Desk()
    writer = ClipWriter(path, source, limit_s, wall=wall_of, free_bytes=free_bytes, done=desk, name="w1-1")
    for packet in kept:
        writer.add(packet)
    writer.start()
    if end:
        writer.finish()
        writer.join(20)
        assert not writer.is_alive()
    return writer, desk


def pictures(path):
    with av.open(str(path)) as source:
        return [(frame.time, frame.to_ndarray(format="gray")) for frame in source.decode(video=0)]


@pytest.mark.parametrize(
    ("codec", "name", "options", "copied"),
    [
        ("libx264", "in.mp4", {"g": "10"}, True),
        ("libx264", "in.mp4", {"g": "10", "bf": "0"}, True),
        ("libx265", "in.mp4", {"x265-params": "keyint=10:log-level=none"}, False),
        ("mjpeg", "in.avi", {"pix_fmt": "yuvj420p"}, False),
        ("rawvideo", "in.avi", {"pix_fmt": "yuyv422"}, False),
    ],
)
def test_every_kind_of_stream_becomes_h264_that_shows_what_it_covers(tmp_path, codec, name, options, copied):
    stream, kept = packets(recording(tmp_path / name, codec, **options))
    source = Source(stream)
    assert source.copied is copied
    _, desk = write(tmp_path / "w1-1-clip.mp4", source, kept)
    _, taken, trouble = desk.told.get_nowait()
    assert trouble is None
    data = taken.path.read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (taken.size, taken.sha256)
    assert taken.path.stat().st_mode & 0o777 == 0o600
    with av.open(str(taken.path)) as clip:
        assert clip.streams.video[0].codec_context.name == "h264"
    found = pictures(taken.path)
    assert len(found) == 6 * FPS
    assert found[-1][0] - found[0][0] == pytest.approx(taken.covers[1] - taken.covers[0], abs=0.31)
    greys = [float(picture[-20:, -20:].mean()) for _, picture in found]
    assert greys == pytest.approx(sorted(greys), abs=2)
    assert greys[-1] - greys[0] > 40
    assert data.index(b"moov") < data.index(b"mdat")  # a browser begins to play before it has the whole file
    assert not list(tmp_path.glob("*.part"))


def test_masks_are_burnt_into_the_clip(tmp_path):
    stream, kept = packets(recording(tmp_path / "in.mp4", g="10"))
    mask = ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5))
    source = Source(stream, (mask,))
    assert not source.copied
    write(tmp_path / "w1-1-clip.mp4", source, kept)
    for _, picture in pictures(tmp_path / "w1-1-clip.mp4"):
        assert picture[10:80, 10:140].max() < 30
        assert picture[-20:, -20:].min() > 30


def test_a_clip_ends_itself_at_its_limit(tmp_path):
    stream, kept = packets(recording(tmp_path / "in.mp4", g="10", bf="0"))
    writer, desk = write(tmp_path / "w1-1-clip.mp4", Source(stream), kept, limit_s=2.0, end=False)
    writer.join(20)
    _, taken, _ = desk.told.get_nowait()
    assert taken.covers[1] - taken.covers[0] == pytest.approx(2.0, abs=0.11)


def test_a_clip_that_nobody_needs_leaves_nothing(tmp_path):
    stream, kept = packets(recording(tmp_path / "in.mp4"))
    (tmp_path / "out").mkdir()
    writer, desk = write(tmp_path / "out" / "w1-1-clip.mp4", Source(stream), kept, end=False)
    writer.discard()
    writer.join(20)
    assert desk.told.empty()
    assert list((tmp_path / "out").iterdir()) == []


CRASHES = """
import os, sys
sys.path[:0] = [{tests!r}]
from pathlib import Path
from camera.test_clips import Source, packets, write
stream, kept = packets(Path({video!r}))
writer, _ = write(Path({clip!r}), Source(stream), kept, end=False)
while writer._packets.qsize():
    pass
os._exit(9)
"""


def grown(tmp_path, **options):
    """What a process that dies in mid-clip leaves."""
    video, clip = recording(tmp_path / "in.mp4", seconds=8, **options), tmp_path / "w1-1-clip.mp4"
    code = CRASHES.format(tests=str(Path(__file__).parents[1]), video=str(video), clip=str(clip))
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    part = tmp_path / "w1-1-clip.mp4.part"
    assert part.exists()
    return part


async def test_what_a_crash_leaves_of_a_clip_is_made_whole(tmp_path):
    part = grown(tmp_path, g="10", bf="0")
    (found,) = await salvage([part], SystemClock())
    path = Path(found["path"])
    assert hashlib.sha256(path.read_bytes()).hexdigest() == found["sha256"]
    shown = pictures(path)
    assert shown[-1][0] > 6.0  # of 8 seconds, at most the last fragment is missing
    assert found["covers"][0] == BEGAN
    assert found["covers"][1] - found["covers"][0] == pytest.approx(shown[-1][0], abs=0.11)
    assert not part.exists()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05, 0.3, 0.62, 0.9, 0.999])
def test_a_clip_cut_off_anywhere_gives_what_it_has_or_nothing_and_never_raises(tmp_path, share):
    part = grown(tmp_path, g="10", bf="0")
    data = part.read_bytes()
    part.write_bytes(data[: int(len(data) * share)])
    taken = salvaged(part, tmp_path / "w1-1-clip.mp4")
    assert not part.exists()
    if taken is None:
        assert share < 0.3
        return
    shown = pictures(taken.path)
    assert shown
    assert taken.covers[1] - taken.covers[0] == pytest.approx(shown[-1][0], abs=0.21)


def test_noise_in_place_of_a_clip_is_nothing(tmp_path):
    part = tmp_path / "w1-1-clip.mp4.part"
    part.write_bytes(np.random.default_rng(1).bytes(50_000))
    assert salvaged(part, tmp_path / "w1-1-clip.mp4") is None


def test_a_disk_that_fills_up_ends_the_clip_keeps_what_was_taken_and_says_so(tmp_path, monkeypatch):
    stream, kept = packets(recording(tmp_path / "in.mp4", seconds=20, g="10", bf="0"))
    written = GrowingFile.write
    room = [12_000]

    def write_as_long_as_there_is_room(self, data):
        room[0] -= len(data)
        if room[0] < 0:
            self._broken = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise self._broken
        return written(self, data)

    monkeypatch.setattr(GrowingFile, "write", write_as_long_as_there_is_room)
    _, desk = write(tmp_path / "w1-1-clip.mp4", Source(stream), kept)
    _, taken, trouble = desk.told.get_nowait()
    assert trouble.code == "evidence.disk_full"
    assert "make room" in trouble.hint
    assert desk.told.empty()
    assert taken is not None
    assert 0 < len(pictures(taken.path)) < 200
    assert not list(tmp_path.glob("*.part"))


def test_a_really_full_disk(tmp_path):
    """On a file system of its own, where this machine lets us mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this user can't mount a small file system")
    try:
        stream, kept = packets(recording(tmp_path / "in.avi", "mjpeg", seconds=30, pix_fmt="yuvj420p"))
        _, desk = write(disk / "w1-1-clip.mp4", Source(stream), kept)
        _, _, trouble = desk.told.get_nowait()
        assert trouble.code == "evidence.disk_full"
    finally:
        subprocess.run(["umount", disk], check=True)


def test_no_clip_is_begun_on_a_disk_that_is_nearly_full(tmp_path):
    stream, kept = packets(recording(tmp_path / "in.mp4"))
    _, desk = write(tmp_path / "w1-1-clip.mp4", Source(stream), kept, free_bytes=1 << 60)
    _, taken, trouble = desk.told.get_nowait()
    assert (taken, trouble.code) == (None, "evidence.disk_full")
    assert not list(tmp_path.glob("*clip*"))


def test_a_disk_that_hangs_holds_up_nothing_but_its_clip(tmp_path, monkeypatch):
    stream, kept = packets(recording(tmp_path / "in.mp4", seconds=20))
    hangs, written = threading.Event(), GrowingFile.write
    monkeypatch.setattr(clips, "WAITING", 50)

    def write_when_it_works_again(self, data):
        hangs.wait(20)
        return written(self, data)

    monkeypatch.setattr(GrowingFile, "write", write_when_it_works_again)
    writer, desk = write(tmp_path / "w1-1-clip.mp4", Source(stream), kept[:10], end=False)
    for packet in kept[10:]:
        writer.add(packet)  # must never wait
    hangs.set()
    writer.finish()
    writer.join(20)
    _, taken, trouble = desk.told.get_nowait()
    assert taken is not None
    assert "too slow" in trouble.message


def test_the_time_of_a_clip_stands_in_its_file(tmp_path):
    stream, kept = packets(recording(tmp_path / "in.mp4"))
    write(tmp_path / "w1-1-clip.mp4", Source(stream), kept)
    with av.open(str(tmp_path / "w1-1-clip.mp4")) as clip:
        assert json.loads(clip.metadata["comment"]) == {"hallctl": "w1-1", "from": BEGAN}
    assert datetime.fromtimestamp(BEGAN, UTC) + timedelta(0) == datetime(2026, 11, 23, 1, tzinfo=UTC)
    assert Fraction(1, FPS)
