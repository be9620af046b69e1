"""What the twin needs of the controller: a floor of terminals that can change to another hall document in place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from hallctl.config import LoadedHall
from hallctl.model import TerminalState


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change of the document did to terminals, by id. Whom none of them names went on untouched.

    ``started``: was not running before; ``restarted``: stopped and started anew with other settings; ``stopped``: does
    not run any more, because the document does not name it, or because it is wrong now (quarantined).
    """

    started: frozenset[str] = frozenset()
    restarted: frozenset[str] = frozenset()
    stopped: frozenset[str] = frozenset()


class Floor(Protocol):
    """The terminals of a hall, and everything that stands on its document."""

    async def apply(self, hall: LoadedHall) -> Changed:
        """Run what ``hall`` says, and touch no terminal that stays as it is.

        Returns when what had to stop has stopped and what is new has been started; whether that comes online is
        ``states``' to tell. Calls are served one after the other. An error leaves the floor somewhere between the
        two documents; the next call reaches its own document from there all the same.
        """

    def states(self) -> Mapping[str, TerminalState]:
        """How every terminal is now, those in quarantine included, by id."""
