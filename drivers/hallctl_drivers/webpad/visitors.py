"""The pages that show one pad: at most four, the newest win, and how long nobody has been there."""

from collections.abc import Callable
from typing import Protocol

from hallctl.clock import Clock

MOST = 4
GRACE_S = 5.0  # a page that is loaded again, or that comes back after a restart of the daemon, is not absent
REPLACED = 4001  # close code: the page waits for a minute before it comes again
RESTARTED = 1012  # close code "service restart": come again soon


class Visitor(Protocol):
    """A page's connection."""

    @property
    def fell_silent(self) -> bool: ...  # noqa: D102
    def tell(self, text: str) -> None: ...  # noqa: D102
    def send_away(self, code: int, reason: str) -> None: ...  # noqa: D102


class Visitors:
    """``changed`` is called whenever a page comes or goes."""

    def __init__(self, clock: Clock, changed: Callable[[], None]) -> None:
        self._clock = clock
        self._changed = changed
        self._here: list[Visitor] = []
        self._absent_at = clock.monotonic()

    def __len__(self) -> int:
        return len(self._here)

    @property
    def absent(self) -> bool:
        """Nobody has shown the page for a while, or the last one has fallen silent."""
        return not self._here and self._clock.monotonic() >= self._absent_at

    def expect(self) -> None:
        """The page has just become reachable: tablets may take a moment to come."""
        self._absent_at = self._clock.monotonic() + GRACE_S

    def came(self, visitor: Visitor) -> None:
        """One more; the oldest goes when there are too many."""
        self._here.append(visitor)
        if len(self._here) > MOST:
            self._here[0].send_away(REPLACED, "this pad is shown elsewhere")
            del self._here[0]
        self._changed()

    def went(self, visitor: Visitor) -> None:
        """It has gone; may be said of one that is not here any more."""
        if visitor not in self._here:
            return
        self._here.remove(visitor)
        if visitor.fell_silent:
            self._absent_at = self._clock.monotonic()
        else:
            self.expect()
        self._changed()

    def tell(self, text: str) -> None:
        """Say it to every page."""
        for visitor in self._here:
            visitor.tell(text)

    def send_away(self) -> None:
        """The pad has gone."""
        for visitor in self._here:
            visitor.send_away(RESTARTED, "the pad is being restarted")
        self._here.clear()
