"""From the facts of one terminal to what is wrong with it, the true cause first."""

from collections.abc import Iterator
from typing import Any

from hallctl.diagnose.evidence import PortFacts, TerminalFacts, Wrong
from hallctl.diagnose.finding import Finding, Weight
from hallctl.diagnose.line_rules import judge_line

_GROUPS = "then restart hallctl: a daemon gets its groups when it starts"


def judge_terminal(facts: TerminalFacts) -> list[Finding]:
    """What is wrong; empty: it works. Nothing is guessed where the device or the system has said it."""
    match facts.status:
        case "online":
            return [*_faults(facts), *_sight(facts), *_doubts(facts)]
        case "starting":
            return [_finding(facts, "terminal.starting", "it is still being started", "ask again in half a minute")]
    return [*_lost(facts), *_faults_before(facts)]


def _lost(facts: TerminalFacts) -> Iterator[Finding]:
    port = facts.port or (facts.bus.port if facts.bus is not None else None)
    found = _port(facts, port) if port is not None else None
    if found is None and facts.status == "offline":
        found = judge_line(facts)
    yield found or _finding(facts, facts.reason or "terminal.offline", facts.message or "it is offline", facts.hint)


def _port(facts: TerminalFacts, port: PortFacts) -> Finding | None:
    match facts.reason:
        case "port.busy":
            return _busy(facts, port)
        case "port.absent" | "port.lost" if port.exists is False:
            return _absent(facts, port)
        case "port.permission":
            return _forbidden(facts, port)
    return None


def _busy(facts: TerminalFacts, port: PortFacts) -> Finding | None:
    if not port.holders:
        return None
    first = port.holders[0]
    who = " and ".join(f"{one.name} (pid {one.pid})" for one in port.holders)
    hint = f"stop that program (kill {first.pid}), or give this terminal another port"
    message = f"its port {_short(port)} is held by {who}"
    return _of_the_port(facts, "port.busy", message, hint, pid=first.pid, name=first.name)


def _absent(facts: TerminalFacts, port: PortFacts) -> Finding:
    was = f"; it worked until {facts.was_online}" if facts.was_online else ""
    message = f"its port {_short(port)} is not there{was}"
    if facts.was_online:
        hint = "it was unplugged or has lost its power: plug it in, the daemon takes it up by itself"
    else:
        hint = facts.hint
    if port.others:
        there = ", ".join(port.others[:3])
        message += f"; plugged in is {there}"
        hint = f"is that the device? then write {port.others[0]} in hall.yaml; else {hint}"
    return _of_the_port(facts, "port.absent", message, hint)


def _forbidden(facts: TerminalFacts, port: PortFacts) -> Finding:
    whose = f" (it is {port.owner}, mode {port.mode})" if port.owner else ""
    message = f"the daemon may not open {_short(port)}{whose}"
    hint = facts.hint
    if port.allowed:
        message = f"the daemon may not open {_short(port)}, although its user and groups may"
        hint = "its unit's DeviceAllow= does not name this kind of device: systemctl edit hallctl, then restart it"
    elif port.missing_group:
        hint = f"usermod -aG {port.missing_group} hallctl, or install the udev rules; {_GROUPS}"
    return _of_the_port(facts, "port.permission", message, hint, group=port.missing_group)


def _faults(facts: TerminalFacts) -> Iterator[Finding]:
    """Errors first: they are what keeps it from working."""
    for fault in sorted(facts.faults, key=lambda one: one.severity == "warning"):
        yield _fault(facts, fault)


def _fault(facts: TerminalFacts, fault: Wrong) -> Finding:
    weight = Weight.WARNING if fault.severity == "warning" else Weight.TERMINAL
    return Finding(fault.code, f"{facts.terminal}: {fault.message or fault.code}", fault.hint, facts.terminal, weight)


def _faults_before(facts: TerminalFacts) -> Iterator[Finding]:
    for fault in facts.faults:
        found = _fault(facts, fault)
        yield Finding(
            found.code, f"{found.message} (when it was last heard)", found.hint, facts.terminal, Weight.WARNING
        )


_SIGHT = {
    "dark": ("its picture is black", "light on? lens cap off? a camera without infrared light sees nothing at night"),
    "covered": ("something covers its lens", "look at the camera: paper, tape, a spider's web, a label"),
    "frozen": ("its picture stands still", "switch the camera off and on; update its firmware if it happens again"),
    "moved": ("it does not look where it looked", "aim it again, or `hallctl camera accept {camera}`"),
    "camera.silent": ("nothing is seen by it any more", "switch the camera off and on"),
}


def _sight(facts: TerminalFacts) -> Iterator[Finding]:
    if facts.sight in _SIGHT:
        message, hint = _SIGHT[facts.sight]
        hint = hint.format(camera=facts.terminal)
        yield _finding(facts, "camera.blind", message, hint, reason=facts.sight)


def _doubts(facts: TerminalFacts) -> Iterator[Finding]:
    if facts.answer.startswith("error:"):
        yield _finding(
            facts, "device.mute", f"asked just now it did not answer: {facts.answer[6:].strip()}", facts.hint
        )
    if facts.waiting:
        text = "1 command waits for it" if facts.waiting == 1 else f"{facts.waiting} commands wait for it"
        yield _finding(facts, "terminal.busy", text, "wait, or see what it prints", weight=Weight.WARNING)
    if facts.info.get("presence") == "unproven":
        message = "nothing has come from it yet: devices of this kind speak only when a key is pressed"
        hint = "press a key on it, and ask again"
        yield _finding(facts, "device.unproven", message, hint, weight=Weight.NOTE)
    if facts.info.get("replies") is False:
        message = "it takes what it is sent and says nothing, so nobody knows about its paper and cover"
        hint = "some printers and one-way cables can't answer; else check the receive wire"
        yield _finding(facts, "device.unproven", message, hint, weight=Weight.NOTE)


def _finding(
    facts: TerminalFacts, code: str, message: str, hint: str, weight: Weight = Weight.TERMINAL, **params: Any
) -> Finding:
    return Finding(code, f"{facts.terminal}: {message}", hint, facts.terminal, weight, params)


def _of_the_port(facts: TerminalFacts, code: str, message: str, hint: str, **params: Any) -> Finding:
    """A port that several terminals share takes all of them along: it is told once."""
    if facts.bus is None:
        return _finding(facts, code, message, hint, **params)
    text = f"bus {facts.bus.name}: {message}"
    return Finding(code, text, hint, facts.bus.name, Weight.LINE, {**params, "bus": facts.bus.name})


def _short(port: PortFacts) -> str:
    return port.url.split("?")[0].removeprefix("serial://").removeprefix("file://").removeprefix("input://")
