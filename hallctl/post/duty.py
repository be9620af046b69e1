"""Duty hours: when a post has to be staffed. Pure."""

from datetime import datetime, time
from zoneinfo import ZoneInfo

from hallctl.config.hall import DutyHours

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def on_duty(hours: DutyHours, now: datetime) -> bool:
    """Whether posts have to be staffed at ``now`` (aware). Closed beats extra; an extra day has Monday's hours."""
    local = now.astimezone(ZoneInfo(hours.timezone))
    today = local.date()
    if today in hours.closed:
        return False
    day = "mon" if today in hours.extra else _DAYS[local.weekday()]
    return any(day in span.days and _within(span.start, local.time(), span.end) for span in hours.spans)


def _within(start: time, now: time, end: time) -> bool:
    return start <= now < end
