"""What every detector keeps, ours and a vendor's; a detector's own test runs these checks.

    @pytest.mark.parametrize("check", CHECKS + CHECKS_OF_REAL_MODELS, ids=lambda check: check.__name__)
    def test_conformance(check):
        check(AcmeDetector(path), picture_of_a_person)

A check raises ``AssertionError`` that says what is wrong. ``picture`` shows somebody whom the detector finds with a
score of 0.5 at least. ``CHECKS_OF_REAL_MODELS`` are for detectors that look at the picture: a stub may leave them out.
"""

import math

import numpy as np

MIN_SCORE = 0.02
SIZES = ((1, 1), (2, 3), (1, 400), (20, 4000), (4000, 20), (333, 77), (480, 640))  # height, width


def noise(height, width, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def takes_a_picture_of_any_size(detector, picture):
    for height, width in SIZES:
        for one in (np.full((height, width, 3), 118, np.uint8), noise(height, width)):
            assert isinstance(detector.detect(one, MIN_SCORE), list), f"no list for {width} x {height}"


def takes_a_view_of_a_picture(detector, picture):
    for view in (picture[::2, ::2], picture[:, ::-1], picture[5:-5, 7:-7], picture[..., ::-1]):
        assert not view.flags.c_contiguous
        assert detector.detect(view, MIN_SCORE) == detector.detect(np.ascontiguousarray(view), MIN_SCORE)


def finds_who_is_there(detector, picture):
    assert detector.detect(picture, 0.5), "the picture must show somebody: nothing else here would say much"


def gives_finite_boxes_and_scores_in_range(detector, picture):
    for one in (picture, noise(*picture.shape[:2])):
        for found in detector.detect(one, MIN_SCORE):
            parts = (found.x, found.y, found.width, found.height, found.score)
            assert all(type(part) is float and math.isfinite(part) for part in parts), found
            assert found.width > 0 and found.height > 0, found
            assert MIN_SCORE <= found.score <= 1, found
            assert abs(found.x - 0.5) <= 1 and abs(found.y - 0.5) <= 1, f"{found}: not fractions of the picture"


def counts_nobody_twice(detector, picture):
    for one in (picture, noise(*picture.shape[:2])):
        found = detector.detect(one, MIN_SCORE)
        pairs = [(a, b) for place, a in enumerate(found) for b in found[:place] if overlap(a, b) > 0.5 + 1e-3]
        assert not pairs, f"boxes that overlap by more than 0.5: {pairs[:3]}"


def answers_the_same_again_and_leaves_the_picture_alone(detector, picture):
    before = picture.copy()
    picture.setflags(write=False)
    first = detector.detect(picture, MIN_SCORE)
    detector.detect(noise(100, 100), MIN_SCORE)
    assert detector.detect(picture, MIN_SCORE) == first
    assert (picture == before).all()


def finds_a_part_of_it_at_a_higher_score(detector, picture):
    everyone = detector.detect(picture, MIN_SCORE)
    for min_score in (0.1, 0.3, 0.5, 0.8, 1.0):
        found = detector.detect(picture, min_score)
        assert set(found) == {one for one in everyone if one.score >= min_score}, min_score


def mirrors_the_boxes_of_a_mirrored_picture(detector, picture):
    left = sorted(detector.detect(picture, 0.5), key=lambda one: one.x)
    right = sorted(detector.detect(np.ascontiguousarray(picture[:, ::-1]), 0.5), key=lambda one: 1 - one.x)
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        assert abs(one.x - (1 - other.x)) < 0.05 and abs(one.y - other.y) < 0.05, (one, other)
        assert abs(one.width - other.width) < 0.08 and abs(one.height - other.height) < 0.08, (one, other)


def finds_nobody_in_noise(detector, picture):
    for seed in range(5):
        assert not detector.detect(noise(480, 640, seed), 0.5)
    assert not detector.detect(np.full((480, 640, 3), 118, np.uint8), 0.5)


def overlap(a, b):
    """Intersection over union of two detections."""
    wide = min(a.x + a.width / 2, b.x + b.width / 2) - max(a.x - a.width / 2, b.x - b.width / 2)
    high = min(a.y + a.height / 2, b.y + b.height / 2) - max(a.y - a.height / 2, b.y - b.height / 2)
    both = max(0.0, wide) * max(0.0, high)
    return both / (a.width * a.height + b.width * b.height - both)


CHECKS = [
    takes_a_picture_of_any_size,
    takes_a_view_of_a_picture,
    gives_finite_boxes_and_scores_in_range,
    counts_nobody_twice,
    answers_the_same_again_and_leaves_the_picture_alone,
    finds_a_part_of_it_at_a_higher_score,
]
CHECKS_OF_REAL_MODELS = [finds_who_is_there, mirrors_the_boxes_of_a_mirrored_picture, finds_nobody_in_noise]
