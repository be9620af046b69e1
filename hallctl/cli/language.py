"""In which language the command line speaks: the locale's, English or Chinese.

``HALLCTL_LANG`` goes before ``LC_ALL``, ``LC_MESSAGES`` and ``LANG``, as gettext has them. The locale need not be
installed. What is written on the wire, in logs and in JSON stays English; a person's words are translated when they
are printed. The texts stand in ``locale/zh/LC_MESSAGES/hallctl.po``; `scripts/translations` keeps it up to date.
"""

import contextlib
import gettext
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from hallctl.faultbook import ENGLISH, LANGUAGES

DOMAIN = "hallctl"
FOLDER = Path(__file__).parent / "locale"
VARIABLE = "HALLCTL_LANG"
_VARIABLES = (VARIABLE, "LC_ALL", "LC_MESSAGES", "LANG")


def language() -> str:
    """``zh`` or ``en``: what the first variable that is set says; English for every language that we lack."""
    said = next((value for name in _VARIABLES if (value := os.environ.get(name))), "")
    name = said.replace("-", "_").partition("_")[0].partition(".")[0].lower()
    return name if name in LANGUAGES else ENGLISH


def _(message: str) -> str:
    """``message`` in the person's language. Put values in afterwards: ``_("{name} is gone").format(name=name)``."""
    return _catalogue(language()).gettext(message) if message else ""


def ngettext(one: str, many: str, number: int) -> str:
    """The form that goes with ``number``, in the person's language."""
    return _catalogue(language()).ngettext(one, many, number)


def counted(number: int, word: str, words: str = "") -> str:
    """``1 controller``, ``1,200 controllers``, ``2 buses``. ``word`` and ``words`` are literals: they are collected."""
    one, many = f"{{number:,}} {word}", f"{{number:,}} {words or word + 's'}"
    return ngettext(one, many, number).format(number=number)


def marked(message: str) -> str:
    """``message`` itself: a text of a table, translated with ``_`` where it is printed."""
    return message


@contextlib.contextmanager
def click_speaks() -> Iterator[None]:
    """Let click's own words (Usage, Options, errors) come from our catalogue, in our language."""
    before = gettext.textdomain(), os.environ.get("LANGUAGE")
    gettext.bindtextdomain(DOMAIN, FOLDER)
    gettext.textdomain(DOMAIN)
    os.environ["LANGUAGE"] = language()
    try:
        yield
    finally:
        gettext.textdomain(before[0])
        if before[1] is None:
            os.environ.pop("LANGUAGE", None)
        else:
            os.environ["LANGUAGE"] = before[1]


@lru_cache(maxsize=len(LANGUAGES))
def _catalogue(name: str) -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, FOLDER, languages=[name], fallback=True)
