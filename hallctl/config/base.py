"""What every part of a configuration document has in common."""

import re
from datetime import date, time
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints

from hallctl.model import IDENTIFIER

Identifier = Annotated[str, StringConstraints(pattern=IDENTIFIER)]

_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?\Z")
_DAY = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})\Z")


def _time_of(value: object) -> object:
    """Only HH:MM is a time: pydantic alone would take 830 for that many seconds after midnight."""
    if isinstance(value, time):
        return value
    found = _CLOCK.match(value) if isinstance(value, str) else None
    try:
        if found:
            hour, minute, second = (int(part) for part in found.groups(default="0"))
            return time(hour, minute, second)
    except ValueError:
        pass
    raise ValueError(f"{value!r} is no time of day | write HH:MM, 00:00 to 23:59")


def _date_of(value: object) -> object:
    """Only YYYY-MM-DD is a day: pydantic alone would take a number for seconds since 1970."""
    if isinstance(value, date):
        return value
    found = _DAY.match(value) if isinstance(value, str) else None
    try:
        if found:
            year, month, day = (int(part) for part in found.groups())
            return date(year, month, day)
    except ValueError:
        pass
    raise ValueError(f"{value!r} is no day | write YYYY-MM-DD, such as 2026-10-01")


ClockTime = Annotated[time, BeforeValidator(_time_of)]
"""A time of day in the hall, HH:MM."""

Day = Annotated[date, BeforeValidator(_date_of)]
"""A calendar day, YYYY-MM-DD."""


class Section(BaseModel):
    """A part of a document: frozen; an unknown key is an error.

    A validator's ``ValueError("message | hint")`` is shown to the technician in these words.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
