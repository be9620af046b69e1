"""Which controllers are meant: ``site=a,group=g,tag=t,id=box-1``; pure.

Within one selector a comma means *and*, several selectors mean *or*, ``all`` means every one. Values may hold
``*``, ``?`` and ``[...]``. ``id`` is a controller's id, or ``site/id`` where two sites use the same one.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from hallctl.errors import RequestRefused

KEYS = ("site", "group", "tag", "id")
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Traits:
    """What a controller is selected by."""

    site: str
    controller: str
    groups: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def of(self, key: str) -> tuple[str, ...]:
        """Its values under a selector's key."""
        match key:
            case "site":
                return (self.site,)
            case "group":
                return self.groups
            case "tag":
                return self.tags
        return (self.controller, f"{self.site}/{self.controller}")


@dataclass(frozen=True, slots=True)
class Selector:
    """One selector: all of its conditions hold. ``text`` is what was typed."""

    text: str
    conditions: tuple[tuple[str, str], ...]

    def matches(self, traits: Traits) -> bool:
        """Whether it means this controller."""
        return all(_any_like(traits.of(key), pattern) for key, pattern in self.conditions)

    @property
    def one_site(self) -> str | None:
        """The only site that it can mean, or ``None``."""
        sites = {pattern for key, pattern in self.conditions if key == "site" and not _GLOB.search(pattern)}
        for key, pattern in self.conditions:
            if key == "id" and "/" in pattern and not _GLOB.search(pattern):
                sites.add(pattern.split("/")[0])
        return sites.pop() if len(sites) == 1 else None


@dataclass(frozen=True, slots=True)
class Selection:
    """Several selectors: any of them holds."""

    selectors: tuple[Selector, ...]

    def matches(self, traits: Traits) -> bool:
        """Whether it means this controller."""
        return any(one.matches(traits) for one in self.selectors)

    @property
    def texts(self) -> list[str]:
        """What was typed."""
        return [one.text for one in self.selectors]

    @property
    def sites(self) -> tuple[str, ...]:
        """Topic levels of the sites that have to be read: names, or ``+`` for all."""
        named = {one.one_site for one in self.selectors}
        return ("+",) if None in named or len(named) > 20 else tuple(sorted(one for one in named if one))

    def without_match(self, all_traits: Iterable[Traits]) -> list[str]:
        """Selectors that mean nobody: a typing error should not look like success."""
        known = list(all_traits)
        return [one.text for one in self.selectors if not any(one.matches(traits) for traits in known)]


EVERYONE = Selection((Selector("all", ()),))


def read_selection(texts: Sequence[str]) -> Selection:
    """What was typed. Raises ``RequestRefused`` that says how a selector is written."""
    return Selection(tuple(_read(text) for text in texts))


def _read(text: str) -> Selector:
    if text.strip() in ("all", "*"):
        return Selector("all", ())
    conditions = tuple(_condition(text, part) for part in text.split(","))
    return Selector(",".join(f"{key}={value}" for key, value in conditions), conditions)


def _condition(text: str, part: str) -> tuple[str, str]:
    key, equals, value = (piece.strip() for piece in part.partition("="))
    if key not in KEYS or not equals or not value:
        hint = "write all, or site=NAME, group=NAME, tag=NAME, id=NAME; a comma between them means and"
        raise RequestRefused("selector.invalid", f"{text!r} is no selector: {part.strip()!r}", hint=hint)
    return key, value


def _any_like(values: Iterable[str], pattern: str) -> bool:
    return any(fnmatchcase(value, pattern) for value in values)
