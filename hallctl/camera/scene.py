"""The lasting features of what a camera shows: whether it still looks where it looked when it was set up.

The scene is kept as the strength of its edges, of the logarithm of brightness: more light or less multiplies a picture
and leaves that alone. Person-sized parts of it may be hidden at any time; a camera that was turned loses nearly all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hallctl.post.zone import Point

WIDTH, HEIGHT = 192, 108
ROWS, COLUMNS = 4, 6
LEARN_LOOKS, LEARN_S = 5, 4.0
ADAPT = 0.02  # of each look that fits
FITS = 0.5  # correlation of a sector's edges with the reference's
LOST_SHARE = 0.34  # of the sectors that have features; fewer that fit: another scene
SAME_SHARE = 0.7  # of the sectors, two looks at a scene that stands still
DISPLACED = 0.02  # of the picture's width or height: the scene is there, but somewhere else
BETTER_SHARE = 0.2  # of the sectors that must fit there beyond those that fit here
LEAST_ROOM = 0.3  # of a sector must count
FEWEST_SECTORS = 4  # with features; a bare wall can't tell whether the camera was moved
FEATURES = 0.02  # mean edge strength from which on a sector has features
BARE = 0.3  # of the contrast of the reference's edges: less is no scene but something before the lens
SURE_LOOKS, SURE_S = 3, 4.0
MISFITS_KEPT = 12

Edges = npt.NDArray[np.float32]


@dataclass
class Scene:
    """The reference of one camera, and what has been seen since it did not fit.

    ``busy``: polygons in fractions of the picture, the posts' zones: people come and go there, so nothing there counts.
    """

    busy: Sequence[Sequence[Point]] = ()
    reference: Edges | None = None
    _looks: int = 0
    _began: float = 0.0
    _misfits: list[tuple[float, Edges]] = field(default_factory=list)
    _lost: str = ""  # what was said for sure, until the scene fits again

    def __post_init__(self) -> None:
        counts = np.ones((HEIGHT, WIDTH), np.uint8)
        for zone in self.busy:
            cv2.fillPoly(counts, [np.array([(round(x * WIDTH), round(y * HEIGHT)) for x, y in zone], np.int32)], (0,))
        self._counts = _tiles(counts.astype(np.float32))

    def judge(self, grey: npt.NDArray[np.uint8], at: float) -> str:
        """``""``: the scene fits; ``moved`` or ``covered``: it does not, and stands still; ``doubtful``: not yet sure.

        ``at``: seconds. Somebody before the lens is doubtful at most: people move. What is once sure stays so until
        the scene fits again, whoever walks through the picture meanwhile.
        """
        edges = edges_of(grey)
        if self.reference is None or self._looks < LEARN_LOOKS or at - self._began < LEARN_S:
            self._learn(edges, at)
            return ""
        if int(self._sectors(self.reference).sum()) < FEWEST_SECTORS:
            return ""  # too little to tell by
        bare = self._contrast(edges) < BARE * self._contrast(self.reference)
        if not bare and self._fits(self.reference, edges):
            self._misfits.clear()
            self._lost = ""
            self.reference += ADAPT * (edges - self.reference)
            return ""
        return self._misfit(edges, at, bare=bare)

    def accept(self) -> None:
        """What the camera shows from now on is its scene."""
        self.reference, self._looks, self._lost = None, 0, ""
        self._misfits.clear()

    def save(self, path: Path) -> None:
        """Keep the reference for the next start; whole or not at all."""
        if self.reference is None or self._looks < LEARN_LOOKS:
            return
        part = path.with_name(path.name + ".part")
        with part.open("wb") as file:
            np.save(file, self.reference)
        part.replace(path)

    def load(self, path: Path) -> None:
        """Take up the reference of an earlier run. One that can't be read is learned anew."""
        try:
            with path.open("rb") as file:
                saved: Any = np.load(file, allow_pickle=False)
        except (OSError, ValueError):
            return
        if saved.shape == (HEIGHT, WIDTH) and saved.dtype == np.float32:
            self.reference, self._looks, self._began = saved, LEARN_LOOKS, float("-inf")

    def _learn(self, edges: Edges, at: float) -> None:
        if self.reference is None or self._share(self.reference, edges, self.reference) < LOST_SHARE:
            self.reference, self._looks, self._began = edges, 0, at
        self._looks += 1
        self.reference += (edges - self.reference) / self._looks

    def _misfit(self, edges: Edges, at: float, *, bare: bool) -> str:
        self._misfits = [*self._misfits[1 - MISFITS_KEPT :], (at, edges)]
        if len(self._misfits) < SURE_LOOKS or at - self._misfits[0][0] < SURE_S:
            return "doubtful"
        if bare:
            self._lost = "covered"
        elif self._stands(edges, at):
            self._lost = "moved"
        return self._lost or "doubtful"

    def _stands(self, edges: Edges, at: float) -> bool:
        recent = [one for one in self._misfits if at - one[0] <= SURE_S] or self._misfits
        recent = self._misfits[-max(SURE_LOOKS, len(recent)) : -1]
        return all(self._share(edges, earlier, edges) >= SAME_SHARE for _, earlier in recent)

    def _fits(self, reference: Edges, edges: Edges) -> bool:
        share = self._share(reference, edges, reference)
        if share < (SAME_SHARE if self._lost else LOST_SHARE):
            return False
        return share >= SAME_SHARE or not self._is_displaced(reference, edges, share)

    def _is_displaced(self, reference: Edges, edges: Edges, share: float) -> bool:
        """Whether the scene is seen better somewhere else: edges along a shift fit as before, and hide a small one."""
        window = cv2.createHanningWindow((WIDTH, HEIGHT), cv2.CV_32F)
        # Copies, because OpenCV 5 multiplies the window into what it is given.
        (dx, dy), _ = cv2.phaseCorrelate(reference.copy(), edges.copy(), window)
        if max(abs(dx) / WIDTH, abs(dy) / HEIGHT) < DISPLACED:
            return False
        back = np.array([[1, 0, -dx], [0, 1, -dy]], np.float32)
        there = Scene(self.busy)
        there._counts = self._counts * _tiles(_shifted(np.ones_like(edges), back))
        if int(there._sectors(reference).sum()) < FEWEST_SECTORS:
            return False
        return there._share(reference, _shifted(edges, back), reference) >= max(SAME_SHARE, share + BETTER_SHARE)

    def _centred(self, edges: Edges) -> Edges:
        """Each sector about its mean, zero where nothing counts."""
        tiles, counts = _tiles(edges), self._counts
        mean = (tiles * counts).sum(axis=1, keepdims=True) / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        return np.asarray((tiles - mean) * counts, np.float32)

    def _sectors(self, reference: Edges) -> npt.NDArray[np.bool_]:
        """Which sectors have features, where they count."""
        room = self._counts.sum(axis=1)
        deviation = np.sqrt((self._centred(reference) ** 2).sum(axis=1) / np.maximum(room, 1))
        return np.asarray((deviation >= FEATURES) & (room >= LEAST_ROOM * self._counts.shape[1]))

    def _contrast(self, edges: Edges) -> float:
        return float(np.sqrt((self._centred(edges) ** 2).mean()))

    def _share(self, one: Edges, other: Edges, features: Edges) -> float:
        """The share of the sectors with features in which the two correlate; 1 where none has any."""
        chosen = self._sectors(features)
        if not chosen.any():
            return 1.0
        a, b = (self._centred(edges)[chosen] for edges in (one, other))
        norm = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1)) + 1e-9
        return float(((a * b).sum(axis=1) / norm >= FITS).mean())


def edges_of(grey: npt.NDArray[np.uint8]) -> Edges:
    """Strength of the edges at 192 x 108, of a grey picture of any size; blurred by about 1 % of the picture."""
    small = cv2.resize(grey, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32)
    light = cv2.GaussianBlur(np.log(small + 8.0), (0, 0), 1.0)
    across, down = (cv2.Sobel(light, cv2.CV_32F, dx, 1 - dx, ksize=3) for dx in (1, 0))
    return np.asarray(cv2.GaussianBlur(cv2.magnitude(across, down), (0, 0), 1.5), np.float32)


def _shifted(edges: Edges, matrix: npt.NDArray[np.float32]) -> Edges:
    return np.asarray(cv2.warpAffine(edges, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_NEAREST), np.float32)


def _tiles(edges: Edges) -> Edges:
    high, wide = HEIGHT // ROWS, WIDTH // COLUMNS
    tiles = edges.reshape(ROWS, high, COLUMNS, wide).swapaxes(1, 2)
    return tiles.reshape(ROWS * COLUMNS, high * wide)
