"""Wires and settings: what the bytes on a silent or babbling line say about baud, parity, address and wiring."""

from typing import Any

from hallctl.diagnose.evidence import Attempt, TerminalFacts
from hallctl.diagnose.finding import Finding, Weight

_SAID_NOTHING = frozenset({"device.mute", "camera.stalled", "terminal.offline"})
_SAID_NONSENSE = frozenset({"device.garbage", "device.mismatch"})


def judge_line(facts: TerminalFacts) -> Finding | None:
    """Why a device that should answer does not, or babbles. ``None``: its state says it all."""
    if facts.reason not in _SAID_NOTHING | _SAID_NONSENSE:
        return None
    return _answers_otherwise(facts) or _on_the_network(facts) or _from_what_came(facts)


def _answers_otherwise(facts: TerminalFacts) -> Finding | None:
    """Proved: it answers when it is asked in another way."""
    trial = facts.trial
    right = next((one for one in trial.attempts if one.answered), None)
    if right is None:
        return None
    if right.address != facts.address:
        message = f"nothing answers at its address {facts.address}, but a device of its kind does at {right.address}"
        hint = f"write address: {right.address} in hall.yaml, or set the device to {facts.address}"
        return _finding(facts, "line.address", message, hint, address=right.address)
    if right.line == trial.line:
        message = "it did not answer the daemon, and answers now"
        return _finding(facts, "device.mute", message, "a loose plug or a weak supply? look at its history")
    (baud, form), (is_baud, is_form) = trial.line.split(), right.line.split()
    wrong = "baud" if baud != is_baud else "parity" if form[1] != is_form[1] else "form"
    what, is_what = (f"{baud} baud", f"{is_baud} baud") if wrong == "baud" else (form, is_form)
    message = f"it answers at {is_what}, but hall.yaml says {what}"
    option = {"baud": f"baud={is_baud}", "parity": f"parity={_PARITY[is_form[1]]}", "form": f"bytesize={is_form[0]}"}
    hint = f"write {option[wrong]} in its port in hall.yaml, or set the device to {what}"
    return _finding(facts, "line.baud" if wrong == "baud" else "line.parity", message, hint, line=right.line)


_PARITY = {"N": "none", "E": "even", "O": "odd"}


def _on_the_network(facts: TerminalFacts) -> Finding | None:
    if facts.port is None or facts.port.scheme != "tcp":
        return None
    if facts.reason in _SAID_NONSENSE:
        message = f"what answers at {facts.port.url} is no device of driver {facts.driver}: {facts.message}"
        hint = "check address and port number, and that driver and options in hall.yaml fit the device"
        return _finding(facts, "device.garbage", message, hint)
    message = f"{facts.port.url} takes the connection and then says nothing: a half-open connection or a hung device"
    hint = "switch the device off and on; does another box or program use it at the same time?"
    return _finding(facts, "port.half_open", message, hint)


def _from_what_came(facts: TerminalFacts) -> Finding | None:
    """Nothing has answered anywhere: what came instead tells wires from settings."""
    first = facts.trial.attempts[0] if facts.trial.attempts else None
    others = [name for name, status in (facts.bus.members.items() if facts.bus else ()) if status == "online"]
    if first is not None and _is_echo(first):
        message = "the line gives back only what was sent: the adapter hears itself, the device says nothing"
        hint = "write echo=1 in the port in hall.yaml; then check the device's power, address and A/B wires"
        return _finding(facts, "line.echo", message, hint)
    if _came(facts):
        message = "what comes from the line is no answer: noise, two devices with one address, or loose A/B wires"
        hint = "check termination (120 ohm at both ends), the ground wire, and that no address is used twice"
        return _finding(facts, "line.noise", message, hint)
    if others:
        message = f"it alone is silent at address {facts.address}: {', '.join(others)} on the same line answer"
        hint = "check its power, its plug and the address that it is set to"
        return _finding(facts, "line.alone", message, hint)
    if first is None:
        return None
    message = "nothing comes from the line at any setting: no power, no wire, or A and B swapped"
    hint = "check the device's power; then swap A and B at one end; then look at the plug of the adapter"
    if facts.bus is not None and facts.bus.members:
        return _finding(facts, "line.silent", message, hint, Weight.LINE, bus=facts.bus.name)
    return _finding(facts, "line.silent", message, hint)


def _is_echo(attempt: Attempt) -> bool:
    return bool(attempt.received) and attempt.sent.startswith(attempt.received)


def _came(facts: TerminalFacts) -> bool:
    """Damaged bytes, whether they came while trying or while the daemon worked."""
    if any(one.received and not _is_echo(one) for one in facts.trial.attempts[:1]):
        return True
    counters = facts.bus.counters if facts.bus is not None else {}
    port = facts.port or (facts.bus.port if facts.bus is not None else None)
    errors = sum(port.errors.values()) if port is not None else 0
    return facts.reason in _SAID_NONSENSE or counters.get("garbage_bytes", 0) > 0 or errors > 0


def _finding(
    facts: TerminalFacts, code: str, message: str, hint: str, weight: Weight = Weight.TERMINAL, **params: Any
) -> Finding:
    return Finding(code, f"{facts.terminal}: {message}", hint, facts.terminal, weight, params)
