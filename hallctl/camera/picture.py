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
_LARGE = 960  # pixels of width
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
    def luma(self) -> Grey:
        """Brightness as the camera sent it, every pixel, masked places too."""
        if self._given is not None:
            return np.asarray(cv2.cvtColor(self._given, cv2.COLOR_BGR2GRAY), np.uint8)
        if self._frame.format.name not in (*_LIMITED, *_FULL):
            return np.asarray(self._frame.to_ndarray(format="gray"), np.uint8)
        plane = self._frame.planes[0]
        return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]

    @cached_property
    def grey(self) -> Grey:
        """Brightness of the whole picture, 0 black to 255 white; of a large one half the width and height.

        Nothing that is told from it needs more, and halving is what costs least of all that is done with 1080p.
        """
        luma, (width, height) = self.luma, self.size
        if width >= _LARGE:
            luma = np.asarray(cv2.resize(luma, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.uint8)
        return np.asarray(cv2.LUT(luma, _TO_FULL) if self._is_limited() else luma, np.uint8)

    @cached_property
    def bgr(self) -> Bgr:
        """Colours, with the masked places black."""
        found = self._given if self._given is not None else self._frame.to_ndarray(format="bgr24")
        return painted_over(found, self._masks)

    def _is_limited(self) -> bool:
        named = self._frame is not None and self._frame.format.name in _LIMITED
        return named and self._frame.color_range != 2  # AVCOL_RANGE_JPEG


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
