"""Metrics for Prometheus on an address of this box: off unless controller.yaml says where.

The library serves from threads of its own, so that a scraper that hangs holds up nothing; what it asks for is gathered
on the event loop. Names follow Prometheus's conventions: base units, ``_total`` for what only grows.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hallctl.controller.figures import Figures
from hallctl.driver.terminal import Logger
from hallctl.link.look_data import LookResult
from hallctl.model import Command, Reply

GATHER_S = 10.0
_PRINT_S = (0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300)
_CALL_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)
_BUS_COUNTERS = {
    "timeouts": "Requests that a device on the bus did not answer.",
    "collisions": "Times that another spoke while we did.",
    "garbage_bytes": "Bytes that belonged to no frame.",
}


class Meters:
    """What is measured as it happens; everything else is asked of ``Figures`` when somebody scrapes."""

    def __init__(self, figures: Figures, loop: asyncio.AbstractEventLoop) -> None:
        self.registry = CollectorRegistry()
        self._prints = Histogram(
            "hallctl_ticket_print_seconds",
            "From a print command's arrival to the printer's word; waiting for paper is part of it.",
            ["outcome"],
            buckets=_PRINT_S,
            registry=self.registry,
        )
        self._calls = Histogram(
            "hallctl_number_call_seconds",
            "From a call's arrival until every display has it, or could not be reached.",
            ["outcome"],
            buckets=_CALL_S,
            registry=self.registry,
        )
        self._commands = Counter(
            "hallctl_commands", "Commands that were answered.", ["command", "outcome"], registry=self.registry
        )
        self.registry.register(_Asked(figures, loop))
        ProcessCollector(registry=self.registry)

    def answered(self, command: Command, reply: Reply, seconds: float) -> None:
        """A command has its final reply."""
        outcome = reply.state.value
        self._commands.labels(command.name, outcome).inc()
        if command.name == "ticket.print":
            self._prints.labels(outcome).observe(seconds)
        elif command.name in ("number.call", "number.recall"):
            self._calls.labels(outcome).observe(seconds)


@contextlib.asynccontextmanager
async def served(meters: Meters, host: str, port: int, log: Logger) -> AsyncIterator[int]:
    """Serve while the block runs; gives the port (0: there is none: the address can't be had, which is logged)."""
    try:
        server, thread = start_http_server(port, host, meters.registry)
    except OSError as exc:
        hint = "another program has it, or it is no address of this box: correct metrics.listen in controller.yaml"
        log.warning("no metrics", listen=f"{host}:{port}", why=exc.strerror or str(exc), hint=hint)
        yield 0
        return
    try:
        yield server.server_port
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        await asyncio.to_thread(thread.join, 1.0)


class _Asked(Collector):
    """Runs in the server's threads; the loop answers."""

    def __init__(self, figures: Figures, loop: asyncio.AbstractEventLoop) -> None:
        self._figures = figures
        self._loop = loop

    def collect(self) -> Iterator[Metric]:
        look = asyncio.run_coroutine_threadsafe(self._figures.look(), self._loop).result(GATHER_S)
        return families(look)


def families(look: LookResult) -> Iterator[Metric]:
    """One look as metric families."""
    yield from _box(look)
    yield from _terminals(look)
    yield from _buses(look)


def _box(look: LookResult) -> Iterator[Metric]:
    info = GaugeMetricFamily("hallctl_build_info", "Which hallctl runs here.", labels=["version", "site", "controller"])
    info.add_metric([look.version, look.site, look.controller], 1)
    yield info
    started = look.since.timestamp()
    yield GaugeMetricFamily("hallctl_start_time_seconds", "When the daemon started, in Unix time.", value=started)
    gauges = (
        ("hallctl_link_up", "Whether the broker is connected; 0 also where none is configured.", look.link.connected),
        ("hallctl_clock_synchronised", "Whether the box knows the time.", look.clock_synchronised),
        ("hallctl_outbox_waiting_entries", "Entries that the broker has not acknowledged.", look.outbox.waiting),
        ("hallctl_outbox_oldest_waiting_seconds", "Age of the oldest of them.", look.outbox.oldest_s),
        ("hallctl_outbox_size_bytes", "Size of the event log on disk.", look.outbox.size_bytes),
        ("hallctl_evidence_bytes", "Size of clips and snapshots.", look.evidence_bytes),
        ("hallctl_disk_free_bytes", "Free space where the state directory is.", look.disk_free_bytes),
        ("hallctl_event_loop_tasks", "Tasks of the event loop.", look.process.tasks),
    )
    for name, text, value in gauges:
        yield GaugeMetricFamily(name, text, value=float(value))
    alerts = GaugeMetricFamily("hallctl_alerts_open", "Open alerts.", labels=["kind"])
    for kind, count in look.alerts.items():
        alerts.add_metric([kind], count)
    yield alerts


def _terminals(look: LookResult) -> Iterator[Metric]:
    up = GaugeMetricFamily("hallctl_terminal_up", "Whether the terminal is online.", labels=["terminal", "driver"])
    faults = GaugeMetricFamily(
        "hallctl_terminal_fault", "1 for each fault that it reports.", labels=["terminal", "code", "severity"]
    )
    waiting = GaugeMetricFamily(
        "hallctl_terminal_actions_waiting", "Actions that wait for their turn.", labels=["terminal"]
    )
    fps = GaugeMetricFamily("hallctl_camera_frames_per_second", "Pictures that come.", labels=["terminal"])
    looked = GaugeMetricFamily("hallctl_camera_detector_seconds", "Time of its last look.", labels=["terminal"])
    for one in look.terminals:
        up.add_metric([one.id, one.driver], float(one.status == "online"))
        waiting.add_metric([one.id], one.waiting)
        for code, severity in one.faults.items():
            faults.add_metric([one.id, code, severity], 1)
        if one.fps is not None:
            fps.add_metric([one.id], one.fps)
        if one.detector_ms is not None:
            looked.add_metric([one.id], one.detector_ms / 1000)
    yield from (up, faults, waiting, fps, looked, *_ports(look))


def _ports(look: LookResult) -> Iterator[Metric]:
    received = CounterMetricFamily("hallctl_terminal_received_bytes", "Bytes from the terminal.", labels=["terminal"])
    sent = CounterMetricFamily("hallctl_terminal_sent_bytes", "Bytes to the terminal.", labels=["terminal"])
    opened = CounterMetricFamily("hallctl_terminal_port_openings", "Times its port was opened.", labels=["terminal"])
    failed = CounterMetricFamily(
        "hallctl_terminal_port_errors", "Ports that were lost, or could not be opened.", labels=["terminal"]
    )
    for one in look.terminals:
        received.add_metric([one.id], one.bytes_in)
        sent.add_metric([one.id], one.bytes_out)
        opened.add_metric([one.id], one.openings)
        failed.add_metric([one.id], one.errors)
    yield from (received, sent, opened, failed)


def _buses(look: LookResult) -> Iterator[Metric]:
    is_open = GaugeMetricFamily("hallctl_bus_up", "Whether the shared port is open.", labels=["bus"])
    busy = CounterMetricFamily(
        "hallctl_bus_busy_seconds", "How long the wire was taken; its rate is the utilisation.", labels=["bus"]
    )
    frames = CounterMetricFamily("hallctl_bus_frames", "Frames on the bus.", labels=["bus", "direction"])
    counters = {
        name: CounterMetricFamily(f"hallctl_bus_{name}", text, labels=["bus"]) for name, text in _BUS_COUNTERS.items()
    }
    for bus in look.buses:
        is_open.add_metric([bus.id], float(bus.open))
        busy.add_metric([bus.id], bus.busy_s)
        frames.add_metric([bus.id, "in"], bus.counters.get("frames_in", 0))
        frames.add_metric([bus.id, "out"], bus.counters.get("frames_out", 0))
        for name, family in counters.items():
            family.add_metric([bus.id], bus.counters.get(name, 0))
    yield from (is_open, busy, frames, *counters.values())
