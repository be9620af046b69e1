"""A chapter is read strictly: whoever writes one is told which entry is wrong."""

import pytest

from hallctl.errors import ConfigError
from hallctl.faultbook import read_entries

GOOD = """
lamp.dark:
  en: {title: Lamp is dark, cause: The bulb is broken., remedy: Put in a new bulb.}
  zh: {title: 灯不亮, cause: 灯泡损坏。, remedy: 更换灯泡。}
"""


def test_a_chapter_is_read_in_its_order() -> None:
    second = GOOD.replace("lamp.dark", "lamp.hot")
    found = read_entries(second + GOOD, "faults.yaml", "acme-lamp")
    assert [one.code for one in found] == ["lamp.hot", "lamp.dark"]
    assert found[1].remedy("zh") == "更换灯泡。"
    assert found[1].domain == "acme-lamp"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "a chapter is a map"),
        ("- a\n", "a chapter is a map"),
        ("a: [", ":1: "),
        (GOOD + GOOD, "faults.yaml:6: 'lamp.dark' stands in it twice, first in line 2"),
        (GOOD.replace("lamp.dark", "Lamp dark"), "'Lamp dark' is no code"),
        (GOOD.replace("lamp.dark", "7"), "the key 7 is no text"),
        (GOOD.partition("  zh:")[0], "lamp.dark: the languages must have exactly en, zh (missing: zh"),
        (GOOD + "  fr: {}\n", "too much: fr"),
        (
            GOOD.replace(", remedy: 更换灯泡。", ""),
            "lamp.dark/zh must have exactly title, cause, remedy (missing: rem",
        ),
        (GOOD.replace("更换灯泡。", "''"), "lamp.dark/zh: remedy is no text"),
        (GOOD.replace("更换灯泡。", "3"), "lamp.dark/zh: remedy is no text"),
        ("lamp.dark: nothing\n", "lamp.dark: the languages must have exactly"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_entries(text, "faults.yaml", "acme-lamp")
    assert told in str(caught.value)
