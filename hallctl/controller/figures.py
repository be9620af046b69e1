"""How the box is at this moment, in figures: gathered in one place for live screens, metrics and support bundles."""

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hallctl import __version__
from hallctl.clock import Clock
from hallctl.config import ControllerConfig
from hallctl.controller.floor import HallFloor
from hallctl.link import Uplink
from hallctl.link.look_data import (
    LookBus,
    LookLink,
    LookOutbox,
    LookProcess,
    LookResult,
    LookTerminal,
)
from hallctl.model import Alert, TerminalState
from hallctl.outbox import Outbox
from hallctl.terminal.bus import Bus
from hallctl.transport.tap import Counters

FOLDER_EVERY_S = 30.0  # an evidence folder may hold thousands of files
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Figures:
    """``look`` costs some milliseconds. ``commands``: what counts final replies by their state."""

    def __init__(
        self,
        config: ControllerConfig,
        outbox: Outbox,
        floor: HallFloor,
        uplink: Uplink | None,
        clock: Clock,
        *,
        open_alerts: Callable[[], tuple[Alert, ...]],
    ) -> None:
        self.commands: Counter[str] = Counter()
        self._config = config
        self._outbox = outbox
        self._floor = floor
        self._uplink = uplink
        self._clock = clock
        self._open_alerts = open_alerts
        self._since = clock.now()
        self._measured_at = float("-inf")
        self._evidence_bytes = self._free_bytes = 0

    async def look(self) -> LookResult:
        """Everything, as it is now."""
        await self._measure()
        floor, known = self._floor, self._outbox.identity
        return LookResult(
            at=self._clock.now(),
            seconds=self._clock.monotonic(),
            site=known.site,
            controller=known.controller,
            name=self._config.name,
            version=__version__,
            boot=known.boot,
            since=self._since,
            clock_synchronised=self._clock.synchronised(),
            link=self._link(),
            outbox=await self._log(),
            process=_process(),
            terminals=[self._terminal(name, state) for name, state in floor.states().items()],
            buses=[_bus(name, bus) for name, bus in floor.terminals.buses.items()],
            alerts=dict(Counter(alert.kind.value for alert in self._open_alerts())),
            commands=dict(self.commands),
            evidence_bytes=self._evidence_bytes,
            disk_free_bytes=self._free_bytes,
        )

    def _link(self) -> LookLink:
        if self._uplink is None:
            return LookLink(configured=False, connected=False, reason="controller.yaml names no broker")
        return LookLink(configured=True, connected=self._uplink.connected, reason=self._uplink.reason)

    async def _log(self) -> LookOutbox:
        backlog = await self._outbox.backlog()
        age = (self._clock.now() - backlog.oldest).total_seconds() if backlog.oldest else 0.0
        return LookOutbox(
            waiting=backlog.waiting,
            oldest_s=max(0.0, age),
            size_bytes=backlog.size_bytes,
            last_seq=self._outbox.last_seq,
        )

    def _terminal(self, name: str, state: TerminalState) -> LookTerminal:
        terminals = self._floor.terminals
        supervisor, tap = terminals.supervisors.get(name), terminals.taps.get(name)
        counters = tap.counters if tap else Counters()
        return LookTerminal(
            id=name,
            driver=state.driver,
            status=state.status.value,
            since=state.since,
            reason=state.reason or "",
            faults={fault.code: fault.severity.value for fault in state.faults},
            waiting=supervisor.waiting if supervisor else 0,
            bytes_in=counters.bytes_in,
            bytes_out=counters.bytes_out,
            openings=counters.openings,
            errors=counters.errors,
            last_in=counters.last_in,
            fps=_number(state, "fps"),
            detector_ms=_number(state, "detector_ms"),
        )

    async def _measure(self) -> None:
        now = self._clock.monotonic()
        if now - self._measured_at < FOLDER_EVERY_S:
            return
        self._measured_at = now
        folder = self._config.state_dir
        self._evidence_bytes, self._free_bytes = await asyncio.to_thread(_disk, folder)


def _number(state: TerminalState, key: str) -> float | None:
    value = state.info.get(key)
    return float(value) if isinstance(value, int | float) else None


def _bus(name: str, bus: Bus) -> LookBus:
    return LookBus(id=name, port=bus.tap.port, open=bus.is_open, busy_s=bus.busy_s, counters=dict(bus.stats))


def _disk(state_dir: Path) -> tuple[int, int]:
    """Bytes of evidence, bytes free. What goes while it is counted is not counted."""
    used = 0
    for path in (state_dir / "evidence").glob("*"):
        try:
            used += path.stat().st_size
        except OSError:
            continue
    try:
        return used, shutil.disk_usage(state_dir).free
    except OSError:
        return used, 0


def _process() -> LookProcess:
    times = os.times()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
    return LookProcess(
        cpu_s=round(times.user + times.system + times.children_user + times.children_system, 3),
        memory_bytes=resident,
        tasks=len(asyncio.all_tasks()),
        threads=sum(1 for _ in Path("/proc/self/task").iterdir()),
    )
