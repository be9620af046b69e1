"""What can be said of each picture: whether it can be judged at all, and who is at which post."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from hallctl.camera.detector import Detector, score_at_post, surroundings
from hallctl.camera.freeze import Freeze
from hallctl.camera.picture import Grey, Picture
from hallctl.camera.scene import Scene
from hallctl.post.zone import Point

DARK_MEAN = 16.0  # of 255
FLAT_DEVIATION = 4.0  # of 255: a hand or a sheet of paper close before the lens
UNCHANGED_MEAN, UNCHANGED_MOST = 0.8, 10.0  # of 255, of a post's surroundings: below both nobody has moved
CERTAIN = 0.6  # a score of somebody who can't leave without a larger change than by moving the hands:
SMALL_CHANGE, SMALL_SHARE = 12.0, 0.05  # more than this much of 255 in less than this share of the surroundings
REUSE_CHECKS = 10  # a reused answer is never older than so many checks
UNDECIDED = "doubtful"
_SMALL = (160, 90)


@dataclass
class _Answer:
    """The last answer of the detector about one post, and what the picture was like."""

    small: Grey
    score: float
    reused: int = 0


@dataclass
class Sight:
    """Judges the pictures of one camera, one after the other."""

    detector: Detector
    posts: Mapping[str, Sequence[Point]]
    frozen_after_s: float = 10.0
    scene: Scene = field(init=False)
    looks: int = 0
    _freeze: Freeze = field(default_factory=Freeze)
    _answers: dict[str, _Answer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scene = Scene(tuple(self.posts.values()))

    def note_key_frame(self, picture: Picture, at: float) -> None:
        """Remember a key frame (``at``: seconds): they tell a frozen camera from a scene that stands still."""
        self._freeze.note(picture.luma, at)

    def judge(self, picture: Picture, at: float) -> tuple[dict[str, float | None], str]:
        """The best score at each post, or ``None`` for those of which nothing can be said, with the reason.

        ``dark``, ``covered``, ``frozen``, ``moved``: the camera can't see; ``""``: where there is a ``None`` all the
        same, this one picture is doubtful and counts for nothing.
        """
        reason = self._blind(picture, at)
        if reason and reason != UNDECIDED:
            self._answers.clear()
            return dict.fromkeys(self.posts), reason
        small = np.asarray(cv2.resize(picture.grey, _SMALL, interpolation=cv2.INTER_AREA), np.uint8)
        scores: dict[str, float | None] = {
            post: self._score(post, zone, picture, small) for post, zone in self.posts.items()
        }
        return scores, reason

    def _score(self, post: str, zone: Sequence[Point], picture: Picture, small: Grey) -> float:
        x0, y0, x1, y1 = surroundings(zone, *_SMALL)
        here = small[y0:y1, x0:x1]
        last = self._answers.get(post)
        if last is not None and last.reused + 1 < REUSE_CHECKS and _unchanged(here, last):
            last.reused += 1
            return last.score
        self.looks += 1
        score = score_at_post(self.detector, picture.bgr, zone)
        self._answers[post] = _Answer(here.copy(), score)
        return score

    def _blind(self, picture: Picture, at: float) -> str:
        rough = picture.grey[::4, ::4]
        flat = float(rough.std()) < FLAT_DEVIATION
        if float(rough.mean()) < DARK_MEAN or flat:
            self._freeze = Freeze()  # black repeats itself; what comes after it is not frozen
            return "dark" if float(rough.mean()) < DARK_MEAN else "covered"
        return "frozen" if self._freeze.frozen(self.frozen_after_s) else self.scene.judge(picture.grey, at)


def _unchanged(here: Grey, before: _Answer) -> bool:
    if here.size == 0 or here.shape != before.small.shape:
        return False
    difference = cv2.absdiff(here, before.small)
    if float(difference.mean()) < UNCHANGED_MEAN and float(difference.max()) < UNCHANGED_MOST:
        return True
    return before.score >= CERTAIN and float((difference > SMALL_CHANGE).mean()) < SMALL_SHARE
