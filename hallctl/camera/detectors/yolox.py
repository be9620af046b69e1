"""YOLOX: any model of that project's ONNX export, by path.

Source of the format: github.com/Megvii-BaseDetection/YOLOX, commit 6ddff48: tools/export_onnx.py (the file),
yolox/models/yolo_head.py (columns, sigmoids, grids), preproc in yolox/data/data_augment.py (the letterbox) and
yolox/utils/demo_utils.py (decoding outside of the file). Models exported before 0.1.1rc1 want RGB normalised as
ImageNet's; nothing in the file tells, so they find little here: export them again.
"""

from pathlib import Path

import cv2
import numpy as np

from hallctl.camera.detector import Detection, Picture
from hallctl.camera.detectors.loading import KINDS, Array, Kind, OnnxModel, levels, people, sigmoids

PADDING = 114
PERSON = 0  # of COCO's 80 classes; a model of one class is one of persons
_BOX, _OBJECT = 4, 4  # columns: x, y, width, height; then whether there is anything; then the classes
_LARGEST = 10.0  # a logarithm of a box's size in cells; beyond, a box is larger than any input, and exp overflows


class YoloX:
    """A YOLOX model: BGR 0..255 in the upper left of a grey (114) input of the file's own size, aspect ratio kept.

    The output is 1 x cells x (5 + classes) over strides 8, 16, 32, and 64 for a P6 model. Whether its boxes are raw or
    already in pixels (exported with --decode_in_inference) is measured once on noise: raw centres lie within a cell or
    so of 0, decoded ones within a cell or so of their cell. ``decoded`` overrides that. Raises ``ConfigError`` for a
    file that can't be loaded or has another head.
    """

    def __init__(self, path: Path, *, decoded: bool | None = None) -> None:
        self._model = model = OnnxModel(path)
        grid = _grid(model)
        if grid is None:
            raise model.unfit("yolox")
        (rows,) = model.sample.values()
        self._grid, self._decoded = grid, is_decoded(rows, grid) if decoded is None else decoded

    def detect(self, picture: Picture, min_score: float) -> list[Detection]:
        """People; the score is objectness times the class's, whatever the other classes' scores are."""
        canvas, (width, height) = _letterbox(picture, self._model.height, self._model.width)
        (rows,) = self._model.run(cv2.dnn.blobFromImage(canvas)).values()
        scores = rows[:, _OBJECT] * rows[:, _OBJECT + 1 + PERSON]
        likely = scores >= min_score
        boxes = rows[likely, :_BOX] if self._decoded else decode(rows[likely], self._grid[likely])
        corners = np.column_stack([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2])
        return people(corners / (width, height, width, height), scores[likely])


def decode(rows: Array, grid: Array) -> Array:
    """Raw rows [n, 4 or more] on their cells [n, 3] as boxes: centre, width, height in input pixels, [n, 4]."""
    centres = (rows[:, :2] + grid[:, :2]) * grid[:, 2:]
    sizes = np.exp(np.minimum(rows[:, 2:4], _LARGEST)) * grid[:, 2:]
    return np.column_stack([centres, sizes])


def is_decoded(rows: Array, grid: Array) -> bool:
    """Whether centres are pixels already: then they, not the raw offsets, are near their cells."""
    offsets = np.abs(rows[:, :2] / grid[:, 2:] - grid[:, :2])
    return bool(np.median(offsets) < np.median(np.abs(rows[:, :2])))


def is_yolox(model: OnnxModel) -> bool:
    """One output, a row for each cell; objectness and classes went through a sigmoid."""
    return _grid(model) is not None


def _grid(model: OnnxModel) -> Array | None:
    if len(model.sample) != 1:
        return None
    (rows,) = model.sample.values()
    if rows.shape[1] < _BOX + 2 or not sigmoids(rows[:, _OBJECT:]):
        return None
    return levels(model, len(rows))


def _letterbox(picture: Picture, height: int, width: int) -> tuple[Picture, tuple[int, int]]:
    """The picture in the upper left of the input, and the width and height that it takes there."""
    ratio = min(height / picture.shape[0], width / picture.shape[1])
    size = max(1, int(picture.shape[1] * ratio)), max(1, int(picture.shape[0] * ratio))
    canvas = np.full((height, width, 3), PADDING, np.uint8)
    canvas[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    return canvas, size


KINDS["yolox"] = Kind(
    YoloX, is_yolox, "one output with 5 + classes columns and a row for each cell of the strides 8, 16, 32 (64)"
)
