"""Builds the edge side from its documents and runs it in one TaskGroup."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from hallctl import __version__
from hallctl.clock import Clock
from hallctl.config import ControllerConfig, LoadedHall
from hallctl.controller.alerts import AlertBook
from hallctl.controller.certificates import care_for_certificate
from hallctl.controller.desk import CommandHandler
from hallctl.controller.diagnosis.desk import Diagnosis
from hallctl.controller.diagnosis.exercise import Exerciser
from hallctl.controller.figures import Figures
from hallctl.controller.floor import HallFloor
from hallctl.controller.loglevel import LogLevelDesk
from hallctl.controller.observing import Observing
from hallctl.controller.parts import broker_settings
from hallctl.controller.printing import TICKET_EVENTS
from hallctl.controller.recollection import Recollection
from hallctl.controller.standing import Standing
from hallctl.controller.watch import first_pass
from hallctl.link import CommandIntake, Echo, Lease, Progress, Topics, Uplink
from hallctl.link.configuration import Reported
from hallctl.local import Hello, LocalServer, socket_path
from hallctl.logs import LEVELS, RECENT
from hallctl.model import Alert, Command, Event, EventType, Reply, ReplyState, TerminalState, TerminalStatus
from hallctl.outbox import Outbox, Quota
from hallctl.twin import Beginning, Twin, TwinStore

if TYPE_CHECKING:
    from hallctl.controller.metrics import Meters

FIRST_PASS_LIMIT_S = 30.0
DRAIN_S = 30.0
TRIM_EVERY_S = 60.0
MIB = 1 << 20


class Controller:
    """One controller: ``build`` it, then ``run`` it until ``stop`` is set."""

    def __init__(
        self, config: ControllerConfig, beginning: Beginning, store: TwinStore, outbox: Outbox, clock: Clock
    ) -> None:
        self._config = config
        self._beginning = beginning
        self._store = store
        self._outbox = outbox
        self._clock = clock
        self._log = structlog.get_logger()
        self._intake = CommandIntake(outbox, clock, self._handle, self._log)
        self._alerts = AlertBook([], self._commit_alert, clock)
        self._uplink = self._build_uplink()
        self._handler: CommandHandler | None = None
        self._twin: Twin | None = None
        self._floor: HallFloor | None = None
        self._figures: Figures | None = None
        self._meters: Meters | None = None
        self._ready = False
        self._standing = Standing(config, outbox.identity, clock, lambda: outbox.last_seq, lambda: self._alerts.open)
        self.local = self._build_local()

    @classmethod
    def build(cls, config: ControllerConfig, beginning: Beginning, store: TwinStore, clock: Clock) -> "Controller":
        """Open the outbox (which begins a boot) and prepare everything; no terminal is touched yet."""
        limits = config.limits
        quota = Quota(limits.outbox_mib * MIB, limits.outbox_high_mib * MIB, timedelta(days=limits.outbox_days))
        outbox = Outbox.open(config.state_dir / "outbox.db", config.site, config.controller, clock, quota)
        return cls(config, beginning, store, outbox, clock)

    async def run(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Run until ``stop`` is set, then end gracefully: tickets are finished, the log delivered, death published."""
        self._alerts = AlertBook(await self._outbox.open_alerts(), self._commit_alert, self._clock)
        floor = self._floor = self._build_floor(self._beginning.hall)
        self._standing.states = floor.states
        await floor.memory.recall()
        twin = self._twin = self._build_twin(floor)
        self._handler = self._build_handler(floor, twin)
        self._observe(floor)
        await floor.clear_what_is_gone()
        await self._announce(floor)
        certificates = self._certificates()
        async with asyncio.TaskGroup() as group:
            link = group.create_task(self._run_uplink())
            steers = group.create_task(twin.run())
            works = (floor.run(), self._trim(), self.local.run(), self._serve_metrics(), *certificates)
            work = [group.create_task(one) for one in works]
            announce = group.create_task(self._say_ready(floor, ready))
            await stop.wait()
            self._log.info("stopping")
            announce.cancel()
            steers.cancel()  # first: what a floor that ends makes of a document is no verdict about it
            await asyncio.gather(steers, return_exceptions=True)
            floor.tickets.stop()
            await self._intake.drain(DRAIN_S)
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            await floor.memory.save()
            await self._commit(Event(EventType.CONTROLLER_STOPPED, {"boot": self._outbox.identity.boot}))
            if self._uplink is not None:
                await self._uplink.stop()
            link.cancel()
        await self._outbox.close()

    async def examine(self) -> Mapping[str, Any]:
        """How the daemon is, after a way through the event loop and the event log: the pulse of the process."""
        await self._outbox.sent()
        states = [state.status for state in self._floor.states().values()] if self._floor else []
        online = states.count(TerminalStatus.ONLINE)
        connected = self._uplink is not None and self._uplink.connected
        health = {"version": __version__, "ready": self._ready, "terminals": len(states), "online": online}
        return {**health, "connected": connected}

    async def _say_ready(self, floor: HallFloor, ready: Callable[[], None]) -> None:
        passes = [terminal.first_pass for terminal in floor.terminals.supervisors.values()]
        await first_pass(passes, self._clock, FIRST_PASS_LIMIT_S)
        states = [state.status for state in floor.states().values()]
        out = states.count(TerminalStatus.QUARANTINED)
        online = states.count(TerminalStatus.ONLINE)
        self._log.info("ready", terminals=len(states) - out, online=online, quarantined=out)
        self._ready = True
        ready()

    async def _announce(self, floor: HallFloor) -> None:
        """The first facts of a boot: its start, doubtful commands of the last one, terminals that can't run."""
        begun = await self._outbox.doubtful()
        told = await self._outbox.events_of_commands(TICKET_EVENTS, [one.command for one in begun]) if begun else {}
        doubtful = await self._outbox.settle_doubtful(await floor.tickets.settle(begun, told))
        if self._uplink is not None:
            self._uplink.reply_later(doubtful)
            await self._uplink.only_terminals(floor.states().keys())
        states = floor.states()
        out = [name for name, state in states.items() if state.status is TerminalStatus.QUARANTINED]
        data = {
            "boot": self._outbox.identity.boot,
            "version": __version__,
            "terminals": len(states) - len(out),
            "quarantined": sorted(out),
            "doubtful_commands": [reply.command for reply in doubtful],
        }
        await self._commit(Event(EventType.CONTROLLER_STARTED, data))

    def _build_floor(self, hall: LoadedHall) -> HallFloor:
        return HallFloor(
            self._config,
            hall,
            self._outbox,
            self._clock,
            alerts=self._alerts,
            publish=self._publish,
            remove=self._remove,
        )

    def _build_twin(self, floor: HallFloor) -> Twin:
        return Twin(
            self._store,
            self._beginning,
            floor,
            self._outbox,
            clock=self._clock,
            log=self._log,
            publish=self._report,
        )

    def _build_handler(self, floor: HallFloor, twin: Twin) -> CommandHandler:
        return CommandHandler(
            hall=floor.hall,
            executor=floor.executor,
            tickets=floor.tickets,
            alerts=self._alerts,
            evidence=floor.evidence,
            displays=floor.terminals.displays,
            clock=self._clock,
            on_window=floor.window_changed,
            changed=floor.memory.changed,
            attendance=floor.attendance,
            document=twin.chunk,
            diagnosis=self._build_diagnosis(floor),
            exerciser=Exerciser(floor, clock=self._clock),
        )

    def _build_diagnosis(self, floor: HallFloor) -> Diagnosis:
        return Diagnosis(
            self._config,
            floor,
            self._outbox,
            alerts=self._alerts,
            uplink=self._uplink,
            reported=lambda: self._standing.reported,
            clock=self._clock,
        )

    def _observe(self, floor: HallFloor) -> None:
        open_alerts = lambda: self._alerts.open  # noqa: E731  # asked anew each time: the book is replaced at the start
        figures = self._figures = Figures(
            self._config, self._outbox, floor, self._uplink, self._clock, open_alerts=open_alerts
        )
        levels = LogLevelDesk(LEVELS, floor.traceable, floor.do_later, self._clock, self._log)
        observing = Observing(floor.terminals, figures, levels, self._clock)
        for name in observing.observers:
            self._intake.handle(name, observing.handle)

    def _build_uplink(self) -> Uplink | None:
        broker = self._config.broker
        if broker is None:
            return None
        return Uplink(
            broker_settings(broker, Topics(self._config.site, self._config.controller).client_id),
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
            on_desired=self._take_desired,
        )

    def _build_local(self) -> LocalServer:
        """The socket of this box; what may be asked there beside commands is registered here: ``local.stream``."""
        known, config = self._outbox.identity, self._config
        hello = Hello(site=known.site, controller=known.controller, version=__version__, boot=known.boot)
        local = LocalServer(socket_path(config.state_dir), hello, self._intake, clock=self._clock, log=self._log)
        local.stream("retained", self._standing.stream)
        remembered = Recollection(self._outbox, RECENT)
        local.stream("recent-log", remembered.log_lines)
        local.stream("recent-events", remembered.entries)
        return local

    def _certificates(self) -> list[Coroutine[Any, Any, None]]:
        if self._uplink is None:
            return []
        state, boot = Topics(self._config.site, self._config.controller).state, self._outbox.identity.boot
        self._uplink.join(Echo(state, boot, clock=self._clock, log=self._log))
        care = care_for_certificate(self._config, self._uplink, self._alerts, clock=self._clock, log=self._log)
        return [] if care is None else [care]

    async def _run_uplink(self) -> None:
        if self._uplink is not None:
            await self._uplink.run()

    async def _take_desired(self, payload: bytes) -> None:
        if self._twin is not None:
            await self._twin.take(payload)

    def _report(self, reported: Reported) -> None:
        self._standing.reported = reported
        if self._uplink is not None:
            self._uplink.set_reported(reported)

    async def _handle(self, command: Command, progress: Progress) -> Reply:
        if self._handler is None:
            return Reply(command.id, ReplyState.REJECTED, "controller.starting", "the controller is starting")
        began = self._clock.monotonic()
        reply = await self._handler.handle(command, progress)
        if self._figures is not None:
            self._figures.commands[reply.state.value] += 1
        if self._meters is not None:
            self._meters.answered(command, reply, self._clock.monotonic() - began)
        return reply

    async def _serve_metrics(self) -> None:
        """Until cancelled; where they are not wanted, or can't be had, nothing is done."""
        wanted = self._config.metrics
        if wanted is None or self._figures is None:
            return
        try:
            from hallctl.controller.metrics import Meters, served  # noqa: PLC0415  # prometheus-client is an extra
        except ImportError:
            self._log.warning("no metrics", why="prometheus-client is missing", hint="pip install hallctl[metrics]")
            return
        self._meters = Meters(self._figures, asyncio.get_running_loop())
        async with served(self._meters, wanted.host, wanted.port, self._log) as port:
            self._log.info("metrics", listen=f"{wanted.host}:{port}")
            await asyncio.Event().wait()

    def _publish(self, state: TerminalState) -> None:
        if self._uplink is not None:
            self._uplink.set_terminal_state(state)

    def _remove(self, terminal: str) -> None:
        if self._uplink is not None:
            self._uplink.remove_terminal(terminal)

    async def _trim(self) -> None:
        """Also while there is no broker: the disk is not endless."""
        while True:
            await self._outbox.trim()
            await self._clock.sleep(TRIM_EVERY_S)

    async def _commit(self, event: Event) -> None:
        await self._outbox.append(event)

    async def _commit_alert(self, alert: Alert) -> None:
        await self._outbox.append(alert)
