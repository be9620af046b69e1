"""The book of faults with the chapters that drivers bring: a vendor's code is explained like one of ours."""

from functools import lru_cache
from importlib.resources import files

from hallctl.driver.discovery import driver_names, load_driver
from hallctl.driver.plugin import DriverPlugin
from hallctl.errors import ConfigError, DriverLoadError
from hallctl.faultbook import Entry, entry, read_entries

CHAPTER = "faults.yaml"


def explain(code: str) -> Entry | None:
    """The entry of ``code``: hallctl's own, else an installed driver's; ``None`` where nobody explains it.

    Drivers are imported only for a dotted code that hallctl's own book lacks. One that can't be read explains nothing.
    """
    return entry(code) or (_of_drivers().get(code) if "." in code else None)


def chapter_of(plugin: DriverPlugin) -> tuple[Entry, ...]:
    """What a driver's ``book`` explains; empty without one. Raises ``ConfigError`` when it can't be used."""
    if not plugin.book:
        return ()
    try:
        path = files(plugin.book) / CHAPTER
        text = path.read_text(encoding="utf-8")
    except (OSError, ImportError, UnicodeDecodeError) as exc:
        hint = f"book names a package that holds {CHAPTER}"
        raise ConfigError(f"driver {plugin.name}: {CHAPTER} of {plugin.book} can't be read: {exc}", hint=hint) from exc
    found = read_entries(text, str(path), plugin.name)
    for one in found:
        if "." not in one.code or entry(one.code) is not None:
            why = "is explained by hallctl itself" if "." in one.code else "has no dot: those are hallctl's own"
            raise ConfigError(f"{one.code} {why}", path=str(path), hint="take another code, such as lamp.dark")
    return found


def unexplained(plugin: DriverPlugin) -> tuple[str, ...]:
    """Codes of a driver that neither its own chapter nor hallctl's book explains. Raises ``ConfigError``."""
    own = {one.code for one in chapter_of(plugin)}
    return tuple(sorted(code for code in plugin.faults if code not in own and entry(code) is None))


@lru_cache(maxsize=1)
def _of_drivers() -> dict[str, Entry]:
    book: dict[str, Entry] = {}
    for name in driver_names():
        try:
            chapter = chapter_of(load_driver(name))
        except (DriverLoadError, ConfigError):
            continue  # `hallctl check` and the conformance suite say what is wrong with it
        for one in chapter:
            book.setdefault(one.code, one)
    return book
