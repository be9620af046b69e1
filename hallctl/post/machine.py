"""The state machine of one post: observations and time in, facts and alerts out. Pure.

unknown -> present | absent; absent for longer than the grace, on duty and not paused, raises an alert; present for
``return_after_s`` ends it. One missed detection is no departure. A camera that can't see is ``blind``, never absent.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hallctl.config.hall import Attendance
from hallctl.model import PostState

MISSES_TO_LEAVE = 2
SCORES_KEPT = 10
FRESH_S = 4.0


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The post's state is another one."""

    old: PostState
    new: PostState
    at: datetime


@dataclass(frozen=True, slots=True)
class Left:
    """Nobody is there; ``since``: when somebody was last seen, or when watching began."""

    since: datetime


@dataclass(frozen=True, slots=True)
class Returned:
    """Somebody is there again."""

    absent_s: float


@dataclass(frozen=True, slots=True)
class RaiseEmpty:
    """The post is empty for longer than the grace. ``scores``: the last ones of the detector."""

    since: datetime
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ClearEmpty:
    """The absence is over, or does not count any more (pause, end of duty)."""

    absent_s: float


@dataclass(frozen=True, slots=True)
class RaiseBlind:
    """The camera has not been able to tell for longer than ``blind_after_s``."""

    since: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class ClearBlind:
    """The camera sees again."""

    blind_s: float


Effect = StateChanged | Left | Returned | RaiseEmpty | ClearEmpty | RaiseBlind | ClearBlind


class PostMachine:
    """One post. ``min_score``: from which score on a detection counts as a person."""

    def __init__(self, attendance: Attendance, min_score: float = 0.3) -> None:
        self._rules = attendance
        self._min_score = min_score
        self._seen = PostState.UNKNOWN  # what the camera says, whether paused or not
        self._paused = False
        self._misses = 0
        self._last_present: datetime | None = None
        self._absent_since: datetime | None = None
        self._present_since: datetime | None = None
        self._unseen_since: datetime | None = None
        self._counts_since: datetime | None = None
        self._scores: deque[float] = deque(maxlen=SCORES_KEPT)
        self._empty_raised = False
        self._blind_raised = False
        self._reason = ""
        self._looked_at: datetime | None = None
        self._pause_s = 0.0  # between the last two looks

    @property
    def state(self) -> PostState:
        """What is to be believed of the post."""
        return PostState.PAUSED if self._paused else self._seen

    def observe(self, score: float | None, at: datetime, reason: str = "") -> list[Effect]:
        """What the camera says: the best score in the zone, or ``None`` with the reason when it can't tell."""
        if score is None:
            return self._cannot_see(at, reason)
        effects = self._sees_again(at)
        self._scores.append(score)
        if self._looked_at is not None:
            self._pause_s = (at - self._looked_at).total_seconds()
        self._looked_at = at
        if score >= self._min_score:
            return [*effects, *self._person(at)]
        return [*effects, *self._nobody(at)]

    def pause(self, reason: str, at: datetime) -> list[Effect]:
        """The post may be empty from now on; an open alert is over."""
        if self._paused:
            return []
        before, self._paused, self._reason = self.state, True, reason
        return [StateChanged(before, PostState.PAUSED, at), *self._clear_empty(at)]

    def resume(self, at: datetime) -> list[Effect]:
        """The pause is over; the grace starts anew."""
        if not self._paused:
            return []
        self._paused, self._counts_since = False, at
        return [StateChanged(PostState.PAUSED, self.state, at)]

    def tick(self, now: datetime, on_duty: bool) -> list[Effect]:
        """Let time pass: the grace runs out, blindness lasts, duty begins or ends."""
        effects = self._blind_if_lasting(now)
        if not on_duty:
            self._counts_since = None
            return [*effects, *self._clear_empty(now)]
        if self._counts_since is None:
            self._counts_since = now
        return [*effects, *self._empty_if_lasting(now)]

    def to_dict(self) -> dict[str, Any]:
        """What has to survive a restart."""
        return {
            "seen": self._seen.value,
            "paused": self._paused,
            "absent_since": _text(self._absent_since),
            "last_present": _text(self._last_present),
            "unseen_since": _text(self._unseen_since),
            "empty_raised": self._empty_raised,
            "blind_raised": self._blind_raised,
        }

    @classmethod
    def from_dict(cls, attendance: Attendance, saved: Mapping[str, Any], min_score: float = 0.3) -> "PostMachine":
        """A machine that goes on where ``to_dict`` left off: no second alert about the same absence."""
        machine = cls(attendance, min_score)
        machine._seen = PostState(saved["seen"])
        machine._paused = bool(saved["paused"])
        machine._absent_since = _moment(saved["absent_since"])
        machine._last_present = _moment(saved["last_present"])
        machine._unseen_since = _moment(saved["unseen_since"])
        machine._empty_raised = bool(saved["empty_raised"])
        machine._blind_raised = bool(saved["blind_raised"])
        return machine

    def _person(self, at: datetime) -> list[Effect]:
        self._misses = 0
        self._last_present = at
        if self._seen is PostState.PRESENT:
            return []
        if self._present_since is None:
            self._present_since = at
        stays = (at - self._present_since).total_seconds() >= self._rules.return_after_s
        if self._seen is PostState.ABSENT and not stays:
            return []
        effects = self._become(PostState.PRESENT, at)
        since, self._absent_since = self._absent_since, None
        if since is not None:
            effects.append(Returned((self._present_since - since).total_seconds()))
        if self._empty_raised and since is not None:
            self._empty_raised = False
            effects.append(ClearEmpty((self._present_since - since).total_seconds()))
        self._present_since = None
        return effects

    def _nobody(self, at: datetime) -> list[Effect]:
        self._present_since = None
        self._misses += 1
        if self._seen is PostState.ABSENT or self._misses < MISSES_TO_LEAVE:
            return []
        since = self._absent_since or self._last_present or at
        first = self._absent_since is None
        self._absent_since = since
        return [*self._become(PostState.ABSENT, at), *([Left(since)] if first else [])]

    def _cannot_see(self, at: datetime, reason: str) -> list[Effect]:
        self._misses, self._present_since, self._reason = 0, None, reason
        if self._unseen_since is None:
            self._unseen_since = at
        return self._blind_if_lasting(at)

    def _blind_if_lasting(self, now: datetime) -> list[Effect]:
        if self._unseen_since is None or self._seen is PostState.BLIND:
            return []
        if (now - self._unseen_since).total_seconds() < self._rules.blind_after_s:
            return []
        effects = self._become(PostState.BLIND, now)
        if not self._blind_raised:
            self._blind_raised = True
            effects.append(RaiseBlind(self._unseen_since, self._reason))
        return effects

    def _sees_again(self, at: datetime) -> list[Effect]:
        since, self._unseen_since = self._unseen_since, None
        effects: list[Effect] = []
        if self._seen is PostState.BLIND:
            # What happened meanwhile is not known: an absence that is still open is judged by what is seen now.
            effects += self._become(PostState.ABSENT if self._absent_since else PostState.UNKNOWN, at)
            self._counts_since = at if not self._empty_raised else self._counts_since
        if self._blind_raised:
            self._blind_raised = False
            effects.append(ClearBlind((at - (since or at)).total_seconds()))
        return effects

    def _empty_if_lasting(self, now: datetime) -> list[Effect]:
        if self._paused or self._empty_raised or self._seen is not PostState.ABSENT or self._unseen_since is not None:
            return []
        if self._absent_since is None or self._present_since is not None or self._counts_since is None:
            return []
        if not self._is_fresh(now):
            return []  # what was seen a while ago is no proof that the post is empty now
        began = max(self._absent_since, self._counts_since)
        if (now - began).total_seconds() < self._rules.grace_s:
            return []
        self._empty_raised = True
        return [RaiseEmpty(self._absent_since, tuple(self._scores))]

    def _is_fresh(self, now: datetime) -> bool:
        if self._looked_at is None:
            return False
        return (now - self._looked_at).total_seconds() <= max(FRESH_S, 2.5 * self._pause_s)

    def _clear_empty(self, at: datetime) -> list[Effect]:
        if not self._empty_raised:
            return []
        self._empty_raised = False
        since = self._absent_since or at
        return [ClearEmpty((at - since).total_seconds())]

    def _become(self, new: PostState, at: datetime) -> list[Effect]:
        before = self.state
        self._seen = new
        return [] if self.state is before else [StateChanged(before, self.state, at)]


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
