"""Detectors by path: YOLOX and NanoDet decode as others decode them and keep what every detector keeps; a wrong file is
an error that says what to do.

No weights of these projects were found in a package, so the models here are made on the spot: networks with the
projects' heads that find red rectangles (persons) and blue ones (cars), and networks that always answer the same
numbers. What those numbers mean was worked out with decoders that we did not write; each table says with which.
"""

import functools
import hashlib
import importlib.util
import math
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import cv2
import numpy as np
import pytest

from hallctl.camera import model_file
from hallctl.camera.detector import Detection, SsdLite
from hallctl.camera.detectors import NanoDet, YoloX, load_detector, loading, yolox
from hallctl.errors import ConfigError

onnx = pytest.importorskip("onnx", reason="the package onnx (extra dev) is missing: no model can be made to test with")
TensorProto, helper, numpy_helper = onnx.TensorProto, onnx.helper, onnx.numpy_helper

_SPEC = importlib.util.spec_from_file_location("suite", Path(__file__).with_name("detector_conformance.py"))
suite = sys.modules[_SPEC.name] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(suite)

HEIGHT, WIDTH = 320, 384  # of the models' inputs: unequal, so that a swap shows
RED, BLUE = (30, 30, 230), (230, 30, 30)
STEEP = 60.0  # of the sigmoid over a rectangle's contrast
MEAN, DEVIATION = np.array([103.53, 116.28, 123.675]), np.array([57.375, 57.12, 58.395])


class Graph:
    """Collects an ONNX graph's nodes and weights."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def weight(self, array):
        dtype = np.int64 if np.asarray(array).dtype.kind == "i" else np.float32
        self.weights.append(numpy_helper.from_array(np.asarray(array, dtype), f"w{len(self.weights)}"))
        return self.weights[-1].name

    def add(self, kind, *inputs, outputs=1, name=None, **attributes):
        names = [name] if name else [f"n{len(self.nodes)}_{one}" for one in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def save(self, path, outputs, size=(HEIGHT, WIDTH), *, channels=3, weights_as_inputs=False):
        inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, channels, *size])]
        if weights_as_inputs:
            inputs += [helper.make_tensor_value_info(w.name, w.data_type, list(w.dims)) for w in self.weights]
        told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, "rows", "columns"]) for name in outputs]
        graph = helper.make_graph(self.nodes, "test", inputs, told, self.weights)
        opset = [helper.make_opsetid("", 13)]
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
        return path


def contrasts(graph, stride, normalised):
    """For each cell, how well a red and a blue rectangle of 4 x 6 strides lies on its middle: about 0.55 is exactly."""
    mix = np.array([[-0.5, -0.5, 1], [1, -0.5, -0.5]]) / 255
    weight, bias = (mix * DEVIATION, mix @ MEAN) if normalised else (mix, np.zeros(2))
    colour = graph.add("Conv", "images", graph.weight(weight.reshape(2, 3, 1, 1)), graph.weight(bias))
    kernel = np.full((9 * stride, 6 * stride), -1 / (54 * stride**2))
    kernel[3 * stride // 2 : -3 * stride // 2, stride:-stride] += 1 / (24 * stride**2)
    pads = [4 * stride, 5 * stride // 2] * 2
    both = graph.weight(np.stack([kernel, kernel])[:, None])
    return graph.add("Conv", graph.add("Relu", colour), both, group=2, strides=[stride] * 2, pads=pads)


def columns(graph, found, red, blue, bias):
    weight = np.column_stack([red, blue])[:, :, None, None]
    return graph.add("Conv", found, graph.weight(weight), graph.weight(bias))


def flat(graph, maps):
    return graph.add("Reshape", maps, graph.weight(np.array([1, 0, -1])))


def class_columns(classes):
    """Weights of red and blue, and the biases: persons are class 0, cars 2, of nothing else there is any."""
    red, blue, bias = np.zeros(classes), np.zeros(classes), np.full(classes, -10.0)
    red[0], bias[0] = STEEP, -0.3 * STEEP
    if classes > 2:
        blue[2], bias[2] = STEEP, -0.3 * STEEP
    return red, blue, bias


def yolox_of_rectangles(path, strides=(8, 16, 32), classes=80, decoded=False):
    graph, levels = Graph(), []
    for stride in strides:
        red, blue, bias = class_columns(classes)
        red, blue = (np.concatenate([[0] * 4, [STEEP], one]) for one in (red, blue))
        bias = np.concatenate([[0.5, 0.5, math.log(4), math.log(6), -0.3 * STEEP], bias])
        maps = columns(graph, contrasts(graph, stride, False), red, blue, bias)
        sizes = graph.weight(np.array([4, 1 + classes]))
        box, rest = graph.add("Split", maps, sizes, outputs=2, axis=1)
        levels.append(flat(graph, graph.add("Concat", box, graph.add("Sigmoid", rest), axis=1)))
    joined = graph.add("Concat", *levels, axis=2)
    if not decoded:
        graph.add("Transpose", joined, perm=[0, 2, 1], name="output")
        return graph.save(path, ["output"])
    rows = graph.add("Transpose", joined, perm=[0, 2, 1])
    xy, wh, rest = graph.add("Split", rows, graph.weight(np.array([2, 2, 1 + classes])), outputs=3, axis=2)
    grid, step = grid_of(strides)
    xy = graph.add("Mul", graph.add("Add", xy, graph.weight(grid[None])), graph.weight(step[None]))
    wh = graph.add("Mul", graph.add("Exp", wh), graph.weight(step[None]))
    graph.add("Concat", xy, wh, rest, axis=2, name="output")
    return graph.save(path, ["output"])


def grid_of(strides):
    rows = [(x, y, s) for s in strides for y in range(HEIGHT // s) for x in range(WIDTH // s)]
    return np.array(rows, float)[:, :2], np.array(rows, float)[:, 2:]


def nanodet_of_rectangles(path, strides=(8, 16, 32, 64), classes=80, apart=False):
    """``apart``: an output of classes and one of distances for each stride, as NanoDet's first exports have it."""
    graph, classes_of, distances_of, levels = Graph(), [], [], []
    offset = 0 if 64 in strides else 0.5
    halves = [2 - 0.5 + offset, 3 - 0.5 + offset, 2 + 0.5 - offset, 3 + 0.5 - offset]
    peaks = np.zeros((4, 8))
    for side, half in enumerate(halves):
        peaks[side, [math.floor(half), math.ceil(half)]] = 30
    for stride in strides:
        found = contrasts(graph, stride, True)
        score = graph.add("Sigmoid", columns(graph, found, *class_columns(classes)))
        distance = columns(graph, found, np.zeros(32), np.zeros(32), peaks.ravel())
        if apart:
            for maps, names, what in ((score, classes_of, "cls"), (distance, distances_of, "dis")):
                names.append(f"{what}_pred_stride_{stride}")
                graph.add("Transpose", flat(graph, maps), perm=[0, 2, 1], name=names[-1])
        levels.append(flat(graph, graph.add("Concat", score, distance, axis=1)))
    if apart:
        return graph.save(path, classes_of + distances_of, weights_as_inputs=True)
    graph.add("Transpose", graph.add("Concat", *levels, axis=2), perm=[0, 2, 1], name="output")
    return graph.save(path, ["output"], weights_as_inputs=True)


def always(path, size, outputs):
    """A network that answers the same to every picture: ``outputs`` are rows by name."""
    graph = Graph()
    dark = graph.add("Conv", "images", graph.weight(np.zeros((1, 3, 1, 1))), graph.weight(np.zeros(1)))
    nothing = graph.add("Reshape", graph.add("GlobalAveragePool", dark), graph.weight(np.array([1, 1, 1])))
    for name, rows in outputs.items():
        graph.add("Add", nothing, graph.weight(np.asarray(rows, float)[None]), name=name)
    return graph.save(path, list(outputs), size)


MODELS = {
    "yolox": (YoloX, yolox_of_rectangles, {}),
    "yolox, decoded in the file": (YoloX, yolox_of_rectangles, {"decoded": True}),
    "yolox, four strides": (YoloX, yolox_of_rectangles, {"strides": (8, 16, 32, 64)}),
    "yolox, persons only": (YoloX, yolox_of_rectangles, {"classes": 1}),
    "nanodet-plus": (NanoDet, nanodet_of_rectangles, {}),
    "nanodet-plus, persons only": (NanoDet, nanodet_of_rectangles, {"classes": 1}),
    "nanodet": (NanoDet, nanodet_of_rectangles, {"strides": (8, 16, 32)}),
    "nanodet, six outputs": (NanoDet, nanodet_of_rectangles, {"strides": (8, 16, 32), "apart": True}),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder, ready = tmp_path_factory.mktemp("models"), {}

    def make(name):
        if name not in ready:
            _, build, options = MODELS[name]
            ready[name] = build(folder / f"{len(ready)}.onnx", **options)
        return ready[name]

    return make


@pytest.fixture(scope="module")
def opened(made):
    return functools.cache(lambda name: load_detector(made(name)))


def scales(name):
    """How many input pixels a pixel of a 640 x 480 picture becomes, across and down."""
    return (WIDTH / 640, HEIGHT / 480) if "plus" in name else (WIDTH / 640, WIDTH / 640)


def drawn(name, stride, centre=(0.4, 0.55), colour=RED):
    across, down = scales(name)
    half = 4 * stride / across / 2, 6 * stride / down / 2
    picture = np.full((480, 640, 3), 118, np.uint8)
    x, y = centre[0] * 640, centre[1] * 480
    corners = [(round(x + sign * half[0]), round(y + sign * half[1])) for sign in (-1, 1)]
    cv2.rectangle(picture, corners[0], (corners[1][0] - 1, corners[1][1] - 1), colour, -1)
    return picture, Detection(*centre, 2 * half[0] / 640, 2 * half[1] / 480, 1.0)


@pytest.mark.parametrize("stride", [8, 16, 32])
@pytest.mark.parametrize("name", MODELS)
def test_a_red_rectangle_is_found_where_it_is(opened, name, stride):
    detector = opened(name)
    assert type(detector) is MODELS[name][0]
    picture, drawn_there = drawn(name, stride)
    (found,) = detector.detect(picture, 0.5)
    assert abs(found.x - drawn_there.x) * WIDTH <= stride / 2 + 1
    assert abs(found.y - drawn_there.y) * HEIGHT <= stride / 2 + 1
    assert found.width == pytest.approx(drawn_there.width, rel=0.03)
    assert found.height == pytest.approx(drawn_there.height, rel=0.03)


@pytest.mark.parametrize("name", MODELS)
def test_a_blue_rectangle_is_a_car_and_not_told(opened, name):
    assert opened(name).detect(drawn(name, 16, colour=BLUE)[0], 0.02) == []


@pytest.mark.parametrize("check", suite.CHECKS + suite.CHECKS_OF_REAL_MODELS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", MODELS)
def test_models_of_rectangles_keep_what_every_detector_keeps(opened, name, check):
    picture, _ = drawn(name, 16)
    picture[60:140, 400:460] = RED
    check(opened(name), picture)


@pytest.mark.parametrize("check", suite.CHECKS + suite.CHECKS_OF_REAL_MODELS, ids=lambda check: check.__name__)
def test_the_default_detector_keeps_what_every_detector_keeps(model, person, check):
    picture = np.full((480, 640, 3), (196, 206, 210), np.uint8)
    cv2.rectangle(picture, (0, 400), (640, 480), (92, 120, 150), -1)
    picture[80:380, 180:480] = cv2.resize(cv2.imread(str(person)), (300, 300), interpolation=cv2.INTER_AREA)
    check(load_detector(model), picture)


# Megvii's own demo functions (github.com/Megvii-BaseDetection/YOLOX, commit 6ddff48: preproc, demo_postprocess and
# multiclass_nms, class-aware, 0.5 and 0.5) on an output of zeros but for these rows. Size of the input, of the picture
# (height, width), rows by place, and their boxes (left, top, right, bottom in the picture's pixels) with scores.
YOLOX_GOLDEN = {
    "three strides": (
        (64, 96),
        (80, 100),
        {
            3: [-0.489, 1.142, 0.369, -0.050, 0.924, 0.820, 0.178],
            11: [0.725, -0.412, 0.063, 0.566, 0.935, 0.909, 0.195],
            39: [0.639, -0.209, 0.362, 0.169, 0.817, 0.959, 0.107],
            52: [1.246, 0.188, 0.791, 0.226, 0.927, 0.820, 0.069],
            107: [1.095, 0.127, 0.767, 0.678, 0.831, 0.981, 0.094],
            112: [0.719, -0.308, 0.517, 0.375, 0.867, 0.867, 0.231],
        },
        [
            (29.209, 21.989, 43.571, 33.831, 0.784),
            (41.432, 35.612, 63.488, 48.148, 0.760),
            (17.879, 6.664, 32.341, 16.176, 0.758),
            (77.610, 19.290, 111.150, 48.390, 0.752),
        ],  # and two that lie beside the picture: places 11 and 107
    ),
    "four strides": (
        (128, 64),
        (160, 60),
        {
            9: [0.31, 0.62, 1.1, 0.4, 0.91, 0.9, 0.1],
            137: [0.55, 0.2, 0.3, 0.7, 0.88, 0.93, 0.1],
            164: [0.4, 0.7, -0.2, 0.1, 0.97, 0.9, 0.2],
            168: [0.35, 0.3, -0.9, -0.6, 0.8, 0.95, 0.1],
        },
        [
            (-0.375, 85.897, 32.375, 130.103, 0.873),
            (-1.921, 8.741, 28.121, 23.659, 0.819),
            (17.501, 23.862, 44.499, 64.138, 0.818),
            (11.737, 2.048, 44.263, 45.952, 0.760),
        ],
    ),
}


@pytest.mark.parametrize("name", YOLOX_GOLDEN)
def test_yolox_decodes_as_its_projects_own_demo(tmp_path, name):
    size, picture, hot, expected = YOLOX_GOLDEN[name]
    rows = np.zeros((sum(size[0] * size[1] // s**2 for s in ((8, 16, 32) if size[0] == 64 else (8, 16, 32, 64))), 7))
    rows[list(hot)] = list(hot.values())
    detector = YoloX(always(tmp_path / "m.onnx", size, {"output": rows}), decoded=False)
    assert_boxes(detector.detect(np.zeros((*picture, 3), np.uint8), 0.5), expected, picture)


# The NanoDet class of PyPI's ncnn 1.0.20261020 (ncnn/model_zoo/nanodet.py, its network replaced by these outputs) on an
# input of 192 x 128: place of the cell, score, distribution; then boxes (left, top, width, height in the picture's
# pixels) for pictures of 192 x 128 and, letterboxed, 300 x 175.
NANODET_ROWS = (
    (149, 0.882, "-2 2 6 0 1 -1 2 -2 -1 -1 0 6 -2 -2 -2 -2 -2 2 -2 1 6 -1 -1 0 -1 6 -2 2 1 2 -2 -1"),
    (428, 0.773, "1 6 1 -2 2 0 2 -1 -1 2 6 -2 -1 1 -2 2 -1 -1 6 2 2 2 -1 -2 1 1 1 6 -2 0 -1 0"),
    (488, 0.671, "0 6 -1 2 -2 -1 -2 -2 -1 6 0 0 -2 1 1 -1 6 -1 -2 1 0 0 -1 0 2 -1 6 -2 -1 2 2 -2"),
)
NANODET_GOLDEN = {
    (128, 192): [(27.43, 28.029, 48.154, 33.016), (117.532, 22.544, 52.169, 81.105), (46.643, 13.691, 35.464, 101.169)],
    (175, 300): [(42.859, 31.296, 75.241, 51.588), (183.643, 22.725, 81.515, 126.727), (72.88, 8.892, 55.413, 158.076)],
}


@pytest.mark.parametrize("apart", [False, True], ids=["one output", "six outputs"])
@pytest.mark.parametrize("picture", NANODET_GOLDEN)
def test_nanodet_decodes_as_ncnns_package(tmp_path, picture, apart):
    rows = nanodet_rows(504, NANODET_ROWS)
    outputs = {"output": rows}
    if apart:
        parts = dict(zip((8, 16, 32), np.split(rows, (384, 480)), strict=True))
        outputs = {f"cls_{s}": part[:, :80] for s, part in parts.items()}
        outputs |= {f"dis_{s}": part[:, 80:] for s, part in parts.items()}
    detector = NanoDet(always(tmp_path / "m.onnx", (128, 192), outputs))
    corners = [(x, y, x + width, y + height) for x, y, width, height in NANODET_GOLDEN[picture]]
    expected = [(*box, row[1]) for box, row in zip(corners, NANODET_ROWS, strict=True)]
    assert_boxes(detector.detect(np.zeros((*picture, 3), np.uint8), 0.5), expected, picture)


# generate_grid_center_priors and disPred2Bbox of demo_ncnn/nanodet.cpp (github.com/RangiLyu/nanodet, commit be9b4a9,
# its approximate exp replaced by the exact one), input 96 x 80, four strides: corners in input pixels.
PLUS_ROWS = (
    (41, 0.9, "2 2 6 -1 2 2 1 -1 -1 6 -1 0 1 -1 -1 1 -2 1 2 6 1 0 2 -1 -1 1 6 -2 -2 1 2 1"),
    (134, 0.8, "2 6 -1 1 -2 -2 -2 -1 -2 1 6 -1 -2 1 -2 1 -2 2 1 6 1 1 -1 2 -2 -2 6 1 0 2 2 0"),
    (162, 0.7, "-1 6 -2 2 2 2 0 -2 -1 6 2 -1 0 0 0 0 6 -2 2 2 1 -1 0 0 6 -2 1 -2 1 -2 1 -1"),
)
PLUS_GOLDEN = [
    (23.489, 15.421, 64.285, 40.920, 0.9),
    (15.913, 0.0, 80.784, 66.308, 0.8),
    (0.0, 0.0, 73.491, 69.651, 0.7),
]


def test_nanodet_plus_decodes_as_its_projects_own_demo(tmp_path):
    for row, (left, top, right, bottom, score) in zip(PLUS_ROWS, PLUS_GOLDEN, strict=True):
        detector = NanoDet(always(tmp_path / "m.onnx", (80, 96), {"output": nanodet_rows(163, [row])}))
        found = detector.detect(np.zeros((80, 96, 3), np.uint8), 0.5)
        assert_boxes(found, [(left, top, right, bottom, score)], (80, 96))
        squashed = detector.detect(np.zeros((80, 192, 3), np.uint8), 0.5)
        assert_boxes(squashed, [(2 * left, top, 2 * right, bottom, score)], (80, 192))


def nanodet_rows(cells, hot):
    rows = np.zeros((cells, 80 + 32))
    rows[:, :80] = 0.01
    rows[:, 80:] = np.tile([-1, 0, 0, 0, 0, 0, 0, 2], 4)
    for place, score, logits in hot:
        rows[place, 0], rows[place, 80:] = score, [int(one) for one in logits.split()]
    return rows


def assert_boxes(found, expected, picture):
    """``expected``: left, top, right, bottom in the picture's pixels and the score; found ones end at the borders."""
    height, width = picture
    found = sorted(found, key=lambda one: -one.score)
    assert len(found) == len(expected)
    for one, (left, top, right, bottom, score) in zip(found, sorted(expected, key=lambda box: -box[4]), strict=True):
        assert (one.x - one.width / 2) * width == pytest.approx(max(0, left), abs=0.05)
        assert (one.y - one.height / 2) * height == pytest.approx(max(0, top), abs=0.05)
        assert (one.x + one.width / 2) * width == pytest.approx(min(width, right), abs=0.05)
        assert (one.y + one.height / 2) * height == pytest.approx(min(height, bottom), abs=0.05)
        assert one.score == pytest.approx(score, abs=0.001)


@pytest.mark.parametrize(
    ("name", "options", "size", "outside"),
    [  # the picture is 40 wide and 20 high; where it lies in the input (left, top, right, bottom), and what is round it
        ("yolox", {}, (0, 0, 384, 192), 114),
        ("nanodet", {}, (0, 64, 384, 256), 0),
        ("nanodet-plus", {}, (0, 0, 384, 320), None),
        ("nanodet-plus", {"keep_ratio": True}, (0, 64, 384, 256), 0),
        ("nanodet-plus", {"plus": False}, (0, 64, 384, 256), 0),
    ],
)
def test_the_input_is_made_as_the_projects_make_it(made, monkeypatch, name, options, size, outside):
    seen, run = [], loading.OnnxModel.run
    detector = MODELS[name][0](made(name), **options)
    monkeypatch.setattr(loading.OnnxModel, "run", lambda model, blob: seen.append(blob) or run(model, blob))
    detector.detect(np.full((20, 40, 3), (10, 100, 200), np.uint8), 0.5)
    (blob,) = seen
    values = blob[0].transpose(1, 2, 0) * (1 if name == "yolox" else DEVIATION) + (0 if name == "yolox" else MEAN)
    left, top, right, bottom = size
    expected = np.full((HEIGHT, WIDTH, 3), outside or 0)
    expected[top:bottom, left:right] = (10, 100, 200)
    np.testing.assert_allclose(values, expected, atol=0.01)


def test_whether_boxes_are_decoded_is_measured_and_can_be_said(made):
    decoded = made("yolox, decoded in the file")
    picture, there = drawn("yolox", 16)
    (told,) = YoloX(decoded, decoded=True).detect(picture, 0.5)
    assert told.width == pytest.approx(there.width, rel=0.03)
    assert YoloX(decoded, decoded=False).detect(picture, 0.5) != [told]


def test_a_distribution_of_other_lengths_is_understood(tmp_path):
    for bins, classes in ((8, 13), (11, 1), (11, 80), (17, 80)):  # 13 + 4 x 8 and 1 + 4 x 11 are equal
        rows = np.zeros((504, classes + 4 * bins))
        rows[:, :classes], rows[:, classes:] = 0.01, np.tile([-2] + [0] * (bins - 2) + [3], 4)
        rows[250, 0] = 0.9
        rows[250, classes:] = np.tile([0, 30] + [0] * (bins - 2), 4)
        path = always(tmp_path / f"{bins}-{classes}.onnx", (128, 192), {"output": rows})
        (found,) = load_detector(path).detect(np.zeros((128, 192, 3), np.uint8), 0.5)
        assert found.width * 192 == pytest.approx(16, abs=0.1)


def test_heads_with_as_many_columns_are_told_apart(tmp_path):
    assert type(load_detector(yolox_of_rectangles(tmp_path / "y.onnx", classes=28))) is YoloX  # 5 + 28 = 1 + 4 x 8
    assert type(load_detector(nanodet_of_rectangles(tmp_path / "n.onnx", classes=53))) is NanoDet  # 53 + 4 x 8 = 5 + 80


def test_the_default_model_is_recognised_and_its_published_sha256_checked(model, tmp_path):
    assert type(load_detector(model)) is SsdLite
    assert type(load_detector(model, kind="ssdlite", sha256=model_file.SHA256.upper())) is SsdLite
    other = tmp_path / model_file.NAME
    other.write_bytes(model.read_bytes() + b"\0")
    with pytest.raises(ConfigError, match="damaged or another one"):
        load_detector(other)
    renamed = tmp_path / "mine.onnx"
    renamed.write_bytes(model.read_bytes())
    assert type(load_detector(renamed)) is SsdLite


def test_a_file_with_another_sha256_is_refused(made):
    path = made("yolox")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    assert load_detector(path, sha256=found)
    with pytest.raises(ConfigError, match="sha256") as caught:
        load_detector(path, sha256="ab" * 32)
    assert all(part in str(caught.value) for part in (str(path), found, "ab" * 32, "copy it again"))


@pytest.mark.parametrize("kind", ["auto", "ssdlite", "yolox", "nanodet"])
def test_a_missing_or_damaged_file_is_a_clear_error(made, tmp_path, kind):
    whole = made("yolox").read_bytes()
    contents = {"empty": b"", "words": b"not a model", "half": whole[: len(whole) // 2], "zeros": bytes(1000)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError, match=r"can't be loaded|no single picture") as caught:
            load_detector(tmp_path / name, kind=kind)
        assert caught.value.hint
    for path in (tmp_path / "nothing.onnx", tmp_path):
        with pytest.raises(ConfigError, match="can't be read") as caught:
            load_detector(path, kind=kind)
        assert "bundle" in caught.value.hint


def test_an_unknown_head_is_told_with_its_shapes(tmp_path, made):
    path = always(tmp_path / "m.onnx", (64, 96), {"logits": np.zeros((1, 1000))})
    with pytest.raises(ConfigError, match=r"images 1x3x64x96.*logits 1x1000.*ssdlite.*nanodet.*yolox"):
        load_detector(path)
    for kind in ("ssdlite", "yolox", "nanodet"):
        with pytest.raises(ConfigError, match=f"no head of {kind}.*logits 1x1000"):
            load_detector(path, kind=kind)
    with pytest.raises(ConfigError, match="no head of nanodet"):
        load_detector(made("yolox"), kind="nanodet")
    with pytest.raises(ConfigError, match="no head of yolox"):
        load_detector(made("nanodet-plus, persons only"), kind="yolox")


def test_a_file_that_two_heads_fit_must_be_named(tmp_path, monkeypatch, made):
    monkeypatch.setitem(loading.KINDS, "twin", loading.Kind(YoloX, yolox.is_yolox, "a twin"))
    with pytest.raises(ConfigError, match="yolox or twin"):
        load_detector(made("yolox"))
    assert load_detector(made("yolox"), kind="twin")


def test_an_input_that_is_not_one_picture_of_one_size_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no single picture.*images 1x3x\?x96"):
        load_detector(always(tmp_path / "m.onnx", ("height", 96), {"output": np.zeros((126, 7))}))
    grey = Graph()
    grey.add("Relu", "images", name="output")
    with pytest.raises(ConfigError, match=r"no single picture.*images 1x1x64x96"):
        load_detector(grey.save(tmp_path / "grey.onnx", ["output"], (64, 96), channels=1))


@pytest.mark.parametrize("name", MODELS)
def test_the_files_shapes_are_read_as_the_package_onnx_reads_them(made, name):
    graph = onnx.load(made(name)).graph
    weights = {one.name for one in graph.initializer}
    expected = {
        one.name: tuple(size.dim_value for size in one.type.tensor_type.shape.dim)
        for one in graph.input
        if one.name not in weights
    }
    inputs, outputs = loading.shapes(made(name).read_bytes())
    assert inputs == expected == {"images": (1, 3, HEIGHT, WIDTH)}
    assert list(outputs) == [one.name for one in graph.output]


class Acme:
    """A vendor's detector, as an entry point names it."""

    def __init__(self, path):
        if path.name == "broken":
            raise RuntimeError("no such accelerator")

    def detect(self, picture, min_score):
        return [Detection(0.5, 0.5, 0.2, 0.4, 0.9)] if min_score <= 0.9 else []


def mute(path):
    return object()


def offer(monkeypatch, **points):
    made = [EntryPoint(name, value, loading.GROUP) for name, values in points.items() for value in values]
    monkeypatch.setattr(loading, "entry_points", lambda *, group: made if group == "hallctl.detectors" else [])
    monkeypatch.setitem(sys.modules, "acme_detector", sys.modules[__name__])


def test_a_vendors_detector_is_found_by_its_entry_point(monkeypatch, tmp_path):
    offer(monkeypatch, acme=["acme_detector:Acme"])
    detector = load_detector(tmp_path / "any", kind="acme")
    assert type(detector).__name__ == "Acme"
    for check in suite.CHECKS:
        check(detector, np.zeros((40, 60, 3), np.uint8))


def test_a_vendors_detector_that_fails_is_a_clear_error(monkeypatch, tmp_path):
    offer(
        monkeypatch,
        acme=["acme_detector:Acme"],
        mute=["acme_detector:mute"],
        gone=["acme_detector:gone"],
        two=["a:b", "c:d"],
    )
    for kind, path, words in (
        ("acme", "broken", "acme_detector:Acme.*no such accelerator"),
        ("gone", "any", "acme_detector:gone"),
        ("mute", "any", r"no detect\(\)"),
        ("two", "any", "uninstall one of: a:b, c:d"),
        ("other", "any", "known: acme, auto, gone, mute, nanodet, ssdlite, two, yolox"),
    ):
        with pytest.raises(ConfigError, match=words):
            load_detector(tmp_path / path, kind=kind)
