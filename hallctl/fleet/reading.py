"""Reads what is retained of many controllers, in slices that no broker's queue for one client overflows.

A broker delivers retained messages through a bounded queue and drops the newest without a word (mosquitto:
``max_queued_messages`` and ``max_queued_bytes``). So only the states, which are small, are asked for all at once; the
rest comes site by site, in slices whose size follows what the last one brought.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hallctl.link.topics import ROOT

FEW_MESSAGES = 600  # below mosquitto's default of 1000
FEW_BYTES = 2 * 1024 * 1024
FIRST_SLICE = 8


@dataclass(slots=True)
class Slices:
    """How many sites to ask for at a time: adapts to what a slice brought."""

    size: int = FIRST_SLICE

    def learn(self, sites: int, messages: int, size_bytes: int) -> None:
        """A slice of so many sites brought so much."""
        load = max(messages / FEW_MESSAGES, size_bytes / FEW_BYTES, 0.05)
        self.size = max(1, min(int(sites / load), self.size * 4, 400))


def site_filters(sites: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Subscriptions for these topics of every controller of these sites."""
    return tuple(f"{ROOT}/{site}/+/{name}" for site in sites for name in names)
