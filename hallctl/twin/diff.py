"""What differs between two hall documents, seen from the terminals. Pure.

A terminal has a fingerprint of everything that it was started with: where that is the same, it is not touched. What
only the rooms above it read (names, fallbacks, windows, texts, layouts) is not in it: they change in place.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hallctl.config.hall import Bus, HallDocument, Terminal

_STARTED_WITH = ("driver", "port", "bus", "address", "options")


@dataclass(frozen=True, slots=True)
class Difference:
    """From one document to another, by id.

    ``sections`` names what else differs, by its key in hall.yaml; ``terminals`` is among them only where a terminal
    that goes on is called otherwise or has another fallback. The document's version is no difference.
    """

    started: frozenset[str]
    restarted: frozenset[str]
    stopped: frozenset[str]
    kept: frozenset[str]
    sections: frozenset[str]


def difference(old: HallDocument, new: HallDocument) -> Difference:
    """What it takes to come from ``old`` to ``new``. Terminals that were left out of a document count as missing."""
    before, after = fingerprints(old), fingerprints(new)
    both = before.keys() & after.keys()
    kept = frozenset(terminal for terminal in both if before[terminal] == after[terminal])
    return Difference(
        started=frozenset(after.keys() - before.keys()),
        restarted=frozenset(both - kept),
        stopped=frozenset(before.keys() - after.keys()),
        kept=kept,
        sections=frozenset(_sections(old, new, kept)),
    )


def fingerprints(document: HallDocument) -> dict[str, str]:
    """Of every terminal, what it is started with, as a hash.

    The port of a terminal's bus is part of it; of a watched camera, every view of the posts that it watches (a clip of
    one post may come from several cameras) and the rules that it watches by.
    """
    ports = bus_ports(document)
    zones = _zones(document)
    rules = document.attendance.model_dump(mode="json")
    return {
        terminal.id: _hash(_started_with(terminal, ports, zones.get(terminal.id), rules))
        for terminal in document.terminals
    }


def bus_ports(document: HallDocument) -> dict[str, str]:
    """The port of every bus that a terminal uses; others need no owner."""
    used = {terminal.bus for terminal in document.terminals}
    return {bus.id: bus.port for bus in document.buses if bus.id in used}


def _started_with(
    terminal: Terminal, ports: Mapping[str, str], zones: Mapping[str, Any] | None, rules: Mapping[str, Any]
) -> dict[str, Any]:
    settings = terminal.model_dump(mode="json", include=set(_STARTED_WITH))
    if terminal.bus is not None:
        settings["bus_port"] = ports.get(terminal.bus)
    if zones is not None:
        settings["posts"], settings["rules"] = zones, rules
    return settings


def _zones(document: HallDocument) -> dict[str, dict[str, Any]]:
    """Camera -> window -> every view of its post."""
    zones: dict[str, dict[str, Any]] = {}
    for window in document.windows:
        views = window.post.watched_by if window.post is not None else ()
        for view in views:
            zones.setdefault(view.camera, {})[window.id] = [(one.camera, one.zone) for one in views]
    return zones


def _hash(settings: dict[str, Any]) -> str:
    text = json.dumps(settings, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _sections(old: HallDocument, new: HallDocument, kept: frozenset[str]) -> list[str]:
    names = [name for name in HallDocument.model_fields if name not in ("version", "buses", "terminals")]
    differ = [name for name in names if getattr(old, name) != getattr(new, name)]
    if _unseen_settings(old, kept) != _unseen_settings(new, kept):
        differ.append("terminals")
    if _unused_buses(old) != _unused_buses(new):
        differ.append("buses")
    return differ


def _unseen_settings(document: HallDocument, kept: frozenset[str]) -> dict[str, tuple[str, str | None]]:
    """Of terminals that go on, what their fingerprint does not hold."""
    return {one.id: (one.name, one.fallback) for one in document.terminals if one.id in kept}


def _unused_buses(document: HallDocument) -> list[Bus]:
    used = bus_ports(document)
    return [bus for bus in document.buses if bus.id not in used]
