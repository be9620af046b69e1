"""Interim."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from hallctl.config import LoadedHall
from hallctl.model import TerminalState


@dataclass(frozen=True, slots=True)
class Changed:
    """Which terminals an apply touched."""

    started: frozenset[str] = frozenset()
    restarted: frozenset[str] = frozenset()
    stopped: frozenset[str] = frozenset()


class Floor(Protocol):
    """The terminals."""

    async def apply(self, hall: LoadedHall) -> Changed:
        """Run another document."""
        ...

    def states(self) -> Mapping[str, TerminalState]:
        """Every terminal's state."""
        ...
