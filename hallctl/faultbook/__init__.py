"""The book of faults: for every stable code a title, its cause and its remedy, in English and in Chinese.

A code travels (state, fault, reply, alert, report); the words for it need not. Who reads a code, in whatever language,
looks it up here. docs/faults.md and docs/faults.zh.md are printed from it, and a test holds it against the source.
"""

from hallctl.faultbook.book import DOMAINS, entries, entry
from hallctl.faultbook.entry import ENGLISH, LANGUAGES, Entry, Wording
from hallctl.faultbook.reading import read_entries

__all__ = ["DOMAINS", "ENGLISH", "LANGUAGES", "Entry", "Wording", "entries", "entry", "read_entries"]
