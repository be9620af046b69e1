"""Who is in a simulated fleet and what its halls look like; pure and repeatable."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

BOXES_A_SITE = 5
GROUPS = ("grid-a", "grid-b", "grid-c")
PILOTS = 10


@dataclass(frozen=True, slots=True)
class BoxPlan:
    """One simulated controller: who it is and the hall.yaml that lies on its disk."""

    site: str
    controller: str
    groups: tuple[str, ...]
    tags: tuple[str, ...]
    document: dict[str, Any]


def plan_fleet(
    count: int, terminals: int = 8, *, first: int = 1, boxes_a_site: int = BOXES_A_SITE
) -> Iterator[BoxPlan]:
    """``count`` controllers with ``terminals`` terminals each, from number ``first`` on: box-0001, box-0002 ...

    Sites have ``boxes_a_site`` controllers, groups go round, the first ten have the tag ``pilot``, and every one
    ``north`` or ``south``.
    """
    for number in range(first, first + count):
        half = "north" if number % 2 else "south"
        yield BoxPlan(
            site=f"hall-{(number - 1) // boxes_a_site + 1:03d}",
            controller=f"box-{number:04d}",
            groups=(GROUPS[number % len(GROUPS)],),
            tags=(half, "pilot") if number <= PILOTS else (half,),
            document=hall_document(terminals),
        )


def hall_document(terminals: int = 8, **more: Any) -> dict[str, Any]:
    """A hall with so many terminals: a printer, then windows with display, pad and keypad on one line."""
    devices: list[dict[str, Any]] = []
    windows: list[dict[str, Any]] = []
    for number in range(terminals):
        window, role = divmod(number - 1, 3)
        if number == 0:
            devices.append({"id": "printer-1", "driver": "escpos", "port": "tcp://192.0.2.21:9100"})
            continue
        if role == 0:
            windows.append({"id": f"window-{window + 1}", "label": str(window + 1)})
        name = ("display", "pad", "keypad")[role]
        driver = ("pinganlihe", "ff68-pad", "ff68-keypad")[role]
        address = 10 * (role + 1) + window + 1 if window < 9 else 40 + 3 * window + role
        devices.append({"id": f"{name}-{window + 1}", "driver": driver, "bus": "line-1", "address": address})
        windows[-1][name] = f"{name}-{window + 1}"
    buses = [{"id": "line-1", "port": "serial:///dev/ttyS1?baud=9600"}] if terminals > 1 else []
    return {"buses": buses, "terminals": devices, "windows": windows, **more}
