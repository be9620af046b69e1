"""What the cameras of one post say, put together. Pure.

Whom any camera sees is there. Nobody is there when every camera has looked and none sees anybody: a post that one
camera can't see is not empty, for whoever sits there may be in its part of the picture.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

KEEPS = 0.6  # somebody who is there stays there down to this part of the score that it takes to come


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a post: ``person`` True, False, or ``None`` when nothing can be said.

    ``reason``: why the post can't be seen; empty when this look is undecided and says nothing.
    """

    at: datetime
    person: bool | None
    score: float | None = None
    reason: str = ""


@dataclass
class _View:
    """One camera's side."""

    min_score: float
    there: bool = False
    latest: Look | None = None


@dataclass
class Views:
    """The cameras of one post. ``min_scores``: from which score on a detection of each counts as a person."""

    min_scores: Mapping[str, float]
    _views: dict[str, _View] = field(init=False)

    def __post_init__(self) -> None:
        self._views = {camera: _View(score) for camera, score in self.min_scores.items()}

    def see(self, camera: str, at: datetime, score: float | None, reason: str = "") -> Look | None:
        """What is now known of the post; ``None`` while other cameras have not looked yet."""
        view = self._views[camera]
        view.latest = look = _judge(view, at, score, reason)
        if look.person or len(self._views) == 1:
            self._begin_anew()
            return look
        looks = [other.latest for other in self._views.values()]
        known = [one for one in looks if one is not None]
        if len(known) < len(looks):
            return look if look.reason else None
        self._begin_anew()
        blind = [one for one in known if one.person is None]
        if blind:
            return Look(at, None, None, next((one.reason for one in blind if one.reason), ""))
        return Look(at, person=False, score=max(one.score or 0.0 for one in known))

    def _begin_anew(self) -> None:
        for view in self._views.values():
            view.latest = None


def _judge(view: _View, at: datetime, score: float | None, reason: str) -> Look:
    if score is None:
        return Look(at, None, None, reason)
    view.there = score >= view.min_score * (KEEPS if view.there else 1.0)
    return Look(at, view.there, score)
