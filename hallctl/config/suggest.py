"""Near misses: what a technician probably meant to write."""

from collections.abc import Iterable
from difflib import get_close_matches


def near_miss(word: str, known: Iterable[str]) -> str | None:
    """The one known word that looks most like ``word``, or ``None`` when nothing is close."""
    candidates = {_plain(candidate): candidate for candidate in known}
    found = get_close_matches(_plain(word), list(candidates), n=1, cutoff=0.6)
    return candidates[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` to put behind a message, or nothing."""
    best = near_miss(word, known)
    return f"; did you mean {best!r}?" if best else ""


def one_of(known: Iterable[str], *, limit: int = 12) -> str:
    """A list of words for a hint, cut where it gets too long to be read."""
    words = sorted(known)
    if not words:
        return "there are none"
    rest = f" and {len(words) - limit} more" if len(words) > limit else ""
    return ", ".join(words[:limit]) + rest


def _plain(word: str) -> str:
    return word.lower().replace("_", "-")
