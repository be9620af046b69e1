"""Films for tests: a counter with or without somebody, as a sensor sees it."""

import av
import cv2
import numpy as np

FPS = 10
SIZE = (640, 360)


def counter(person=None, brightness=1.0):
    picture = np.full((SIZE[1], SIZE[0], 3), (196, 206, 210), np.uint8)
    rng = np.random.default_rng(4)
    for _ in range(25):  # a hall has things in it
        x, y, w, h = (int(rng.integers(0, limit)) for limit in (600, 150, 80, 60))
        cv2.rectangle(picture, (x, y), (x + w, y + h), tuple(int(c) for c in rng.integers(90, 220, 3)), -1)
    cv2.rectangle(picture, (0, 300), (640, 360), (92, 120, 150), -1)
    if person is not None:
        image = cv2.resize(cv2.imread(str(person)), (270, 270), interpolation=cv2.INTER_AREA)
        picture[60:330, 185:455] = image
    return np.clip(picture * brightness, 0, 255).astype(np.uint8)


def film(path, scenes, gop=10, sigma=2.0, fps=FPS, reordered=0):
    """``scenes``: (picture, seconds, live); one that is not live is the same picture again and again.

    A picture may be a function of the seconds since its scene began. ``reordered``: pictures in a row that are built on
    later ones.
    """
    rng = np.random.default_rng(2)
    grain = rng.normal(0, sigma, (SIZE[1] + 200, SIZE[0] + 200, 1)).round().astype(np.int16).repeat(3, 2)
    with av.open(str(path), "w") as out:
        options = {"g": str(gop), "preset": "ultrafast", "sc_threshold": "0", "bf": str(reordered)}
        stream = out.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for picture, seconds, live in scenes:
            for number in range(int(seconds * fps)):
                shown = picture(number / fps) if callable(picture) else picture
                if live:
                    x, y = (int(offset) for offset in rng.integers(0, 200, 2))
                    shown = cv2.add(shown, grain[y : y + SIZE[1], x : x + SIZE[0]], dtype=cv2.CV_8U)
                out.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="bgr24")))
        out.mux(stream.encode(None))
    return path
