"""The whole fleet in a few numbers, and those controllers and terminals that somebody has to look at; pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from hallctl.fleet.view import ONLINE, ControllerStatus, ControllerView, TerminalStatusNow
from hallctl.link.configuration import ApplyStatus

OWN_HALL = "own hall.yaml"
SHORT = 8  # so many digits of a hash tell documents apart for a person


@dataclass(frozen=True, slots=True)
class TerminalFilter:
    """Which terminals are wanted; empty: every status, every driver."""

    statuses: frozenset[str] = frozenset()
    drivers: frozenset[str] = frozenset()

    @property
    def asks(self) -> bool:
        """Whether it leaves anything out."""
        return bool(self.statuses or self.drivers)

    def wants(self, terminal: TerminalStatusNow) -> bool:
        """Whether this one is wanted."""
        by_status = not self.statuses or terminal.status in self.statuses
        return by_status and (not self.drivers or terminal.driver in self.drivers)


@dataclass(frozen=True, slots=True)
class ControllerLine:
    """One controller of an overview: its status, what is wrong with it, its wanted terminals."""

    view: ControllerView
    status: ControllerStatus
    wrong: tuple[tuple[str, str], ...]
    terminals: tuple[TerminalStatusNow, ...]

    @property
    def troubled(self) -> tuple[TerminalStatusNow, ...]:
        """Its terminals that don't work, while it is online itself: else they are down with it."""
        if self.status.status != ONLINE:
            return ()
        return tuple(one for one in self.terminals if is_troubled(one))

    @property
    def has_problem(self) -> bool:
        """Whether somebody has to look at it."""
        return bool(self.wrong or self.troubled)


@dataclass(slots=True)
class Overview:
    """Counts over all controllers, and their lines."""

    lines: list[ControllerLine] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    configurations: Counter[str] = field(default_factory=Counter)
    documents: Counter[str] = field(default_factory=Counter)
    releases: Counter[str] = field(default_factory=Counter)
    terminal_statuses: Counter[str] = field(default_factory=Counter)
    drivers: Counter[str] = field(default_factory=Counter)
    drivers_troubled: Counter[str] = field(default_factory=Counter)
    alerts: int = 0
    sites: int = 0

    @property
    def problems(self) -> list[ControllerLine]:
        """Lines that somebody has to look at."""
        return [line for line in self.lines if line.has_problem]


def overview(views: Iterable[ControllerView], now: datetime, wanted: TerminalFilter | None = None) -> Overview:
    """Count and judge. With a filter only controllers that have such terminals are in it."""
    found, filtered, sites = Overview(), wanted or TerminalFilter(), set()
    for view in sorted(views, key=lambda one: (one.topics.site, one.topics.controller)):
        terminals = [view.terminal(name, now) for name in sorted(view.terminals)]
        kept = tuple(one for one in terminals if filtered.wants(one))
        if filtered.asks and not kept:
            continue
        status = view.status(now)
        found.lines.append(ControllerLine(view, status, tuple(_wrong(view, status)), kept))
        sites.add(view.topics.site)
        _count(found, view, status, kept)
    found.sites = len(sites)
    return found


def is_troubled(terminal: TerminalStatusNow) -> bool:
    """Not online, or online with a fault that keeps it from working."""
    return terminal.status != ONLINE or any(fault.severity != "warning" for fault in terminal.faults)


def document_of(view: ControllerView) -> str:
    """What it runs, for a person: the hash's first digits; its own hall.yaml where nothing was ever pushed."""
    if view.reported is None:
        return "not known"
    short = view.reported.applied_hash[:SHORT] or "not known"
    return f"{OWN_HALL} {short}" if view.reported.applied_version == 0 else short


def _count(found: Overview, view: ControllerView, status: ControllerStatus, kept: Sequence[TerminalStatusNow]) -> None:
    found.statuses[status.status] += 1
    found.configurations[view.reported.status.value if view.reported else "nothing reported"] += 1
    found.documents[document_of(view)] += 1
    found.releases[view.state.version if view.state and view.state.version else "not known"] += 1
    found.alerts += len(view.alerts)
    for one in kept:
        found.terminal_statuses[one.status] += 1
        found.drivers[one.driver] += 1
        found.drivers_troubled[one.driver] += is_troubled(one)


def _wrong(view: ControllerView, status: ControllerStatus) -> Iterator[tuple[str, str]]:
    """What is wrong with a controller itself, each with what to do."""
    if status.status != ONLINE:
        yield f"{status.status}: {status.reason or 'no reason given'}", "its hall goes on without the centre"
    reported = view.reported
    if reported is None or reported.status in (ApplyStatus.APPLIED, ApplyStatus.APPLYING):
        return
    first = reported.errors[0] if reported.errors else None
    words = f"version {reported.desired_version} {reported.status.value.replace('_', ' ')}"
    if first is not None:
        words += f": {first.pointer + ': ' if first.pointer else ''}{first.message or first.code}"
    more = len(reported.errors) + reported.errors_cut - 1
    yield words + (f" (and {more} more)" if more > 0 else ""), first.hint if first else ""
