"""The book of faults against the source: what a program can say is explained, and what is explained can be said."""

import difflib

import pytest
from faultbook.found import all_words, dotted_words, no_codes, used_as_codes

from hallctl import daemon
from hallctl.driver import driver_names, load_driver
from hallctl.driver.book import chapter_of, unexplained
from hallctl.faultbook import DOMAINS, LANGUAGES, Entry, entries, entry

DRIVERS = [load_driver(name) for name in driver_names()]
CHAPTERS = [one for plugin in DRIVERS for one in chapter_of(plugin)]
EXPLAINED = [*entries(), *{one.code: one for one in CHAPTERS}.values()]
CODES = {one.code for one in EXPLAINED}


def test_every_code_that_the_source_uses_is_explained() -> None:
    missing = sorted({f"{found.code} ({found.place})" for found in used_as_codes() if found.code not in CODES})
    assert not missing, f"no entry in hallctl/faultbook/*.yaml for: {', '.join(missing)}"


def test_every_dotted_word_that_begins_like_a_code_is_one_that_is_explained() -> None:
    beginnings = {code.partition(".")[0] for code in CODES if "." in code}
    words = {found for found in dotted_words() if found.code.partition(".")[0] in beginnings}
    others = no_codes()
    missing = sorted(f"{one.code} ({one.place})" for one in words if one.code not in CODES | others)
    assert not missing, (
        f"no entry in hallctl/faultbook/*.yaml for: {', '.join(missing)}; a word that is no code belongs into NO_CODES"
    )


def test_nothing_is_explained_that_the_source_never_says() -> None:
    said = all_words()
    exits = {f"exit.{number}" for name, number in vars(daemon).items() if name.startswith("EX_") and number}
    assert sorted(CODES - said - exits) == []
    assert exits <= CODES


@pytest.mark.parametrize("one", EXPLAINED, ids=lambda one: one.code)
def test_an_entry_speaks_every_language(one: Entry) -> None:
    assert set(one.words) == set(LANGUAGES)
    chinese = one.wording("zh")
    assert all(_has_chinese(text) for text in (chinese.title, chinese.cause, chinese.remedy)), "this is no Chinese"
    english = one.wording("en")
    assert not any(_has_chinese(text) for text in (english.title, english.cause, english.remedy)), "this is no English"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("one", EXPLAINED, ids=lambda one: one.code)
def test_a_remedy_says_more_than_the_cause_and_the_cause_more_than_the_title(one: Entry, language: str) -> None:
    words = one.wording(language)
    assert not _alike(words.cause, words.remedy), "the remedy repeats the cause"
    assert not _alike(words.title, words.cause), "the cause repeats the title"
    assert len(words.title) <= 60, "a title is a few words"
    assert words.cause.endswith((".", "。")) and words.remedy.endswith((".", "。", "?", "？")), "they are sentences"


def test_every_fault_of_every_driver_is_explained() -> None:
    assert {plugin.name: unexplained(plugin) for plugin in DRIVERS if unexplained(plugin)} == {}


def test_an_unknown_code_has_no_entry() -> None:
    assert entry("no.such.code") is None
    assert entry("") is None


def test_an_unknown_language_is_answered_in_english() -> None:
    found = entry("paper.end")
    assert found is not None
    assert found.remedy("fr") == found.remedy("en") == found.remedy()


def test_every_chapter_has_entries() -> None:
    assert {one.domain for one in entries()} == set(DOMAINS)


def _has_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)


def _alike(one: str, other: str) -> bool:
    return difflib.SequenceMatcher(None, one.casefold(), other.casefold()).ratio() > 0.7 or one in other
