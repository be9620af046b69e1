"""What can't be judged is told apart; clips and retention keep their word."""

import os
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest

from hallctl.camera.detector import Detection
from hallctl.camera.picture import Picture, painted_over
from hallctl.camera.recorder import Kept, Ring, StreamClock
from hallctl.camera.retention import Retention
from hallctl.camera.scene import LEARN_LOOKS, LOST_SHARE, Scene, edges_of
from hallctl.camera.sight import REUSE_CHECKS, Sight

NOISE = np.random.default_rng(5)


class CountingDetector:
    def __init__(self, *found):
        self.looks = 0
        self.found = list(found)

    def detect(self, picture, min_score):
        self.looks += 1
        return self.found


ZONE = [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)]


@pytest.fixture
def sight():
    return Sight(CountingDetector(), {"w1": ZONE}, frozen_after_s=3.0)


def hall(seed=1):
    """A place with lasting features: furniture, frames, boards."""
    rng, picture = np.random.default_rng(seed), np.full((360, 640, 3), 150, np.uint8)
    for _ in range(60):
        x, y, w, h = (int(rng.integers(0, limit)) for limit in (600, 330, 120, 90))
        cv2.rectangle(picture, (x, y), (x + w, y + h), tuple(int(c) for c in rng.integers(40, 220, 3)), -1)
    return picture


def seen(picture, sigma=2.0):
    """As a sensor gives it: never the same twice."""
    return Picture(bgr=np.clip(picture + NOISE.normal(0, sigma, picture.shape), 0, 255).astype(np.uint8))


def look(sight, picture, at):
    sight.note_key_frame(picture, at)
    return sight.judge(picture, at)


def test_dark_covered_and_frozen_pictures_are_told_apart_and_are_no_empty_post(sight):
    assert sight.judge(Picture(bgr=np.zeros((360, 640, 3), np.uint8)), 0.0) == ({"w1": None}, "dark")
    assert sight.judge(Picture(bgr=np.full((360, 640, 3), 120, np.uint8)), 1.0) == ({"w1": None}, "covered")
    same = seen(hall())
    assert [look(sight, same, 2.0 + second)[1] for second in range(6)] == ["", "", "", "frozen", "frozen", "frozen"]
    assert [look(sight, seen(hall()), 8.0 + second) for second in range(3)][-1] == ({"w1": 0.0}, "")


def test_a_scene_that_stands_still_is_not_frozen_even_where_a_sensor_has_hardly_any_noise(sight):
    assert {look(sight, seen(hall(), 0.7), float(second))[1] for second in range(60)} == {""}


def coarsened(picture, step, offset):
    """As an encoder leaves it at one of its strengths."""
    return Picture(bgr=((picture.bgr.astype(int) + offset) // step * step).clip(0, 255).astype(np.uint8))


def test_a_frozen_picture_is_told_although_the_encoders_strength_changes(sight):
    for second in range(10):
        look(sight, coarsened(seen(hall()), 3, 1), float(second))
    frozen = seen(hall())
    strengths = [(3, 1), (4, 2), (3, 2)]
    reasons = [look(sight, coarsened(frozen, *strengths[n % 3]), 10.0 + n)[1] for n in range(12)]
    assert reasons[0] == ""
    assert reasons[-3:] == ["frozen"] * 3


def test_a_clock_that_ticks_in_a_frozen_picture_does_not_hide_it(sight):
    frozen = seen(hall()).bgr
    reasons = []
    for second in range(6):
        shown = frozen.copy()
        cv2.putText(shown, f"09:00:{second:02}", (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1)
        reasons.append(look(sight, Picture(bgr=shown), float(second))[1])
    assert reasons[-1] == "frozen"


def test_an_unchanged_scene_reuses_the_last_answer_but_not_for_ever(sight):
    for second in range(REUSE_CHECKS):
        sight.judge(seen(hall()), float(second))
    assert sight.detector.looks == 1
    sight.judge(seen(hall()), 11.0)
    assert sight.detector.looks == 2
    moved = hall()
    cv2.circle(moved, (320, 180), 40, (20, 30, 200), -1)  # somebody sits down
    sight.judge(seen(moved), 12.0)
    assert sight.detector.looks == 3


def test_what_moves_elsewhere_costs_no_look_at_a_post():
    sight = Sight(CountingDetector(), {"w1": [(0.0, 0.0), (0.3, 0.0), (0.3, 0.5), (0.0, 0.5)]})
    for second in range(6):
        walking = hall()
        cv2.circle(walking, (400 + 30 * second, 250), 40, (20, 30, 200), -1)
        sight.judge(seen(walking), float(second))
    assert sight.detector.looks == 1


def learnt():
    scene = Scene()
    for second in range(LEARN_LOOKS + 5):
        assert scene.judge(seen(hall()).grey, float(second)) == ""
    return scene


def judge(scene, picture, looks=8, begin=20):
    return [scene.judge(seen(picture).grey, float(begin + second)) for second in range(looks)]


def turned(picture, degrees=0.0, zoom=1.0, shift=0):
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, zoom)
    matrix[0, 2] += shift
    return cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)


@pytest.mark.parametrize("other", [turned(hall(), 8), turned(hall(), zoom=1.3), turned(hall(), shift=60), hall(9)])
def test_a_camera_that_was_turned_is_doubtful_at_once_and_moved_when_it_stands(other):
    reasons = judge(learnt(), other)
    assert reasons[0] == "doubtful"
    assert reasons[-1] == "moved"


@pytest.mark.parametrize("gain", [0.35, 0.6, 1.4])
def test_another_light_is_the_same_scene(gain):
    scene = learnt()
    assert set(judge(scene, np.clip(hall() * gain, 0, 255))) == {""}
    sideways = np.clip(hall() * np.linspace(0.5, 1.4, 640)[None, :, None], 0, 255)
    assert set(judge(scene, sideways, begin=40)) == {""}


def test_a_nudge_within_a_percent_of_the_picture_is_not_moved():
    assert set(judge(learnt(), turned(hall(), shift=5))) == {""}


def test_people_before_the_camera_are_doubtful_at_most_and_never_moved():
    scene, reasons = learnt(), []
    for second in range(30):
        crowd = hall(100 + second)  # another picture each time: people move
        crowd[:, :60] = hall()[:, :60]
        reasons.append(scene.judge(seen(crowd).grey, 20.0 + second))
    assert set(reasons) <= {"", "doubtful"}
    assert judge(scene, hall(), begin=60)[-1] == ""


def test_a_moved_camera_stays_moved_whoever_walks_through_the_picture():
    scene, other = learnt(), turned(hall(), 8)
    assert judge(scene, other)[-1] == "moved"
    for second in range(20):
        crowd = hall(100 + second)
        crowd[:, :60] = other[:, :60]
        assert scene.judge(seen(crowd).grey, 40.0 + second) == "moved"
    assert judge(scene, hall(), begin=70)[-1] == ""


def test_a_shift_along_the_lines_of_a_scene_is_moved_although_they_fit_as_before():
    """Shelves, a counter's edge: most sectors of such a scene fit wherever along it the camera looks."""
    shelves = np.random.default_rng(3).integers(110, 170, (9, 1, 1)).repeat(640, 1).repeat(3, 2).repeat(40, 0)
    scene, picture = Scene(), shelves.astype(np.uint8)
    for x, y in ((60, 40), (250, 200), (480, 90), (560, 290)):
        cv2.rectangle(picture, (x, y), (x + 50, y + 40), (15, 15, 15), -1)
    for second in range(LEARN_LOOKS + 5):
        assert scene.judge(seen(picture).grey, float(second)) == ""
    there = turned(picture, shift=50)
    edges = edges_of(seen(there).grey)
    assert scene._share(scene.reference, edges, scene.reference) >= LOST_SHARE
    assert judge(scene, there)[-1] == "moved"


def test_what_comes_after_black_is_not_frozen(sight):
    black = Picture(bgr=np.zeros((360, 640, 3), np.uint8))
    for second in range(20):
        sight.note_key_frame(black, float(second))
        assert sight.judge(black, float(second))[1] == "dark"
    sight.note_key_frame(seen(hall()), 20.0)
    assert sight.judge(seen(hall()), 20.0)[1] == ""


def test_a_lens_that_is_smeared_is_covered_and_not_moved():
    assert judge(learnt(), cv2.GaussianBlur(hall(), (0, 0), 30))[-1] == "covered"


def test_a_moved_camera_is_right_again_when_it_is_aimed_again_or_accepted():
    scene, other = learnt(), turned(hall(), 8)
    assert judge(scene, other)[-1] == "moved"
    assert judge(scene, hall(), begin=40)[-1] == ""
    assert judge(scene, other, begin=60)[-1] == "moved"
    scene.accept()
    assert set(judge(scene, other, looks=12, begin=80)) == {""}
    assert judge(scene, hall(), begin=100)[-1] == "moved"


def test_a_reference_survives_a_restart_and_a_damaged_one_is_learned_anew(tmp_path):
    learnt().save(tmp_path / "camera-1.npy")
    again = Scene()
    again.load(tmp_path / "camera-1.npy")
    assert judge(again, turned(hall(), 8))[-1] == "moved"
    (tmp_path / "camera-1.npy").write_bytes(b"\x93NUMPY nonsense")
    fresh = Scene()
    fresh.load(tmp_path / "camera-1.npy")
    assert set(judge(fresh, turned(hall(), 8), looks=12)) == {""}


def test_nobody_in_a_doubtful_picture_is_nothing_and_somebody_is_somebody():
    detector = CountingDetector()
    sight = Sight(detector, {"w1": ZONE})
    for second in range(10):
        sight.judge(seen(hall()), float(second))
    assert sight.judge(seen(hall(9)), 20.0) == ({"w1": 0.0}, "doubtful")
    detector.found = [Detection(0.5, 0.5, 0.2, 0.5, 0.9)]
    assert sight.judge(seen(hall(8)), 21.0) == ({"w1": 0.9}, "doubtful")


def test_masked_places_are_black_for_the_detector_and_in_evidence():
    mask = [(0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)]
    picture = Picture(bgr=hall(), masks=[mask]).bgr
    assert not picture[:, 330:].any()
    assert np.array_equal(picture[:, :310], hall()[:, :310])
    assert painted_over(hall(), ()) is not None


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


def test_what_broke_off_goes_after_hours_unless_it_is_still_to_be_made_whole(tmp_path):
    now = datetime.now(UTC)
    for name in ("a-clip.mp4.part", "b-clip.mp4.part", "c-clip.mp4.part"):
        (tmp_path / name).write_bytes(b"half")
        age_s = 60 if name[0] == "c" else 12 * 3600
        os.utime(tmp_path / name, (now.timestamp() - age_s,) * 2)
    Retention(tmp_path, 2500, 30).apply(frozenset({"b-clip.mp4.part"}), now)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b-clip.mp4.part", "c-clip.mp4.part"]
