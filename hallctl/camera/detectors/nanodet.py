"""NanoDet-Plus and NanoDet: any model of that project's ONNX export, by path.

Source of the format: github.com/RangiLyu/nanodet. Commit be9b4a9: nanodet/model/head/nanodet_plus_head.py (columns,
sigmoid, centres on the cells' corners) and gfl_head.py beside it (distances in Integral; the older head's centres in
the cells' middle), config/*.yml (normalisation, strides, keep_ratio), demo_ncnn/main.cpp (the letterbox). Tag v0.4.2:
tools/export_onnx.py and nanodet/model/head/nanodet_head.py (an output for each stride, classes and distances apart).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from hallctl.camera.detector import Detection, Picture
from hallctl.camera.detectors.loading import KINDS, Array, Kind, OnnxModel, levels, people, sigmoids

MEAN, DEVIATION = (103.53, 116.28, 123.675), np.array([57.375, 57.12, 58.395], np.float32)  # blue, green, red
PERSON = 0  # of COCO's 80 classes; a model of one class is one of persons
_BINS = (8, 11, 17)  # reg_max + 1 of the published configurations (7, 10) and of the head's default (16)
_SIDES = 4  # left, top, right, bottom: distances from the centre


@dataclass(frozen=True, slots=True)
class Head:
    """Which outputs hold the classes and the distances (equal names: one output has both), and the distances' bins."""

    classes: tuple[str, ...]
    distances: tuple[str, ...]
    bins: int
    grid: Array

    def split(self, outputs: dict[str, Array]) -> tuple[Array, Array]:
        """Scores of persons [n] and distributions [n, 4 x bins] of what the model answered."""
        classes = np.concatenate([outputs[name][:, PERSON] for name in self.classes])
        return classes, np.concatenate([outputs[name][:, -_SIDES * self.bins :] for name in self.distances])


class NanoDet:
    """A NanoDet-Plus or NanoDet model: BGR less mean over deviation, on an input of the file's own size.

    Four strides (8 to 64) are NanoDet-Plus: the picture is squashed, as its configurations have it (that project's C++
    demos keep the ratio all the same), and centres are on the corners of the cells. Three strides (8 to 32) are the
    older NanoDet: aspect ratio kept in the middle of black, and centres in the middle of the cells. ``plus`` overrides
    that for a model trained otherwise, ``keep_ratio`` the picture's part alone.

    The output is 1 x cells x (classes + 4 x bins), or for each stride there is one of 1 x cells x classes and one of
    1 x cells x (4 x bins); classes are sigmoids. Raises ``ConfigError`` for a file that can't be loaded or has another
    head.
    """

    def __init__(self, path: Path, *, plus: bool | None = None, keep_ratio: bool | None = None) -> None:
        self._model = model = OnnxModel(path)
        head = find_head(model)
        if head is None:
            raise model.unfit("nanodet")
        if plus is None:
            plus = bool(head.grid[-1, 2] == 64)
        self._head, self._offset = head, 0.0 if plus else 0.5
        self._keep_ratio = not plus if keep_ratio is None else keep_ratio

    def detect(self, picture: Picture, min_score: float) -> list[Detection]:
        """People; the score is the class's, whatever the other classes' scores are."""
        canvas, (left, top, width, height) = self._fit(picture)
        blob = cv2.dnn.blobFromImage(canvas, 1.0, mean=MEAN) / DEVIATION.reshape(1, 3, 1, 1)
        scores, distances = self._head.split(self._model.run(blob))
        likely = scores >= min_score
        corners = decode(distances[likely], self._head.grid[likely], self._head.bins, self._offset)
        placed = (corners - (left, top, left, top)) / (width, height, width, height)
        return people(placed, scores[likely])

    def _fit(self, picture: Picture) -> tuple[Picture, tuple[int, int, int, int]]:
        """The input, and where the picture is in it: left, top, width, height."""
        height, width = self._model.height, self._model.width
        if not self._keep_ratio:
            return _resized(picture, width, height), (0, 0, width, height)
        ratio = min(height / picture.shape[0], width / picture.shape[1])
        wide, high = max(1, int(picture.shape[1] * ratio)), max(1, int(picture.shape[0] * ratio))
        left, top = (width - wide) // 2, (height - high) // 2
        canvas = np.zeros((height, width, 3), np.uint8)
        canvas[top : top + high, left : left + wide] = _resized(picture, wide, high)
        return canvas, (left, top, wide, high)


def decode(distances: Array, grid: Array, bins: int, offset: float) -> Array:
    """Distributions [n, 4 x bins] on cells [n, 3] as corners (left, top, right, bottom) in input pixels, [n, 4].

    A distance is the softmax's expectation over 0 .. bins - 1, in strides. ``offset``: where in its cell a centre is.
    """
    logits = distances.reshape(-1, _SIDES, bins)
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    expected = weights @ np.arange(bins) / weights.sum(axis=2) * grid[:, 2:]
    centres = (grid[:, :2] + offset) * grid[:, 2:]
    return np.column_stack([centres - expected[:, :2], centres + expected[:, 2:]])


def find_head(model: OnnxModel) -> Head | None:
    """Where classes and distances are, by shapes and by which columns went through a sigmoid; ``None``: no NanoDet."""
    outputs = model.sample
    if len(outputs) == 1:
        ((name, rows),) = outputs.items()
        return _head(model, (name,), (name,), _bins_of_one(rows), len(rows))
    ordered = sorted(outputs, key=lambda name: -len(outputs[name]))  # the finest grid has the most cells
    classes = tuple(name for name in ordered if sigmoids(outputs[name]))
    distances = tuple(name for name in ordered if name not in classes)
    if [len(outputs[name]) for name in classes] != [len(outputs[name]) for name in distances]:
        return None
    columns = {outputs[name].shape[1] for name in distances}
    bins = next((bins for bins in _BINS if columns == {_SIDES * bins}), None)
    return _head(model, classes, distances, bins, sum(len(outputs[name]) for name in classes))


def _head(model: OnnxModel, classes: Iterable[str], distances: Iterable[str], bins: int | None, n: int) -> Head | None:
    grid = levels(model, n)
    return None if bins is None or grid is None else Head(tuple(classes), tuple(distances), bins, grid)


def _bins_of_one(rows: Array) -> int | None:
    """The bins of a side where classes and distances share an output: as many as leave only sigmoids for classes."""
    for bins in _BINS:
        classes, distances = rows[:, : -_SIDES * bins], rows[:, -_SIDES * bins :]
        sides = [distances[:, side * bins : (side + 1) * bins] for side in range(_SIDES)]
        if classes.shape[1] >= 1 and sigmoids(classes) and not any(sigmoids(side) for side in sides):
            return bins
    return None


def _resized(picture: Picture, width: int, height: int) -> Picture:
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


KINDS["nanodet"] = Kind(
    NanoDet,
    lambda model: find_head(model) is not None,
    "one output with classes + 4 x 8 (11, 17) columns and a row for each cell of the strides 8, 16, 32 (64), "
    "or an output of classes and one of distances for each stride",
)
