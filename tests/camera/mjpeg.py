"""A camera that serves MJPEG over HTTP: multipart/x-mixed-replace, as most of them have it."""

import asyncio
import base64
import contextlib

import cv2


class MjpegCamera:
    """``scenes``: name -> frames (BGR). Strict: another path is 404, wrong credentials are 401."""

    def __init__(self, scenes, *, fps=10, credentials=None):
        self._parts = {
            name: [cv2.imencode(".jpg", frame)[1].tobytes() for frame in frames] for name, frames in scenes.items()
        }
        self._pause_s = 1 / fps
        self._allowed = base64.b64encode(":".join(credentials).encode()).decode() if credentials else None
        self.scene = next(iter(scenes))
        self.half = False  # sends half a picture and closes

    @contextlib.asynccontextmanager
    async def serve(self):
        writers = set()

        async def connection(reader, writer):
            writers.add(writer)
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._answer(reader, writer)
            writers.discard(writer)
            writer.close()

        server = await asyncio.start_server(connection, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/video.mjpg"
        finally:
            server.close()
            for writer in list(writers):
                writer.transport.abort()

    async def _answer(self, reader, writer):
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        if self._allowed is not None and f"Authorization: Basic {self._allowed}" not in request:
            challenge = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=camera\r\nContent-Length: 0\r\n\r\n"
            writer.write(challenge.encode())
            return await writer.drain()
        if " /video.mjpg " not in request.split("\r\n")[0]:
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return await writer.drain()
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=--picture\r\n\r\n")
        number = 0
        while True:
            part = self._parts[self.scene][number % len(self._parts[self.scene])]
            head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(part)}\r\n\r\n".encode()
            writer.write(head + (part[: len(part) // 2] if self.half else part + b"\r\n"))
            await writer.drain()
            if self.half:
                return None
            number += 1
            await asyncio.sleep(self._pause_s)
