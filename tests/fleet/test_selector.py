"""Which controllers a selector means."""

import pytest

from hallctl.errors import RequestRefused
from hallctl.fleet.selector import EVERYONE, Traits, read_selection

PILOT = Traits("gulou", "box-1", ("grid-a",), ("pilot", "north"))
OTHER = Traits("xihu", "box-1", ("grid-b",), ("south",))


@pytest.mark.parametrize(
    ("texts", "pilot", "other"),
    [
        (["all"], True, True),
        (["site=gulou"], True, False),
        (["group=grid-*"], True, True),
        (["tag=pilot,site=gulou"], True, False),
        (["tag=pilot,site=xihu"], False, False),
        (["tag=pilot,tag=north"], True, False),
        (["tag=pilot", "site=xihu"], True, True),
        (["id=box-1"], True, True),
        (["id=gulou/box-1"], True, False),
        (["id=xihu/*"], False, True),
        (["id=box-?"], True, True),
    ],
)
def test_a_comma_means_and_and_a_repeated_option_means_or(texts, pilot, other):
    selection = read_selection(texts)
    assert (selection.matches(PILOT), selection.matches(OTHER)) == (pilot, other)


@pytest.mark.parametrize("text", ["gulou", "site=", "place=gulou", "site=a,,tag=b", ""])
def test_a_typing_error_is_told_with_how_it_is_written(text):
    with pytest.raises(RequestRefused, match="no selector") as caught:
        read_selection([text])
    assert "site=NAME" in caught.value.hint


def test_a_selector_that_means_nobody_is_found():
    assert read_selection(["tag=pilto", "all"]).without_match([PILOT, OTHER]) == ["tag=pilto"]


def test_only_the_sites_that_are_meant_are_read():
    assert read_selection(["site=gulou", "id=xihu/box-1"]).sites == ("gulou", "xihu")
    assert read_selection(["site=gulou", "tag=pilot"]).sites == ("+",)
    assert read_selection(["site=g*"]).sites == ("+",)
    assert EVERYONE.sites == ("+",)
