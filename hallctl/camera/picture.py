"""One picture of a camera, in the forms that are asked for, each made once and only when it is needed."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hallctl.post.zone import Point

Bgr = npt.NDArray[np.uint8]  # height x width x 3, blue green red
Grey = npt.NDArray[np.uint8]  # height x width, 0 black to 255 white
Masks = Sequence[Sequence[Point]]

_LIMITED = ("yuv420p", "yuv422p", "yuv444p", "nv12")  # luma runs from 16 to 235
_FULL = ("yuvj420p", "yuvj422p", "yuvj444p", "gray")
_TO_FULL = np.clip((np.arange(256) - 16) * (255 / 219), 0, 255).round().astype(np.uint8)


class Picture:
    """A decoded frame of PyAV, or pixels. ``masks``: polygons in fractions that nobody may see."""

    def __init__(self, *, frame: Any = None, bgr: Bgr | None = None, masks: Masks = ()) -> None:
        self._frame = frame
        self._given = bgr
        self._masks = masks

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        if self._given is not None:
            return self._given.shape[1], self._given.shape[0]
        return self._frame.width, self._frame.height

    @cached_property
    def grey(self) -> Grey:
        """Brightness of the whole picture, masked places too."""
        if self._given is not None:
            return np.asarray(cv2.cvtColor(self._given, cv2.COLOR_BGR2GRAY), np.uint8)
        name = self._frame.format.name
        if name not in (*_LIMITED, *_FULL):
            return np.asarray(self._frame.to_ndarray(format="gray"), np.uint8)
        plane = self._frame.planes[0]
        luma = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        limited = name in _LIMITED and self._frame.color_range != 2  # AVCOL_RANGE_JPEG
        return np.asarray(cv2.LUT(luma, _TO_FULL) if limited else luma, np.uint8)

    @cached_property
    def bgr(self) -> Bgr:
        """Colours, with the masked places black."""
        found = self._given if self._given is not None else self._frame.to_ndarray(format="bgr24")
        return painted_over(found, self._masks)


def painted_over(picture: Bgr, masks: Masks) -> Bgr:
    """The picture with every mask filled black; itself when there is none."""
    if not masks:
        return picture
    height, width = picture.shape[:2]
    out = np.ascontiguousarray(picture.copy())
    for mask in masks:
        corners = np.array([(round(x * width), round(y * height)) for x, y in mask], np.int32)
        cv2.fillPoly(out, [corners], (0, 0, 0))
    return np.asarray(out, np.uint8)
