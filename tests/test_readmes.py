"""The README in Chinese says what the English one says: the same commands, the same files, the same documents."""

import re
import shlex
from pathlib import Path

import pytest

from hallctl.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
ENGLISH, CHINESE = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md"))


def commands(text: str) -> list[list[str]]:
    """Every line of every code block as words, without its comment."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [words for block in blocks for line in block.splitlines() if (words := shlex.split(line, comments=True))]


def in_backticks(text: str) -> set[str]:
    """What is written in backticks outside of code blocks."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return set(re.findall(r"`([^`\n]+)`", prose))


def links(text: str) -> set[str]:
    return set(re.findall(r"\]\(([^)#\s]+)", text)) - {"README.md", "README.zh.md"}


def test_both_have_the_same_commands_in_the_same_order() -> None:
    assert commands(CHINESE) == commands(ENGLISH)


def test_every_script_file_and_option_that_the_english_one_names_is_in_the_chinese_one() -> None:
    assert in_backticks(ENGLISH) - in_backticks(CHINESE) == set()


def test_every_document_that_the_english_one_links_is_linked_by_the_chinese_one() -> None:
    assert links(ENGLISH) - links(CHINESE) == set()


def test_each_links_the_other() -> None:
    assert "](README.zh.md)" in ENGLISH
    assert "](README.md)" in CHINESE


@pytest.mark.parametrize("link", sorted(links(ENGLISH)))
def test_what_is_linked_is_there(link: str) -> None:
    assert link.startswith("https://") or (ROOT / link).exists()


def test_every_command_that_is_shown_is_one() -> None:
    shown = {words[1] for words in commands(ENGLISH) if words[0] == "hallctl"}
    assert shown <= set(COMMANDS)
