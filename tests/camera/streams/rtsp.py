"""A camera that speaks RTSP as GStreamer does; ``gst_rtsp`` starts it as a child process and ends it."""

import asyncio
import contextlib
import functools
import json
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
from camera.streams.pictures import SIZE, write_i420

PYTHON = "/usr/bin/python3"  # the system's: Debian's bindings are for no other
PACKAGES = (
    "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good "
    "gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly"
)
_ELEMENTS = (
    "appsrc videoconvert decodebin pngdec x264enc x265enc jpegenc rtph264pay rtph265pay rtpjpegpay rtpbin udpsink"
)
_PROBE = f"""
import gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
print(" ".join(one for one in {_ELEMENTS.split()!r} if Gst.ElementFactory.find(one) is None))
"""


def require_gstreamer():
    """Skip the test when GStreamer's server, its bindings or an encoder is not on this machine."""
    missing = _missing()
    if missing:
        pytest.skip(f"GStreamer's RTSP server is not here ({missing}): apt-get install {PACKAGES}")


@functools.cache
def _missing():
    try:
        done = subprocess.run([PYTHON, "-c", _PROBE], capture_output=True, check=False, timeout=60, text=True)
    except OSError as exc:
        return str(exc)
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip().rpartition("\n")[2]


class RtspCamera:
    """The controls. None of them waits: what they do is to be seen in the stream."""

    def __init__(self, url, scenes, process):
        self.url = url
        self._scenes, self._process = scenes, process

    @property
    def pid(self):
        return self._process.pid

    def scene(self, name):
        """Show another scene from the next frame on, which is a key frame only by chance."""
        if name not in self._scenes:
            raise ValueError(f"no scene {name!r}: {', '.join(self._scenes)}")
        self._order("scene", name=name)

    def cut(self):
        """Drop every client; new ones are welcome."""
        self._order("cut")

    def stall(self):
        """Encode nothing any more, as when the sensor has died: RTSP goes on, and RTCP."""
        self._order("stall")

    def resume(self):
        self._order("resume")

    def hang(self):
        """Stand still with open connections, as a camera that has crashed: not a byte more, not even RTCP."""
        self._process.send_signal(signal.SIGSTOP)

    def wake(self):
        self._process.send_signal(signal.SIGCONT)

    def _order(self, do, **more):
        self._process.stdin.write(json.dumps({"do": do, **more}).encode() + b"\n")


@contextlib.asynccontextmanager
async def gst_rtsp(
    scenes,
    *,
    codec="h264",
    gop=10,
    fps=10,
    bitrate=None,
    transport="both",
    credentials=None,
    auth="both",
    size=None,
):
    """Serve ``scenes``: name -> BGR frames that are shown in turns, or the path of a picture or a short recording.

    The first one is shown at the beginning. ``bitrate`` in kbit/s, default: a constant quantiser. ``transport``: tcp,
    udp or both. ``credentials``: (user, password); ``auth``: basic, digest or both. ``size``: (width, height), default:
    that of the first scene. Skips the test when GStreamer is not here.
    """
    require_gstreamer()
    with tempfile.TemporaryDirectory() as folder:
        files = {name: shown if isinstance(shown, Path) else write_i420(Path(folder) / f"{name}.i420", shown)
                 for name, shown in scenes.items()}  # fmt: skip
        width, height = size or _size(scenes)
        arguments = [f"--codec={codec}", f"--gop={gop}", f"--fps={fps}", f"--size={width}x{height}"]
        arguments += [f"--transport={transport}", *(f"--scene={name}={file}" for name, file in files.items())]
        arguments += [f"--bitrate={bitrate}"] if bitrate else []
        arguments += [f"--user={credentials[0]}", f"--password={credentials[1]}", f"--auth={auth}"] if credentials else []
        async with _child(arguments) as (process, port):
            yield RtspCamera(f"rtsp://127.0.0.1:{port}/stream", scenes, process)


def _size(scenes):
    drawn = [shown for shown in scenes.values() if not isinstance(shown, Path)]
    return (drawn[0][0].shape[1], drawn[0][0].shape[0]) if drawn else SIZE


@contextlib.asynccontextmanager
async def _child(arguments):
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
        assert said, "the server ended before it served: its error is in the captured output"
        yield process, json.loads(said)["port"]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)  # it may hang
        process.stdin.close()
        try:
            async with asyncio.timeout(3):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
