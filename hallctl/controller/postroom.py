"""One post: what its cameras say goes in; facts, alerts and what proves them come out.

What happens waits in a queue and is carried out beside the camera's listener: it asks the camera, whose listener must
never wait for itself.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from hallctl.config.posts import Attendance
from hallctl.controller.alerts import AlertBook
from hallctl.controller.proof import Proof
from hallctl.model import AlertKind, Event, EventType, Evidence, FaultReport, PostState
from hallctl.post import Look, PostMachine, Views
from hallctl.post.machine import (
    ClearEmpty,
    Effect,
    Left,
    PauseOver,
    RaiseEmpty,
    Returned,
    StateChanged,
    Suspect,
    Unsuspect,
)

Commit = Callable[[Event], Awaitable[None]]
Save = Callable[[str, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ClipTaken:
    """A clip stands."""

    camera: str
    name: str
    clip: Evidence


@dataclass(frozen=True, slots=True)
class ClipFailed:
    """A clip could not be taken, or ended early."""

    name: str
    why: FaultReport


@dataclass(frozen=True, slots=True)
class ChildEnded:
    """A camera's child is gone."""

    camera: str


@dataclass(frozen=True, slots=True)
class CamerasBack:
    """A camera may have come back."""


Happened = Effect | ClipTaken | ClipFailed | ChildEnded | CamerasBack


@dataclass
class PostRoom:
    """One watched place."""

    window: str
    label: str
    rules: Attendance
    machine: PostMachine
    views: Views
    proof: Proof
    alerts: AlertBook
    commit: Commit
    save: Save
    _waiting: asyncio.Queue[Happened] = field(default_factory=asyncio.Queue)
    _log: Any = field(default_factory=structlog.get_logger)

    def look(self, camera: str, at: datetime, score: float | None, reason: str = "") -> None:
        """What one camera says."""
        look: Look | None = self.views.see(camera, at, score, reason)
        if look is not None:
            self.happened(*self.machine.observe(look))

    def tick(self, now: datetime, *, on_duty: bool) -> None:
        """Let time pass."""
        self.happened(*self.machine.tick(now, on_duty))
        if self.machine.suspect:
            self.happened(CamerasBack())

    def happened(self, *what: Happened) -> None:
        """Carry these out when it is their turn."""
        for one in what:
            self._waiting.put_nowait(one)

    async def run(self) -> None:
        """Carry out what happens, one thing after the other, until cancelled."""
        await self.proof.take_up()
        while True:
            one = await self._waiting.get()
            await self._carry_out(one)
            if not isinstance(one, CamerasBack) or self.proof.go_on():
                await self.keep()

    async def keep(self) -> None:
        """What has to survive a restart, on disk."""
        await self.save(f"post:{self.window}", {"machine": self.machine.to_dict(), "proof": self.proof.to_dict()})

    def restore(self, saved: Any, now: datetime) -> None:
        """Go on where ``keep`` left off."""
        if isinstance(saved, dict) and "machine" in saved:
            self.machine = PostMachine.from_dict(self.rules, saved["machine"], now)
            self.proof.restore(saved["proof"], wanted=self.machine.suspect)

    async def _carry_out(self, happened: Happened) -> None:  # one case a kind
        match happened:
            case StateChanged(old=old, new=new, since=since, reason=reason):
                self._log.info("post", window=self.window, state=new.value, before=old.value, reason=reason)
                if new is PostState.BLIND:
                    await self._fact(EventType.POST_BLIND, reason=reason, since=since.isoformat())
            case Left(since=since, last_seen=last_seen):
                seen = last_seen.isoformat() if last_seen else None
                await self._fact(EventType.POST_LEFT, since=since.isoformat(), last_seen=seen)
            case Returned(absent_s=absent_s):
                await self._fact(EventType.POST_RETURNED, absent_s=round(absent_s, 1))
            case PauseOver(paused_s=paused_s):
                await self._fact(EventType.POST_PAUSE_OVER, paused_s=round(paused_s, 1))
            case Suspect(since=since):
                self.proof.suspect(since)
            case Unsuspect():
                await self.proof.unsuspect()
            case RaiseEmpty():
                await self._raise(happened)
            case ClearEmpty(absent_s=absent_s, why=why):
                self.proof.finish()
                data = {"absent_s": round(absent_s, 1), "over": why}
                await self.alerts.clear(AlertKind.POST_EMPTY, self.window, data=data)
            case ClipTaken(camera=camera, name=name, clip=clip):
                await self.proof.taken(camera, name, clip)
            case ClipFailed(name=name, why=why):
                await self.proof.failed(name, why)
            case ChildEnded(camera=camera):
                await self.proof.broken_off(camera)

    async def _raise(self, effect: RaiseEmpty) -> None:
        snapshots = await self.proof.snapshots()
        alert = await self.alerts.raise_once(
            AlertKind.POST_EMPTY,
            self.window,
            f"nobody is at window {self.label}",
            since=effect.since,
            data={
                "cameras": list(self.proof.cameras),
                "last_seen": effect.last_seen.isoformat() if effect.last_seen else None,
                "scores": [round(score, 2) for score in effect.scores],
                "grace_s": self.rules.grace_s,
                "pause_overrun": effect.overrun,
            },
            evidence=snapshots,
        )
        await self.proof.raised(alert, snapshots)

    async def _fact(self, kind: EventType, **data: object) -> None:
        facts = {"window": self.window, "label": self.label, "cameras": list(self.proof.cameras), **data}
        await self.commit(Event(kind, facts))
