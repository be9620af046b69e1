"""Runs a detector's network on one core: by ONNX Runtime where it is installed, else by OpenCV.

Both answer the same to five digits; ONNX Runtime takes less than half the processor time (docs/adr/0016). It belongs to
the extra ``edge``; a box without it only works harder.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Standard error goes nowhere: where a service sees no /proc/cpuinfo (ProcSubset=pid), ONNX Runtime says so five
    times while it is loaded, before it can be told not to. It finds out what it needs all the same."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


try:
    with _unheard():
        import onnxruntime
except (ImportError, OSError):  # not on this box, or not for its C library
    onnxruntime = None

Array = npt.NDArray[Any]  # of float32

_SILENT = 4  # of its levels of logging: fatal alone. What fails is raised


class Network(Protocol):
    """A network that was loaded."""

    def run(self, blob: Array) -> dict[str, Array]:
        """The outputs by name for one input of float32. Raises ``ValueError`` when the network can't take it."""


def load_network(data: bytes) -> Network:
    """The network of an ONNX file's bytes. Raises ``ValueError`` with the reason when it can't be loaded."""
    return _ByOpenCv(data) if onnxruntime is None else _ByOnnxRuntime(data)


class _ByOnnxRuntime:
    def __init__(self, data: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _SILENT
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as exc:  # its errors have no class of their own
            raise ValueError(_first_line(exc)) from exc
        self._inputs = [one.name for one in self._session.get_inputs()]
        self._outputs = [one.name for one in self._session.get_outputs()]

    def run(self, blob: Array) -> dict[str, Array]:
        try:
            answers = self._session.run(self._outputs, dict.fromkeys(self._inputs, blob))
        except Exception as exc:  # as above
            raise ValueError(_first_line(exc)) from exc
        return dict(zip(self._outputs, answers, strict=True))


class _ByOpenCv:
    def __init__(self, data: bytes) -> None:
        try:
            self._net = cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))
        except cv2.error as exc:
            raise ValueError(exc.err) from exc
        self._outputs = list(self._net.getUnconnectedOutLayersNames())

    def run(self, blob: Array) -> dict[str, Array]:
        try:
            self._net.setInput(blob)
            answers = self._net.forward(self._outputs)
        except cv2.error as exc:
            raise ValueError(exc.err) from exc
        return dict(zip(self._outputs, answers, strict=True))


def _first_line(exc: Exception) -> str:
    return str(exc).strip().partition("\n")[0] or type(exc).__name__
