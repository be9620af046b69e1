"""Tells a frozen camera from a scene that stands still.

Between key frames an encoder repeats what has not changed, so only key frames say anything: each is made from the
sensor's picture anew. Two of one and the same picture are equal where the encoder used one strength for both, and it
has few; two of a live sensor never are, because of its noise (docs/adr/0010). So a key frame is a repetition when it
equals one of the last few.
"""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from hallctl.camera.picture import Grey

KEPT = 8  # key frames to compare with: an encoder that alternates between strengths repeats one of them
STEP = 3  # every third pixel across and down is compared
NEAREST_S = 0.5  # of MJPEG every picture is a key frame: so far apart
EQUAL = 0.97  # of the pixels: a ticking clock takes some
MOST = 0.6  # of the key frames of the last while have to be repetitions
FEWEST = 3


@dataclass
class Freeze:
    """The key frames of one camera."""

    _samples: deque[Grey] = field(default_factory=lambda: deque(maxlen=KEPT))
    _seen: deque[tuple[float, bool]] = field(default_factory=lambda: deque(maxlen=256))

    def note(self, luma: Grey, at: float) -> None:
        """One more key frame (``at``: seconds), as the camera sent it."""
        if self._seen and 0 <= at - self._seen[-1][0] < NEAREST_S:
            return
        sample = np.ascontiguousarray(luma[::STEP, ::STEP])
        others = [other for other in self._samples if other.shape == sample.shape]
        self._seen.append((at, any(np.count_nonzero(sample == other) >= EQUAL * sample.size for other in others)))
        self._samples.append(sample)

    def frozen(self, after_s: float) -> bool:
        """Whether most of the key frames of the last ``after_s`` seconds are repetitions, one of the newest too."""
        if not any(repeated for _, repeated in list(self._seen)[-FEWEST:]):
            return False
        newest = self._seen[-1][0]
        recent = [repeated for at, repeated in self._seen if newest - at <= after_s]
        if len(recent) < FEWEST:  # key frames come more rarely than that
            recent = [repeated for _, repeated in list(self._seen)[-FEWEST:]]
            return len(recent) == FEWEST and sum(recent) >= FEWEST - 1
        return self._seen[0][0] <= newest - after_s and sum(recent) >= MOST * len(recent)
