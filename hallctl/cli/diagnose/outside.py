"""A box whose daemon does not run, looked at from outside: its unit, its documents, its ports.

A daemon in its sandbox does not see other people's processes (ProtectProc= of the unit): who holds a port is looked up
here as well.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hallctl.config import ConfigErrors, load_controller, load_hall
from hallctl.config.hall import HallDocument
from hallctl.controller.diagnosis.ports import holders, port_facts
from hallctl.diagnose import Finding, TerminalFacts, Weight, judge_terminal
from hallctl.diagnose.evidence import PortFacts
from hallctl.driver.hallcheck import check_hall
from hallctl.errors import ConfigError, HallctlError, LocalError
from hallctl.transport import PortAddress

UNIT = "hallctl.service"
_ASK_S = 5


def look_from_outside(config: Path, terminal: str | None, why: LocalError) -> dict[str, Any]:
    """Findings and facts without a daemon: why it does not run comes first, since nothing works without it."""
    unit = _unit()
    findings = list(_documents(config))
    document = _document(config)
    findings += [] if findings else [_not_running(why, unit)]
    facts = {}
    for one in document.terminals if document is not None else ():
        if terminal in (None, one.id):
            bus = next((bus for bus in document.buses if bus.id == one.bus), None) if document is not None else None
            port = port_facts(one.port or (bus.port if bus is not None else ""))
            seen = TerminalFacts(one.id, one.driver, "offline", "", reason=_reason(port), port=port)
            facts[one.id] = seen.to_dict()
            findings += judge_terminal(seen) if seen.reason else []
    return {
        "terminal": terminal,
        "findings": [one.to_dict() for one in findings],
        "box": {},
        "unit": unit,
        "facts": facts,
    }


def name_holders(found: dict[str, Any]) -> dict[str, Any]:
    """Fill in who holds a busy port, where the daemon could not see it and we can."""
    for finding in found["findings"]:
        if finding["code"] != "port.busy" or finding["params"].get("pid"):
            continue
        facts = found["facts"].get(finding["subject"]) or {}
        port = facts.get("port") or (facts.get("bus") or {}).get("port") or {}
        for one in _holders(str(port.get("url", ""))):
            finding["message"] = f"{finding['subject']}: its port is held by {one.name} (pid {one.pid})"
            finding["hint"] = f"stop that program (kill {one.pid}), or give this terminal another port"
            finding["params"] = {"pid": one.pid, "name": one.name}
    return found


def _holders(url: str) -> Iterator[Any]:
    try:
        address = PortAddress.parse(url)
    except HallctlError:
        return
    if address.path and Path(address.path).exists():
        yield from list(holders(Path(address.path)))[:1]


def _not_running(why: LocalError, unit: dict[str, str]) -> Finding:
    state = unit.get("ActiveState", "")
    told = f"; its unit is {state} ({unit.get('Result', '')})" if state and state != "active" else ""
    message = why.message if why.code != "local.closed" else "the daemon is being stopped"
    return Finding(why.code, f"{message}{told}", why.hint, weight=Weight.BOX)


def _documents(config: Path) -> Iterator[Finding]:
    """What keeps a daemon from starting, with file and line."""
    hint = "correct it; `hallctl check` says whether it is right; then systemctl restart hallctl"
    try:
        hall = check_hall(load_hall(load_controller(config).hall))
        hall.raise_if_fatal()
    except ConfigErrors as exc:
        first = exc.errors[0]
        yield Finding("config.invalid", f"the daemon can't start: {first}", hint, weight=Weight.BOX)
    except ConfigError as exc:
        yield Finding("config.invalid", f"the daemon can't start: {exc}", hint, weight=Weight.BOX)


def _document(config: Path) -> HallDocument | None:
    try:
        return check_hall(load_hall(load_controller(config).hall)).document
    except HallctlError:
        return None


def _reason(port: PortFacts) -> str:
    """What the daemon would say of such a port."""
    if port.exists is False:
        return "port.absent"
    if port.allowed is False:
        return "port.permission"
    return "port.busy" if port.holders else ""


def _unit() -> dict[str, str]:
    """What systemd says of the unit; empty where there is no systemd, or no such unit."""
    command = ["systemctl", "show", UNIT, "--property=ActiveState,SubState,Result,ExecMainStatus,NRestarts"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
