"""The terminals that run, and the buses that they share: started, stopped and replaced while the others go on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog

from hallctl.clock import Clock
from hallctl.config.hall import Bus as BusConfig
from hallctl.config.hall import HallDocument
from hallctl.config.hall import Terminal as TerminalConfig
from hallctl.controller.parts import connect_to, supervise
from hallctl.driver import BusLine, Capability, DriverPlugin, TerminalDriver, load_driver
from hallctl.errors import DriverLoadError, HallctlError
from hallctl.terminal.bus import Bus
from hallctl.terminal.supervisor import OnState, TerminalSupervisor
from hallctl.transport import PortAddress, Tap
from hallctl.twin import Changed
from hallctl.twin.diff import fingerprints

REOPEN_LOOKS, REOPEN_LOOK_S = 20, 0.05
FINISH_S = 95.0  # a ticket that is being printed is finished before its printer is stopped

MakeDriver = Callable[[TerminalConfig, DriverPlugin], TerminalDriver]
OnQuarantine = Callable[[str, str, HallctlError], None]


@dataclass
class _Running:
    """One terminal: what it is made of, who runs it, and its line on a bus."""

    made_of: str
    supervisor: TerminalSupervisor
    bus: str | None = None
    line: BusLine | None = None
    task: "asyncio.Task[None] | None" = None


@dataclass
class _SharedPort:
    """One bus and its owner task."""

    config: BusConfig
    bus: Bus
    task: "asyncio.Task[None] | None" = None


@dataclass(frozen=True, slots=True)
class SharedLine:
    """A bus, and the terminals on it by their ids."""

    config: BusConfig
    bus: Bus
    members: tuple[str, ...]


class Terminals:
    """``supervisors``, ``printers``, ``displays``, ``taps`` are alive: others keep them and see what runs now.

    A terminal's tap outlives a change of its configuration: what passed before it is asked about afterwards.
    """

    def __init__(
        self,
        make: MakeDriver,
        *,
        clock: Clock,
        on_state: OnState,
        on_quarantine: OnQuarantine,
        waiting_limit: int,
    ) -> None:
        self.supervisors: dict[str, TerminalSupervisor] = {}
        self.printers: dict[str, TerminalSupervisor] = {}
        self.displays: dict[str, TerminalSupervisor] = {}
        self.capabilities: dict[str, frozenset[Capability]] = {}
        self.taps: dict[str, Tap] = {}  # of terminals with a port or a line; cameras and web pads have none
        self._make = make
        self._clock = clock
        self._log = structlog.get_logger()
        self._on_state = on_state
        self._on_quarantine = on_quarantine
        self._limit = waiting_limit
        self._running: dict[str, _Running] = {}
        self._buses: dict[str, _SharedPort] = {}
        self._group: asyncio.TaskGroup | None = None

    @property
    def buses(self) -> Mapping[str, Bus]:
        """The shared ports that are served now, each with its own tap."""
        return {name: shared.bus for name, shared in self._buses.items()}

    def run_in(self, group: asyncio.TaskGroup) -> None:
        """Start everything that was built, and from now on what comes, in this group."""
        self._group = group
        for shared in self._buses.values():
            shared.task = shared.task or group.create_task(shared.bus.run())
        for one in self._running.values():
            one.task = one.task or group.create_task(one.supervisor.run())

    def leaving(self, document: HallDocument) -> frozenset[str]:
        """Terminals that this document does not have, or has otherwise, compared with what really runs."""
        wanted = fingerprints(document)
        return frozenset(name for name, one in self._running.items() if wanted.get(name) != one.made_of)

    async def stop(self, names: Iterable[str], wanted: HallDocument) -> None:
        """Stop these terminals: what each is doing is finished, its connection closed, its address given back.

        Those that ``wanted`` has as well can still be named meanwhile: whoever asks them hears that they come back.
        """
        come_back = {terminal.id for terminal in wanted.terminals}
        await asyncio.gather(*(self._stop(name, forget=name not in come_back) for name in list(names)))

    async def stop_buses(self, document: HallDocument) -> None:
        """Stop buses that this document has not, or has at another port. Their terminals were stopped before."""
        wanted = {bus.id: bus for bus in document.buses}
        gone = [name for name, shared in self._buses.items() if wanted.get(name) != shared.config]
        for name in gone:
            await _ended(self._buses.pop(name).task)

    def start(self, document: HallDocument) -> Changed:
        """Start what this document has and what does not run yet. Gives what was started; nothing is restarted here."""
        self._open_buses(document)
        wanted = fingerprints(document)
        fresh = [terminal for terminal in document.terminals if terminal.id not in self._running]
        started = frozenset(terminal.id for terminal in fresh if self._start(terminal, wanted[terminal.id]))
        for name in {terminal.id for terminal in fresh} - started:
            self._forget(name)
        self._put_in_order([terminal.id for terminal in document.terminals])
        return Changed(started=started)

    async def end(self) -> None:
        """Stop everything at once: the daemon ends."""
        tasks = [one.task for one in self._running.values()] + [shared.task for shared in self._buses.values()]
        for task in tasks:
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)

    def line_of(self, name: str) -> SharedLine | None:
        """The line that a terminal shares, with all on it; ``None``: it has a port of its own, or does not run."""
        one = self._running.get(name)
        shared = self._buses.get(one.bus) if one is not None and one.bus is not None else None
        if one is None or shared is None:
            return None
        members = [known for known, other in self._running.items() if other.bus == one.bus]
        return SharedLine(shared.config, shared.bus, tuple(members))

    @contextlib.asynccontextmanager
    async def resting(self, names: Iterable[str], bus: str | None = None) -> AsyncIterator[None]:
        """Let go of these terminals' port, or of their bus, meanwhile; then they go on, unless they were taken away."""
        paused = {name: self._running[name] for name in names if name in self._running}
        shared = self._buses.get(bus) if bus is not None else None
        for one in paused.values():
            await one.supervisor.told()
            await _ended(one.task)
        if shared is not None:
            await _ended(shared.task)
        try:
            yield
        finally:
            if self._group is not None:
                if shared is not None and self._buses.get(shared.config.id) is shared:
                    shared.task = self._group.create_task(shared.bus.run())
                    await self._until_open(shared.bus)
                for name, one in paused.items():
                    if self._running.get(name) is one:
                        one.task = self._group.create_task(one.supervisor.run())

    async def _until_open(self, bus: Bus) -> None:
        """So that nobody is told that the bus was stopped."""
        for _ in range(REOPEN_LOOKS):
            if bus.is_open:
                return
            await self._clock.sleep(REOPEN_LOOK_S)

    def _open_buses(self, document: HallDocument) -> None:
        used = {terminal.bus for terminal in document.terminals}
        for config in document.buses:
            if config.id in used and config.id not in self._buses:
                bus = Bus(config.id, PortAddress.parse(config.port), self._clock, self._log)
                task = self._group.create_task(bus.run()) if self._group else None
                self._buses[config.id] = _SharedPort(config, bus, task)

    def _start(self, terminal: TerminalConfig, made_of: str) -> bool:
        try:
            one = self._build(terminal, made_of)
        except HallctlError as exc:
            self._on_quarantine(terminal.id, terminal.driver, exc)
            return False
        except Exception as exc:  # noqa: BLE001  # a vendor's ``make`` may raise anything; the hall must start
            self._log.warning("driver can't be made", terminal=terminal.id, exc_info=True)
            bug = DriverLoadError(repr(exc), hint="tell the driver's vendor; the log has the trace")
            self._on_quarantine(terminal.id, terminal.driver, bug)
            return False
        self._running[terminal.id] = one
        self.supervisors[terminal.id] = one.supervisor
        if self._group is not None:
            one.task = self._group.create_task(one.supervisor.run())
        return True

    def _build(self, terminal: TerminalConfig, made_of: str) -> _Running:
        plugin = load_driver(terminal.driver)
        driver = self._make(terminal, plugin)
        connect, line = connect_to(terminal, plugin, self.buses, self._clock, self._tap(terminal))
        supervisor = supervise(
            terminal,
            driver,
            connect,
            buses=self.buses,
            clock=self._clock,
            log=self._log,
            on_state=self._on_state,
            waiting_limit=self._limit,
        )
        self.capabilities[terminal.id] = plugin.capabilities
        return _Running(made_of, supervisor, terminal.bus, line)

    def _tap(self, terminal: TerminalConfig) -> Tap:
        tap = self.taps.get(terminal.id) or Tap(terminal.id, self._clock)
        tap.port = _place(terminal)
        if terminal.port or terminal.bus:
            self.taps[terminal.id] = tap
        return tap

    def _put_in_order(self, names: list[str]) -> None:
        """The document's order is what people see; printers and displays are found by what they can do."""
        for name in [name for name in names if name in self.supervisors]:
            self.supervisors[name] = self.supervisors.pop(name)
        for found, capability in ((self.printers, Capability.PRINTER), (self.displays, Capability.DISPLAY)):
            found.clear()
            found.update({name: one for name, one in self.supervisors.items() if capability in self.capabilities[name]})

    async def _stop(self, name: str, *, forget: bool) -> None:
        one = self._running[name]
        await one.supervisor.retire(FINISH_S)
        await _ended(one.task)
        if one.bus in self._buses and one.line is not None:
            self._buses[one.bus].bus.detach(one.line)
        del self._running[name]
        if forget:
            self._forget(name)

    def _forget(self, name: str) -> None:
        for found in (self.supervisors, self.printers, self.displays, self.taps):
            found.pop(name, None)
        self.capabilities.pop(name, None)


def _place(terminal: TerminalConfig) -> str:
    """Where it is plugged in, without what a URL may carry beside (a name, a password)."""
    return str(PortAddress.parse(terminal.port)) if terminal.port else f"bus {terminal.bus}, address {terminal.address}"


async def _ended(task: "asyncio.Task[None] | None") -> None:
    if task is None:
        return
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
