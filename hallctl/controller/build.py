"""Builds the edge side from its documents and runs it in one TaskGroup."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from hallctl import __version__
from hallctl.clock import Clock
from hallctl.config import ControllerConfig, LoadedHall
from hallctl.config.hall import Terminal as TerminalConfig
from hallctl.controller.alerts import AlertBook
from hallctl.controller.attendance import Attendance
from hallctl.controller.desk import CommandHandler
from hallctl.controller.dimming import Dimmer
from hallctl.controller.evidence import EvidenceStore
from hallctl.controller.executor import Executor
from hallctl.controller.memory import HallMemory
from hallctl.controller.parts import (
    broker_settings,
    build_buses,
    connect_to,
    quarantined,
    staff_cards,
    supervise,
)
from hallctl.controller.printing import TICKET_EVENTS, TicketDesk
from hallctl.controller.signals import SignalDesk
from hallctl.controller.watch import TerminalWatch, first_pass
from hallctl.driver import Camera, Capability, Signal, TerminalContext, TerminalDriver, load_driver
from hallctl.errors import DriverLoadError, HallctlError
from hallctl.hall import Hall, Plan
from hallctl.link import CommandIntake, Lease, Progress, Uplink
from hallctl.model import Alert, Command, Event, EventType, Reply, ReplyState, TerminalState, TerminalStatus
from hallctl.outbox import Outbox, Quota
from hallctl.terminal.bus import Bus
from hallctl.terminal.supervisor import Connect, TerminalSupervisor
from hallctl.ticket import load_logos

FIRST_PASS_LIMIT_S = 30.0
DRAIN_S = 30.0
TRIM_EVERY_S = 60.0
MIB = 1 << 20


class Controller:
    """One controller: ``build`` it, then ``run`` it until ``stop`` is set."""

    def __init__(self, config: ControllerConfig, hall: LoadedHall, outbox: Outbox, clock: Clock) -> None:
        self._config = config
        self._loaded = hall
        self._document = hall.document
        self._outbox = outbox
        self._clock = clock
        self._log = structlog.get_logger()
        self._terminals: dict[str, TerminalSupervisor] = {}
        self._capabilities: dict[str, frozenset[Capability]] = {}
        self._hall = Hall(hall.document)
        self._later: asyncio.Queue[Awaitable[object]] = asyncio.Queue()
        staff = staff_cards(self._document, Path(hall.path).parent)
        self._executor = Executor(self._hall, self._terminals, self._commit, staff=staff, later=self._do_later)
        zone = self._document.duty_hours.timezone
        load, save = outbox.load_state, outbox.save_state
        self._memory = HallMemory(self._hall, load, save, clock=clock, log=self._log, zone=zone)
        self._displays: dict[str, TerminalSupervisor] = {}
        self._left_out: set[str] = set()  # terminals that can't run, by the document or by their drivers
        self._dimmer = Dimmer(self._document.displays.brightness, zone, self._displays, clock=clock, log=self._log)
        self._intake = CommandIntake(outbox, clock, self._handle, self._log)
        self._alerts = AlertBook([], self._commit_alert, clock)
        self._uplink = self._build_uplink()
        self._handler: CommandHandler | None = None
        self._ready = False

    @classmethod
    def build(cls, config: ControllerConfig, hall: LoadedHall, clock: Clock) -> "Controller":
        """Open the outbox (which begins a boot) and prepare everything; no terminal is touched yet."""
        limits = config.limits
        quota = Quota(limits.outbox_mib * MIB, limits.outbox_high_mib * MIB, timedelta(days=limits.outbox_days))
        outbox = Outbox.open(config.state_dir / "outbox.db", config.site, config.controller, clock, quota)
        return cls(config, hall, outbox, clock)

    async def run(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Run until ``stop`` is set, then end gracefully: tickets are finished, the log delivered, death published."""
        self._alerts = AlertBook(await self._outbox.open_alerts(), self._commit_alert, self._clock)
        await self._memory.recall()
        buses = build_buses(self._document, self._clock, self._log)
        watch = self._build_watch()
        evidence = EvidenceStore(self._outbox.load_state, self._outbox.save_state)
        attendance = Attendance(
            self._config, self._document, alerts=self._alerts, evidence=evidence, outbox=self._outbox, clock=self._clock
        )
        signals = SignalDesk(
            self._hall,
            self._executor,
            self._commit,
            self._clock,
            later=self._do_later,
            on_window=lambda window: attendance.window_changed(self._hall.window(window)),
            changed=self._memory.changed,
        )
        self._build_terminals(buses, watch, attendance, signals)
        self._displays.update({name: self._terminals[name] for name in self._with(Capability.DISPLAY)})
        tickets = self._build_tickets()
        self._handler = self._build_handler(tickets, evidence, attendance)
        await self._announce(tickets)
        async with asyncio.TaskGroup() as group:
            link = group.create_task(self._run_uplink())
            work = [group.create_task(bus.run()) for bus in buses.values()]
            work += [group.create_task(terminal.run()) for terminal in self._terminals.values()]
            tasks = (watch.run(), self._tick(), self._run_later(), self._memory.run(), self._dimmer.run())
            work += [group.create_task(task) for task in (*tasks, self._refresh())]
            work.append(group.create_task(attendance.run(self._terminals, self._hall.windows)))
            passes = [terminal.first_pass for terminal in self._terminals.values()]
            announce = group.create_task(self._say_ready(passes, ready))
            await stop.wait()
            self._log.info("stopping")
            announce.cancel()
            tickets.stop()
            await self._intake.drain(DRAIN_S)
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            await self._memory.save()
            await self._commit(Event(EventType.CONTROLLER_STOPPED, {"boot": self._outbox.identity.boot}))
            if self._uplink is not None:
                await self._uplink.stop()
            link.cancel()
        await self._outbox.close()

    async def examine(self) -> Mapping[str, Any]:
        """How the daemon is, after a way through the event loop and the event log: the pulse of the process."""
        await self._outbox.sent()
        states = [terminal.state.status for terminal in self._terminals.values()]
        online = states.count(TerminalStatus.ONLINE)
        return {"version": __version__, "ready": self._ready, "terminals": len(states), "online": online}

    async def _say_ready(self, passes: list[asyncio.Event], ready: Callable[[], None]) -> None:
        await first_pass(passes, self._clock, FIRST_PASS_LIMIT_S)
        states = [terminal.state.status for terminal in self._terminals.values()]
        online = states.count(TerminalStatus.ONLINE)
        self._log.info("ready", terminals=len(states), online=online, quarantined=len(self._left_out))
        self._ready = True
        ready()

    async def _announce(self, tickets: TicketDesk) -> None:
        """The first facts of a boot: its start, doubtful commands of the last one, terminals that can't run."""
        begun = await self._outbox.doubtful()
        told = await self._outbox.events_of_commands(TICKET_EVENTS, [one.command for one in begun]) if begun else {}
        doubtful = await self._outbox.settle_doubtful(await tickets.settle(begun, told))
        if self._uplink is not None:
            self._uplink.reply_later(doubtful)
        out = dict(self._loaded.quarantined)
        data = {
            "boot": self._outbox.identity.boot,
            "version": __version__,
            "terminals": len(self._terminals),
            "quarantined": sorted({*out, *self._left_out}),
            "doubtful_commands": [reply.command for reply in doubtful],
        }
        await self._commit(Event(EventType.CONTROLLER_STARTED, data))
        for terminal, problem in out.items():
            self._quarantine(terminal, "", problem)

    def _build_terminals(
        self, buses: dict[str, Bus], watch: TerminalWatch, attendance: Attendance, signals: SignalDesk
    ) -> None:
        for config in self._document.terminals:
            try:
                driver, connect = self._make(config, buses, attendance, signals)
            except HallctlError as exc:
                self._quarantine(config.id, config.driver, exc)
                continue
            except Exception as exc:  # noqa: BLE001  # a vendor's ``make`` may raise anything; the hall must start
                self._log.warning("driver can't be made", terminal=config.id, exc_info=True)
                bug = DriverLoadError(repr(exc), hint="tell the driver's vendor; the log has the trace")
                self._quarantine(config.id, config.driver, bug)
                continue
            self._terminals[config.id] = supervise(
                config,
                driver,
                connect,
                clock=self._clock,
                log=self._log,
                on_state=watch.changed,
                waiting_limit=self._config.limits.commands_waiting,
            )

    def _make(
        self, config: TerminalConfig, buses: dict[str, Bus], attendance: Attendance, signals: SignalDesk
    ) -> tuple[TerminalDriver, Connect]:
        plugin = load_driver(config.driver)
        context = TerminalContext(config.id, self._clock, self._log, self._listener(config.id, signals))
        made = plugin.make(context, plugin.options.model_validate(config.options))
        driver = attendance.add_camera(config.id, context, made) if isinstance(made, Camera) else made
        connect = connect_to(config, plugin, buses, self._clock)
        self._capabilities[config.id] = plugin.capabilities
        return driver, connect

    def _quarantine(self, terminal: str, driver: str, why: HallctlError) -> None:
        """A terminal that can't run has a state too; the others run."""
        self._left_out.add(terminal)
        self._log.warning("terminal quarantined", terminal=terminal, why=str(why))
        self._publish(quarantined(terminal, driver, why, self._clock.now()))

    def _build_watch(self) -> TerminalWatch:
        return TerminalWatch(
            commit=self._commit,
            publish=self._publish,
            came_back=self._came_back,
            alerts=self._alerts,
            clock=self._clock,
            offline_after_s=self._document.alerts.terminal_offline_after_s,
        )

    def _build_tickets(self) -> TicketDesk:
        async def mark(command: str, untouched: bool) -> None:
            await self._outbox.mark_command(command, untouched=untouched)

        pictures, problems = load_logos(self._document.tickets, Path(self._loaded.path).parent)
        for problem in problems:
            self._log.warning("tickets are printed without a picture", why=str(problem))
        printers = {name: self._terminals[name] for name in self._with(Capability.PRINTER)}
        return TicketDesk(self._document, printers, self._commit, self._clock, pictures=pictures, mark=mark)

    def _build_handler(self, tickets: TicketDesk, evidence: EvidenceStore, attendance: Attendance) -> CommandHandler:
        return CommandHandler(
            hall=self._hall,
            executor=self._executor,
            tickets=tickets,
            alerts=self._alerts,
            evidence=evidence,
            displays=frozenset(self._displays),
            clock=self._clock,
            on_window=lambda window: attendance.window_changed(self._hall.window(window)),
            changed=self._memory.changed,
            attendance=attendance,
        )

    def _with(self, capability: Capability) -> list[str]:
        return [name for name, has in self._capabilities.items() if capability in has]

    def _build_uplink(self) -> Uplink | None:
        broker = self._config.broker
        if broker is None:
            return None
        return Uplink(
            broker_settings(broker, f"{self._config.site}-{self._config.controller}"),
            self._outbox,
            self._intake,
            clock=self._clock,
            log=self._log,
            lease=Lease(self._config.heartbeat_s, self._config.lease_s),
            version=__version__,
            name=self._config.name,
            groups=self._config.groups,
            tags=self._config.tags,
            open_alerts=lambda: self._alerts.open,
        )

    async def _run_uplink(self) -> None:
        if self._uplink is not None:
            await self._uplink.run()

    async def _handle(self, command: Command, progress: Progress) -> Reply:
        if self._handler is None:
            return Reply(command.id, ReplyState.REJECTED, "controller.starting", "the controller is starting")
        return await self._handler.handle(command, progress)

    def _publish(self, state: TerminalState) -> None:
        if self._uplink is not None:
            self._uplink.set_terminal_state(state)

    async def _commit(self, event: Event) -> None:
        await self._outbox.append(event)

    async def _commit_alert(self, alert: Alert) -> None:
        await self._outbox.append(alert)

    def _came_back(self, terminal: str) -> None:
        capabilities = self._capabilities.get(terminal, frozenset())
        if Capability.DISPLAY in capabilities:
            self._do_later(self._dimmer.apply(terminal))
        if capabilities & {Capability.DISPLAY, Capability.PAD, Capability.KEYPAD}:
            self._do_later(self._executor.restore(terminal))

    async def _refresh(self) -> None:
        """Displays that never answer may have been without power: they get again what they have to show."""
        every_s = self._document.displays.refresh_s
        while every_s:
            await self._clock.sleep(every_s)
            for display in self._displays:
                await self._executor.restore(display)

    async def _tick(self) -> None:
        next_trim = self._clock.monotonic()
        while True:
            await self._clock.sleep(1.0)
            plan = self._hall.overdue(self._clock.now())
            if plan != Plan():
                self._do_later(self._executor.carry_out(plan))  # a dead display must not hold up the clock
                self._memory.changed()
            if self._clock.monotonic() >= next_trim:  # also while there is no broker: the disk is not endless
                next_trim = self._clock.monotonic() + TRIM_EVERY_S
                await self._outbox.trim()

    def _listener(self, terminal: str, signals: SignalDesk) -> Callable[[Signal], Coroutine[Any, Any, None]]:
        async def emit(signal: Signal, /) -> None:
            await signals.take(terminal, signal)

        return emit

    def _do_later(self, work: Awaitable[object]) -> None:
        self._later.put_nowait(work)

    async def _run_later(self) -> None:
        """Runs what nobody waits for; one task each, so that a slow display delays no other."""
        async with asyncio.TaskGroup() as group:
            while True:
                work = await self._later.get()
                group.create_task(_finish(work))


async def _finish(work: Awaitable[object]) -> None:
    await work
