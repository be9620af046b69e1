"""What a terminal's states have been in this run of the daemon: the last ones, bounded."""

from collections import deque
from collections.abc import Mapping
from datetime import datetime

from hallctl.model import TerminalState, TerminalStatus

KEPT = 20


class History:
    """By terminal. A state that differs in counters or info alone is no change."""

    def __init__(self) -> None:
        self._changes: dict[str, deque[Mapping[str, str]]] = {}
        self._was_online: dict[str, datetime] = {}

    def note(self, old: TerminalState, new: TerminalState, at: datetime) -> None:
        """One terminal's state has changed."""
        if old.status is TerminalStatus.ONLINE and new.status is not TerminalStatus.ONLINE:
            self._was_online[new.terminal] = at
        if _gist(old) != _gist(new):
            kept = self._changes.setdefault(new.terminal, deque(maxlen=KEPT))
            kept.append({"at": at.isoformat(timespec="seconds"), **_gist(new)})

    def of(self, terminal: str) -> tuple[Mapping[str, str], ...]:
        """The last changes, the oldest first."""
        return tuple(self._changes.get(terminal, ()))

    def was_online(self, terminal: str) -> datetime | None:
        """When it was last lost; ``None``: it has not worked in this run."""
        return self._was_online.get(terminal)


def _gist(state: TerminalState) -> dict[str, str]:
    faults = ", ".join(fault.code for fault in state.faults)
    return {"status": state.status.value, "reason": state.reason or "", "faults": faults, "message": state.message}
