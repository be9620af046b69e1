"""The camera's side: a small strict RTSP/1.0 server that shows a counter, with or without somebody at it.

RTP goes interleaved over TCP only, as many cameras behind firewalls are set; a SETUP for UDP is refused with 461. It
is checked against FFmpeg's own RTSP client.
"""

import asyncio
import base64
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from hallctl.driver import StreamSimulator
from hallctl.errors import ConfigError
from hallctl_drivers.camera.rtp import CLOCK, PAYLOAD_TYPE, RtpStream, interleaved
from hallctl_drivers.camera.scene import FPS, SCENES, Loop, encode_loops

DEFAULT_PERSON = Path("build/models/person.png")
METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"
FAULT_AFTER_S = 2.0
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 454: "Session Not Found",
            455: "Method Not Valid in This State", 461: "Unsupported Transport", 501: "Not Implemented"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """An RTSP request."""

    method: str
    url: str
    headers: Mapping[str, str]


@dataclass
class Client:
    """One connection and what it has set up."""

    writer: asyncio.StreamWriter
    session: str = field(default_factory=lambda: f"{random.getrandbits(48):012x}")
    channel: int | None = None
    playing: asyncio.Task[None] | None = None


class CameraSimulator(StreamSimulator):
    """One camera. ``set_scene`` changes what everybody sees at the next key frame."""

    FAULTS: ClassVar[Mapping[str, str]] = {
        "unauthorised": "refuses every user and password",
        "stalled": f"stops sending after {FAULT_AFTER_S:g} s and keeps the connection",
        "cut": f"closes the connection after {FAULT_AFTER_S:g} s",
        "black": "shows a black picture, as behind a cap",
        "frozen": "shows the same picture for ever",
    }

    def __init__(
        self, fault: str | None = None, person: Path | None = None, *, credentials: tuple[str, str] | None = None
    ) -> None:
        super().__init__(fault)
        named = os.environ.get("HALLCTL_PERSON")
        default = Path(named) if named else DEFAULT_PERSON
        self._person = person or (default if default.exists() else None)
        self._credentials = credentials
        self._loops: dict[str, Loop] = {}
        self.scene = fault if fault in SCENES else ("present" if self._person else "empty")
        self.refused: list[str] = []

    def set_scene(self, scene: str) -> None:
        """Change what is seen: present, empty, black or frozen."""
        if scene not in SCENES or (scene == "present" and self._person is None):
            hint = f"scenes: {', '.join(SCENES)}; present needs a picture of a person (scripts/person-picture)"
            raise ConfigError(f"the simulated camera can't show {scene!r}", hint=hint)
        self.scene = scene

    @contextlib.asynccontextmanager
    async def serve(self, host: str, port: int) -> AsyncIterator[str]:
        """Serve on a TCP port (0: any free one) until the block is left; gives the stream's URL."""
        self._loops = await asyncio.to_thread(encode_loops, self._person)
        connections: set[asyncio.Task[None]] = set()

        async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101  # asyncio runs it in one
            connections.add(task)
            try:
                await self._converse(reader, Client(writer))
            finally:
                connections.discard(task)

        server = await asyncio.start_server(connection, host, port)
        try:
            yield f"rtsp://{host}:{server.sockets[0].getsockname()[1]}/stream"
        finally:
            server.close()
            for task in list(connections):
                task.cancel()
            await asyncio.gather(*connections, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, client: Client) -> None:
        try:
            while (request := await _read_request(reader)) is not None:
                client.writer.write(self._answer(request, client))
                await client.writer.drain()
                if request.method == "PLAY" and client.channel is not None and client.playing is None:
                    client.playing = asyncio.create_task(self._play(client))
                if request.method == "TEARDOWN":
                    return
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            return
        finally:
            if client.playing is not None:
                client.playing.cancel()
            client.writer.close()

    def _answer(self, request: Request, client: Client) -> bytes:  # noqa: PLR0911  # one return a method
        if request.headers.get("cseq", "").isdigit() is False:
            return self._refuse(400, request, "no CSeq")
        if request.method != "OPTIONS" and not self._allowed(request):
            return self._refuse(401, request, "credentials", {"WWW-Authenticate": 'Basic realm="camera"'})
        match request.method:
            case "OPTIONS":
                return _response(200, request, {"Public": METHODS})
            case "DESCRIBE":
                return self._describe(request)
            case "SETUP":
                return self._setup(request, client)
            case "PLAY" | "GET_PARAMETER" | "TEARDOWN":
                return self._in_session(request, client)
        return self._refuse(501, request, f"method {request.method}")

    def _describe(self, request: Request) -> bytes:
        if not request.url.split("?")[0].rstrip("/").endswith("/stream"):
            return self._refuse(404, request, f"path {request.url}")
        headers = {"Content-Type": "application/sdp", "Content-Base": request.url.rstrip("/") + "/"}
        return _response(200, request, headers, _sdp(self._loops["empty"]))

    def _setup(self, request: Request, client: Client) -> bytes:
        transport = request.headers.get("transport", "")
        if "RTP/AVP/TCP" not in transport or "interleaved=" not in transport:
            return self._refuse(461, request, f"transport {transport}")
        channels = transport.split("interleaved=")[1].split(";")[0]
        client.channel = int(channels.split("-")[0])
        agreed = f"RTP/AVP/TCP;unicast;interleaved={channels}"
        return _response(200, request, {"Transport": agreed, "Session": f"{client.session};timeout=60"})

    def _in_session(self, request: Request, client: Client) -> bytes:
        if client.channel is None:
            return self._refuse(455, request, f"{request.method} before SETUP")
        if request.headers.get("session", "").split(";")[0] != client.session:
            return self._refuse(454, request, "session")
        return _response(200, request, {"Session": client.session})

    def _allowed(self, request: Request) -> bool:
        if self.fault == "unauthorised":
            return False
        if self._credentials is None:
            return True
        expected = base64.b64encode(":".join(self._credentials).encode()).decode()
        return request.headers.get("authorization", "") == f"Basic {expected}"

    def _refuse(self, status: int, request: Request, why: str, headers: Mapping[str, str] | None = None) -> bytes:
        self.refused.append(f"{status} {why}")
        return _response(status, request, headers or {})

    async def _play(self, client: Client) -> None:
        """Send pictures at the camera's pace; a scene changes at a key frame."""
        stream = RtpStream(random.getrandbits(32), random.getrandbits(16))
        began, number, offset = time.monotonic(), 0, random.getrandbits(31)
        scene, position = self.scene, 0
        with contextlib.suppress(ConnectionError):
            while True:
                if number % FPS == 0 and (scene != self.scene or position >= len(self._loops[scene].frames)):
                    scene, position = self.scene, 0
                frame = self._loops[scene].frames[position]
                for packet in stream.packets(frame, offset + number * CLOCK // FPS):
                    client.writer.write(interleaved(client.channel or 0, packet))
                await client.writer.drain()
                number, position = number + 1, position + 1
                if number >= FAULT_AFTER_S * FPS and self.fault in ("stalled", "cut"):
                    break
                await asyncio.sleep(max(0.0, began + number / FPS - time.monotonic()))
            if self.fault == "cut":
                client.writer.close()


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request; RTCP that the client interleaves is passed over. ``None``: the client has gone."""
    while True:
        first = await reader.read(1)
        if not first:
            return None
        if first != b"$":
            break
        header = await reader.readexactly(3)
        await reader.readexactly(int.from_bytes(header[1:], "big"))
    head = (first + await reader.readuntil(b"\r\n\r\n")).decode("utf-8", "replace")
    line, *rest = head.strip().split("\r\n")
    method, url, version = line.split(" ")
    if version != "RTSP/1.0":
        raise ValueError(version)
    headers = {name.strip().lower(): value.strip() for name, _, value in (one.partition(":") for one in rest)}
    await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, url, headers)


def _response(status: int, request: Request, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    lines = [f"RTSP/1.0 {status} {_REASONS[status]}", f"CSeq: {request.headers.get('cseq', '0')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def _sdp(loop: Loop) -> bytes:
    sets = ",".join(base64.b64encode(one).decode() for one in (loop.sps, loop.pps))
    lines = [
        "v=0",
        "o=- 0 0 IN IP4 127.0.0.1",
        "s=hallctl simulated camera",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "a=control:*",
        f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
        f"a=rtpmap:{PAYLOAD_TYPE} H264/{CLOCK}",
        f"a=fmtp:{PAYLOAD_TYPE} packetization-mode=1;"
        f"profile-level-id={loop.sps[1:4].hex()};sprop-parameter-sets={sets}",
        "a=control:track1",
    ]
    return ("\r\n".join(lines) + "\r\n").encode()
