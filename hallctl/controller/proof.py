"""What proves an absence: clips and snapshots of one post, from the first doubt until the alert has them all.

A clip is begun when an absence begins to count, not when its alert is raised: so it shows the leaving, whatever the
grace. It is thrown away when the absence comes to nothing. A clip that breaks off with its camera's child, or with the
daemon, is salvaged, and another one goes on.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from hallctl.camera.runner import CameraRunner, evidence_of, salvage
from hallctl.clock import Clock
from hallctl.config.posts import Attendance
from hallctl.controller.alerts import AlertBook
from hallctl.controller.evidence import EvidenceStore
from hallctl.errors import HallctlError
from hallctl.model import Alert, Evidence, FaultReport

CLIP, PART = "-clip.mp4", ".part"


@dataclass
class _Clip:
    """A clip that is being taken. ``alert``: whose it is; ``None``: nobody's yet."""

    camera: str
    alert: str | None = None


@dataclass
class Proof:
    """The evidence of one post."""

    window: str
    cameras: Sequence[str]
    rules: Attendance
    folder: Path
    runners: Mapping[str, CameraRunner]
    alerts: AlertBook
    store: EvidenceStore
    clock: Clock
    _taking: dict[str, _Clip] = field(default_factory=dict)
    _pieces: list[Evidence] = field(default_factory=list)  # whole ones of an absence that is no alert yet
    _alert: str | None = None
    _wanted: bool = False
    _done: set[str] = field(default_factory=set)  # cameras whose clip of this absence has its full length
    _left: dict[str, _Clip] = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)
    _trouble: FaultReport | None = None
    _log: Any = field(default_factory=structlog.get_logger)

    def to_dict(self) -> dict[str, Any]:
        """What has to survive a restart."""
        return {
            "taking": {name: [clip.camera, clip.alert] for name, clip in (self._taking | self._left).items()},
            "pieces": [[one.path, one.size, one.sha256, *_stamps(one)] for one in self._pieces],
            "alert": self._alert,
        }

    def restore(self, saved: Mapping[str, Any], *, wanted: bool) -> None:
        """Take up what an earlier run has left; ``wanted``: the absence goes on."""
        self._alert, self._wanted = saved["alert"], wanted
        for path, size, sha256, *covers in saved["pieces"]:
            self._pieces.append(evidence_of("clip", {"path": path, "size": size, "sha256": sha256, "covers": covers}))
        self._left = {name: _Clip(camera, alert) for name, (camera, alert) in saved["taking"].items()}

    async def take_up(self) -> None:
        """Make whole what broke off with an earlier run. It takes seconds: not to be waited for at the start."""
        await self._salvage(dict(self._left))

    @property
    def files(self) -> list[str]:
        """Names of files that belong to an absence that is no alert yet, and of clips that are to be made whole."""
        parts = [name + CLIP + PART for name in self._left]
        return [*(Path(one.path).name for one in self._pieces), *parts]

    def owns(self, clip: str) -> bool:
        """Whether this clip was begun here."""
        return clip in self._begun

    def suspect(self, since: datetime) -> None:
        """An absence begins to count: record it."""
        self._wanted, self._alert, self._trouble = True, None, None
        self._done.clear()
        for camera in self.cameras:
            self._begin(camera, since - timedelta(seconds=self.rules.preroll_s))

    def go_on(self) -> bool:
        """Cameras that came back in an absence take it up again; whether any did."""
        busy = {clip.camera for clip in self._taking.values()} | self._done
        back = [camera for camera in self.cameras if camera not in busy and self._runs(camera)] if self._wanted else []
        for camera in back:
            self._begin(camera, self.clock.now())
        return bool(back)

    async def unsuspect(self) -> None:
        """The absence came to nothing: nothing of it is kept."""
        self._wanted = False
        for name, clip in list(self._taking.items()):
            if clip.alert is None:
                del self._taking[name]
                self._order(clip.camera, "discard_clip", name)
        pieces, self._pieces = self._pieces, []
        for piece in pieces:
            await asyncio.to_thread(Path(piece.path).unlink, missing_ok=True)

    async def raised(self, alert: Alert, snapshots: Sequence[Evidence]) -> None:
        """The absence is an alert: what there is of it is its evidence, and what is being taken will be."""
        await self.store.remember(alert, tuple(snapshots))
        self._alert, trouble = alert.id, self._trouble
        if trouble is not None:
            await self.alerts.add_data(alert.id, {"no_clip": trouble.message})
        for clip in self._taking.values():
            clip.alert = clip.alert or alert.id
        pieces, self._pieces = self._pieces, []
        await self._attach(alert.id, pieces)

    def finish(self) -> None:
        """The absence is over: clips end, and come to their alert when they stand."""
        self._wanted, self._alert = False, None
        for name, clip in list(self._taking.items()):
            self._order(clip.camera, "finish_clip", name)

    async def snapshots(self) -> tuple[Evidence, ...]:
        """What each camera shows now; none of a camera that can't."""
        found = []
        for camera in self.cameras:
            try:
                found.append(await self.runners[camera].snapshot(self._name(camera), self.window))
            except (HallctlError, KeyError) as exc:
                self._log.warning("no snapshot", window=self.window, camera=camera, message=str(exc))
        return _numbered(found, 0)

    async def taken(self, camera: str, name: str, evidence: Evidence) -> None:
        """A clip stands: it belongs to its alert, or waits for one, or nobody wants it any more."""
        clip = self._taking.pop(name, None)
        self._begun.discard(name)
        if clip is None:
            await asyncio.to_thread(Path(evidence.path).unlink, missing_ok=True)
            return
        if self._wanted:
            self._done.add(camera)  # it ended by itself: it is as long as it may be
        if clip.alert is not None:
            await self._attach(clip.alert, [evidence])
        else:
            self._pieces.append(evidence)

    async def failed(self, name: str, why: FaultReport) -> None:
        """A clip can't be taken: another try would end alike. The alert says so."""
        self._log.warning("no clip", window=self.window, clip=name, message=why.message, code=why.code)
        clip = self._taking.pop(name, None)
        self._begun.discard(name)
        if clip is None:
            return
        self._done.add(clip.camera)
        self._trouble = why
        if clip.alert is not None:
            await self.alerts.add_data(clip.alert, {"no_clip": why.message})

    async def broken_off(self, camera: str) -> None:
        """The camera's child is gone: what it wrote of its clips is made whole."""
        lost = {name: clip for name, clip in self._taking.items() if clip.camera == camera}
        for name in lost:
            del self._taking[name]
        self._left |= lost
        await self._salvage(lost)

    def _begin(self, camera: str, since: datetime) -> None:
        name = self._name(camera)
        longest_s = self.rules.preroll_s + self.rules.clip_max_s
        if self._runs(camera) and self._order(camera, "start_clip", name, since, longest_s):
            self._taking[name] = _Clip(camera, self._alert)
            self._begun.add(name)

    def _runs(self, camera: str) -> bool:
        return camera in self.runners and self.runners[camera].running

    def _name(self, camera: str) -> str:
        number = f"-{self.cameras.index(camera) + 1}" if len(self.cameras) > 1 else ""
        return f"{self.window}-{int(self.clock.now().timestamp() * 1000):x}{number}"

    def _order(self, camera: str, what: str, *arguments: object) -> bool:
        try:
            getattr(self.runners[camera], what)(*arguments)
        except HallctlError as exc:
            self._log.warning("no clip", window=self.window, camera=camera, order=what, message=exc.message)
            return False
        return True

    async def _salvage(self, lost: Mapping[str, _Clip]) -> None:
        """Until it is done they stand in ``_left``: whoever is killed meanwhile, or tidies up, must not forget them."""
        await self._make_whole({str(self.folder / f"{name}{CLIP}{PART}"): clip for name, clip in lost.items()})
        for name in lost:
            self._left.pop(name, None)

    async def _make_whole(self, parts: Mapping[str, _Clip]) -> None:
        there = [path for path in map(Path, parts) if await asyncio.to_thread(path.exists)]
        if not there:
            return
        try:
            found = await salvage(there, self.clock)
        except HallctlError as exc:
            self._log.warning("clips lost", window=self.window, message=exc.message)
            return
        for one in found:
            if "path" not in one:
                self._log.warning("clip lost", window=self.window, part=one["part"], message=one.get("message", ""))
                continue
            clip, evidence = parts[one["part"]], evidence_of("clip", one)
            if clip.alert is not None:
                await self._attach(clip.alert, [evidence])
            elif self._wanted:
                self._pieces.append(evidence)
            else:
                await asyncio.to_thread(Path(evidence.path).unlink, missing_ok=True)

    async def _attach(self, alert_id: str, evidence: Sequence[Evidence]) -> None:
        alert = self.alerts.by_id(alert_id)
        if not evidence:
            return
        if alert is None:
            self._log.warning("evidence of an alert that is not known any more", window=self.window, alert=alert_id)
            return
        numbered = _numbered(evidence, sum(one.kind.startswith("clip") for one in alert.evidence))
        await self.store.remember(alert, numbered)
        await self.alerts.add_evidence(alert_id, numbered)


def _numbered(evidence: Sequence[Evidence], before: int) -> tuple[Evidence, ...]:
    """The first of a kind has the kind's name, others a number behind it."""
    return tuple(
        one if number == 1 else replace(one, kind=f"{one.kind}-{number}")
        for number, one in enumerate(evidence, before + 1)
    )


def _stamps(evidence: Evidence) -> list[float]:
    return [moment.timestamp() for moment in evidence.covers or ()]
