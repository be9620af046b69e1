"""Posts and their cameras: looks into states, states into facts, alerts and evidence."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path

import structlog

from hallctl.camera.messages import Job
from hallctl.camera.retention import Retention
from hallctl.camera.runner import CameraRunner, Observation
from hallctl.clock import Clock
from hallctl.config import ControllerConfig
from hallctl.config.hall import HallDocument
from hallctl.controller.alerts import AlertBook
from hallctl.controller.camerajob import camera_job, find_model, posts_of, zones_of
from hallctl.controller.evidence import EvidenceStore
from hallctl.controller.postroom import ChildEnded, ClipFailed, ClipTaken, PostRoom
from hallctl.controller.proof import Proof
from hallctl.driver import Camera, CaptureSpec, TerminalContext
from hallctl.errors import ConfigError, Fault, RequestRefused
from hallctl.hall import Window
from hallctl.model import AlertKind, Event, EventType, Evidence, FaultReport, JsonObject, TerminalStatus, WindowState
from hallctl.outbox import Outbox
from hallctl.post import DutyCalendar, Lens, PostMachine, Views
from hallctl.post.duty import Span
from hallctl.post.lens import SILENT_S, ClearBlind, LensEffect, RaiseBlind
from hallctl.terminal.supervisor import TerminalSupervisor

TICK_S = 1.0
RETENTION_EVERY_S = 60.0
DUTY_KEPT_DAYS = 7
STARTING = "camera.starting"
MIN_SCORE = 0.3  # until the camera has said its own
MIB = 1 << 20
UNPLUGGED = ("camera.unreachable", "camera.stalled", "camera.ended", "camera.silent")
_BLIND = {
    "unplugged": "no picture comes from camera {camera}",
    "dark": "the picture of camera {camera} is black",
    "covered": "something covers the lens of camera {camera}",
    "frozen": "the picture of camera {camera} stands still",
    "moved": "camera {camera} does not look where it looked: aim it again, or hallctl camera accept {camera}",
}


@dataclass
class _Camera:
    """One camera, and the posts that it watches."""

    name: str
    lens: Lens
    min_score: float = MIN_SCORE
    posts: list[PostRoom] = field(default_factory=list)
    heard: float = 0.0
    runner: CameraRunner | None = None


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
        self._rules = document.attendance
        self._zones = zones_of(document)
        self._config = config
        self._folder = config.state_dir / "evidence"
        limits = config.limits
        self._retention = Retention(self._folder, limits.evidence_mib * MIB, limits.evidence_days)
        self._duty = DutyCalendar(document.duty_hours)
        self._alerts = alerts
        self._evidence = evidence
        self._outbox = outbox
        self._clock = clock
        self._log = structlog.get_logger()
        self._runners: dict[str, CameraRunner] = {}
        self._cameras: dict[str, _Camera] = {}
        self._posts = {
            window.id: self._room(window.id, window.label) for window in document.windows if window.id in self._zones
        }
        self._group: asyncio.TaskGroup | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def add_camera(self, camera: str, context: TerminalContext, made: Camera) -> CameraRunner:
        """A camera as something that a supervisor can run. Raises ``ConfigError`` where it can't be."""
        spec = made.capture()
        watched = self._camera(camera)
        watched.min_score = spec.min_score
        for post in watched.posts:
            post.views = Views({**post.views.min_scores, camera: spec.min_score})
        runner = watched.runner = CameraRunner(context, lambda: self._job(camera, made.capture()), self)
        self._runners[camera] = runner
        return runner

    async def run(self, terminals: Mapping[str, TerminalSupervisor], windows: Sequence[Window] = ()) -> None:
        """Restore posts and cameras, paused as their ``windows`` are, then tick until cancelled."""
        await self._restore()
        for window in windows:  # a pause of yesterday is over, and no post may stay paused by it
            await self.window_changed(window)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tick_for_ever(terminals))
            group.create_task(self._retain_for_ever())
            self._group = group
            for name, post in self._posts.items():
                self._tasks[name] = group.create_task(post.run())

    async def adopt(self, document: HallDocument, windows: Sequence[Window]) -> None:
        """Go on with another document. Posts that are watched as before keep their machine, their alert and their clip.

        Call it while the cameras that change are stopped: ``add_camera`` brings them in again.
        """
        zones, rules_changed = zones_of(document), document.attendance != self._rules
        exceptions, self._duty = self._duty.exceptions, DutyCalendar(document.duty_hours)
        self._duty.exceptions = exceptions
        leave = [name for name in self._posts if rules_changed or zones.get(name) != self._zones[name]]
        for name in leave:
            await self._end_post(name, gone=name not in zones)
        self._rules, self._zones = document.attendance, zones
        await self._forget_cameras({camera for views in zones.values() for camera in views}, document)
        for camera in self._cameras.values() if rules_changed else ():
            saved, camera.lens = camera.lens.to_dict(), Lens(self._rules.blind_after_s)
            camera.lens.restore(saved)
        for window in document.windows:
            if window.id in self._posts:
                self._posts[window.id].label = window.label
            elif window.id in zones:
                await self._begin_post(window.id, window.label, windows)

    async def _end_post(self, name: str, *, gone: bool) -> None:
        post, task = self._posts.pop(name), self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        for camera in self._cameras.values():
            camera.posts = [one for one in camera.posts if one is not post]
        if not gone:
            await post.keep()
            return
        await post.proof.unsuspect()
        await self._outbox.save_state(f"post:{name}", None)
        await self._alerts.clear(AlertKind.POST_EMPTY, name, data={"over": "removed"})

    async def _begin_post(self, name: str, label: str, windows: Sequence[Window]) -> None:
        self._posts[name] = post = self._room(name, label)
        post.restore(await self._outbox.load_state(f"post:{name}"), self._clock.now())
        for window in windows:
            if window.config.id == name:
                await self.window_changed(window)
        if self._group is not None:
            self._tasks[name] = self._group.create_task(post.run())

    async def _forget_cameras(self, watching: set[str], document: HallDocument) -> None:
        """A camera that is gone is not blind; one that watches no post is nobody's eye."""
        terminals = {terminal.id for terminal in document.terminals}
        for name in [name for name in self._cameras if name not in watching]:
            await self._alerts.clear(AlertKind.CAMERA_BLIND, name, data={"over": "removed"})
            self._cameras[name].lens = Lens(self._rules.blind_after_s)
            if name not in terminals:
                self._cameras.pop(name)
                self._runners.pop(name, None)
                await self._outbox.save_state(f"camera:{name}", None)

    async def window_changed(self, window: Window) -> None:
        """A window's pause pauses its post."""
        post = self._posts.get(window.config.id)
        if post is None:
            return
        now = self._clock.now()
        paused = window.state is WindowState.PAUSED
        post.happened(*(post.machine.pause("window", now) if paused else post.machine.resume(now)))

    async def set_duty(self, day: date, spans: Sequence[Span] | None) -> JsonObject:
        """The centre's word on a day: its hours (none: no duty), or ``None``: as hall.yaml says."""
        exceptions = {one: tuple(of) for one, of in self._duty.exceptions.items() if one != day}
        if spans is not None:
            exceptions[day] = tuple(spans)
        today = self._clock.now().date()
        self._duty.exceptions = {one: of for one, of in exceptions.items() if (today - one).days <= DUTY_KEPT_DAYS}
        saved = {one.isoformat(): [list(map(str, span)) for span in of] for one, of in self._duty.exceptions.items()}
        await self._outbox.save_state("duty", saved)
        found = self._duty.day(day)
        hours = [[f"{start:%H:%M}", f"{end:%H:%M}"] for start, end in found.spans]
        data: JsonObject = {"date": day.isoformat(), "spans": hours, "why": found.why}
        await self._outbox.append(Event(EventType.DUTY_CHANGED, data))
        return data

    def accept_scene(self, camera: str) -> None:
        """What a camera shows now is its scene. Raises ``RequestRefused``, or ``TransportLost`` without a picture."""
        if camera not in self._runners:
            known = ", ".join(sorted(self._runners)) or "none"
            raise RequestRefused("camera.unknown", f"there is no camera {camera!r}", hint=f"cameras here: {known}")
        self._runners[camera].accept_scene()

    def blindness(self, camera: str) -> str:
        """Why a camera sees nothing usable now: dark, frozen ...; empty: it sees, or nobody knows."""
        watched = self._cameras.get(camera)
        return watched.lens.blindness if watched is not None else ""

    async def frame(self, camera: str) -> Evidence:
        """What a camera sees now, with a post's zone drawn. Raises ``RequestRefused``, or ``TransportError``."""
        watched = self._cameras.get(camera)
        if camera not in self._runners or watched is None or not watched.posts:
            hint = "give it a post in hall.yaml, or see what it sees: hallctl camera calibrate"
            raise RequestRefused("camera.unknown", f"no post is watched by a camera {camera!r}", hint=hint)
        return await self._runners[camera].snapshot(f"exercise-{camera}", watched.posts[0].window)

    # What a camera tells (CameraDesk). Called from its listener, so nothing here may ask the camera.

    async def seen(self, camera: str, observation: Observation) -> None:
        """A look at one post."""
        watched, post = self._cameras.get(camera), self._posts.get(observation.window)
        if watched is None or post is None or camera not in post.views.min_scores:
            return  # it was taken out of the hall, or watches another post now
        watched.heard = self._clock.monotonic()
        watched.lens.see(observation.at, usable=not observation.reason, reason=observation.reason)
        post.look(camera, observation.at, observation.score, observation.reason)

    async def clip_taken(self, camera: str, name: str, clip: Evidence) -> None:
        """A clip stands."""
        self._tell_post_of(name, camera, ClipTaken(camera, name, clip))

    async def clip_failed(self, camera: str, name: str, why: FaultReport) -> None:
        """A clip could not be taken."""
        self._tell_post_of(name, camera, ClipFailed(name, why))

    async def child_ended(self, camera: str) -> None:
        """The child is gone."""
        for post in self._posts_of(camera):
            post.happened(ChildEnded(camera))

    def _posts_of(self, camera: str) -> Sequence[PostRoom]:
        found = self._cameras.get(camera)
        return found.posts if found is not None else ()

    def _tell_post_of(self, clip: str, camera: str, happened: ClipTaken | ClipFailed) -> None:
        for post in self._posts_of(camera):
            if post.proof.owns(clip):
                post.happened(happened)

    def _room(self, window: str, label: str) -> PostRoom:
        cameras = tuple(self._zones[window])
        proof = Proof(
            window, cameras, self._rules, self._folder, self._runners, self._alerts, self._evidence, self._clock
        )
        room = PostRoom(
            window,
            label,
            self._rules,
            PostMachine(self._rules),
            Views({camera: self._camera(camera).min_score for camera in cameras}),
            proof,
            self._alerts,
            self._commit,
            self._outbox.save_state,
        )
        for camera in cameras:
            self._camera(camera).posts.append(room)
        return room

    def _camera(self, name: str) -> _Camera:
        return self._cameras.setdefault(name, _Camera(name, Lens(self._rules.blind_after_s)))

    def _job(self, camera: str, spec: CaptureSpec) -> Job:
        references = self._config.state_dir / "cameras"
        for folder in (self._folder, references):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            return camera_job(
                self._rules,
                posts_of(self._zones, camera),
                spec,
                model=find_model(self._config.model),
                evidence=self._folder,
                free_bytes=self._config.limits.evidence_free_mib * MIB,
                reference=references / f"{camera}.npy",
            )
        except ConfigError as exc:
            raise Fault("camera.model", exc.message, hint=exc.hint) from exc

    async def _restore(self) -> None:
        now = self._clock.now()
        days = await self._outbox.load_state("duty") or {}
        self._duty.exceptions = {date.fromisoformat(day): tuple(map(_span, spans)) for day, spans in days.items()}
        for camera in self._cameras.values():
            if (saved := await self._outbox.load_state(f"camera:{camera.name}")) is not None:
                camera.lens.restore(saved)
        for post in self._posts.values():
            post.restore(await self._outbox.load_state(f"post:{post.window}"), now)

    async def _tick_for_ever(self, terminals: Mapping[str, TerminalSupervisor]) -> None:
        while True:
            await self._clock.sleep(TICK_S)
            on_duty = self._duty.on_duty(self._clock.now())
            for camera in list(self._cameras.values()):
                await self._tick_camera(camera, terminals.get(camera.name), on_duty=on_duty)
            for post in list(self._posts.values()):
                post.tick(self._clock.now(), on_duty=on_duty)
            if self._rules.escalate_after_s:
                await self._alerts.escalate(AlertKind.POST_EMPTY, self._rules.escalate_after_s)

    async def _tick_camera(self, camera: _Camera, terminal: TerminalSupervisor | None, *, on_duty: bool) -> None:
        now, reason = self._clock.now(), ""
        if terminal is None or terminal.state.status is not TerminalStatus.ONLINE:
            reason = (terminal.state.reason if terminal is not None else "camera.quarantined") or STARTING
            camera.heard = self._clock.monotonic()
        elif self._clock.monotonic() - camera.heard > SILENT_S:
            reason = "camera.silent"  # silence is no empty post
        if reason:
            camera.lens.see(now, usable=False, reason=reason)
            for post in camera.posts:
                post.look(camera.name, now, None, "" if reason == STARTING else reason)
        effects = camera.lens.tick(now, on_duty=on_duty and bool(camera.posts))
        for effect in effects:
            await self._carry_out(camera, effect)
        if effects:
            await self._outbox.save_state(f"camera:{camera.name}", camera.lens.to_dict())

    async def _carry_out(self, camera: _Camera, effect: LensEffect) -> None:
        match effect:
            case RaiseBlind(since=since, reason=code):
                reason = "unplugged" if code in UNPLUGGED else code
                message = _BLIND.get(reason, "camera {camera} can't be used: " + code).format(camera=camera.name)
                windows = [post.window for post in camera.posts]
                data = {"camera": camera.name, "windows": windows, "reason": reason, "cause": code}
                await self._alerts.raise_once(AlertKind.CAMERA_BLIND, camera.name, message, since=since, data=data)
            case ClearBlind(blind_s=blind_s):
                over = {"blind_s": round(blind_s, 1)}
                await self._alerts.clear(AlertKind.CAMERA_BLIND, camera.name, data=over)

    async def _retain_for_ever(self) -> None:
        """Beside the ticks: a slow disk with many clips must hold up no post."""
        while True:
            keep = {Path(item.path).name for alert in self._alerts.open for item in alert.evidence}
            keep |= {name for post in self._posts.values() for name in post.proof.files}
            await asyncio.to_thread(self._retention.apply, frozenset(keep), self._clock.now())
            await self._clock.sleep(RETENTION_EVERY_S)

    async def _commit(self, event: Event) -> None:
        await self._outbox.append(event)


def _span(pair: Sequence[str]) -> Span:
    return time.fromisoformat(pair[0]), time.fromisoformat(pair[1])
