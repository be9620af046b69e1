"""From the hall document to supervised terminals: one supervisor each, one owner a bus."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import partial
from pathlib import Path

from hallctl.clock import Clock
from hallctl.config import resolve
from hallctl.config.controller import Broker
from hallctl.config.hall import HallDocument
from hallctl.config.hall import Terminal as TerminalConfig
from hallctl.driver import Attachment, BusLine, Connection, DriverPlugin, StaffCard, TerminalDriver
from hallctl.driver.terminal import Logger
from hallctl.errors import DriverLoadError, HallctlError
from hallctl.link import BrokerSettings, Tls
from hallctl.model import TerminalState, TerminalStatus
from hallctl.terminal.bus import Bus
from hallctl.terminal.supervisor import Connect, OnState, TerminalSupervisor
from hallctl.transport import PortAddress, Tap, TappedTransport, is_plugged, open_port


def connect_to(
    terminal: TerminalConfig, plugin: DriverPlugin, buses: Mapping[str, Bus], clock: Clock, tap: Tap
) -> tuple[Connect, BusLine | None]:
    """How this terminal gets its connection: its own port, its line on a bus (given as well), or none (a camera).

    ``tap`` sees what crosses it.
    """
    if plugin.attachment is Attachment.BUS and terminal.bus and plugin.framing is not None:
        bus = buses[terminal.bus]
        line = bus.attach(terminal.address or 0, plugin.framing, plugin.bus_gap_s, tap)
        return (lambda: _on_bus(bus, line)), line
    if plugin.attachment is Attachment.PORT and terminal.port:
        address = PortAddress.parse(terminal.port)
        return (lambda: _own_port(address, clock, tap)), None
    return (lambda: _as_it_is(None)), None


def supervise(
    terminal: TerminalConfig,
    driver: TerminalDriver,
    connect: Connect,
    *,
    buses: Mapping[str, Bus],
    clock: Clock,
    log: Logger,
    on_state: OnState,
    waiting_limit: int,
) -> TerminalSupervisor:
    """A supervisor for one terminal."""
    return TerminalSupervisor(
        terminal.id,
        terminal.driver,
        driver,
        connect,
        clock=clock,
        log=log,
        on_state=on_state,
        waiting_limit=waiting_limit,
        plugged=_looker(terminal, buses),
    )


def _looker(terminal: TerminalConfig, buses: Mapping[str, Bus]) -> Callable[[], bool | None]:
    """How to look whether the terminal's own port is there, or its bus is open."""
    if terminal.bus and terminal.bus in buses:
        return partial(_is_open, buses[terminal.bus])
    if not terminal.port:
        return lambda: None
    address = PortAddress.parse(terminal.port)
    return lambda: is_plugged(address)


def _is_open(bus: Bus) -> bool:
    return bus.is_open


@contextlib.asynccontextmanager
async def _own_port(address: PortAddress, clock: Clock, tap: Tap) -> AsyncIterator[Connection]:
    async with await TappedTransport.open(open_port, address, clock, tap) as transport:
        yield transport


@contextlib.asynccontextmanager
async def _on_bus(bus: Bus, line: BusLine) -> AsyncIterator[Connection]:
    await bus.tried.wait()  # at the start: don't call a terminal lost before its port was tried
    yield line


def _as_it_is(connection: Connection) -> AbstractAsyncContextManager[Connection]:
    return contextlib.nullcontext(connection)


def quarantined(terminal: str, driver: str, why: HallctlError, now: datetime) -> TerminalState:
    """The state of a terminal that can't run."""
    reason = "driver.load" if isinstance(why, DriverLoadError) else "config.invalid"
    status = TerminalStatus.QUARANTINED
    return TerminalState(terminal, driver, status, now, reason=reason, message=why.message, hint=why.hint)


def staff_cards(document: HallDocument, folder: Path) -> dict[str, StaffCard]:
    """Who serves at the window of each pad; a photo stands beside hall.yaml, or is named with its whole path."""
    cards = {}
    for window in document.windows:
        staff = window.staff
        if window.pad is not None and staff is not None:
            photo = str(folder / staff.photo) if staff.photo else None
            cards[window.pad] = StaffCard(staff.number, staff.name, staff.stars, photo)
    return cards


def broker_settings(broker: Broker, client_id: str) -> BrokerSettings:
    """The broker as the session wants it, with its secret resolved."""
    tls = broker.tls
    return BrokerSettings(
        host=broker.host,
        port=broker.port,
        client_id=client_id,
        protocol=broker.protocol,
        username=broker.username,
        password=resolve(broker.password) if broker.password else None,
        tls=Tls(tls.ca_file, tls.identity or tls.cert_file, tls.key_file) if tls else None,
        keepalive_s=broker.keepalive_s,
        max_in_flight=broker.max_in_flight,
    )
