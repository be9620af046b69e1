"""A camera as the supervisor runs it: a child process that watches the stream, killed when it falls silent."""

import asyncio
import contextlib
import importlib.util
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from hallctl.camera.messages import Job, line
from hallctl.clock import Clock
from hallctl.driver import Connection, Health, TerminalContext, TerminalDriver
from hallctl.errors import HallctlError, TransportLost, TransportTimeout, TransportUnavailable
from hallctl.model import Evidence, FaultReport, Severity

START_TIMEOUT_S = 18.0
LONGEST_SILENCE_S = 12.0
ANSWER_TIMEOUT_S = 15.0
SALVAGE_TIMEOUT_S = 120.0
LEAST_FREE = 16 << 20  # bytes
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


class CameraDesk(Protocol):
    """Whom a camera tells what it sees. ``Attendance`` is one."""

    async def seen(self, camera: str, observation: Observation) -> None:
        """A look at one post."""

    async def clip_taken(self, camera: str, name: str, clip: Evidence) -> None:
        """A clip stands."""

    async def clip_failed(self, camera: str, name: str, why: FaultReport) -> None:
        """A clip could not be taken, or ended early."""

    async def child_ended(self, camera: str) -> None:
        """The child is gone, and with it every clip that it was taking: what it wrote can be salvaged."""


class CameraRunner(TerminalDriver):
    """Starts the child, hears it, and gives it orders. ``job`` is made anew for each child."""

    poll_every_s = 2.0

    def __init__(self, context: TerminalContext, job: Callable[[], Job], desk: CameraDesk) -> None:
        self._context = context
        self._make_job = job
        self._desk = desk
        self._shown = context.terminal
        self._check_every_s = 2.0
        self._disk = ("/", 0)
        self._process: asyncio.subprocess.Process | None = None
        self._heard = 0.0
        self._info: dict[str, Any] = {}
        self._troubles: dict[str, FaultReport] = {}
        self._snapshots: dict[str, asyncio.Future[Evidence]] = {}

    @property
    def running(self) -> bool:
        """Whether there is a child that takes orders."""
        return self._process is not None and self._process.returncode is None and bool(self._info)

    async def start(self, connection: Connection) -> None:  # noqa: ARG002  # a camera has no port of ours
        """Start a child and wait for the stream. Raises ``TransportUnavailable`` with the child's own reason."""
        await self._kill()
        _require_libraries()
        job = self._make_job()
        self._shown, self._check_every_s = job.watch.shown, job.check_every_s
        self._disk = job.evidence_dir, job.free_bytes
        self._troubles.pop("recording", None)
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
            raise CameraStalled(f"{self._shown}: no stream within {START_TIMEOUT_S:g} s") from exc
        except BaseException:
            await self._kill()
            raise
        self._info = {key: message[key] for key in ("codec", "width", "height")} | {"url": self._shown}

    async def poll(self) -> Health:
        """Whether the child still speaks. Raises ``CameraStalled`` after killing one that does not."""
        silence = self._context.clock.monotonic() - self._heard
        if silence > max(LONGEST_SILENCE_S, 3 * self._check_every_s):
            await self._kill()
            raise CameraStalled(
                f"{self._shown}: nothing for {silence:.0f} s", hint="check the camera's power and cable"
            )
        self._forget_full_disk()
        return Health(tuple(self._troubles.values()), dict(self._info))

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
        future: asyncio.Future[Evidence] = asyncio.get_running_loop().create_future()
        self._order("snapshot", name, post=window)
        self._snapshots[name] = future
        try:
            async with self._context.clock.timeout(ANSWER_TIMEOUT_S):
                return await future
        except TimeoutError as exc:
            raise CameraStalled(f"{self._shown}: no snapshot within {ANSWER_TIMEOUT_S:g} s") from exc
        finally:
            self._snapshots.pop(name, None)

    def start_clip(self, name: str, since: datetime, max_s: float) -> None:
        """Begin a clip with what is kept from ``since`` on. Raises ``TransportLost`` while there is no child."""
        self._order("clip_start", name, since=since.timestamp(), max_s=max_s)

    def finish_clip(self, name: str) -> None:
        """End a clip; the desk hears when it stands. Raises ``TransportLost`` while there is no child."""
        self._order("clip_finish", name)

    def discard_clip(self, name: str) -> None:
        """Throw a clip away. Raises ``TransportLost`` while there is no child."""
        self._order("clip_discard", name)

    def accept_scene(self) -> None:
        """What the camera shows now is right. Raises ``TransportLost`` while there is no child."""
        self._order("accept", "")

    async def _next(self) -> dict[str, Any]:
        process = self._process
        if process is None or process.stdout is None:
            raise TransportLost("the camera's process is not running")
        text = await process.stdout.readline()
        if not text:
            raise TransportLost(f"{self._shown}: the camera's process ended (code {await process.wait()})")
        self._heard = self._context.clock.monotonic()
        message: dict[str, Any] = json.loads(text)
        if message["kind"] == "error":
            raise TransportUnavailable(
                f"{self._shown}: {message['message']}", code=message["code"], hint=message["hint"]
            )
        return message

    async def _take(self, message: dict[str, Any]) -> None:
        camera = self._context.terminal
        match message["kind"]:
            case "observation":
                at = datetime.fromtimestamp(message["at"], UTC)
                await self._desk.seen(camera, Observation(message["post"], at, message["score"], message["reason"]))
            case "status":
                self._info |= {key: message[key] for key in ("mode", "fps", "detector_ms")}
            case "snapshot":
                if (future := self._snapshots.get(message["name"])) is not None and not future.done():
                    future.set_result(evidence_of("snapshot", message))
            case "clip":
                self._troubles.pop("evidence", None)
                await self._desk.clip_taken(camera, message["name"], evidence_of("clip", message))
            case "clip_failed":
                self._troubles["evidence"] = why = _fault(message)
                await self._desk.clip_failed(camera, message["name"], why)
            case "recording":
                self._troubles.pop("recording", None)
                if message["code"]:
                    text = f"the stream for clips: {message['message']}"
                    self._troubles["recording"] = FaultReport(
                        "evidence.no_stream", Severity.ERROR, text, message["hint"]
                    )
            case "failed":
                await self._refused(message)

    def _forget_full_disk(self) -> None:
        """Somebody may have made room."""
        trouble = self._troubles.get("evidence")
        if trouble is None or trouble.code != "evidence.disk_full":
            return
        folder, wanted = self._disk
        with contextlib.suppress(OSError):
            if shutil.disk_usage(folder).free > max(wanted, LEAST_FREE):
                del self._troubles["evidence"]

    async def _refused(self, message: dict[str, Any]) -> None:
        if message["request"] == "snapshot":
            if (future := self._snapshots.get(message["name"])) is not None and not future.done():
                future.set_exception(TransportLost(f"no snapshot: {message['message']}"))
        elif message["request"] == "clip_start":
            why = FaultReport("evidence.failed", Severity.ERROR, message["message"])
            await self._desk.clip_failed(self._context.terminal, message["name"], why)

    def _order(self, do: str, name: str, **fields: object) -> None:
        if not self.running:
            raise TransportLost(f"{self._shown}: the camera is not running")
        self._write(line("order", do=do, name=name, **fields))

    def _write(self, data: bytes) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(data)

    async def _kill(self) -> None:
        process, self._process = self._process, None
        self._info = {}
        for future in self._snapshots.values():
            if not future.done():
                future.set_exception(TransportLost("the camera's process ended"))
        self._snapshots.clear()
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await self._desk.child_ended(self._context.terminal)


def _require_libraries() -> None:
    missing = [name for name in ("av", "cv2", "numpy") if importlib.util.find_spec(name) is None]
    if missing:
        raise TransportUnavailable(
            f"cameras need {', '.join(missing)}", code="camera.not_installed", hint="pip install 'hallctl[camera]'"
        )


def _fault(message: dict[str, Any]) -> FaultReport:
    return FaultReport(message["code"], Severity.ERROR, message["message"], message["hint"])


def evidence_of(kind: str, message: dict[str, Any]) -> Evidence:
    """A file that the child, or the salvage, has made."""
    covers = message["covers"]
    span = (datetime.fromtimestamp(covers[0], UTC), datetime.fromtimestamp(covers[1], UTC)) if covers else None
    return Evidence(kind, message["path"], message["size"], message["sha256"], MEDIA_TYPES[kind], span)


async def salvage(parts: Sequence[Path], clock: Clock) -> list[dict[str, Any]]:
    """Make whole clips of broken ones, in a process of its own. Raises ``HallctlError`` when that fails as a whole."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "hallctl.camera.salvage",
        *map(str, parts),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with clock.timeout(SALVAGE_TIMEOUT_S):
            out, _ = await process.communicate()
    except BaseException as exc:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if isinstance(exc, TimeoutError):
            raise HallctlError(f"broken clips are not whole within {SALVAGE_TIMEOUT_S:g} s") from exc
        raise
    return [json.loads(text) for text in out.splitlines()]
