"""The chapters that come with hallctl, read once, when the first code is looked up."""

from functools import lru_cache
from importlib.resources import files

from hallctl.errors import ConfigError
from hallctl.faultbook.entry import Entry
from hallctl.faultbook.reading import read_entries

DOMAINS = (
    "port",
    "device",
    "printer",
    "display",
    "pad",
    "camera",
    "diagnosis",
    "alert",
    "link",
    "config",
    "command",
    "clock",
    "daemon",
    "twin",
    "enroll",
    "fleet",
)
"""The chapters, in the order in which a technician meets them; each is a file ``DOMAIN.yaml`` of this package."""


def entry(code: str) -> Entry | None:
    """What the book says of ``code``; ``None`` where it does not know it (a vendor's driver may, hallctl.driver)."""
    return _book().get(code)


def entries() -> tuple[Entry, ...]:
    """All of it, chapter by chapter."""
    return tuple(_book().values())


@lru_cache(maxsize=1)
def _book() -> dict[str, Entry]:
    book: dict[str, Entry] = {}
    for domain in DOMAINS:
        path = files(__package__) / f"{domain}.yaml"
        for one in read_entries(path.read_text(encoding="utf-8"), str(path), domain):
            if one.code in book:
                raise ConfigError(f"{one.code} stands in {book[one.code].domain}.yaml already", path=str(path))
            book[one.code] = one
    return book
