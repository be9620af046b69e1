"""What a play leaves behind: expected and seen by event type, tickets, displays, evidence."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from hallctl_demo.centre import Centre
from hallctl_demo.devices import Devices
from hallctl_demo.play import RUSH, TERMINALS, Day

# By event type: how many there have to be. A pair is a least and a most: how often a device that is in trouble is
# noticed, or a fault is seen with its forerunner, depends on when it is looked at.
EXPECTED: dict[str, int | tuple[int, int]] = {
    "controller.started": 1,
    "controller.stopped": 1,
    "terminal.online": (TERMINALS + 1, TERMINALS + 2),
    "terminal.offline": (1, 2),
    "ticket.printed": 6,
    "ticket.failed": 0,
    "ticket.unknown": 0,
    "number.called": 5 + RUSH,
    "number.recalled": 3,
    "window.changed": 4 * 2 + 2,
    "rating.requested": 4,
    "rating.given": 4,
    "rating.missed": 0,
    "key.pressed": 3 + 1 + 2,
    "fault.raised": (1, 4),  # the tablet may come a moment after the daemon
    "fault.cleared": (1, 4),
    "display.failed": (1, 2),
    "post.left": 1,
    "post.returned": 1,
    "post.blind": 0,
    "gap": 0,
}


def summary(day: Day, centre: Centre, broker: str, exit_code: int) -> dict[str, Any]:
    """Everything that was expected, and what was seen."""
    seen = Counter(one["type"].removeprefix("hallctl.event.") for one in centre.envelopes if ".event." in one["type"])
    wanted = {**EXPECTED, "command.finished": centre.commands}
    events = {kind: _compare(expected, seen.get(kind, 0)) for kind, expected in wanted.items()}
    unexpected = {kind: count for kind, count in seen.items() if kind not in wanted}
    alerts = Counter(
        f"{one['type'].removeprefix('hallctl.alert.')} {one['data']['state']}"
        for one in centre.envelopes
        if ".alert." in one["type"]
    )
    sequence = sorted({one["seq"] for one in centre.envelopes if one.get("seq")})
    unbroken = sequence == list(range(1, len(sequence) + 1))
    ok = (
        all(one["ok"] for one in events.values())
        and all(passed for _, passed, _ in day.checks)
        and not unexpected
        and unbroken
        and exit_code == 0
    )
    return {
        "ok": ok,
        "broker": broker,
        "scenes": [{"scene": name, "ok": passed, "why": why} for name, passed, why in day.checks],
        "events": events,
        "unexpected_events": unexpected,
        "alerts": dict(alerts),
        "sequence": {"last": sequence[-1] if sequence else 0, "unbroken": unbroken},
        "daemon_exit_code": exit_code,
        "call_to_wire_ms": _percentiles(day.latencies_ms),
        "numbers": day.numbers,
    }


def leave(folder: Path, devices: Devices, day: Day, result: dict[str, Any]) -> None:
    """Write summary, tickets, displays and the alert's evidence."""
    (folder / "summary.json").write_text(json.dumps(result, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    for name, printer in devices.printers.items():
        for number, ticket in enumerate(printer.tickets, 1):
            _write(folder / "tickets" / f"{name}-{number:02}.png", ticket.png())
    displays = {**devices.boards, **{f"bar-{name}": bar for name, bar in devices.bars.items()}}
    displays["bar-w4"] = devices.tablet_bar
    for name, display in displays.items():
        _write(folder / "displays" / f"{name}.png", display.draw())
    for kind, suffix in (("snapshot", "jpg"), ("clip", "mp4")):
        if kind in day.evidence:
            _write(folder / "alert" / f"{kind}.{suffix}", day.evidence[kind])


def _compare(expected: int | tuple[int, int], seen: int) -> dict[str, Any]:
    least, most = (expected, expected) if isinstance(expected, int) else expected
    return {"expected": expected, "seen": seen, "ok": least <= seen <= most}


def _percentiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    ordered = sorted(values)
    at = {"p50": 0.5, "p99": 0.99}
    picked = {name: round(ordered[min(len(ordered) - 1, int(len(ordered) * part))], 2) for name, part in at.items()}
    return {"n": len(ordered), **picked, "max": round(ordered[-1], 2)}


def _write(path: Path, data: bytes | None) -> None:
    if data:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
