"""One simulated controller: the real session, uplink, outbox, command intake and twin over a floor without devices."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from hallctl import __version__
from hallctl.clock import Clock
from hallctl.driver.terminal import Logger
from hallctl.fleet.simulate.faults import FaultKind
from hallctl.fleet.simulate.floor import SimulatedFloor
from hallctl.fleet.simulate.halls import BoxPlan
from hallctl.fleet.simulate.judging import judged_once, refusing
from hallctl.link import BrokerSettings, CommandIntake, Lease, Progress, Topics, Uplink
from hallctl.model import Command, Event, EventType, Reply, ReplyState
from hallctl.outbox import Outbox
from hallctl.twin import Twin, TwinStore, begin

RESTART_S = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a simulated controller does what; seconds. ``chatter_s``: between two events, 0: none."""

    heartbeat_s: float = 10.0
    lease_s: float = 35.0
    chatter_s: float = 0.0
    restart_s: float = RESTART_S


class SimulatedController:
    """Runs for ever, through the deaths of its daemon. ``boots``: how often it was started; ``connected``: now."""

    def __init__(
        self,
        plan: BoxPlan,
        settings: BrokerSettings,
        folder: Path,
        clock: Clock,
        *,
        faults: frozenset[FaultKind] = frozenset(),
        pace: Pace | None = None,
        executor: ThreadPoolExecutor | None = None,
        log: Logger | None = None,
    ) -> None:
        self.plan = plan
        self.topics = Topics(plan.site, plan.controller)
        self.boots = 0
        self.commands: list[Command] = []
        self.allowed = asyncio.Event()
        self._settings = replace(settings, client_id=self.topics.client_id)
        self._folder = folder / plan.site / plan.controller
        self._clock = clock
        self._faults = faults
        self._pace = pace or Pace()
        self._executor = executor
        self._log: Logger = log or structlog.get_logger()
        self._daemon: _Daemon | None = None
        self._vanished = False
        if FaultKind.OFFLINE not in faults:
            self.allowed.set()

    @property
    def connected(self) -> bool:
        """Whether its uplink is connected now."""
        return self._daemon is not None and self._daemon.uplink.connected

    @property
    def twin(self) -> Twin | None:
        """Its twin, while its daemon runs."""
        return self._daemon.twin if self._daemon else None

    async def run(self) -> None:
        """Until cancelled. Where it is offline by fault, it waits until ``allowed`` is set."""
        while True:
            await self.allowed.wait()
            await self._boot()
            await self._clock.sleep(self._pace.restart_s)

    def crash(self) -> None:
        """Its daemon dies without a word; it is started again unless ``allowed`` is cleared."""
        if self._daemon is not None:
            self._daemon.die()

    async def say(self, event: Event) -> None:
        """Something happens in its hall."""
        if self._daemon is not None:
            await self._daemon.outbox.append(event)

    async def _boot(self) -> None:
        """One run of the daemon, until it dies."""
        self.boots += 1
        daemon = _Daemon(self)
        self._daemon = daemon
        try:
            await daemon.run()
        finally:
            self._daemon = None
            await daemon.outbox.close()

    async def take(self, twin: Twin, payload: bytes) -> None:
        """What the centre wants has come."""
        if FaultKind.MUTE in self._faults:
            return
        if FaultKind.VANISH in self._faults and payload and not self._vanished:
            self._vanished = True
            self.allowed.clear()
            self.crash()
            await asyncio.Event().wait()  # this daemon does nothing more
        await twin.take(payload)

    async def answer(self, command: Command, _progress: Progress) -> Reply:
        """Every command of the contract succeeds here."""
        self.commands.append(command)
        return Reply(command.id, ReplyState.SUCCEEDED, data={"simulated": True, "by": command.by})


# What a keypad says, as a controller writes it (hallctl.link.event_data).
KEY = {"keypad": "k1", "window": None, "key": "next", "handled": False, "refused": None, "ticket": None}


class _Daemon:
    """One run of a simulated controller's daemon."""

    def __init__(self, box: SimulatedController) -> None:
        self._box = box
        self._dead = asyncio.Event()
        log, plan, clock = box._log, box.plan, box._clock
        self.outbox = Outbox.open(box._folder / "outbox.db", plan.site, plan.controller, clock, executor=box._executor)
        self.intake = CommandIntake(self.outbox, clock, box.answer, log)
        self.intake.handle("config.get", self._config_get)
        self.uplink = Uplink(
            box._settings,
            self.outbox,
            self.intake,
            clock=clock,
            log=log,
            lease=Lease(box._pace.heartbeat_s, box._pace.lease_s),
            version=__version__,
            name=f"simulated {plan.controller}",
            groups=plan.groups,
            tags=plan.tags,
            on_desired=self._desired,
        )
        self.floor = SimulatedFloor(
            clock,
            box._faults,
            publish=self.uplink.set_terminal_state,
            gone=self.uplink.remove_terminal,
            die=self._dead.set,
        )
        judge = refusing if FaultKind.REJECT in box._faults else judged_once
        store = TwinStore(box._folder / "twin")
        beginning = begin(store, judged_once(plan.document, "hall.yaml"), clock, judge)
        self.twin = Twin(
            store,
            beginning,
            self.floor,
            self.outbox,
            clock=clock,
            log=log,
            publish=self.uplink.set_reported,
            judge=judge,
            executor=box._executor,
        )

    async def run(self) -> None:
        """Until it dies, or is cancelled."""
        self.floor.begin(self.twin.hall, on_trial=self.twin.on_trial)
        await self.uplink.only_terminals(self.floor.states())
        await self.outbox.append(self._started())
        work = [asyncio.create_task(one) for one in (self.uplink.run(), self.twin.run(), self._chatter())]
        death = asyncio.create_task(self._dead.wait())
        try:
            done, _ = await asyncio.wait([*work, death], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in [*work, death]:
                task.cancel()
            await asyncio.gather(*work, death, return_exceptions=True)

    def _started(self) -> Event:
        terminals = len(self.floor.states())
        about = {"boot": self.outbox.identity.boot, "version": __version__, "terminals": terminals}
        return Event(EventType.CONTROLLER_STARTED, {**about, "quarantined": [], "doubtful_commands": []})

    async def _config_get(self, command: Command) -> Reply:
        """As the controller answers it."""
        offset = command.data.get("offset", 0)
        if not isinstance(offset, int) or offset < 0:
            return Reply(command.id, ReplyState.REJECTED, "data.invalid", "config.get needs a whole number: offset")
        return Reply(command.id, ReplyState.SUCCEEDED, data=await self.twin.chunk(offset))

    def die(self) -> None:
        """Vanish."""
        self._dead.set()

    async def _desired(self, payload: bytes) -> None:
        await self._box.take(self.twin, payload)

    async def _chatter(self) -> None:
        pace = self._box._pace.chatter_s
        number = 0
        while True:
            await self._box._clock.sleep(pace or 3600.0)
            if pace:
                number += 1
                await self.outbox.append(Event(EventType.KEY_PRESSED, {**KEY, "argument": str(number)}))
