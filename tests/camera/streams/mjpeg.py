"""A camera that serves MJPEG over HTTP: multipart/x-mixed-replace without an end, as most of them have it."""

import asyncio
import base64
import contextlib

import cv2

PATH = "/video.mjpg"


class MjpegCamera:
    """The controls of a camera; those of ``RtspCamera``, and ``break_off``."""

    def __init__(self, scenes, fps, credentials, boundary):
        self.url = ""
        self._scenes = {name: [_jpeg(frame) for frame in frames] for name, frames in scenes.items()}
        self._scene, self._fps, self._boundary = next(iter(scenes)), fps, boundary
        self._expected = "Basic " + base64.b64encode(":".join(credentials).encode()).decode() if credentials else None
        self._flowing, self._half = asyncio.Event(), False
        self._flowing.set()
        self._writers = set()

    def scene(self, name):
        if name not in self._scenes:
            raise ValueError(f"no scene {name!r}: {', '.join(self._scenes)}")
        self._scene = name

    def cut(self):
        """Drop every client; new ones are welcome."""
        for writer in list(self._writers):
            writer.transport.abort()

    def stall(self):
        """Send nothing any more and keep the connections; an answer to a new client is its header only."""
        self._flowing.clear()

    def resume(self):
        self._flowing.set()

    def break_off(self):
        """Send each client half of the next picture and close its connection; new ones are served as ever."""
        self._half = True

    async def _connection(self, reader, writer):
        self._writers.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                if _accepts(writer, await reader.readuntil(b"\r\n\r\n"), self._expected):
                    await self._play(writer)
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _play(self, writer):
        kind = f"multipart/x-mixed-replace; boundary={self._boundary}"
        head = f"HTTP/1.0 200 OK\r\nConnection: close\r\nCache-Control: no-cache\r\nContent-Type: {kind}\r\n\r\n"
        writer.write(head.encode())
        number, loop = 0, asyncio.get_running_loop()
        self._half, began = False, loop.time()
        while True:
            await self._flowing.wait()
            frames = self._scenes[self._scene]
            writer.write(self._part(frames[number % len(frames)]))
            await writer.drain()
            if self._half:
                return
            number += 1
            await asyncio.sleep(began + number / self._fps - loop.time())

    def _part(self, picture):
        head = f"--{self._boundary}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n".encode()
        return head + (picture[: len(picture) // 2] if self._half else picture + b"\r\n")


@contextlib.asynccontextmanager
async def mjpeg_http(scenes, *, fps=10, credentials=None, boundary="picture"):
    """Serve ``scenes``: name -> BGR frames that are shown in turns; the first one at the beginning.

    ``credentials``: (user, password) of Basic authentication. Another path is 404, another method 405.
    """
    camera = MjpegCamera(scenes, fps, credentials, boundary)
    server = await asyncio.start_server(camera._connection, "127.0.0.1", 0)
    camera.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{PATH}"
    try:
        yield camera
    finally:
        server.close()
        camera.resume()
        camera.cut()
        while camera._writers:
            await asyncio.sleep(0.01)


def _accepts(writer, request, expected):
    """Whether a request is to be served; writes the refusal when it is not."""
    line, *rest = request.decode("latin-1").strip().split("\r\n")
    method, target, _version = line.split(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (one.partition(":") for one in rest)}
    if expected is not None and headers.get("authorization") != expected:
        refusal = '401 Unauthorized\r\nWWW-Authenticate: Basic realm="camera"'
    elif target.partition("?")[0] != PATH:
        refusal = "404 Not Found"
    elif method != "GET":
        refusal = "405 Method Not Allowed\r\nAllow: GET"
    else:
        return True
    writer.write(f"HTTP/1.1 {refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
    return False


def _jpeg(frame):
    return cv2.imencode(".jpg", frame)[1].tobytes()
