"""The terminals of a simulated controller: states without devices, and the faults that a push can meet."""

import asyncio
from collections.abc import Callable, Mapping

from hallctl.clock import Clock
from hallctl.config import LoadedHall
from hallctl.config.hall import Terminal
from hallctl.fleet.simulate.faults import FaultKind
from hallctl.model import TerminalState, TerminalStatus
from hallctl.twin import Changed

SLOW_S = 4.0


class SimulatedFloor:
    """Applies hall documents by saying so. ``publish`` gets every terminal's new state, ``gone`` who is no more.

    ``die`` is called where the daemon of this controller has to vanish.
    """

    def __init__(
        self,
        clock: Clock,
        faults: frozenset[FaultKind],
        *,
        publish: Callable[[TerminalState], None],
        gone: Callable[[str], None],
        die: Callable[[], None],
    ) -> None:
        self.applied = 0
        self._clock = clock
        self._faults = faults
        self._publish = publish
        self._gone = gone
        self._die = die
        self._terminals: dict[str, Terminal] = {}
        self._states: dict[str, TerminalState] = {}

    def begin(self, hall: LoadedHall, *, on_trial: bool) -> None:
        """What runs at boot. A daemon that dies of a document on trial dies of it at boot, too."""
        if on_trial and FaultKind.CRASH in self._faults:
            self._die()
        self._run(hall)

    async def apply(self, hall: LoadedHall) -> Changed:
        """Run another document: only the terminals that differ are touched."""
        self.applied += 1
        if FaultKind.CRASH in self._faults and self.applied == 1:
            self._die()
            await asyncio.Event().wait()  # this daemon does nothing more
        if FaultKind.SLOW in self._faults:
            await self._clock.sleep(SLOW_S)
        return self._run(hall)

    def states(self) -> Mapping[str, TerminalState]:
        """Every terminal's state."""
        return self._states

    def _run(self, hall: LoadedHall) -> Changed:
        wanted = {terminal.id: terminal for terminal in hall.document.terminals}
        first_time = not self._terminals and not self._states
        started = frozenset(wanted.keys() - self._terminals.keys())
        stopped = frozenset(self._terminals.keys() - wanted.keys())
        common = wanted.keys() & self._terminals.keys()
        restarted = frozenset(name for name in common if wanted[name] != self._terminals[name])
        self._terminals = wanted
        for name in stopped:
            del self._states[name]
            self._gone(name)
        lost = self._lost(started, restarted) if not first_time else frozenset()
        for name in sorted(started | restarted):
            self._say(wanted[name], lost=name in lost)
        return Changed(started=started, restarted=restarted, stopped=stopped)

    def _lost(self, started: frozenset[str], restarted: frozenset[str]) -> frozenset[str]:
        """Which of them do not come up: only the first document that is new to this floor meets the fault."""
        if self.applied > 1:
            return frozenset()
        if FaultKind.ROLL_BACK in self._faults:
            return restarted
        return frozenset(sorted(started)[:1]) if FaultKind.PARTIAL in self._faults else frozenset()

    def _say(self, terminal: Terminal, *, lost: bool) -> None:
        state = TerminalState(
            terminal=terminal.id,
            driver=terminal.driver,
            status=TerminalStatus.OFFLINE if lost else TerminalStatus.ONLINE,
            since=self._clock.now(),
            reason="port.absent" if lost else None,
            message="its port is not there" if lost else "",
            hint="plug it in" if lost else "",
        )
        self._states[terminal.id] = state
        self._publish(state)
