"""Opens a detector's model file: checks it, finds out whose head it has, and gives what the heads share.

A head is one entry of ``KINDS``. A package of yours adds one without a change here, by an entry point::

    [project.entry-points."hallctl.detectors"]
    acme = "acme_detector:open_model"

where ``open_model(path: Path)`` returns a ``hallctl.camera.detector.Detector``; an operator then writes
``model_kind: acme``. A plug-in is never guessed by ``auto``, and can't take the name of a head that comes with hallctl.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hallctl.camera import model_file
from hallctl.camera.detector import IOU, Detection, Detector, SsdLite
from hallctl.camera.network import load_network
from hallctl.errors import ConfigError

GROUP = "hallctl.detectors"
Array = npt.NDArray[Any]  # of float32 where a model made it
Dims = tuple[int, ...]  # 0: not fixed in the file

_BUNDLE = "it comes with the offline bundle, or with the one who trained it; the path is in the camera's options"


class OnnxModel:
    """An ONNX file with one picture as its input, run on one core.

    Raises ``ConfigError`` when the file can't be read, is damaged, has an unknown operator, or no fixed input of 1 x 3
    x height x width.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        data = _read(path)
        cv2.setNumThreads(1)
        try:
            self.inputs, self.outputs = shapes(data)
            self._network = load_network(data)
        except ValueError as exc:
            raise self._broken(exc) from exc
        fixed = [dims for dims in self.inputs.values() if len(dims) == 4 and dims[0] <= 1 and dims[1] == 3]
        if len(self.inputs) != 1 or not fixed or min(fixed[0][2:]) == 0:
            raise ConfigError(
                f"the detector's model {path} takes no single picture of one size: {_told(self.inputs)}",
                hint="export it with a fixed input of 1 x 3 x height x width",
            )
        self.height, self.width = fixed[0][2:]

    def run(self, blob: Array) -> dict[str, Array]:
        """The outputs by name, each as rows x columns, for a blob of 1 x 3 x height x width."""
        try:
            answers = self._network.run(blob)
        except ValueError as exc:
            raise self._broken(exc) from exc
        return {name: _rows(answer) for name, answer in answers.items()}

    @cached_property
    def sample(self) -> dict[str, Array]:
        """What the model answers to noise: tells heads apart that have equal shapes. The noise is always the same."""
        noise = np.random.default_rng(0).uniform(-2, 2, (1, 3, self.height, self.width))
        return self.run(noise.astype(np.float32))

    def told(self) -> str:
        """Inputs and outputs with their shapes, for a person."""
        found = {name: rows.shape for name, rows in self.sample.items()}
        return f"input {_told(self.inputs)}, output {_told(found)}"

    def unfit(self, kind: str) -> ConfigError:
        """The error of a file that has not the head that ``kind`` promises."""
        return ConfigError(
            f"the detector's model {self.path} has no head of {kind}: {self.told()}",
            hint=f"{kind} is {KINDS[kind].head}; model_kind: auto finds out which it is",
        )

    def _broken(self, exc: Exception) -> ConfigError:
        return ConfigError(
            f"the detector's model {self.path} can't be loaded: {exc}",
            hint="is it an ONNX file, and whole? copy it again",
        )


@dataclass(frozen=True, slots=True)
class Kind:
    """A head: how a file is opened, whether a file has it, and what it looks like, for a person."""

    open: Callable[[Path], Detector]
    fits: Callable[[OnnxModel], bool]
    head: str


def is_ssdlite(model: OnnxModel) -> bool:
    """Whether the file is of the default detector's form."""
    found = {name: rows.shape for name, rows in model.sample.items()}
    return (model.height, model.width, found) == (300, 300, {"boxes": (1917, 4), "logits": (1917, 1)})


def _open_ssdlite(path: Path) -> Detector:
    model = OnnxModel(path)
    if not is_ssdlite(model):
        raise model.unfit("ssdlite")
    return SsdLite(path, published=False)


KINDS: dict[str, Kind] = {
    "ssdlite": Kind(_open_ssdlite, is_ssdlite, "input 1x3x300x300, outputs boxes 1917x4 and logits 1917x1"),
}


def load_detector(path: Path, *, kind: str = "auto", sha256: str | None = None) -> Detector:
    """The detector of a model file.

    ``kind`` is a key of ``KINDS``, the name of a plug-in, or ``auto``: found out by the shapes of inputs and outputs
    and, where those leave a choice, by what the model answers to noise. With ``sha256`` (hex) another file is refused;
    without it a file called ``model_file.NAME`` must be the published one. Raises ``ConfigError`` for a file that is
    missing, damaged, another one or of an unknown head, and for an unknown kind.
    """
    if sha256 is not None:
        _verify(path, sha256)
    elif kind in {"auto", "ssdlite"} and path.name == model_file.NAME:
        model_file.check(path)
        return SsdLite(path, published=False)
    name = recognise(OnnxModel(path)) if kind == "auto" else kind
    return KINDS[name].open(path) if name in KINDS else _open_plugin(name, path)


def recognise(model: OnnxModel) -> str:
    """The one kind whose head the file has. Raises ``ConfigError`` when none fits, or more than one."""
    fitting = [name for name, kind in KINDS.items() if kind.fits(model)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        what, hint = "could be of several kinds", f"name it in model_kind: {' or '.join(fitting)}"
    else:
        known = "; ".join(f"{name}: {kind.head}" for name, kind in KINDS.items())
        what, hint = "has no head that is known", f"known are {known}. A plug-in is named in model_kind"
    raise ConfigError(f"the detector's model {model.path} {what}: {model.told()}", hint=hint)


def cells(height: int, width: int, strides: Sequence[int]) -> Array:
    """The grid cells of every level, row by row: column, row and stride (input pixels), [n, 3]."""
    levels = []
    for stride in strides:
        y, x = np.mgrid[: -(-height // stride), : -(-width // stride)]
        levels.append(np.column_stack([x.ravel(), y.ravel(), np.full(x.size, stride)]))
    return np.concatenate(levels).astype(np.float32)


def levels(model: OnnxModel, rows: int) -> Array | None:
    """The cells of the strides 8, 16, 32 or 8, 16, 32, 64, whichever has so many; ``None``: neither."""
    grids = (cells(model.height, model.width, strides) for strides in ((8, 16, 32), (8, 16, 32, 64)))
    return next((grid for grid in grids if len(grid) == rows), None)


def people(boxes: Array, scores: Array) -> list[Detection]:
    """Detections from corners (left, top, right, bottom as fractions of the picture, [n, 4]) and scores [n].

    Boxes are cut at the picture's borders, those wholly outside dropped, overlapping ones merged (IoU 0.5).
    """
    boxes = np.clip(boxes, 0.0, 1.0)
    sizes = boxes[:, 2:] - boxes[:, :2]
    good = (sizes > 0).all(axis=1)  # a comparison with NaN is false: such boxes go here
    corners, sizes, scores = boxes[good, :2], sizes[good], scores[good]
    if not len(scores):
        return []
    kept = cv2.dnn.NMSBoxes(np.column_stack([corners, sizes]).tolist(), scores.tolist(), 0.0, IOU)
    chosen = np.asarray(kept, int).reshape(-1)
    rows = np.column_stack([corners + sizes / 2, sizes, scores])[chosen].tolist()
    return [Detection(x, y, width, height, score) for x, y, width, height, score in rows]


def sigmoids(values: Array) -> bool:
    """Whether all values are such as a sigmoid gives."""
    return bool(((values >= 0) & (values <= 1)).all())


def shapes(data: bytes) -> tuple[dict[str, Dims], dict[str, Dims]]:
    """The inputs and outputs of an ONNX file by name; weights listed among the inputs are left out.

    OpenCV does not tell them and ONNX Runtime is not on every box, so this reads the few fields of onnx.proto
    that matter: ModelProto.graph 7; GraphProto.initializer 5, input 11, output 12; TensorProto.name 8; ValueInfoProto
    name 1, type 2; TypeProto.tensor_type 1; its shape 2; TensorShapeProto.dim 1; Dimension.dim_value 1.
    Raises ``ValueError`` when the bytes are no such file.
    """
    graph = _part(memoryview(data), 7)
    weights = {str(_part(value, 8), "utf-8") for number, value in _fields(graph) if number == 5}
    found: dict[int, dict[str, Dims]] = {11: {}, 12: {}}
    for number, value in _fields(graph):
        if number in found:
            name = str(_part(value, 1), "utf-8")
            shape = _part(_part(_part(value, 2), 1), 2)
            found[number][name] = tuple(_size(one) for key, one in _fields(shape) if key == 1)
    return {name: dims for name, dims in found[11].items() if name not in weights}, found[12]


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The fields of a protobuf message: number and payload (of a varint: its bytes); see its encoding guide."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        match key & 7:
            case 0:
                end = _varint(data, at)[1]
            case 1:
                end = at + 8
            case 2:
                length, at = _varint(data, at)
                end = at + length
            case 5:
                end = at + 4
            case _:
                raise ValueError("not an ONNX file")
        if end > len(data):
            raise ValueError("not an ONNX file, or its end is missing")
        yield key >> 3, data[at:end]
        at = end


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise ValueError("not an ONNX file, or its end is missing")


def _part(data: memoryview, number: int) -> memoryview:
    """The last field of that number, as protobuf reads it; empty when there is none."""
    return next((value for key, value in reversed(list(_fields(data))) if key == number), memoryview(b""))


def _size(dimension: memoryview) -> int:
    fixed = _part(dimension, 1)
    return _varint(fixed, 0)[0] if fixed else 0


def _rows(answer: Any) -> Array:
    array = np.atleast_1d(np.asarray(answer, np.float32))
    return array.reshape(-1, array.shape[-1])


def _told(tensors: dict[str, Dims]) -> str:
    return (
        ", ".join(f"{name} {'x'.join(str(size or '?') for size in dims)}" for name, dims in tensors.items()) or "none"
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"the detector's model {path} can't be read: {exc.strerror}", hint=_BUNDLE) from exc


def _verify(path: Path, sha256: str) -> None:
    found = hashlib.sha256(_read(path)).hexdigest()
    if found != sha256.strip().lower():
        raise ConfigError(
            f"the detector's model {path} is not the one that was chosen: sha256 {found}, expected {sha256}",
            hint="copy it again from where it came; if the new file is meant, write its sha256 into model_sha256",
        )


def _open_plugin(kind: str, path: Path) -> Detector:
    points = {point.value: point for point in entry_points(group=GROUP) if point.name == kind}
    if not points:
        known = sorted({"auto", *KINDS, *(point.name for point in entry_points(group=GROUP))})
        raise ConfigError(f"no detector is called {kind!r}", hint=f"known: {', '.join(known)}; or install its package")
    if len(points) > 1:
        raise ConfigError(
            f"two packages offer a detector {kind!r}", hint=f"uninstall one of: {', '.join(sorted(points))}"
        )
    ((value, point),) = points.items()
    try:
        detector: Detector = point.load()(path)
    except ConfigError:
        raise
    except Exception as exc:  # a vendor's code may raise anything
        raise ConfigError(
            f"the detector {kind!r} ({value}) can't open {path}: {exc!r}",
            hint="check the file; ask the detector's vendor",
        ) from exc
    if not callable(getattr(detector, "detect", None)):
        raise ConfigError(f"the detector {kind!r} ({value}) has no detect()", hint="tell the detector's vendor")
    return detector
