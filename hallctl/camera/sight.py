"""Whether a picture can be judged at all: dark, covered and frozen pictures are no empty posts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from hallctl.camera.detector import Detector, Picture, score_at_post
from hallctl.post.zone import Point

DARK_MEAN = 16.0  # of 255: a capped lens gives 16 in limited range
FLAT_DEVIATION = 4.0  # of 255: a hand or a sheet of paper before the lens
FROZEN_KEYS, FROZEN_S = 4, 3.0  # so many identical key frames over so long; sensor noise never gives two
UNCHANGED = 0.8  # mean difference of two small pictures below which nobody has moved
REUSE_CHECKS = 10  # a reused answer is never older than so many checks
_SMALL = (96, 54)


@dataclass
class Sight:
    """Judges the pictures of one camera, one after the other."""

    detector: Detector
    posts: dict[str, Sequence[Point]]
    reused: int = 0
    _frozen: bool = False
    _exact: int | None = None
    _same: list[float] = field(default_factory=list)
    _small: Picture | None = None
    _scores: dict[str, float] = field(default_factory=dict)

    def note_key_frame(self, picture: Picture, at: float) -> None:
        """Remember a key frame (``at``: seconds): they alone tell a frozen camera from a well compressed scene."""
        exact = hash(picture[::4, ::4].tobytes())
        self._same = [*self._same, at] if exact == self._exact else [at]
        self._exact = exact
        self._frozen = len(self._same) >= FROZEN_KEYS and at - self._same[0] >= FROZEN_S
        del self._same[1:-FROZEN_KEYS]

    def judge(self, picture: Picture) -> tuple[dict[str, float | None], str]:
        """The best score at each post, or ``None`` for all with the reason why the picture can't be judged."""
        reason = self._blind(picture)
        if reason:
            self._small = None
            return dict.fromkeys(self.posts), reason
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        small = np.asarray(cv2.resize(grey, _SMALL, interpolation=cv2.INTER_AREA), np.uint8)
        if self._moved(small):
            self._small, self.reused = small, 0
            self._scores = {name: score_at_post(self.detector, picture, zone) for name, zone in self.posts.items()}
        return dict(self._scores), ""

    def _moved(self, small: Picture) -> bool:
        self.reused += 1
        if self._small is None or self.reused >= REUSE_CHECKS:
            return True
        return float(np.mean(cv2.absdiff(small, self._small))) >= UNCHANGED

    def _blind(self, picture: Picture) -> str:
        grey = picture[::8, ::8].mean(axis=2)
        if float(grey.mean()) < DARK_MEAN:
            return "dark"
        if float(grey.std()) < FLAT_DEVIATION:
            return "covered"
        return "frozen" if self._frozen else ""
