"""Duty hours: when a post has to be staffed, and why a day is as it is. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from hallctl.config.posts import DutyHours

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Span = tuple[time, time]


@dataclass(frozen=True, slots=True)
class DutyDay:
    """One day's hours, and where they come from."""

    day: date
    spans: tuple[Span, ...]
    why: str


@dataclass
class DutyCalendar:
    """The hall's duty hours. What the centre says of a day goes before hall.yaml, hall.yaml before the calendar.

    ``exceptions``: days that the centre has set, each with its hours (none: no duty).
    """

    hours: DutyHours
    exceptions: Mapping[date, Sequence[Span]] = field(default_factory=dict)
    _holidays: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.hours.calendar is not None:
            import holidays  # noqa: PLC0415  # only where a calendar is named

            country, _, region = self.hours.calendar.partition("-")
            known = getattr(holidays, country).supported_languages
            language = "en_US" if "en_US" in known else None
            self._holidays = holidays.country_holidays(country, subdiv=region or None, language=language)

    def on_duty(self, now: datetime) -> bool:
        """Whether posts have to be staffed at ``now`` (aware)."""
        local = now.astimezone(ZoneInfo(self.hours.timezone))
        return any(start <= local.time() < end for start, end in self.day(local.date()).spans)

    def day(self, day: date) -> DutyDay:
        """The hours of a day."""
        if day in self.exceptions:
            spans = tuple(self.exceptions[day])
            return DutyDay(day, spans, "set by the centre")
        if day in self.hours.closed:
            return DutyDay(day, (), "closed in hall.yaml")
        if day in self.hours.extra:
            return DutyDay(day, self._of("mon"), "extra day in hall.yaml: the Monday's hours")
        if self._holidays is not None:
            if (name := self._holidays.get(day)) is not None:
                return DutyDay(day, (), f"holiday: {name}")
            if day in self._holidays.weekend_workdays:
                return DutyDay(day, self._of("mon"), "make-up workday: the Monday's hours")
        weekday = _DAYS[day.weekday()]
        return DutyDay(day, self._of(weekday), f"hours of {weekday}")

    def _of(self, weekday: str) -> tuple[Span, ...]:
        return tuple((span.start, span.end) for span in self.hours.spans if weekday in span.days)
