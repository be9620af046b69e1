"""What the streams show: a counter with or without somebody, at any size, with a sensor's noise."""

import cv2
import numpy as np

SIZE = (640, 360)
# A prime: key frames at an interval that the loop divides would be equal, as of a frozen camera.
LOOP = 11


def counter(person=None, size=SIZE, brightness=1.0):
    """BGR. ``person``: the path of a square picture of somebody, who is shown in the middle."""
    wide, high = size[0] / 640, size[1] / 360

    def box(x, y, w, h, colour):
        corners = (round(x * wide), round(y * high)), (round((x + w) * wide), round((y + h) * high))
        cv2.rectangle(picture, *corners, colour, -1)

    picture = np.full((size[1], size[0], 3), (196, 206, 210), np.uint8)
    rng = np.random.default_rng(4)
    for _ in range(25):  # a hall has things in it
        box(*(int(rng.integers(0, limit)) for limit in (600, 150, 80, 60)), [int(c) for c in rng.integers(90, 220, 3)])
    box(0, 300, 640, 60, (92, 120, 150))
    if person is not None:
        side = round(min(270 * high, size[0]))
        left, top = (size[0] - side) // 2, round(60 * high)
        picture[top : top + side, left : left + side] = cv2.resize(cv2.imread(str(person)), (side, side), cv2.INTER_AREA)
    return np.clip(picture * brightness, 0, 255).astype(np.uint8)


def noisy(picture, count=LOOP, sigma=2.0):
    """``count`` frames of a scene as a sensor gives them; no two are equal."""
    rng = np.random.default_rng(11)
    grain = (rng.normal(0, sigma, (*picture.shape[:2], 1)).round().astype(np.int16) for _ in range(count))
    return [cv2.add(picture, one.repeat(3, 2), dtype=cv2.CV_8U) for one in grain]


def draw_scenes(person=None, size=SIZE, sigma=2.0):
    """Name -> frames, to be shown in turns: present (only with ``person``), empty, black and frozen."""
    shown = {"present": noisy(counter(person, size), sigma=sigma)} if person else {}
    shown["empty"] = noisy(counter(None, size), sigma=sigma)
    first = next(iter(shown.values()))
    return shown | {"black": noisy(np.zeros((size[1], size[0], 3), np.uint8), sigma=1.0), "frozen": first[:1]}


def write_i420(path, frames):
    """Raw I420 frames one after another, as GStreamer lays them out when the width is a multiple of 8."""
    height, width = frames[0].shape[:2]
    if width % 8 or height % 2:
        raise ValueError(f"{width}x{height}: I420 wants a width that 8 divides and an even height")
    path.write_bytes(b"".join(cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420).tobytes() for frame in frames))
    return path
