"""Two hall documents side by side, by terminals, windows and sections; pure. What a person wants to read of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hallctl.config import parse_hall
from hallctl.twin.diff import difference

LISTS = ("buses", "terminals", "windows", "tickets")  # their items are told apart by id
LONGEST = 60


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs. ``sign``: ``+`` added, ``-`` removed, ``~`` changed; ``name``: an item's id, or empty."""

    sign: str
    section: str
    name: str = ""
    changes: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = f"{self.section}/{self.name}" if self.name else self.section
        return f"{self.sign} {what}" + (f": {'; '.join(self.changes)}" if self.changes else "")


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Difference, ...]:
    """What becomes of ``old`` when ``new`` is pushed; the document's own version is not part of it."""
    found: list[Difference] = []
    for section in LISTS:
        found += _items(section, _by_id(old.get(section)), _by_id(new.get(section)))
    for section in sorted((old.keys() | new.keys()) - {*LISTS, "version"}):
        here, there = old.get(section), new.get(section)
        if here != there:
            sign = "+" if section not in old else "-" if section not in new else "~"
            found.append(Difference(sign, section, changes=tuple(_changes(here, there)) if sign == "~" else ()))
    return tuple(found)


def restarted_terminals(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Terminals that run in both and have to be restarted, by the box's own rule: a new name alone restarts none."""
    return sorted(difference(parse_hall(dict(old)).document, parse_hall(dict(new)).document).restarted)


def _items(section: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    for name in sorted(new.keys() - old.keys()):
        yield Difference("+", section, name)
    for name in sorted(old.keys() - new.keys()):
        yield Difference("-", section, name)
    for name in sorted(old.keys() & new.keys()):
        if old[name] != new[name]:
            yield Difference("~", section, name, tuple(_changes(old[name], new[name])))


def _by_id(items: Any) -> dict[str, Any]:
    """Items by their id; one without an id by its place."""
    pairs = enumerate(items if isinstance(items, Sequence) and not isinstance(items, str) else ())
    return {str(item.get("id", f"#{n}")) if isinstance(item, Mapping) else f"#{n}": item for n, item in pairs}


def _changes(old: Any, new: Any, where: str = "") -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                yield from _changes(old.get(key), new.get(key), f"{where}.{key}" if where else str(key))
        return
    words = f"{_short(old)} -> {_short(new)}"
    yield f"{where} {words}" if where else words


def _short(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return f"{{{', '.join(map(str, value))}}}"[:LONGEST]
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
