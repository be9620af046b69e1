"""Tells a frozen camera from a scene that stands still.

Between key frames an encoder repeats what has not changed, so only key frames say anything: each is made from the
sensor's picture anew. Two of one and the same picture are equal, or nearly so where the encoder coarsens them
differently; two of a live sensor share some of their pixels, how many depends on its noise. So a key frame is a
repetition when it equals one of the last few much better than this camera's live pictures do.
"""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from hallctl.camera.picture import Grey

KEPT = 6  # key frames to compare with: an encoder that alternates between two strengths repeats every other one
STEP = 3  # every third pixel across and down is compared
NEAREST_S = 0.5  # of MJPEG every picture is a key frame: so far apart
EQUAL = 0.97  # of the pixels: the same picture, whatever is known of the camera; a ticking clock takes some
HALFWAY = 0.5  # between what live pictures share and all: more is a repetition too
LEARNING = 0.1
MOST = 0.75  # of the key frames of the last while have to be repetitions
FEWEST = 3


@dataclass
class Freeze:
    """The key frames of one camera."""

    _samples: deque[Grey] = field(default_factory=lambda: deque(maxlen=KEPT))
    _seen: deque[tuple[float, bool]] = field(default_factory=lambda: deque(maxlen=256))
    _live: float | None = None  # share of equal pixels of this camera's live pictures

    def note(self, grey: Grey, at: float) -> None:
        """One more key frame (``at``: seconds)."""
        if self._seen and 0 <= at - self._seen[-1][0] < NEAREST_S:
            return
        sample = np.ascontiguousarray(grey[::STEP, ::STEP])
        others = [other for other in self._samples if other.shape == sample.shape]
        self._samples.append(sample)
        if not others:
            self._seen.append((at, False))
            return
        equal = max(float(np.mean(sample == other)) for other in others)
        repeated = equal >= (EQUAL if self._live is None else min(EQUAL, self._live + HALFWAY * (1 - self._live)))
        if not repeated:
            self._live = equal if self._live is None else self._live + LEARNING * (equal - self._live)
        self._seen.append((at, repeated))

    def frozen(self, after_s: float) -> bool:
        """Whether most of the key frames of the last ``after_s`` seconds, the newest among them, are repetitions."""
        if not self._seen or not self._seen[-1][1]:
            return False
        newest = self._seen[-1][0]
        recent = [repeated for at, repeated in self._seen if newest - at <= after_s]
        older = self._seen[0][0] <= newest - after_s
        if len(recent) < FEWEST:  # key frames come more rarely than that
            recent = [repeated for _, repeated in list(self._seen)[-FEWEST:]]
            return len(recent) == FEWEST and sum(recent) >= FEWEST - 1
        return older and sum(recent) >= MOST * len(recent)
