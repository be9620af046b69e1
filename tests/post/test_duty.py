"""Duty hours: weekdays, public holidays, make-up workdays, hall.yaml and the centre; by another library too."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from pydantic import ValidationError

from hallctl.config.posts import DutyHours
from hallctl.post import DutyCalendar

WEEK = [{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "09:00", "end": "12:00"}]


def hours(**more: object) -> DutyHours:
    return DutyHours.model_validate({"spans": WEEK, **more})


def test_hours_are_the_halls_own_and_end_before_their_end() -> None:
    calendar = DutyCalendar(hours())
    assert calendar.on_duty(datetime(2026, 11, 23, 1, 0, tzinfo=UTC))  # 9:00 in Beijing
    assert not calendar.on_duty(datetime(2026, 11, 23, 0, 59, 59, tzinfo=UTC))
    assert not calendar.on_duty(datetime(2026, 11, 23, 4, 0, tzinfo=UTC))
    assert not calendar.on_duty(datetime(2026, 11, 22, 1, 30, tzinfo=UTC))


def test_the_calendar_agrees_with_another_library_on_every_day_of_its_years() -> None:
    other = pytest.importorskip("chinese_calendar", reason="chinesecalendar is not installed (extra dev)")
    calendar = DutyCalendar(hours(calendar="CN"))
    differ, day = [], date(2024, 1, 1)
    while day < date(2027, 1, 1):
        if bool(calendar.day(day).spans) != other.is_workday(day):
            differ.append(day)
        day += timedelta(days=1)
    assert differ == []


@pytest.mark.parametrize(
    ("day", "spans", "why"),
    [
        (date(2026, 10, 1), 0, "holiday: National Day"),
        (date(2026, 10, 10), 1, "make-up workday: the Monday's hours"),
        (date(2026, 10, 12), 1, "hours of mon"),
        (date(2026, 10, 17), 0, "hours of sat"),
        (date(2026, 10, 13), 0, "closed in hall.yaml"),
        (date(2026, 10, 2), 1, "extra day in hall.yaml: the Monday's hours"),
        (date(2026, 10, 3), 1, "set by the centre"),
        (date(2026, 10, 14), 0, "set by the centre"),
    ],
)
def test_the_centre_goes_before_hall_yaml_and_that_before_the_calendar(day: date, spans: int, why: str) -> None:
    calendar = DutyCalendar(
        hours(calendar="CN", closed=["2026-10-13"], extra=["2026-10-02", "2026-10-13"]),
        {date(2026, 10, 3): [(time(10), time(11))], date(2026, 10, 14): []},
    )
    found = calendar.day(day)
    assert (len(found.spans), found.why) == (spans, why)


@pytest.mark.parametrize(("name", "hint"), [("XX", "country's code"), ("DE-ZZ", "regions"), ("cn", "country's code")])
def test_a_calendar_that_is_not_there_is_told(name: str, hint: str) -> None:
    with pytest.raises(ValidationError, match=hint):
        hours(calendar=name)


def test_regions_have_their_own_holidays() -> None:
    assert DutyCalendar(hours(calendar="DE-BY")).day(date(2026, 11, 1)).why.startswith("holiday")
    assert not DutyCalendar(hours(calendar="DE-BE")).day(date(2026, 11, 1)).why.startswith("holiday")
