"""What can't be judged is told apart; clips and retention keep their word."""

import os
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from hallctl.camera.recorder import Kept, Ring, StreamClock
from hallctl.camera.retention import Retention
from hallctl.camera.sight import REUSE_CHECKS, Sight

NOISE = np.random.default_rng(5)


class CountingDetector:
    def __init__(self):
        self.looks = 0

    def detect(self, picture, min_score):
        self.looks += 1
        return []


@pytest.fixture
def sight():
    return Sight(CountingDetector(), {"w1": [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)]})


def scene(shift=0):
    base = np.tile(np.linspace(40, 220, 640, dtype=np.float32), (360, 1))[:, :, None].repeat(3, 2)
    return np.clip(np.roll(base, shift, 1) + NOISE.normal(0, 2, base.shape), 0, 255).astype(np.uint8)


def test_dark_covered_and_frozen_pictures_are_told_apart_and_are_no_empty_post(sight):
    assert sight.judge(np.zeros((360, 640, 3), np.uint8)) == ({"w1": None}, "dark")
    assert sight.judge(np.full((360, 640, 3), 120, np.uint8)) == ({"w1": None}, "covered")
    same = scene()
    answers = []
    for second in range(4):
        sight.note_key_frame(same, float(second))
        answers.append(sight.judge(same)[1])
    assert answers == ["", "", "", "frozen"]
    sight.note_key_frame(scene(), 4.0)
    assert sight.judge(scene()) == ({"w1": 0.0}, "")


def test_an_unchanged_scene_reuses_the_last_answer_but_not_for_ever(sight):
    for _ in range(REUSE_CHECKS):
        sight.judge(scene())
    assert sight.detector.looks == 1
    sight.judge(scene())
    assert sight.detector.looks == 2
    sight.judge(scene(shift=200))
    assert sight.detector.looks == 3


def test_the_ring_gives_from_the_key_frame_before_the_wanted_moment():
    clock = StreamClock()
    clock.note(0.0, 1000.0)
    ring = Ring(10.0, clock)
    for n in range(200):
        ring.add(Kept(b"x", n, n, n % 10 == 0, n / 10))
    kept = ring.since(1015.55)
    assert (kept[0].stamp, kept[0].key, kept[-1].stamp) == (15.0, True, 19.9)
    assert ring.since(0.0)[0].key
    assert ring.since(0.0)[0].stamp <= 11.0
    assert Ring(5.0, clock).since(1.0) == []


def test_the_stream_clock_is_set_by_the_packet_that_was_least_delayed():
    clock = StreamClock()
    for stamp in range(5):
        clock.note(float(stamp), 100.0)  # held back and delivered at once
    clock.note(5.0, 101.0)
    assert clock.wall(5.0) == pytest.approx(101.0, abs=0.01)
    assert clock.wall(0.0) == pytest.approx(96.0, abs=0.01)
    clock.note(0.0, 200.0)  # the camera began anew
    assert clock.wall(0.0) == 200.0


def make(folder, name, age_days, size=1000):
    path = folder / name
    path.write_bytes(b"x" * size)
    moment = (datetime(2026, 3, 2, tzinfo=UTC) - timedelta(days=age_days)).timestamp()
    os.utime(path, (moment, moment))
    return path


def test_retention_deletes_the_oldest_of_ours_and_never_open_or_unknown_files(tmp_path):
    now = datetime(2026, 3, 2, tzinfo=UTC)
    for name, age in (
        ("a-clip.mp4", 40),
        ("b-clip.mp4", 39),
        ("c-snapshot.jpg", 3),
        ("d-clip.mp4", 2),
        ("e-clip.mp4", 1),
    ):
        make(tmp_path, name, age)
    make(tmp_path, "holiday.mp4", 400)
    deleted = Retention(tmp_path, 2500, 30).apply(frozenset({"b-clip.mp4"}), now)
    assert deleted == ["a-clip.mp4", "c-snapshot.jpg", "d-clip.mp4"]
    assert {path.name for path in tmp_path.iterdir()} == {"b-clip.mp4", "e-clip.mp4", "holiday.mp4"}


def test_retention_of_a_folder_that_is_not_there_does_nothing(tmp_path):
    assert Retention(tmp_path / "none", 1, 1).apply(frozenset(), datetime.now(UTC)) == []
