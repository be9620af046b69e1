"""``hallctl duty``: when a hall's posts have to be staffed on which day, and why; the centre may say otherwise."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from hallctl.cli.command import command
from hallctl.cli.language import _
from hallctl.cli.link import link_options, target_of
from hallctl.cli.output import EX_OK, json_option, print_json, print_table
from hallctl.cli.where import config_option, find_config
from hallctl.cli.who import by_option
from hallctl.config import load_controller, load_hall
from hallctl.errors import ConfigError
from hallctl.post import DutyCalendar
from hallctl.post.duty import DutyDay


@click.group()
def duty() -> None:
    """Duty hours of a hall's posts."""


@duty.command()
@click.option("--from", "begin", metavar="DATE", help="First day, YYYY-MM-DD; default: today.")
@click.option("--days", default=14, show_default=True, type=click.IntRange(1, 1000), help="How many days.")
@config_option
@json_option
def show(*, begin: str | None, days: int, config: Path | None, as_json: bool) -> int:
    """List the hours of each day and where they come from, by hall.yaml and its calendar. --json: one object a line.

    What the centre has set for a day is known to the running controller alone.
    """
    hall = load_hall(load_controller(find_config(config)).hall)
    hall.raise_if_fatal()
    hours = hall.document.duty_hours
    first = _day(begin) if begin else datetime.now(ZoneInfo(hours.timezone)).date()
    calendar = DutyCalendar(hours)
    found = [calendar.day(first + timedelta(days=number)) for number in range(days)]
    if as_json:
        for one in found:
            print_json({"date": one.day.isoformat(), "spans": [list(pair) for pair in _spans(one)], "why": one.why})
        return EX_OK
    rows = [
        (f"{one.day} {one.day:%a}", ", ".join(map("-".join, _spans(one))) or _("no duty"), one.why) for one in found
    ]
    print_table(("day", "hours", "why"), rows)
    return EX_OK


@duty.command("set")
@click.argument("day", metavar="DATE")
@click.argument("spans", nargs=-1, metavar="[HH:MM-HH:MM]...")
@click.option("--closed", is_flag=True, help="Nobody has to be there.")
@click.option("--as-usual", is_flag=True, help="Take back what was set: the day is as hall.yaml says.")
@by_option
@link_options
def set_(
    *,
    day: str,
    spans: tuple[str, ...],
    closed: bool,
    as_usual: bool,
    config: Path | None,
    broker: str | None,
    site: str | None,
    controller: str | None,
    as_json: bool,
) -> int:
    """Set the hours of one day on a controller, whatever hall.yaml and the calendar say."""
    if (bool(spans), closed, as_usual).count(True) != 1:
        raise click.UsageError(_("Give hours (09:00-12:00), --closed, or --as-usual."))
    data: dict[str, Any] = {"date": _day(day).isoformat()}
    if not as_usual:
        data["spans"] = [dict(zip(("start", "end"), _span(span), strict=True)) for span in spans]
    return command(target_of(config, broker, site, controller), "duty.set", data, as_json=as_json)


def _spans(day: DutyDay) -> list[tuple[str, str]]:
    return [(f"{start:%H:%M}", f"{end:%H:%M}") for start, end in day.spans]


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise ConfigError(
            _("{text!r} is no day").format(text=text), hint=_("write YYYY-MM-DD, such as 2026-10-01")
        ) from exc


def _span(text: str) -> tuple[str, str]:
    start, dash, end = text.partition("-")
    if not dash:
        raise ConfigError(
            _("{text!r} are no hours").format(text=text), hint=_("write HH:MM-HH:MM, such as 09:00-12:00")
        )
    return start.strip(), end.strip()
