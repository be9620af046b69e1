"""Parts of hall.yaml about staffed places: who watches them, when they have to be staffed, what an absence becomes."""

import functools
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from hallctl.config.base import ClockTime, Day, Identifier, Section

Fraction = Annotated[float, Field(ge=0, le=1)]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def encloses_something(zone: list[tuple[float, float]]) -> bool:
    """Whether a polygon has an area."""
    following = [*zone[1:], zone[0]]
    return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(zone, following, strict=True))) >= 1e-6


def _with_area(zone: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if not encloses_something(zone):
        raise ValueError("the zone encloses nothing | its corners lie on one line; give them in order around it")
    return zone


Zone = Annotated[list[tuple[Fraction, Fraction]], Field(min_length=3), AfterValidator(_with_area)]
_ZONE = "corners of the place as fractions of the picture: [[x, y], ...], at least three"


class View(Section):
    """One camera's view of a post."""

    camera: Identifier = Field(description="terminal id of the camera")
    zone: Zone = Field(description=_ZONE)


class Post(Section):
    """The staffed place at a window, watched by one camera (``camera``, ``zone``) or by several (``views``)."""

    camera: Identifier | None = Field(default=None, description="terminal id of the camera, where there is one")
    zone: Zone | None = Field(default=None, description=_ZONE)
    views: list[View] = Field(
        default_factory=list,
        description="instead of camera and zone: several cameras. Whom any of them sees is there; the post is empty "
        "when all of them see it and nobody in it",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        alone = self.camera is not None and self.zone is not None
        if (self.camera is None) != (self.zone is None) or alone == bool(self.views):
            raise ValueError("a post is watched by one camera or by several | give camera and zone, or a list of views")
        cameras = [view.camera for view in self.views]
        if len(set(cameras)) < len(cameras):
            raise ValueError("a camera stands twice in views | one view a camera; draw one zone around the place")
        return self

    @property
    def watched_by(self) -> tuple[View, ...]:
        """Every view of the post, one or more."""
        if self.camera is not None and self.zone is not None:
            return (View(camera=self.camera, zone=self.zone),)
        return tuple(self.views)


class DutySpan(Section):
    """Hours of one kind of day."""

    days: list[Weekday] = Field(description="on which weekdays")
    start: ClockTime = Field(description="from, local time of the hall, HH:MM")
    end: ClockTime = Field(description="to, local time of the hall, HH:MM; later than start")

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.end <= self.start:
            raise ValueError("the end is not later than the start | a span stays within one day; write two spans")
        return self


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError) as exc:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(f"there is no time zone {name!r} | write an IANA name such as Asia/Shanghai") from exc
    return name


@functools.cache
def _countries() -> dict[str, list[str]]:
    import holidays  # noqa: PLC0415  # only where a calendar is named

    return holidays.list_supported_countries(include_aliases=False)


def _calendar(name: str | None) -> str | None:
    if name is None:
        return None
    country, _, region = name.partition("-")
    if country not in _countries():
        raise ValueError(f"there is no calendar {name!r} | write a country's code such as CN, or country-region: DE-BY")
    if region and region not in _countries()[country]:
        known = ", ".join(_countries()[country]) or "none"
        raise ValueError(f"the calendar {country} has no region {region!r} | regions: {known}")
    return name


class DutyHours(Section):
    """When posts have to be staffed."""

    timezone: Annotated[str, AfterValidator(_time_zone)] = Field(
        default="Asia/Shanghai", description="IANA name of the hall's time zone"
    )
    spans: list[DutySpan] = Field(default_factory=list, description="regular hours; none: posts are never on duty")
    calendar: Annotated[str | None, AfterValidator(_calendar)] = Field(
        default=None,
        description="public holidays and make-up workdays of a country (CN) or region (DE-BY); none: weekdays alone",
    )
    closed: list[Day] = Field(default_factory=list, description="days without duty, whatever the calendar says")
    extra: list[Day] = Field(
        default_factory=list, description="days with the Monday's hours (make-up workdays), whatever the calendar says"
    )


class Attendance(Section):
    """How an empty post becomes an alert, and what proves it."""

    grace_s: float = Field(
        default=180.0, ge=1, description="a post may be empty for this long without an alert, seconds"
    )
    return_after_s: float = Field(default=5.0, ge=0, description="present for this long ends an absence, seconds")
    escalate_after_s: float = Field(
        default=600.0,
        ge=0,
        description="an alert that nobody has acknowledged escalates after so long, seconds; 0: never",
    )
    pause_max_s: float = Field(
        default=3600.0, ge=0, description="a pause by key excuses an empty post for so long, seconds; 0: without limit"
    )
    blind_after_s: float = Field(
        default=20.0, ge=1, description="no usable picture for this long is camera.blind, seconds"
    )
    frozen_after_s: float = Field(
        default=10.0, ge=3, description="the same picture for this long is a frozen camera, seconds"
    )
    preroll_s: float = Field(default=10.0, ge=0, le=60, description="of the clip before the post was left, seconds")
    clip_max_s: float = Field(
        default=240.0, ge=5, le=900, description="longest clip after the post was left, seconds; longer than the grace"
    )
