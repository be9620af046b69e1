"""A camera as the supervisor runs it: a child process that watches the stream, killed when it falls silent."""

import asyncio
import contextlib
import importlib.util
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hallctl.camera.messages import Job, line
from hallctl.driver import CaptureSpec, Connection, Health, TerminalContext, TerminalDriver
from hallctl.errors import ConfigError, TransportLost, TransportTimeout, TransportUnavailable
from hallctl.model import Evidence

START_TIMEOUT_S = 18.0
LONGEST_SILENCE_S = 12.0
ANSWER_TIMEOUT_S = 15.0
LINE_LIMIT = 1 << 20
MEDIA_TYPES = {"clip": "video/mp4", "snapshot": "image/jpeg"}


@dataclass(frozen=True, slots=True)
class Observation:
    """What a camera saw at a window's post: the best score 0..1, or ``None`` with the reason."""

    window: str
    at: datetime
    score: float | None
    reason: str = ""


class CameraStalled(TransportTimeout):
    """The child process has been silent for too long; it is killed and replaced."""

    code = "camera.stalled"


class CameraRunner(TerminalDriver):
    """Starts the child, hears it, and gives it orders."""

    poll_every_s = 2.0

    def __init__(
        self,
        context: TerminalContext,
        spec: CaptureSpec,
        posts: Mapping[str, Sequence[tuple[float, float]]],
        *,
        evidence_dir: Path,
        model: Path | None,
        on_observation: Callable[[Observation], Awaitable[None]],
        ring_s: float = 30.0,
    ) -> None:
        self._context = context
        self._spec = spec
        self._posts = {name: [tuple(corner) for corner in zone] for name, zone in posts.items()}
        self._evidence_dir = evidence_dir
        self._model = model
        self._ring_s = ring_s
        self._on_observation = on_observation
        self._process: asyncio.subprocess.Process | None = None
        self._heard = 0.0
        self._info: dict[str, Any] = {}
        self._answers: dict[tuple[str, str], asyncio.Future[Evidence]] = {}

    async def start(self, connection: Connection) -> None:  # noqa: ARG002  # a camera has no port of ours
        """Start a child and wait for the stream. Raises ``TransportUnavailable`` with the child's own reason."""
        await self._kill()
        _require_libraries()
        job = self._job()
        self._evidence_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "hallctl.camera.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
        )
        self._write(job.encode())
        try:
            async with self._context.clock.timeout(START_TIMEOUT_S):
                while (message := await self._next())["kind"] != "ready":
                    await self._take(message)
        except TimeoutError as exc:
            await self._kill()
            raise CameraStalled(f"{self._spec.shown_url}: no stream within {START_TIMEOUT_S:g} s") from exc
        except (TransportLost, TransportUnavailable):
            await self._kill()
            raise
        self._info = {key: message[key] for key in ("codec", "width", "height")} | {"url": self._spec.shown_url}

    async def poll(self) -> Health:
        """Whether the child still speaks. Raises ``CameraStalled`` after killing one that does not."""
        silence = self._context.clock.monotonic() - self._heard
        if silence > max(LONGEST_SILENCE_S, 3 * self._spec.check_every_s):
            await self._kill()
            raise CameraStalled(
                f"{self._spec.shown_url}: nothing for {silence:.0f} s", hint="check the camera's power and cable"
            )
        return Health(info=dict(self._info))

    async def listen(self) -> None:
        """Hear the child until it ends; raises why it did. A child never outlives its session."""
        try:
            while True:
                await self._take(await self._next())
        finally:
            await self._kill()

    async def stop(self) -> None:
        """End the child."""
        await self._kill()

    async def snapshot(self, name: str, window: str) -> Evidence:
        """The newest picture with the window's zone drawn, as JPEG. Raises ``TransportError``."""
        return await self._ask("snapshot", name, "snapshot", post=window)

    async def start_clip(self, name: str, preroll_s: float, max_s: float) -> None:
        """Begin a clip with what came before it. Raises ``TransportLost`` while there is no child."""
        self._order("clip_start", name, preroll_s=preroll_s, max_s=max_s)

    async def finish_clip(self, name: str) -> Evidence:
        """Close a clip. Raises ``TransportError`` when it is lost with its child."""
        return await self._ask("clip", name, "clip_finish")

    def _job(self) -> Job:
        model = Path(self._spec.model) if self._spec.model else self._model
        if model is None:
            hint = "name it in controller.yaml: model: /path/person-ssdlite300.onnx (scripts/model makes it)"
            raise ConfigError("no detector model is configured", hint=hint)
        return Job(
            url=self._spec.url,
            shown_url=self._spec.shown_url,
            container=self._spec.container,
            options={key: str(value) for key, value in self._spec.options.items()},
            remux=self._spec.remux,
            check_every_s=self._spec.check_every_s,
            model=str(model),
            published_model=self._spec.model is None,
            evidence_dir=str(self._evidence_dir),
            ring_s=self._ring_s,
            posts={name: [(x, y) for x, y in zone] for name, zone in self._posts.items()},
        )

    async def _next(self) -> dict[str, Any]:
        process = self._process
        if process is None or process.stdout is None:
            raise TransportLost("the camera's process is not running")
        text = await process.stdout.readline()
        if not text:
            raise TransportLost(f"{self._spec.shown_url}: the camera's process ended (code {await process.wait()})")
        self._heard = self._context.clock.monotonic()
        message: dict[str, Any] = json.loads(text)
        if message["kind"] == "error":
            raise TransportUnavailable(
                f"{self._spec.shown_url}: {message['message']}", code=message["code"], hint=message["hint"]
            )
        return message

    async def _take(self, message: dict[str, Any]) -> None:
        match message["kind"]:
            case "observation":
                at = datetime.fromtimestamp(message["at"], UTC)
                await self._on_observation(Observation(message["post"], at, message["score"], message["reason"]))
            case "status":
                self._info |= {key: message[key] for key in ("mode", "fps", "detector_ms")}
            case "clip" | "snapshot" as kind:
                self._settle(kind, message)
            case "failed":
                self._settle({"clip_finish": "clip"}.get(message["request"], message["request"]), message)

    def _settle(self, kind: str, message: dict[str, Any]) -> None:
        future = self._answers.pop((kind, message["name"]), None)
        if future is None or future.done():
            return
        if message["kind"] == "failed":
            future.set_exception(TransportLost(f"no {kind}: {message['message']}"))
        else:
            future.set_result(_evidence(kind, message))

    async def _ask(self, kind: str, name: str, do: str, **fields: object) -> Evidence:
        future: asyncio.Future[Evidence] = asyncio.get_running_loop().create_future()
        self._order(do, name, **fields)
        self._answers[kind, name] = future
        try:
            async with self._context.clock.timeout(ANSWER_TIMEOUT_S):
                return await future
        except TimeoutError as exc:
            raise CameraStalled(f"{self._spec.shown_url}: no {kind} within {ANSWER_TIMEOUT_S:g} s") from exc
        finally:
            self._answers.pop((kind, name), None)

    def _order(self, do: str, name: str, **fields: object) -> None:
        if self._process is None or self._process.returncode is not None:
            raise TransportLost(f"{self._spec.shown_url}: the camera is not running")
        self._write(line("order", do=do, name=name, **fields))

    def _write(self, data: bytes) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(data)

    async def _kill(self) -> None:
        process, self._process = self._process, None
        for future in self._answers.values():
            if not future.done():
                future.set_exception(TransportLost("the camera's process ended"))
        self._answers.clear()
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _require_libraries() -> None:
    missing = [name for name in ("av", "cv2", "numpy") if importlib.util.find_spec(name) is None]
    if missing:
        raise TransportUnavailable(
            f"cameras need {', '.join(missing)}", code="camera.not_installed", hint="pip install 'hallctl[camera]'"
        )


def _evidence(kind: str, message: dict[str, Any]) -> Evidence:
    covers = message["covers"]
    span = (datetime.fromtimestamp(covers[0], UTC), datetime.fromtimestamp(covers[1], UTC)) if covers else None
    return Evidence(kind, message["path"], message["size"], message["sha256"], MEDIA_TYPES[kind], span)
