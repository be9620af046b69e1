"""Whether a document does harm: the terminals that it restarted have a while to come back.

A terminal counts as lost when it was online before, was restarted by the change, is still wanted, and is not back.
What was not online before proves nothing. A terminal in quarantine is not lost: it can't run as configured, and that
is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hallctl.clock import Clock
from hallctl.config import LoadedHall
from hallctl.link.configuration import Mistake
from hallctl.model import TerminalState, TerminalStatus
from hallctl.twin.documents import mistake
from hallctl.twin.floor import Changed, Floor

LOOK_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class Expected:
    """``back``: terminals that were online and were restarted; ``new``: terminals that were not there before."""

    back: frozenset[str]
    new: frozenset[str]

    @classmethod
    def after(cls, changed: Changed, online_before: frozenset[str], hall: LoadedHall) -> "Expected":
        """What is to be waited for after a change to ``hall``."""
        wanted = {terminal.id for terminal in hall.document.terminals}
        return cls(frozenset(changed.restarted & online_before & wanted), frozenset(changed.started & wanted))

    def settled(self, states: Mapping[str, TerminalState]) -> bool:
        """Nothing more has to be waited for: who was there is back, and who is new has had its first answer."""
        return not self._away(states) and all(_answered(states.get(name)) for name in self.new)

    def lost(self, states: Mapping[str, TerminalState]) -> list[str]:
        """Who did not come back, in the order of names."""
        return sorted(self._away(states))

    def absent(self, states: Mapping[str, TerminalState]) -> list[str]:
        """Who is new and not online, and who can't be started, in the order of names."""
        stuck = {name for name in self.back if _is(states.get(name), TerminalStatus.QUARANTINED)}
        away = {name for name in self.new if not _is(states.get(name), TerminalStatus.ONLINE)}
        return sorted(stuck | away)

    def _away(self, states: Mapping[str, TerminalState]) -> set[str]:
        there = (TerminalStatus.ONLINE, TerminalStatus.QUARANTINED)
        return {name for name in self.back if not _is(states.get(name), *there)}


async def watch(floor: Floor, expected: Expected, window_s: float, clock: Clock) -> Mapping[str, TerminalState]:
    """Until everything is settled, at most ``window_s``; gives how the terminals are then."""
    end = clock.monotonic() + window_s
    while (left_s := end - clock.monotonic()) > 0 and not expected.settled(floor.states()):
        await clock.sleep(min(LOOK_EVERY_S, left_s))
    return floor.states()


def online(states: Mapping[str, TerminalState]) -> frozenset[str]:
    """Who is online now."""
    return frozenset(name for name, state in states.items() if state.status is TerminalStatus.ONLINE)


def quarantined(states: Mapping[str, TerminalState]) -> frozenset[str]:
    """Who can't run as configured."""
    return frozenset(name for name, state in states.items() if state.status is TerminalStatus.QUARANTINED)


def told_of(names: list[str], hall: LoadedHall, states: Mapping[str, TerminalState]) -> list[Mistake]:
    """Why these terminals are not online, each with its place in the document."""
    places = {terminal.id: "".join(f"/{part}" for part in loc) for loc, terminal in hall.terminals()}
    return [_told(name, places.get(name, ""), states.get(name)) for name in names]


def _told(name: str, pointer: str, state: TerminalState | None) -> Mistake:
    if state is None or state.status is TerminalStatus.STARTING:
        return mistake("terminal.starting", f"{name} did not answer in time", pointer=pointer)
    message = f"{name}: {state.message}" if state.message else f"{name} is {state.status.value}"
    return mistake(state.reason or f"terminal.{state.status.value}", message, state.hint, pointer)


def _answered(state: TerminalState | None) -> bool:
    return state is not None and state.status is not TerminalStatus.STARTING


def _is(state: TerminalState | None, *statuses: TerminalStatus) -> bool:
    return state is not None and state.status in statuses
