"""Whether one camera sees anything at all, and since when not: ``camera.blind``. Pure.

One alert a camera, however many posts it watches; raised in duty hours only, for a hall without light is no trouble.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

SILENT_S = 10.0  # without a look for so long, nothing is known of what a camera watches: silence is no empty post


@dataclass(frozen=True, slots=True)
class RaiseBlind:
    """The camera has shown nothing usable for longer than ``blind_after_s``."""

    since: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class ClearBlind:
    """The camera sees again."""

    blind_s: float


LensEffect = RaiseBlind | ClearBlind


class Lens:
    """One camera."""

    def __init__(self, blind_after_s: float) -> None:
        self._blind_after_s = blind_after_s
        self._since: datetime | None = None
        self._until: datetime | None = None
        self._duty_since: datetime | None = None
        self._reason = ""
        self._raised = False

    def see(self, at: datetime, *, usable: bool, reason: str = "") -> None:
        """A look: was there a picture that can be judged?"""
        if usable:
            self._until = self._until or (at if self._since is not None else None)
            return
        if self._since is None or self._until is not None:
            self._since = self._since if self._raised and self._since is not None else at
        self._until, self._reason = None, reason

    @property
    def blindness(self) -> str:
        """Why the last look showed nothing usable; empty: it did, or there was none."""
        return self._reason if self._since is not None and self._until is None else ""

    def tick(self, now: datetime, *, on_duty: bool) -> list[LensEffect]:
        """Let time pass. Blindness counts from the beginning of duty on."""
        self._duty_since = (self._duty_since or now) if on_duty else None
        if self._since is not None and self._until is not None:
            blind_s, raised = (self._until - self._since).total_seconds(), self._raised
            self._since, self._until, self._raised = None, None, False
            return [ClearBlind(blind_s)] if raised else []
        if self._since is None or self._duty_since is None or self._raised:
            return []
        if (now - max(self._since, self._duty_since)).total_seconds() < self._blind_after_s:
            return []
        self._raised = True
        return [RaiseBlind(self._since, self._reason)]

    def to_dict(self) -> dict[str, Any]:
        """What has to survive a restart."""
        return {"since": self._since.isoformat() if self._since else None, "raised": self._raised}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on where ``to_dict`` left off: no second alert about the same blindness."""
        self._raised = bool(saved["raised"])
        self._since = datetime.fromisoformat(saved["since"]) if saved["since"] else None
