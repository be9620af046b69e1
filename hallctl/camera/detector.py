"""Finds people in pictures. One small interface; the default is SSDLite-MobileNetV2."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from hallctl.camera import model_file
from hallctl.camera.network import load_network
from hallctl.errors import ConfigError
from hallctl.post.zone import Point, bounds, contains

Picture = npt.NDArray[np.uint8]  # height x width x 3, blue green red

SIZE = 300
IOU = 0.5
MARGIN = 0.10  # of the zone's bounding box, on each side: people lean
WIDER_MARGIN = 0.6  # for those who are cut by the first look's border
NEAR = 0.02  # of the width looked at: reaching its border
_GRIDS = (19, 10, 5, 3, 2, 1)


@dataclass(frozen=True, slots=True)
class Detection:
    """A person: centre, width and height as fractions of the picture, and the score 0..1."""

    x: float
    y: float
    width: float
    height: float
    score: float


class Detector(Protocol):
    """What a detector plug-in does."""

    def detect(self, picture: Picture, min_score: float) -> list[Detection]:
        """Every person with at least ``min_score``."""


class SsdLite:
    """The default model: 300 x 300, squashed, RGB in -1..1; anchors as in TensorFlow's ssd_anchor_generator."""

    def __init__(self, path: Path, *, published: bool = True) -> None:
        if published:
            model_file.check(path)
        cv2.setNumThreads(1)
        try:
            self._network = load_network(path.read_bytes())
        except (OSError, ValueError) as exc:
            raise ConfigError(f"the detector's model {path} can't be loaded: {exc}", hint="check the file") from exc
        self._anchors = _anchors()

    def detect(self, picture: Picture, min_score: float) -> list[Detection]:
        """People, overlapping boxes merged (IoU 0.5)."""
        blob = cv2.dnn.blobFromImage(picture, 1 / 127.5, (SIZE, SIZE), (127.5, 127.5, 127.5), swapRB=True, crop=False)
        answers = self._network.run(blob)
        codes, logits = answers["boxes"], answers["logits"]
        scores = 1 / (1 + np.exp(-logits[0, :, 0]))
        likely = scores >= min_score
        if not likely.any():
            return []
        boxes, scores = _decode(codes[0][likely], self._anchors[likely]), scores[likely]
        corners = np.column_stack([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]])
        kept = cv2.dnn.NMSBoxes((corners * 1000).tolist(), scores.tolist(), min_score, IOU)
        chosen = np.asarray(kept, int).reshape(-1)
        rows = np.column_stack([boxes[chosen], scores[chosen]]).tolist()
        return [Detection(x, y, width, height, score) for x, y, width, height, score in rows]


def score_at_post(detector: Detector, picture: Picture, zone: Sequence[Point], min_score: float = 0.05) -> float:
    """The best score of a person whose box centre lies in the zone (fractions of the picture); 0: nobody.

    Of somebody who stands half outside what the detector sees, the centre of the visible half says little: then a
    wider look decides.
    """
    inside = _inside(people_near(detector, picture, zone, min_score), zone)
    if any(_is_cut(one, picture, zone) for one in inside):
        wider = people_near(detector, picture, zone, min_score, WIDER_MARGIN)
        inside = [one for one in inside if not any(_overlap(one, other) for other in wider)] + _inside(wider, zone)
    return max((one.score for one in inside), default=0.0)


def people_near(
    detector: Detector, picture: Picture, zone: Sequence[Point], min_score: float = 0.05, margin: float = MARGIN
) -> list[Detection]:
    """Everybody in the zone's surroundings, as fractions of the whole picture.

    The detector sees these surroundings only: small people at a far counter are found that a look at the whole
    picture misses.
    """
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = surroundings(zone, width, height, margin)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return []
    wide, high = (x1 - x0) / width, (y1 - y0) / height
    return [
        Detection(x0 / width + one.x * wide, y0 / height + one.y * high, one.width * wide, one.height * high, one.score)
        for one in detector.detect(picture[y0:y1, x0:x1], min_score)
    ]


def surroundings(zone: Sequence[Point], width: int, height: int, margin: float = MARGIN) -> tuple[int, int, int, int]:
    """The zone's bounding box with a margin (a share of its size, each side), in pixels: left, top, right, bottom."""
    left, top, right, bottom = bounds(zone)
    dx, dy = (right - left) * margin, (bottom - top) * margin
    x0, y0 = int(max(0.0, left - dx) * width), int(max(0.0, top - dy) * height)
    return x0, y0, int(min(1.0, right + dx) * width), int(min(1.0, bottom + dy) * height)


def _inside(people: Sequence[Detection], zone: Sequence[Point]) -> list[Detection]:
    return [one for one in people if contains(zone, (one.x, one.y))]


def _is_cut(one: Detection, picture: Picture, zone: Sequence[Point]) -> bool:
    """Whether somebody reaches the left or right border of what was looked at, where that is not the picture's."""
    height, width = picture.shape[:2]
    x0, _, x1, _ = surroundings(zone, width, height)
    near = NEAR * (x1 - x0)
    left, right = (one.x - one.width / 2) * width, (one.x + one.width / 2) * width
    return bool((x0 > 0 and left <= x0 + near) or (x1 < width and right >= x1 - near))


def _overlap(one: Detection, other: Detection) -> bool:
    """Whether most of the first lies in the second."""
    wide = min(one.x + one.width / 2, other.x + other.width / 2) - max(one.x - one.width / 2, other.x - other.width / 2)
    high = min(one.y + one.height / 2, other.y + other.height / 2)
    high -= max(one.y - one.height / 2, other.y - other.height / 2)
    return bool(wide > 0 and high > 0 and wide * high > 0.5 * one.width * one.height)


def _decode(codes: npt.NDArray[Any], anchors: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Box codes (ty, tx, th, tw over 10, 10, 5, 5) on anchors (x, y, w, h) as boxes (x, y, w, h)."""
    centres = codes[:, [1, 0]] / 10 * anchors[:, 2:] + anchors[:, :2]
    sizes = np.exp(codes[:, [3, 2]] / 5) * anchors[:, 2:]
    return np.column_stack([centres, sizes])


def _anchors() -> npt.NDArray[Any]:
    """Six layers, scales 0.2 to 0.95, aspect ratios 1, 2, 1/2, 3, 1/3 and one between; the lowest layer is reduced."""
    scales = [0.2 + 0.75 * layer / 5 for layer in range(6)] + [1.0]
    rows: list[tuple[float, float, float, float]] = []
    for layer, grid in enumerate(_GRIDS):
        shapes = [(scales[layer], ratio) for ratio in (1.0, 2.0, 0.5, 3.0, 1 / 3)]
        shapes.append(((scales[layer] * scales[layer + 1]) ** 0.5, 1.0))
        if layer == 0:
            shapes = [(0.1, 1.0), (scales[0], 2.0), (scales[0], 0.5)]
        for row in range(grid):
            for column in range(grid):
                x, y = (column + 0.5) / grid, (row + 0.5) / grid
                rows += [(x, y, scale * ratio**0.5, scale / ratio**0.5) for scale, ratio in shapes]
    return np.array(rows, np.float32)
