"""What a change of a terminal's state means: events for the log. Pure."""

from hallctl.model import Event, EventType, FaultReport, JsonObject, TerminalState, TerminalStatus


def events_of(old: TerminalState, new: TerminalState) -> tuple[Event, ...]:
    """The facts between two states of one terminal: lost, back, faults raised and cleared."""
    return (*_reachability(old, new), *_faults(old, new))


def _reachability(old: TerminalState, new: TerminalState) -> tuple[Event, ...]:
    if old.status == new.status:
        return ()
    data: JsonObject = {"terminal": new.terminal, "driver": new.driver}
    if new.status is TerminalStatus.ONLINE:
        return (Event(EventType.TERMINAL_ONLINE, data),)
    if new.status is TerminalStatus.OFFLINE:
        why = {"reason": new.reason, "message": new.message, "hint": new.hint}
        return (Event(EventType.TERMINAL_OFFLINE, {**data, **why}),)
    return ()


def _faults(old: TerminalState, new: TerminalState) -> tuple[Event, ...]:
    if new.status is not TerminalStatus.ONLINE:
        return ()
    before = {fault.code: fault for fault in old.faults}
    after = {fault.code: fault for fault in new.faults}
    raised = [after[code] for code in after.keys() - before.keys()]
    cleared = [before[code] for code in before.keys() - after.keys()]
    return (
        *(Event(EventType.FAULT_RAISED, _describe(new, fault)) for fault in sorted(raised, key=_code)),
        *(Event(EventType.FAULT_CLEARED, _describe(new, fault)) for fault in sorted(cleared, key=_code)),
    )


def _code(fault: FaultReport) -> str:
    return fault.code


def _describe(state: TerminalState, fault: FaultReport) -> JsonObject:
    return {
        "terminal": state.terminal,
        "code": fault.code,
        "severity": fault.severity.value,
        "message": fault.message,
        "hint": fault.hint,
    }
