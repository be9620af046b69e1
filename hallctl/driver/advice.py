"""What is not wrong in a hall document and will make trouble all the same: told by ``hallctl check``, runs anyhow."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import structlog

from hallctl.clock import SystemClock
from hallctl.config.hall import Terminal
from hallctl.config.problem import Problem
from hallctl.config.result import LoadedHall
from hallctl.driver.capability import Camera, Capability
from hallctl.driver.discovery import load_driver
from hallctl.driver.terminal import TerminalContext, TerminalDriver
from hallctl.errors import ConfigError, DriverLoadError, HallctlError
from hallctl.ticket import load_logo
from hallctl.transport import PortAddress

_BY_ORDER = re.compile(r"/dev/(ttyUSB|ttyACM)[0-9]+\Z")
_EVENT = re.compile(r"/dev/input/event[0-9]+\Z")
CALENDAR_AHEAD_DAYS = 45
_LP = re.compile(r"/dev/usb/lp[0-9]+\Z")


def advise(hall: LoadedHall, today: date | None = None, *, secrets: bool = False) -> tuple[Problem, ...]:
    """Advice about the items that run, in the order of their lines. ``today``: what a calendar has to know by.

    ``secrets``: this is the box, so the passwords of its cameras have to be here.
    """
    found = [
        *_names_by_order(hall),
        *_printers(hall),
        *(_cameras(hall) if secrets else ()),
        *_logos(hall),
        *_photos(hall),
        *_attendance(hall, today or datetime.now(UTC).date()),
    ]
    return tuple(sorted(found, key=lambda problem: problem.line))


def _names_by_order(hall: LoadedHall) -> Iterator[Problem]:
    """/dev/ttyUSB0 is whichever adapter was plugged in first: after a power cut the printer may be the display."""
    for section in ("buses", "terminals"):
        for loc, item in hall.items(section):
            port = getattr(item, "port", None)
            if port is None or not (advice := _better_name(PortAddress.parse(port))):
                continue
            message = f"{PortAddress.parse(port).path} is given out in the order of plugging in"
            yield hall.problem(message, (*loc, "port"), code="port.unstable", hint=advice)


def _better_name(address: PortAddress) -> str:
    if address.scheme in ("serial", "file") and _BY_ORDER.match(address.path):
        return "write the adapter's name instead: `ls -l /dev/serial/by-id`, or by-path where two have one name"
    if address.scheme == "file" and _LP.match(address.path):
        return "write usblp://VENDOR:PRODUCT?serial=..., as `lsusb -v` shows them; it finds the printer's node"
    if address.scheme == "input" and _EVENT.match(address.path):
        return "write the keyboard's name instead: `ls -l /dev/input/by-id`, or by-path where two have one name"
    return ""


def _printers(hall: LoadedHall) -> Iterator[Problem]:
    """A printer whose text has to be drawn needs a font on the box; the document may be checked on another machine."""
    for loc, terminal in hall.terminals():
        why = _kept_from_printing(terminal)
        if why is None:
            continue
        message = f"can't run on this machine: {why.message}"
        yield hall.problem(message, (*loc, "options"), code="printer.drawing", hint=why.hint)


def _kept_from_printing(terminal: Terminal) -> HallctlError | None:
    if Capability.PRINTER not in load_driver(terminal.driver).capabilities:
        return None
    return _refused(partial(_made, terminal))


def _cameras(hall: LoadedHall) -> Iterator[Problem]:
    """A camera whose password can't be read, or may be read by others, is quarantined when the daemon starts."""
    for loc, terminal in hall.terminals():
        if Capability.CAMERA not in load_driver(terminal.driver).capabilities:
            continue
        if (why := _refused(partial(_captured, terminal))) is not None:
            message = f"can't run on this machine: {why.message}"
            yield hall.problem(message, (*loc, "options"), code="config.invalid", hint=why.hint)


def _captured(terminal: Terminal) -> None:
    made = _made(terminal)
    if isinstance(made, Camera):
        made.capture()


def _made(terminal: Terminal) -> TerminalDriver | Camera:
    plugin = load_driver(terminal.driver)
    context = TerminalContext(terminal.id, SystemClock(), structlog.get_logger(), _nobody)
    return plugin.make(context, plugin.options.model_validate(terminal.options))


def _refused(work: Callable[[], object]) -> HallctlError | None:
    """Why a driver does not do it."""
    try:
        work()
    except HallctlError as exc:
        return exc
    except Exception as exc:  # noqa: BLE001  # a vendor's ``make`` may raise anything; the check must end
        return DriverLoadError(repr(exc), hint="tell the driver's vendor")
    return None


async def _nobody(_signal: object) -> None:
    """A driver that is only made emits nothing."""


def _logos(hall: LoadedHall) -> Iterator[Problem]:
    folder = Path(hall.path).parent
    for loc, layout in hall.items("tickets"):
        for number, line in enumerate(getattr(layout, "lines", ())):
            if line.logo is None:
                continue
            try:
                load_logo(line.logo, folder)
            except ConfigError as exc:
                place = (*loc, "lines", number, "logo")
                yield hall.problem(f"printed without it: {exc.message}", place, code="logo", hint=exc.hint)


def _photos(hall: LoadedHall) -> Iterator[Problem]:
    folder = Path(hall.path).parent
    for loc, window in hall.windows():
        photo = window.staff.photo if window.staff else None
        if photo is not None and not (folder / photo).is_file():
            message = f"pads show no photo: there is no file {folder / photo}"
            hint = "copy it there, or correct its name"
            yield hall.problem(message, (*loc, "staff", "photo"), code="photo", hint=hint)


def _attendance(hall: LoadedHall, today: date) -> Iterator[Problem]:
    document = hall.document
    if not any(window.post for window in document.windows):
        return
    rules, hours = document.attendance, document.duty_hours
    if not hours.spans:
        hint = "give duty_hours spans: [{days: [mon, ...], start: 09:00, end: 17:00}]"
        yield hall.problem("posts are watched and never on duty", ("duty_hours", "spans"), code="duty.none", hint=hint)
    if rules.clip_max_s < rules.grace_s:
        hint = f"make clip_max_s longer than grace_s ({rules.grace_s:g})"
        message = "clips end before the alert that they prove is raised"
        yield hall.problem(message, ("attendance", "clip_max_s"), code="clip.short", hint=hint)
    soon = today + timedelta(days=CALENDAR_AHEAD_DAYS)
    if hours.calendar and _lacks_make_up_days(hours.calendar, soon.year):
        message = f"the make-up workdays of {soon.year} are not in the installed calendar"
        hint = "bring hallctl up to date when they are announced, or list them under extra"
        yield hall.problem(message, ("duty_hours", "calendar"), code="calendar.old", hint=hint)


def _lacks_make_up_days(calendar: str, year: int) -> bool:
    """Whether a country that has make-up workdays has none in this year: they are announced year by year."""
    import holidays  # noqa: PLC0415  # only where a calendar is named

    country, _, region = calendar.partition("-")
    days = holidays.country_holidays(country, subdiv=region or None, years=[year - 2, year - 1, year]).weekend_workdays
    had = any(day.year < year for day in days)
    return had and not any(day.year == year for day in days)
