"""What is not wrong in a hall document and will make trouble all the same: told by ``hallctl check``, runs anyhow."""

import re
from collections.abc import Iterator
from pathlib import Path

from hallctl.config.problem import Problem
from hallctl.config.result import LoadedHall
from hallctl.errors import ConfigError
from hallctl.ticket import load_logo
from hallctl.transport import PortAddress

_BY_ORDER = re.compile(r"/dev/(ttyUSB|ttyACM)[0-9]+\Z")
_EVENT = re.compile(r"/dev/input/event[0-9]+\Z")
_LP = re.compile(r"/dev/usb/lp[0-9]+\Z")


def advise(hall: LoadedHall) -> tuple[Problem, ...]:
    """Advice about the items that run, in the order of their lines."""
    found = [*_names_by_order(hall), *_logos(hall), *_photos(hall)]
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
