"""A recording through the live path: the child's own watcher, the posts' own machines, as fast as it can be decoded.

Time is the recording's own. What a controller does beside it (the outbox, the centre) is left away.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av

from hallctl.camera.detector import Detector
from hallctl.camera.messages import Job
from hallctl.camera.watcher import Watcher, stamp_of
from hallctl.config.posts import Attendance
from hallctl.errors import ConfigError
from hallctl.model import AlertKind, AlertState
from hallctl.post import Lens, PostMachine, Views
from hallctl.post.lens import SILENT_S, LensEffect, RaiseBlind
from hallctl.post.machine import ClearEmpty, Effect, RaiseEmpty, StateChanged, Suspect, Unsuspect

TICK_S = 1.0
STEP_BACK_S = 2.0  # more than pictures are out of order: the recording's clock was set back, or it was joined of two
LONGEST_HOLE_S = 3600.0  # a step of MPEG-TS's clock back looks like one of a day forward
CAMERA = "camera"

Tell = Callable[[dict[str, Any]], None]


@dataclass
class _Post:
    """One post of the recording."""

    name: str
    machine: PostMachine
    views: Views
    clip: str | None = None
    clips: int = 0


@dataclass
class Replay:
    """One recording. ``start``: wall time of its first picture; ``tell`` gets one object a line, in order.

    Times ``t`` are seconds from the start of the recording: of a state, since when it is so (``decided``: when that was
    certain); of an alert and an observation, when it came.
    """

    job: Job
    rules: Attendance
    detector: Detector
    tell: Tell
    start: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    on_duty: Callable[[datetime], bool] = lambda _now: True
    keeps_clips: bool = False
    _posts: dict[str, _Post] = field(default_factory=dict)
    _now: datetime = field(init=False)
    _moment: datetime = field(init=False)  # of what is being told
    _heard: datetime | None = field(init=False, default=None)  # when the last look was

    def run(self) -> None:
        """Play it. Raises ``ConfigError`` when it can't be read."""
        self._now = self._moment = self.start
        self._posts = {
            name: _Post(name, PostMachine(self.rules), Views({CAMERA: self.job.min_score})) for name in self.job.posts
        }
        lens = Lens(self.rules.blind_after_s)
        watcher = Watcher(self.job, self.detector, lambda kind, **fields: self._said(lens, kind, fields), patient=True)
        self._watcher = watcher
        path = self.job.watch.url
        try:
            with av.open(path, format=self.job.watch.container, options=self.job.watch.options) as source:
                if not source.streams.video:
                    raise ConfigError(f"{path} has no picture", hint="give a video file")
                for name in self._posts:
                    self._line("state", self.start, post=name, state="unknown")
                self._play(watcher, lens, source)
        except BrokenPipeError:
            raise  # whoever reads our lines has gone
        except (av.FFmpegError, OSError) as exc:
            raise ConfigError(
                f"{path} can't be read: {getattr(exc, 'strerror', None) or exc}", hint="give a video file"
            ) from exc

    def _play(self, watcher: Watcher, lens: Lens, source: Any) -> None:
        stream = source.streams.video[0]
        watcher.open(stream)
        next_tick = self.start
        for packet, now in self._timed(source.demux(stream)):
            while now >= next_tick:
                self._tick(lens, next_tick)
                next_tick += timedelta(seconds=TICK_S)
            self._now = now
            watcher.take(packet, now.timestamp())
        watcher.drain(self._now.timestamp())
        if self._heard is None:
            raise self._nothing_seen(stream)
        self._tick(lens, self._now)
        for post in self._posts.values():
            self._finish(post)

    def _timed(self, packets: Iterable[Any]) -> Iterator[tuple[Any, datetime]]:
        """Packets with the moment when they come: not in the order of showing, and never back."""
        first: float | None = None
        last = 0.0
        for packet in packets:
            stamp = stamp_of(packet)
            if packet.size == 0 or stamp is None:
                continue
            if first is None or not -STEP_BACK_S <= stamp - last <= LONGEST_HOLE_S:
                first = stamp - (self._now - self.start).total_seconds()
            last = stamp
            yield packet, max(self._now, self.start + timedelta(seconds=stamp - first))

    def _nothing_seen(self, stream: Any) -> ConfigError:
        path, codec = self.job.watch.url, stream.codec_context.name
        if self._now == self.start:
            what, hint = "has no pictures that tell their time", "put it into a container: ffmpeg -i FILE film.mp4"
        else:
            what, hint = f"has no picture that can be decoded ({codec})", "give another recording"
        return ConfigError(f"{path} {what}", hint=hint)

    def _said(self, lens: Lens, kind: str, fields: dict[str, Any]) -> None:
        match kind:
            case "observation":
                at = self._moment = datetime.fromtimestamp(fields["at"], UTC)
                score, reason = fields["score"], fields["reason"]
                post = self._posts[fields["post"]]
                shown = None if score is None else round(score, 3)
                self._heard = at
                self._line("observation", at, post=post.name, score=shown, **({"reason": reason} if reason else {}))
                self._judged(lens, post, at, score, reason)
            case "clip":
                begin, end = (moment - self.start.timestamp() for moment in fields["covers"])
                where = {"path": fields["path"]} if self.keeps_clips else {}
                name = fields["name"].rpartition("-")[0]
                covers = {"from": round(begin, 2), "to": round(end, 2)}
                about = {"size": fields["size"], "sha256": fields["sha256"]}
                self._line("clip", self._moment, post=name, **covers, **about, **where)
                if not self.keeps_clips:
                    Path(fields["path"]).unlink(missing_ok=True)
            case "clip_failed":
                name = fields["name"].rpartition("-")[0]
                self._line("clip", self._moment, post=name, code=fields["code"], message=fields["message"])

    def _judged(self, lens: Lens, post: _Post, at: datetime, score: float | None, reason: str) -> None:
        lens.see(at, usable=not reason, reason=reason)
        look = post.views.see(CAMERA, at, score, reason)
        if look is not None:
            self._carry_out(post, post.machine.observe(look))

    def _tick(self, lens: Lens, now: datetime) -> None:
        self._moment = now
        on_duty = self.on_duty(now)
        if self._heard is not None and (now - self._heard).total_seconds() > SILENT_S:
            for post in self._posts.values():  # a hole in the recording is a camera that sent nothing
                self._judged(lens, post, now, None, "unplugged")
        for effect in lens.tick(now, on_duty=on_duty):
            self._blind(effect)
        for post in self._posts.values():
            self._carry_out(post, post.machine.tick(now, on_duty))

    def _blind(self, effect: LensEffect) -> None:
        about: dict[str, Any] = {"alert": AlertKind.CAMERA_BLIND.value}
        if isinstance(effect, RaiseBlind):
            since = self._seconds(effect.since)
            self._line("alert", self._moment, **about, state=AlertState.RAISED.value, since=since, reason=effect.reason)
        else:
            self._line("alert", self._moment, **about, state=AlertState.CLEARED.value, blind_s=round(effect.blind_s, 2))

    def _carry_out(self, post: _Post, effects: list[Effect]) -> None:
        about: dict[str, Any] = {"post": post.name, "alert": AlertKind.POST_EMPTY.value}
        for effect in effects:
            match effect:
                case StateChanged(new=new, since=since, at=at, reason=reason):
                    more = {"reason": reason} if reason else {}
                    decided = self._seconds(at)
                    self._line("state", since, post=post.name, state=new.value, decided=decided, **more)
                case Suspect(since=since):
                    self._begin(post, since)
                case Unsuspect():
                    if post.clip is not None:
                        self._watcher.tape.discard(post.clip)
                        post.clip = None
                case RaiseEmpty(since=since, scores=scores):
                    shown = [round(score, 2) for score in scores]
                    begin = self._seconds(since)
                    self._line("alert", self._moment, **about, state=AlertState.RAISED.value, since=begin, scores=shown)
                case ClearEmpty(absent_s=absent_s, why=why):
                    over = {"state": AlertState.CLEARED.value, "absent_s": round(absent_s, 2), "over": why}
                    self._line("alert", self._moment, **about, **over)
                    self._finish(post)

    def _begin(self, post: _Post, since: datetime) -> None:
        post.clips += 1
        post.clip = f"{post.name}-{post.clips}"
        begin = since - timedelta(seconds=self.rules.preroll_s)
        self._watcher.tape.begin(post.clip, begin.timestamp(), self.rules.preroll_s + self.rules.clip_max_s)

    def _finish(self, post: _Post) -> None:
        """The absence is over, or the recording: its clip ends; one of an absence that was no alert is not kept."""
        if post.clip is not None:
            needless = post.machine.suspect and post.machine.empty_since is None
            (self._watcher.tape.discard if needless else self._watcher.tape.finish)(post.clip)
        post.clip = None
        self._watcher.tape.settle()

    def _line(self, kind: str, at: datetime, **fields: Any) -> None:
        self.tell({"kind": kind, "t": self._seconds(at), **fields})

    def _seconds(self, moment: datetime) -> float:
        return round((moment - self.start).total_seconds(), 2)
