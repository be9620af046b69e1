"""A driver's own chapter of the book of faults."""

import dataclasses
import sys
from pathlib import Path

import pytest

from hallctl.driver import DriverPlugin, load_driver
from hallctl.driver import book as books
from hallctl.driver.book import chapter_of, explain, unexplained
from hallctl.driver.conformance import explains_its_codes_in_english_and_chinese
from hallctl.errors import ConfigError, DriverLoadError

CHAPTER = """
lamp.dark:
  en: {title: Lamp is dark, cause: The bulb is broken., remedy: Put in a new bulb.}
  zh: {title: 灯不亮, cause: 灯泡损坏。, remedy: 更换灯泡。}
"""


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DriverPlugin:
    """A vendor's driver with a package of its own."""
    folder = tmp_path / "acme_lamp"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "faults.yaml").write_text(CHAPTER, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("acme_lamp", None)  # the one of another test
    faults = {"lamp.dark": "put in a new bulb", "device.mute": "look at the power"}
    return dataclasses.replace(load_driver("web-pad"), name="acme-lamp", book="acme_lamp", faults=faults)


async def test_a_driver_explains_codes_of_its_own(acme: DriverPlugin) -> None:
    assert [one.title("zh") for one in chapter_of(acme)] == ["灯不亮"]
    assert unexplained(acme) == ()
    await explains_its_codes_in_english_and_chinese(acme)


async def test_a_code_that_nobody_explains_is_named_by_the_conformance_suite(acme: DriverPlugin) -> None:
    silent = dataclasses.replace(acme, book="")
    assert unexplained(silent) == ("lamp.dark",)
    with pytest.raises(AssertionError, match=r"lamp\.dark"):
        await explains_its_codes_in_english_and_chinese(silent)


@pytest.mark.parametrize("code", ["paper.end", "dark"])
def test_a_driver_can_not_explain_hallctl_s_own_codes_anew(acme: DriverPlugin, tmp_path: Path, code: str) -> None:
    (tmp_path / "acme_lamp" / "faults.yaml").write_text(CHAPTER.replace("lamp.dark", code), "utf-8")
    with pytest.raises(ConfigError, match=rf"faults\.yaml: {code}"):
        chapter_of(acme)


@pytest.mark.parametrize("package", ["no_such_package", "acme_lamp"])
def test_a_chapter_that_is_not_there_is_named(acme: DriverPlugin, tmp_path: Path, package: str) -> None:
    (tmp_path / "acme_lamp" / "faults.yaml").unlink()
    with pytest.raises(ConfigError, match=f"driver acme-lamp: faults.yaml of {package} can't be read"):
        chapter_of(dataclasses.replace(acme, book=package))


def test_installed_drivers_are_asked_for_a_code_that_the_book_lacks() -> None:
    found = explain("pad.absent")
    assert found is not None and found.domain == "web-pad"
    assert explain("no.such.code") is None


def test_a_driver_that_can_not_be_loaded_keeps_no_other_from_explaining(acme, monkeypatch) -> None:
    def load(name: str) -> DriverPlugin:
        if name == "broken":
            raise DriverLoadError("broken")
        return acme if name == "acme-lamp" else dataclasses.replace(acme, book="no_such_package")

    monkeypatch.setattr(books, "driver_names", lambda: ("broken", "also-broken", "acme-lamp"))
    monkeypatch.setattr(books, "load_driver", load)
    books._of_drivers.cache_clear()
    try:
        found = explain("lamp.dark")
        assert found is not None and found.remedy("zh") == "更换灯泡。"
    finally:
        books._of_drivers.cache_clear()
