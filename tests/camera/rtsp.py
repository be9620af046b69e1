"""Runs GStreamer's RTSP server for a test, with scenes drawn for it."""

import asyncio
import contextlib
import functools
import json
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

PYTHON = "/usr/bin/python3"
PACKAGES = (
    "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good "
    "gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly"
)
_PROBE = """
import gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
raise SystemExit(not all(map(Gst.ElementFactory.find, ("x264enc", "x265enc", "jpegenc", "rtph265pay", "appsrc"))))
"""


@functools.cache
def _there():
    try:
        return subprocess.run([PYTHON, "-c", _PROBE], capture_output=True, check=False, timeout=60).returncode == 0
    except OSError:
        return False


def require_gstreamer():
    if not _there():
        pytest.skip(f"GStreamer's RTSP server is not here: apt-get install {PACKAGES}")


class Server:
    """The server's controls."""

    def __init__(self, url, process):
        self.url = url
        self._process = process

    def _order(self, do, **more):
        self._process.stdin.write(json.dumps({"do": do, **more}).encode() + b"\n")

    def scene(self, name):
        self._order("scene", name=name)

    def cut(self):
        self._order("cut")

    def stall(self):
        self._order("stall")

    def resume(self):
        self._order("resume")


@contextlib.asynccontextmanager
async def gst_rtsp(folder, scenes, *, codec="h264", gop=10, fps=10, transport="both", credentials=None):
    """``scenes``: name -> frames (BGR). The first one is shown at the start."""
    require_gstreamer()
    height, width = next(iter(scenes.values()))[0].shape[:2]
    arguments = [f"--codec={codec}", f"--gop={gop}", f"--fps={fps}", f"--size={width}x{height}"]
    arguments.append(f"--transport={transport}")
    if credentials:
        arguments += ["--user", credentials[0], "--password", credentials[1]]
    for name, frames in scenes.items():
        path = Path(folder) / f"{name}.i420"
        path.write_bytes(b"".join(cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420).tobytes() for frame in frames))
        arguments += ["--scene", f"{name}={path}"]
    process = await asyncio.create_subprocess_exec(
        PYTHON,
        str(Path(__file__).with_name("gst_server.py")),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(20):
            said = await process.stdout.readline()
        yield Server(f"rtsp://127.0.0.1:{json.loads(said)['port']}/stream", process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def noisy(picture, count=37, sigma=2.0):
    """Frames of a scene as a sensor gives it: so many that no key frame soon repeats another."""
    rng = np.random.default_rng(11)
    grain = (rng.normal(0, sigma, picture.shape).round().astype(np.int16) for _ in range(count))
    return [cv2.add(picture, one, dtype=cv2.CV_8U) for one in grain]
