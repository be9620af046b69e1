"""The state machine of one post: looks and time in, facts, orders and alerts out. Pure.

unknown -> present | absent, each by two looks in a row: one missed detection is no departure, one false one no return.
Absent for longer than the grace, on duty and not paused, raises an alert; present for ``return_after_s`` ends it. A
post that can't be seen is ``blind``, never absent.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hallctl.config.posts import Attendance
from hallctl.model import PostState
from hallctl.post.views import Look

LOOKS_TO_CHANGE = 2
SCORES_KEPT = 10
FRESH_S = 4.0
BLIND_S = 4.0
LONGEST_BREAK_S = 30.0


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The post's state is another one. ``since``: the first look that showed it; ``at``: when it was certain."""

    old: PostState
    new: PostState
    since: datetime
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Left:
    """Nobody is there ``since`` this look; ``last_seen``: when somebody was, if anybody ever was."""

    since: datetime
    last_seen: datetime | None


@dataclass(frozen=True, slots=True)
class Returned:
    """Somebody is there again."""

    absent_s: float


@dataclass(frozen=True, slots=True)
class Suspect:
    """The absence begins to count: record what proves it. ``since``: from when on."""

    since: datetime


@dataclass(frozen=True, slots=True)
class Unsuspect:
    """The absence came to nothing: the recording is not needed."""


@dataclass(frozen=True, slots=True)
class RaiseEmpty:
    """The post is empty for longer than the grace. ``scores``: the last ones of the detector, newest last.

    ``overrun``: it was paused for longer than ``pause_max_s``.
    """

    since: datetime
    last_seen: datetime | None
    scores: tuple[float, ...]
    overrun: bool = False


@dataclass(frozen=True, slots=True)
class ClearEmpty:
    """The absence is over, or does not count any more. ``why``: returned, paused or off_duty."""

    absent_s: float
    why: str


@dataclass(frozen=True, slots=True)
class PauseOver:
    """The pause has lasted longer than ``pause_max_s`` and excuses nobody any more."""

    paused_s: float


Effect = StateChanged | Left | Returned | Suspect | Unsuspect | RaiseEmpty | ClearEmpty | PauseOver


class PostMachine:
    """One post."""

    def __init__(self, attendance: Attendance) -> None:
        self._rules = attendance
        self._seen = PostState.UNKNOWN  # what the cameras say, whether paused or not
        self._run: tuple[bool | None, datetime, int] = (None, datetime.min, 0)  # looks in a row: what, since, how many
        self._last_seen: datetime | None = None
        self._left_at: datetime | None = None
        self._back_at: datetime | None = None
        self._counts_since: datetime | None = None
        self._paused_at: datetime | None = None
        self._overrun = False
        self._suspect = False
        self._raised: datetime | None = None  # the beginning that the open alert tells
        self._scores: deque[float] = deque(maxlen=SCORES_KEPT)
        self._looked_at: datetime | None = None
        self._pause_s = 0.0  # between the last two looks

    @property
    def state(self) -> PostState:
        """What is to be believed of the post."""
        return PostState.PAUSED if self._paused_at is not None and not self._overrun else self._seen

    @property
    def empty_since(self) -> datetime | None:
        """Since when the open alert says that the post is empty."""
        return self._raised

    @property
    def suspect(self) -> bool:
        """Whether an absence counts now, alert or not: somebody wants to see it."""
        return self._suspect or self._raised is not None

    def observe(self, look: Look) -> list[Effect]:
        """What the cameras say."""
        kind, since, count = self._run
        if look.person is None and not look.reason:
            self._run = (None, look.at, 0)  # nothing can be said: neither a departure nor a return goes on
            return []
        if self._looked_at is not None and not 0 <= (look.at - self._looked_at).total_seconds() <= LONGEST_BREAK_S:
            self._begin_anew(look.at)
            kind, since, count = self._run
        count = count + 1 if kind is look.person and count else 1
        self._run = (look.person, since if count > 1 else look.at, count)
        if look.person is None:
            return self._cannot_see(look)
        self._scores.append(look.score or 0.0)
        if self._looked_at is not None:
            self._pause_s = (look.at - self._looked_at).total_seconds()
        self._looked_at = look.at
        if look.person:
            self._last_seen = look.at
        return [*self._sees(look), *self._absence_over(look.at), *self._empty_if_lasting(look.at)]

    def pause(self, reason: str, at: datetime) -> list[Effect]:
        """The post may be empty from now on; an open alert is over."""
        if self._paused_at is not None:
            return []
        before, self._paused_at = self.state, at
        return [*self._changed(before, at, at, reason), *self._does_not_count(at, "paused")]

    def resume(self, at: datetime) -> list[Effect]:
        """The pause is over; the grace starts anew."""
        if self._paused_at is None:
            return []
        before, was_over = self.state, self._overrun
        self._paused_at, self._overrun = None, False
        if not was_over:
            self._counts_since = at
        return self._changed(before, at, at)

    def tick(self, now: datetime, on_duty: bool) -> list[Effect]:
        """Let time pass: the grace runs out, a pause gets too long, duty begins or ends."""
        effects = self._pause_if_lasting(now)
        if not on_duty:
            self._counts_since = None
            return [*effects, *self._does_not_count(now, "off_duty")]
        self._counts_since = self._counts_since or now
        return [*effects, *self._suspect_or_not(), *self._empty_if_lasting(now)]

    def to_dict(self) -> dict[str, Any]:
        """What has to survive a restart."""
        return {
            "seen": self._seen.value,
            "last_seen": _text(self._last_seen),
            "left_at": _text(self._left_at),
            "counts_since": _text(self._counts_since),
            "paused_at": _text(self._paused_at),
            "overrun": self._overrun,
            "suspect": self._suspect,
            "raised": _text(self._raised),
            "looked_at": _text(self._looked_at),
        }

    @classmethod
    def from_dict(cls, attendance: Attendance, saved: Mapping[str, Any], now: datetime) -> "PostMachine":
        """A machine that goes on where ``to_dict`` left off: no second alert about the same absence.

        After a longer break the grace starts anew, for somebody may have been there meanwhile.
        """
        machine = cls(attendance)
        machine._seen = PostState(saved["seen"])
        machine._last_seen = _moment(saved["last_seen"])
        machine._left_at = _moment(saved["left_at"])
        machine._counts_since = _moment(saved["counts_since"])
        machine._paused_at = _moment(saved["paused_at"])
        machine._overrun = bool(saved["overrun"])
        machine._suspect = bool(saved["suspect"])
        machine._raised = _moment(saved["raised"])
        looked_at = _moment(saved["looked_at"])
        if looked_at is None or (now - looked_at).total_seconds() > LONGEST_BREAK_S:
            machine._counts_since = now if machine._counts_since is not None else None
        return machine

    def _begin_anew(self, at: datetime) -> None:
        """After a break, or when the clock was set, nobody knows what was meanwhile: the grace starts anew."""
        self._run, self._back_at, self._looked_at = (None, at, 0), None, None
        if self._counts_since is not None:
            self._counts_since = at
        if self._left_at is not None:
            self._left_at = min(self._left_at, at)

    def _sees(self, look: Look) -> list[Effect]:
        kind, since, count = self._run
        wanted = PostState.PRESENT if kind else PostState.ABSENT
        if self._seen is wanted or count < LOOKS_TO_CHANGE:
            return []
        if self._seen is PostState.BLIND and self._raised is None:
            self._counts_since = self._counts_since and max(
                self._counts_since, since
            )  # what happened meanwhile is unknown
        before, self._seen = self.state, wanted
        effects = self._changed(before, since, look.at)
        if wanted is PostState.PRESENT:
            self._back_at = since if self._left_at is not None else None
            return effects
        self._back_at = None
        if self._left_at is None:
            self._left_at = since
            effects += [Left(since, self._last_seen)]
        return [*effects, *self._suspect_or_not()]

    def _absence_over(self, at: datetime) -> list[Effect]:
        if self._left_at is None or self._back_at is None or self._seen is not PostState.PRESENT:
            return []
        if (at - self._back_at).total_seconds() < self._rules.return_after_s:
            return []
        return self._returned(self._left_at, self._back_at)

    def _returned(self, left_at: datetime, back_at: datetime) -> list[Effect]:
        raised = self._raised
        self._left_at = self._back_at = self._raised = None
        effects: list[Effect] = [Returned((back_at - left_at).total_seconds())]
        if raised is not None:
            effects.append(ClearEmpty((back_at - raised).total_seconds(), "returned"))
        return [*effects, *self._suspect_or_not()]

    def _cannot_see(self, look: Look) -> list[Effect]:
        _, since, count = self._run
        if self._seen is PostState.BLIND or count < LOOKS_TO_CHANGE or (look.at - since).total_seconds() < BLIND_S:
            return []  # a stream that broke off for a moment is no event
        effects: list[Effect] = []
        if self._left_at is not None and self._back_at is not None:  # the last thing that was seen is a return
            effects = self._returned(self._left_at, self._back_at)
        before, self._seen, self._back_at = self.state, PostState.BLIND, None
        return [*effects, *self._changed(before, since, look.at, look.reason), *self._suspect_or_not()]

    def _suspect_or_not(self) -> list[Effect]:
        """Whether an absence counts now that has not become an alert yet."""
        counts = self._counts_since is not None and self.state in (PostState.ABSENT, PostState.PRESENT)
        suspect = counts and self._left_at is not None and self._raised is None
        if suspect is self._suspect:
            return []
        self._suspect = suspect
        if not suspect:
            return [Unsuspect()] if self._raised is None else []
        return [Suspect(self._began())]

    def _began(self) -> datetime:
        assert self._left_at is not None  # noqa: S101  # asked only in an absence
        return max(self._left_at, self._counts_since or self._left_at)

    def _empty_if_lasting(self, now: datetime) -> list[Effect]:
        if not self._suspect or self._seen is not PostState.ABSENT or self._run[0] is not False:
            return []
        if not self._is_fresh(now):
            return []  # what was seen a while ago is no proof that the post is empty now
        began = self._began()
        if (now - began).total_seconds() < self._rules.grace_s:
            return []
        self._raised, self._suspect = began, False
        return [RaiseEmpty(began, self._last_seen, tuple(self._scores), self._overrun)]

    def _is_fresh(self, now: datetime) -> bool:
        if self._looked_at is None:
            return False
        return (now - self._looked_at).total_seconds() <= max(FRESH_S, 2.5 * self._pause_s)

    def _pause_if_lasting(self, now: datetime) -> list[Effect]:
        if self._paused_at is None or self._overrun or not self._rules.pause_max_s:
            return []
        paused_s = (now - self._paused_at).total_seconds()
        if paused_s < self._rules.pause_max_s:
            return []
        before, self._overrun, self._counts_since = self.state, True, now
        return [PauseOver(paused_s), *self._changed(before, now, now)]

    def _does_not_count(self, at: datetime, why: str) -> list[Effect]:
        effects = self._suspect_or_not()
        if self._raised is None:
            return effects
        raised, self._raised = self._raised, None
        return [*effects, ClearEmpty((at - raised).total_seconds(), why)]

    def _changed(self, before: PostState, since: datetime, at: datetime, reason: str = "") -> list[Effect]:
        return [] if self.state is before else [StateChanged(before, self.state, since, at, reason)]


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
