"""One code, explained."""

from collections.abc import Mapping
from dataclasses import dataclass

ENGLISH = "en"
LANGUAGES: Mapping[str, str] = {ENGLISH: "English", "zh": "中文"}
"""What every entry is written in, and what each calls itself."""


@dataclass(frozen=True, slots=True)
class Wording:
    """A code in one language: what is wrong in a few words, why that comes about, what to do."""

    title: str
    cause: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One code. ``domain`` is the chapter it stands in; ``words`` has every language of ``LANGUAGES``."""

    code: str
    domain: str
    words: Mapping[str, Wording]

    def wording(self, language: str) -> Wording:
        """In ``language``, in English where the book does not have that."""
        return self.words.get(language) or self.words[ENGLISH]

    def title(self, language: str = ENGLISH) -> str:
        """What is wrong, in a few words."""
        return self.wording(language).title

    def cause(self, language: str = ENGLISH) -> str:
        """Why that comes about."""
        return self.wording(language).cause

    def remedy(self, language: str = ENGLISH) -> str:
        """What to do."""
        return self.wording(language).remedy
