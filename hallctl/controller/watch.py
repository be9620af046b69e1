"""What a terminal's new state means: published to the link, facts to the log, alerts, displays restored."""

import asyncio
from collections.abc import Awaitable, Callable

from hallctl.clock import Clock
from hallctl.controller.alerts import AlertBook
from hallctl.model import AlertKind, Event, EventType, Severity, TerminalState, TerminalStatus
from hallctl.terminal.changes import events_of

_KINDS = (AlertKind.TERMINAL_FAULT, AlertKind.TERMINAL_OFFLINE)


class TerminalWatch:
    """Follows every terminal; ``changed`` is what supervisors call."""

    def __init__(
        self,
        *,
        commit: Callable[[Event], Awaitable[None]],
        publish: Callable[[TerminalState], None],
        came_back: Callable[[str], None],
        alerts: AlertBook,
        clock: Clock,
        offline_after_s: float,
    ) -> None:
        self._commit = commit
        self._publish = publish
        self._came_back = came_back
        self._alerts = alerts
        self._clock = clock
        self.offline_after_s = offline_after_s
        self._states: dict[str, TerminalState] = {}

    async def changed(self, old: TerminalState, new: TerminalState) -> None:
        """One terminal's state has changed."""
        self._states[new.terminal] = new
        self._publish(new)
        for event in events_of(old, new):
            await self._commit(event)
            await self._alert_about(event)
        back = old.status is not TerminalStatus.ONLINE and new.status is TerminalStatus.ONLINE
        if back:
            self._came_back(new.terminal)
            await self._alerts.clear(AlertKind.TERMINAL_OFFLINE, new.terminal)
            await self._forget_faults(new)

    async def gone(self, terminal: str) -> None:
        """A terminal is no longer part of the hall: nobody has to look after it."""
        self._states.pop(terminal, None)
        for alert in self._alerts.about(terminal, _KINDS):
            await self._alerts.clear(alert.kind, terminal, str(alert.data.get("code", "")), data={"over": "removed"})

    async def tick(self) -> None:
        """Raise alerts about terminals that have been offline for long enough."""
        now = self._clock.now()
        for state in list(self._states.values()):
            long = (now - state.since).total_seconds() >= self.offline_after_s
            if state.status is TerminalStatus.OFFLINE and long:
                await self._alerts.raise_once(
                    AlertKind.TERMINAL_OFFLINE,
                    state.terminal,
                    f"{state.terminal} is offline: {state.message}",
                    since=state.since,
                    data={"reason": state.reason, "hint": state.hint},
                )

    async def run(self) -> None:
        """Tick every few seconds until cancelled."""
        while True:
            await self._clock.sleep(2.0)
            await self.tick()

    async def _forget_faults(self, state: TerminalState) -> None:
        """Faults that an earlier run told of, and that the device does not have now that it is heard again."""
        has = {fault.code for fault in state.faults}
        for alert in self._alerts.about(state.terminal, (AlertKind.TERMINAL_FAULT,)):
            if (code := str(alert.data.get("code", ""))) not in has:
                await self._alerts.clear(alert.kind, state.terminal, code)

    async def _alert_about(self, event: Event) -> None:
        data = event.data
        if event.type is EventType.FAULT_RAISED:  # a warning too: paper is brought before the last ticket is printed
            await self._alerts.raise_once(
                AlertKind.TERMINAL_FAULT,
                data["terminal"],
                f"{data['terminal']}: {data['message']}",
                code=data["code"],
                severity=Severity(data["severity"]),
                data={"hint": data["hint"]},
            )
        if event.type is EventType.FAULT_CLEARED:
            await self._alerts.clear(AlertKind.TERMINAL_FAULT, data["terminal"], data["code"])


async def first_pass(events: list[asyncio.Event], clock: Clock, limit_s: float) -> None:
    """Wait until every terminal has a first state, good or bad, but not for ever."""
    try:
        async with clock.timeout(limit_s):
            for event in events:
                await event.wait()
    except TimeoutError:
        return
