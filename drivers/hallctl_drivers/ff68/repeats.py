"""Telling a device's repeat, and our own echo, from a new press. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a frame is."""

    FRESH = "fresh"  # a new press: say it, then acknowledge
    REPEAT = "repeat"  # our acknowledgement was late or lost: acknowledge again, say nothing
    ECHO = "echo"  # our own acknowledgement heard back: do nothing, or it would go round for ever


@dataclass(slots=True)
class Repeats:
    """Remembers the last frame that was said. All times are monotonic seconds."""

    repeat_s: float
    echo_s: float
    last: bytes | None = None
    seen_at: float = 0.0
    answered_at: float | None = None

    def judge(self, frame: bytes, now: float) -> Kind:
        """What ``frame`` is that arrives ``now``."""
        if frame != self.last:
            return Kind.FRESH
        if self.answered_at is not None and now - self.answered_at <= self.echo_s:
            return Kind.ECHO
        return Kind.REPEAT if now - self.seen_at <= self.repeat_s else Kind.FRESH

    def said(self, frame: bytes, now: float) -> None:
        """``frame`` was handed on (or seen again) now."""
        self.last, self.seen_at = frame, now

    def answered(self, now: float) -> None:
        """It was acknowledged now; a repeat counts from here, because the device has waited for this."""
        self.answered_at = self.seen_at = now

    def forget(self) -> None:
        """A new evaluation has started: whatever comes is fresh."""
        self.last = self.answered_at = None
