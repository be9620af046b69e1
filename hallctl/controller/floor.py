"""Everything that is built on the hall document, and changing to another document while it runs.

What a change does not touch goes on without noticing: a terminal that stays the same keeps its connection and its
queue, a window what it is doing, a post its alert and its clip (MQ-15).
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import structlog

from hallctl.clock import Clock
from hallctl.config import ControllerConfig, LoadedHall
from hallctl.config.hall import HallDocument
from hallctl.config.hall import Terminal as TerminalConfig
from hallctl.controller.alerts import AlertBook
from hallctl.controller.attendance import Attendance
from hallctl.controller.diagnosis.history import History
from hallctl.controller.dimming import Dimmer
from hallctl.controller.evidence import EvidenceStore
from hallctl.controller.executor import Executor
from hallctl.controller.memory import HallMemory
from hallctl.controller.parts import quarantined, staff_cards
from hallctl.controller.printing import TicketDesk
from hallctl.controller.signals import SignalDesk
from hallctl.controller.terminals import Terminals
from hallctl.controller.watch import TerminalWatch
from hallctl.driver import Camera, Capability, DriverPlugin, Signal, StaffCard, TerminalContext, TerminalDriver
from hallctl.errors import HallctlError
from hallctl.hall import Hall, Plan
from hallctl.hall.message import DisplayMessage
from hallctl.model import AlertKind, Event, TerminalState
from hallctl.outbox import Outbox
from hallctl.ticket import Picture, load_logos
from hallctl.twin import Changed

NO_REFRESH_LOOK_S = 5.0
_ABOUT_THE_HALL = frozenset(
    {AlertKind.POST_EMPTY, AlertKind.CAMERA_BLIND, AlertKind.TERMINAL_FAULT, AlertKind.TERMINAL_OFFLINE}
)
_TALKS = frozenset({Capability.DISPLAY, Capability.PAD, Capability.KEYPAD})

Publish = Callable[[TerminalState], None]


class HallFloor:
    """``apply`` is the twin's; ``run`` ends when it is cancelled. ``publish`` and ``remove`` are the uplink's."""

    def __init__(
        self,
        config: ControllerConfig,
        hall: LoadedHall,
        outbox: Outbox,
        clock: Clock,
        *,
        alerts: AlertBook,
        publish: Publish,
        remove: Callable[[str], None],
    ) -> None:
        self.loaded = hall
        self._config = config
        self._outbox = outbox
        self._clock = clock
        self._log = structlog.get_logger()
        self._alerts = alerts
        self._publish = publish
        self._remove = remove
        self._out: dict[str, TerminalState] = {}  # terminals that can't run
        self._changing = asyncio.Lock()
        self._later: asyncio.Queue[Awaitable[object]] = asyncio.Queue()
        document = hall.document
        zone = document.duty_hours.timezone
        self.hall = Hall(document)
        self.watch = self._build_watch(document)
        self.history = History()
        self.terminals = Terminals(
            self._make,
            clock=clock,
            on_state=self._changed,
            on_quarantine=self._quarantine,
            waiting_limit=config.limits.commands_waiting,
        )
        self._staff = staff_cards(document, self._folder)
        supervisors = self.terminals.supervisors
        self.executor = Executor(self.hall, supervisors, self._commit, staff=self._staff, later=self.do_later)
        load, save = outbox.load_state, outbox.save_state
        self.memory = HallMemory(self.hall, load, save, outbox.newest_events, clock=clock, log=self._log, zone=zone)
        steps = document.displays.brightness
        self._dimmer = Dimmer(steps, zone, self.terminals.displays, clock=clock, log=self._log)
        self.evidence = EvidenceStore(load, save)
        self.attendance = Attendance(
            config, document, alerts=alerts, evidence=self.evidence, outbox=outbox, clock=clock
        )
        self._signals = SignalDesk(
            self.hall,
            self.executor,
            self._commit,
            clock,
            later=self.do_later,
            on_window=self.window_changed,
            changed=self.memory.changed,
        )
        self.terminals.start(document)
        self._quarantine_all(hall)
        self.tickets = TicketDesk(
            document, self.terminals.printers, self._commit, clock, pictures=self._logos(document), mark=self._mark
        )

    @property
    def _folder(self) -> Path:
        """Photos and logos stand beside the box's own hall.yaml, whoever the document is from."""
        return self._config.hall.parent

    def states(self) -> Mapping[str, TerminalState]:
        """How every terminal is now; those that can't run are quarantined."""
        running = {name: one.state for name, one in self.terminals.supervisors.items()}
        return {**self._out, **running}

    def traceable(self) -> frozenset[str]:
        """Ids that people who look for a cause may name: terminals and buses."""
        return frozenset({*self.states(), *self.terminals.buses})

    async def run(self) -> None:
        """Run everything until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self.terminals.run_in(group)
                works = (self.watch.run(), self._tick(), self._run_later(), self.memory.run(), self._dimmer.run())
                for work in (*works, self._refresh()):
                    group.create_task(work)
                group.create_task(self.attendance.run(self.terminals.supervisors, self.hall.windows))
        finally:
            await self.terminals.end()

    async def apply(self, hall: LoadedHall) -> Changed:
        """Change to another document. After an error the next call still reaches what it is asked for."""
        async with self._changing:
            return await self._apply(hall)

    async def _apply(self, hall: LoadedHall) -> Changed:
        document = hall.document
        known = self.states().keys()
        shown = {name: self.hall.message_for(name) for name in self.terminals.displays}
        pictures = await asyncio.to_thread(self._logos, document)
        leaving = self.terminals.leaving(document)
        wanted = {terminal.id for terminal in document.terminals}
        self.tickets.close(leaving - wanted)
        await self.terminals.stop(leaving, document)
        await self.terminals.stop_buses(document)
        self._out.clear()
        self.loaded = hall
        self.hall.adopt(document)
        staff = dict(self._staff)
        self._staff.clear()
        self._staff.update(staff_cards(document, self._folder))
        self._dimmer.adopt(document.displays.brightness, document.duty_hours.timezone)
        self.watch.offline_after_s = document.alerts.terminal_offline_after_s
        await self.attendance.adopt(document, self.hall.windows)
        started = self.terminals.start(document).started
        self.tickets.adopt(document, pictures)
        self._quarantine_all(hall)
        gone = known - self.states().keys()
        for name in sorted(gone):
            await self.watch.gone(name)
            self._remove(name)
        self.memory.adopt(document.duty_hours.timezone)
        self._show_what_changed(shown, staff, started)
        return Changed(started=started - leaving, restarted=started & leaving, stopped=leaving - started)

    def _show_what_changed(
        self,
        shown: Mapping[str, DisplayMessage | None],
        staff: Mapping[str, StaffCard],
        started: frozenset[str],
    ) -> None:
        """Displays and pads that went on but have something else to show; those that were started ask themselves."""
        displays = {name for name in self.terminals.displays if self.hall.message_for(name) != shown.get(name)}
        pads = {name for name, card in self._staff.items() if card != staff.get(name)}
        for name in sorted((displays | pads) & self.terminals.supervisors.keys() - started):
            nobodys = name in displays and self.hall.message_for(name) is None
            self.do_later(self.executor.blank(name) if nobodys else self.executor.restore(name))

    async def clear_what_is_gone(self) -> None:
        """Alerts of an earlier run about what this document does not have: nobody would ever clear them."""
        known = self.states().keys() | {window.id for window in self.loaded.document.windows}
        for alert in self._alerts.open:
            if alert.kind in _ABOUT_THE_HALL and alert.subject not in known:
                code = str(alert.data.get("code", ""))
                await self._alerts.clear(alert.kind, alert.subject, code, data={"over": "removed"})

    async def window_changed(self, window: str) -> None:
        """A window's pause pauses its post."""
        await self.attendance.window_changed(self.hall.window(window))

    def do_later(self, work: Awaitable[object]) -> None:
        """Run what nobody waits for."""
        self._later.put_nowait(work)

    def _make(self, config: TerminalConfig, plugin: DriverPlugin) -> TerminalDriver:
        context = TerminalContext(config.id, self._clock, self._log.bind(terminal=config.id), self._listener(config.id))
        made = plugin.make(context, plugin.options.model_validate(config.options))
        return self.attendance.add_camera(config.id, context, made) if isinstance(made, Camera) else made

    def _listener(self, terminal: str) -> Callable[[Signal], Coroutine[Any, Any, None]]:
        async def emit(signal: Signal, /) -> None:
            # A rating that is being committed is finished, also when its pad is stopped in the middle.
            await asyncio.shield(self._signals.take(terminal, signal))

        return emit

    def _quarantine_all(self, hall: LoadedHall) -> None:
        for terminal, problem in hall.quarantined.items():
            self._quarantine(terminal, "", problem)

    def _quarantine(self, terminal: str, driver: str, why: HallctlError) -> None:
        """A terminal that can't run has a state too; the others run."""
        self._log.warning("terminal quarantined", terminal=terminal, why=str(why))
        self._out[terminal] = quarantined(terminal, driver, why, self._clock.now())
        self._publish(self._out[terminal])

    def _build_watch(self, document: HallDocument) -> TerminalWatch:
        return TerminalWatch(
            commit=self._commit,
            publish=self._publish,
            came_back=self._came_back,
            alerts=self._alerts,
            clock=self._clock,
            offline_after_s=document.alerts.terminal_offline_after_s,
        )

    def _logos(self, document: HallDocument) -> Mapping[str, Picture]:
        pictures, problems = load_logos(document.tickets, self._folder)
        for problem in problems:
            self._log.warning("tickets are printed without a picture", why=str(problem))
        return pictures

    async def _mark(self, command: str, untouched: bool) -> None:
        await self._outbox.mark_command(command, untouched=untouched)

    async def _commit(self, event: Event) -> None:
        await self._outbox.append(event)

    async def _changed(self, old: TerminalState, new: TerminalState) -> None:
        self.history.note(old, new, self._clock.now())
        await self.watch.changed(old, new)

    def _came_back(self, terminal: str) -> None:
        capabilities = self.terminals.capabilities.get(terminal, frozenset())
        if Capability.DISPLAY in capabilities:
            self.do_later(self._dimmer.apply(terminal))
        if capabilities & _TALKS:
            self.do_later(self.executor.restore(terminal))

    async def _refresh(self) -> None:
        """Displays that never answer may have been without power: they get again what they have to show."""
        while True:
            every_s = self.loaded.document.displays.refresh_s
            await self._clock.sleep(every_s or NO_REFRESH_LOOK_S)
            for display in list(self.terminals.displays) if every_s else ():
                await self.executor.restore(display)

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(1.0)
            plan = self.hall.overdue(self._clock.now())
            if plan != Plan():
                self.do_later(self.executor.carry_out(plan))  # a dead display must not hold up the clock
                self.memory.changed()

    async def _run_later(self) -> None:
        """One task each, so that a slow display delays no other."""
        async with asyncio.TaskGroup() as group:
            while True:
                work = await self._later.get()
                group.create_task(_finish(work))


async def _finish(work: Awaitable[object]) -> None:
    await work
