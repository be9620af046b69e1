"""What the simulated camera sees: a drawn counter, with or without a person, encoded once as H.264.

The pictures have slight sensor noise, as a real camera's, so that they are never the same twice in a row.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from hallctl.errors import ConfigError

WIDTH, HEIGHT, FPS = 640, 360, 10
GOPS = 12  # seconds of picture in a loop; each begins with a key frame. Shorter ones would be taken for frozen
PERSON_HEIGHT = 270
SCENES = ("present", "empty", "black", "frozen")

Nal = bytes
Frame = tuple[Nal, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """A scene as encoded frames (NAL units each, without start codes), and the stream's parameter sets."""

    frames: tuple[Frame, ...]
    sps: Nal
    pps: Nal


def encode_loops(person: Path | None) -> dict[str, Loop]:
    """Every scene that can be shown; without a picture of a person ``present`` is missing."""
    empty = _counter()
    pictures: dict[str, Any] = {"empty": empty, "black": empty * 0, "frozen": empty}
    if person is not None:
        pictures["present"] = pictures["frozen"] = _with_person(empty, person)
    return {name: _encode(picture, still=name in ("frozen", "black")) for name, picture in pictures.items()}


def nal_units(stream: bytes) -> list[Nal]:
    """An Annex B byte stream cut at its start codes (ITU-T H.264, annex B)."""
    units, starts, position = [], [], stream.find(b"\0\0\1")
    while position >= 0:
        starts.append(position)
        position = stream.find(b"\0\0\1", position + 3)
    for start, end in zip(starts, [*starts[1:], len(stream)], strict=True):
        units.append(stream[start + 3 : end].rstrip(b"\0"))
    return units


def _counter() -> Any:
    """A wall, a window frame and a counter, drawn."""
    import cv2  # noqa: PLC0415  # OpenCV and numpy belong to the extra "camera"
    import numpy as np  # noqa: PLC0415

    picture = np.full((HEIGHT, WIDTH, 3), (196, 206, 210), np.uint8)
    cv2.rectangle(picture, (60, 20), (WIDTH - 60, HEIGHT - 90), (170, 182, 188), 3)
    cv2.rectangle(picture, (0, HEIGHT - 60), (WIDTH, HEIGHT), (92, 120, 150), -1)
    cv2.line(picture, (0, HEIGHT - 60), (WIDTH, HEIGHT - 60), (60, 84, 110), 4)
    cv2.rectangle(picture, (80, 40), (170, 90), (150, 90, 40), -1)
    return picture


def _with_person(background: Any, path: Path) -> Any:
    import cv2  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    person = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if person is None:
        raise ConfigError(f"{path} is no picture", hint="scripts/person-picture takes the right one")
    person = cv2.resize(person, (PERSON_HEIGHT, PERSON_HEIGHT), interpolation=cv2.INTER_AREA)
    left, top = (WIDTH - PERSON_HEIGHT) // 2, HEIGHT - PERSON_HEIGHT - 30
    picture = background.copy()
    picture[top : top + PERSON_HEIGHT, left : left + PERSON_HEIGHT] = person
    return picture


def _encode(picture: Any, *, still: bool) -> Loop:
    import av  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    codec.time_base, codec.framerate = Fraction(1, FPS), Fraction(FPS)
    codec.options = {
        "preset": "veryfast",
        "tune": "zerolatency",
        "crf": "26",
        "profile": "baseline",
        "x264-params": f"keyint={FPS}:min-keyint={FPS}:scenecut=0:sliced-threads=0:slices=1:repeat-headers=1",
    }
    noise = np.random.default_rng(7)
    packets: list[bytes] = []
    for number in range(1 * FPS if still else GOPS * FPS):
        grain = 0 if still else noise.integers(-4, 5, picture.shape)
        frame = av.VideoFrame.from_ndarray(np.clip(picture + grain, 0, 255).astype(np.uint8), format="bgr24")
        frame.pts = number
        packets += [bytes(packet) for packet in codec.encode(frame)]
    packets += [bytes(packet) for packet in codec.encode(None)]
    frames = tuple(tuple(nal_units(packet)) for packet in packets)
    sps = next(unit for unit in frames[0] if unit[0] & 31 == 7)
    pps = next(unit for unit in frames[0] if unit[0] & 31 == 8)
    return Loop(frames, sps, pps)
