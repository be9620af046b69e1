"""Controllers and terminals as JSON values, the same in every command of the centre."""

from typing import Any

from hallctl.fleet.overview import ControllerLine
from hallctl.fleet.view import TerminalStatusNow
from hallctl.link.configuration import Desired, Reported


def described(line: ControllerLine) -> dict[str, Any]:
    """One controller."""
    view, status = line.view, line.status
    state = view.state
    return {
        "site": view.topics.site,
        "controller": view.topics.controller,
        "name": state.name if state else "",
        "groups": list(state.groups) if state else [],
        "tags": list(state.tags) if state else [],
        "release": state.version if state else "",
        "boot": state.boot if state else None,
        "status": status.status,
        "since": status.since,
        "reason": status.reason,
        "reported": reported_values(view.reported),
        "open_alerts": len(view.alerts),
        "problems": [{"message": message, "hint": hint} for message, hint in line.wrong],
        "terminals": [terminal_values(one) for one in line.terminals],
    }


def terminal_values(one: TerminalStatusNow) -> dict[str, Any]:
    """One terminal."""
    return {
        "terminal": one.terminal,
        "driver": one.driver,
        "status": one.status,
        "since": one.since,
        "reason": one.reason,
        "message": one.message,
        "hint": one.hint,
        "faults": [fault.model_dump(mode="json") for fault in one.faults],
    }


def reported_values(reported: Reported | None) -> dict[str, Any] | None:
    """What a controller did with its configuration."""
    return reported.model_dump(mode="json") if reported else None


def desired_values(desired: Desired | None) -> dict[str, Any] | None:
    """What is wanted of a controller, without the document itself."""
    return desired.model_dump(mode="json", exclude={"document"}) if desired else None
