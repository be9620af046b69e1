"""Posts and their cameras: observations into states, states into facts, alerts and evidence.

A clip is begun when a post is left, not when its alert is raised: so it shows the leaving, whatever the grace. It is
thrown away when the person is back within the grace.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import structlog

from hallctl.camera.retention import Retention
from hallctl.camera.runner import CameraRunner, Observation
from hallctl.clock import Clock
from hallctl.config import ControllerConfig
from hallctl.config.hall import HallDocument
from hallctl.controller.alerts import AlertBook
from hallctl.controller.evidence import EvidenceStore
from hallctl.driver import Camera, TerminalContext
from hallctl.errors import HallctlError
from hallctl.hall import Window
from hallctl.model import Alert, AlertKind, Event, EventType, Evidence, TerminalStatus, WindowState
from hallctl.outbox import Outbox
from hallctl.post import PostMachine, on_duty
from hallctl.post.machine import ClearBlind, ClearEmpty, Effect, Left, RaiseBlind, RaiseEmpty, Returned, StateChanged
from hallctl.terminal.supervisor import TerminalSupervisor

TICK_S = 1.0
RETENTION_EVERY_S = 60.0
SILENT_S = 10.0  # beyond this a post without an observation is not known any more
RING_MARGIN_S = 10.0  # of the packet ring beyond the pre-roll: a key frame may be that far away


@dataclass
class _Post:
    """One watched place: its machine, its camera, and the clip that is being taken."""

    window: str
    camera: str
    machine: PostMachine
    clip: str | None = None
    clip_task: asyncio.Task[None] | None = None
    min_score: float = 0.3
    heard: float = 0.0
    # Effects wait here: what carries them out asks the camera, whose listener must never wait for itself.
    effects: asyncio.Queue[list[Effect]] = field(default_factory=asyncio.Queue)


class Attendance:
    """The electronic attendance check of one controller."""

    def __init__(
        self,
        config: ControllerConfig,
        document: HallDocument,
        *,
        alerts: AlertBook,
        evidence: EvidenceStore,
        outbox: Outbox,
        clock: Clock,
    ) -> None:
        self._document = document
        self._model = config.model
        self._folder = config.state_dir / "evidence"
        limits = config.limits
        self._retention = Retention(self._folder, limits.evidence_mib * (1 << 20), limits.evidence_days)
        self._alerts = alerts
        self._evidence = evidence
        self._outbox = outbox
        self._clock = clock
        self._log = structlog.get_logger()
        self._runners: dict[str, CameraRunner] = {}
        self._posts = {
            window.id: _Post(window.id, window.post.camera, PostMachine(document.attendance))
            for window in document.windows
            if window.post is not None
        }

    def add_camera(self, camera: str, context: TerminalContext, made: Camera) -> CameraRunner:
        """A camera as something that a supervisor can run."""
        spec = made.capture()
        for post in self._posts.values():
            if post.camera == camera:
                post.min_score = spec.min_score
                post.machine = PostMachine(self._document.attendance, spec.min_score)
        zones = {
            window.id: window.post.zone
            for window in self._document.windows
            if window.post is not None and window.post.camera == camera
        }
        runner = CameraRunner(
            context,
            spec,
            zones,
            evidence_dir=self._folder,
            model=self._model,
            on_observation=self._observed,
            ring_s=self._document.attendance.preroll_s + RING_MARGIN_S + 4 * spec.check_every_s,
        )
        self._runners[camera] = runner
        return runner

    async def run(self, terminals: Mapping[str, TerminalSupervisor], windows: Sequence[Window] = ()) -> None:
        """Restore the posts, paused as their ``windows`` are, then tick until cancelled."""
        for post in self._posts.values():
            saved = await self._outbox.load_state(f"post:{post.window}")
            if saved is not None:
                post.machine = PostMachine.from_dict(self._document.attendance, saved, post.min_score)
        for window in windows:  # a pause of yesterday is over, and no post may stay paused by it
            await self.window_changed(window)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tick_for_ever(terminals))
            for post in self._posts.values():
                group.create_task(self._carry_out_for_ever(post))

    async def _tick_for_ever(self, terminals: Mapping[str, TerminalSupervisor]) -> None:
        next_retention = self._clock.monotonic()
        while True:
            await self._clock.sleep(TICK_S)
            for post in self._posts.values():
                self._tick(post, terminals)
            if self._clock.monotonic() >= next_retention:
                next_retention = self._clock.monotonic() + RETENTION_EVERY_S
                await self._retain()

    async def window_changed(self, window: Window) -> None:
        """A window's pause pauses its post."""
        post = self._posts.get(window.config.id)
        if post is None:
            return
        now = self._clock.now()
        paused = window.state is WindowState.PAUSED
        post.effects.put_nowait(post.machine.pause("window", now) if paused else post.machine.resume(now))

    def _tick(self, post: _Post, terminals: Mapping[str, TerminalSupervisor]) -> None:
        now = self._clock.now()
        effects: list[Effect] = []
        camera = terminals.get(post.camera)
        if camera is None or camera.state.status is not TerminalStatus.ONLINE:
            reason = camera.state.reason if camera is not None else "camera.quarantined"
            effects += post.machine.observe(None, now, reason or "camera.starting")
            post.heard = self._clock.monotonic()
        elif self._clock.monotonic() - post.heard > SILENT_S:
            effects += post.machine.observe(None, now, "camera.silent")  # silence is no empty post
        effects += post.machine.tick(now, on_duty(self._document.duty_hours, now))
        post.effects.put_nowait(effects)

    async def _observed(self, seen: Observation) -> None:
        post = self._posts.get(seen.window)
        if post is not None:
            post.heard = self._clock.monotonic()
            post.effects.put_nowait(post.machine.observe(seen.score, seen.at, seen.reason))

    async def _carry_out_for_ever(self, post: _Post) -> None:
        while True:
            effects = await post.effects.get()
            for effect in effects:
                await self._carry_out(post, effect)
            if effects:
                await self._outbox.save_state(f"post:{post.window}", post.machine.to_dict())

    async def _carry_out(self, post: _Post, effect: Effect) -> None:
        match effect:
            case StateChanged(old=old, new=new):
                self._log.info("post", window=post.window, state=new.value, before=old.value)
            case Left(since=since):
                await self._commit(EventType.POST_LEFT, post, since=since.isoformat())
                await self._begin_clip(post, since)
            case Returned(absent_s=absent_s):
                await self._commit(EventType.POST_RETURNED, post, absent_s=round(absent_s, 1))
                await self._discard_clip(post)
            case RaiseEmpty(since=since, scores=scores):
                await self._raise_empty(post, since, tuple(scores))
            case ClearEmpty(absent_s=absent_s):
                await self._alerts.clear(AlertKind.POST_EMPTY, post.window, data={"absent_s": round(absent_s, 1)})
            case RaiseBlind(since=since, reason=reason):
                await self._raise_blind(post, since, reason)
            case ClearBlind(blind_s=blind_s):
                await self._alerts.clear(AlertKind.CAMERA_BLIND, post.window, data={"blind_s": round(blind_s, 1)})

    async def _raise_empty(self, post: _Post, since: datetime, scores: tuple[float, ...]) -> None:
        snapshot = await self._snapshot(post)
        label = self._label(post.window)
        alert = await self._alerts.raise_once(
            AlertKind.POST_EMPTY,
            post.window,
            f"nobody is at window {label}",
            since=since,
            data={
                "camera": post.camera,
                "scores": [round(score, 2) for score in scores],
                "grace_s": self._document.attendance.grace_s,
            },
            evidence=snapshot,
        )
        await self._evidence.remember(alert, snapshot)
        clip, post.clip = post.clip, None
        if clip is not None:
            post.clip_task = asyncio.create_task(self._attach_clip(post, clip, alert))

    async def _raise_blind(self, post: _Post, since: datetime, reason: str) -> None:
        await self._commit(EventType.POST_BLIND, post, reason=reason, since=since.isoformat())
        await self._alerts.raise_once(
            AlertKind.CAMERA_BLIND,
            post.window,
            f"the camera can't see window {self._label(post.window)}: {reason}",
            since=since,
            data={"camera": post.camera, "reason": reason},
        )

    async def _attach_clip(self, post: _Post, clip: str, alert: Alert) -> None:
        """Wait for the return or the longest clip, then publish the alert again with its clip."""
        limit = self._document.attendance.clip_max_s
        began = self._clock.monotonic()
        while self._alerts.find(AlertKind.POST_EMPTY, post.window) is not None:
            if self._clock.monotonic() - began >= limit:
                break
            await self._clock.sleep(0.2)
        try:
            evidence = await self._runners[post.camera].finish_clip(clip)
        except HallctlError as exc:
            self._log.warning("clip lost", window=post.window, alert=alert.id, message=exc.message)
            return
        await self._evidence.remember(alert, (evidence,))
        await self._alerts.add_evidence(alert, (evidence,))

    async def _begin_clip(self, post: _Post, since: datetime) -> None:
        attendance = self._document.attendance
        now = self._clock.now()
        clip = f"{post.window}-{int(now.timestamp() * 1000):x}"
        preroll_s = (now - since).total_seconds() + attendance.preroll_s
        try:
            await self._runners[post.camera].start_clip(clip, preroll_s, attendance.clip_max_s)
            post.clip = clip
        except (HallctlError, KeyError) as exc:
            self._log.warning("no clip", window=post.window, message=str(exc))

    async def _discard_clip(self, post: _Post) -> None:
        clip, post.clip = post.clip, None
        if clip is None:
            return
        with contextlib.suppress(HallctlError):
            evidence = await self._runners[post.camera].finish_clip(clip)
            await asyncio.to_thread(Path(evidence.path).unlink, missing_ok=True)

    async def _snapshot(self, post: _Post) -> tuple[Evidence, ...]:
        try:
            name = f"{post.window}-{int(self._clock.now().timestamp() * 1000):x}"
            return (await self._runners[post.camera].snapshot(name, post.window),)
        except (HallctlError, KeyError) as exc:
            self._log.warning("no snapshot", window=post.window, message=str(exc))
            return ()

    async def _retain(self) -> None:
        keep = {Path(item.path).name for alert in self._alerts.open for item in alert.evidence}
        await asyncio.to_thread(self._retention.apply, frozenset(keep), self._clock.now())

    async def _commit(self, kind: EventType, post: _Post, **data: object) -> None:
        facts = {"window": post.window, "label": self._label(post.window), "camera": post.camera, **data}
        await self._outbox.append(Event(kind, facts))

    def _label(self, window: str) -> str:
        return next((one.label for one in self._document.windows if one.id == window), window)
