"""What a driver package offers: one ``DriverPlugin`` value an entry point in the group ``hallctl.drivers``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from hallctl.driver.capability import Camera, Capability
from hallctl.driver.explain import Explainer
from hallctl.driver.line import Framing
from hallctl.driver.sim import Simulator
from hallctl.driver.terminal import TerminalContext, TerminalDriver
from hallctl.ticket import Ticket


class DriverOptions(BaseModel):
    """Base of a driver's ``options`` in hall.yaml: frozen, unknown keys are errors. Give each field a description."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Attachment(StrEnum):
    """What a terminal of this driver needs beside ``options``."""

    PORT = "port"  # a port of its own: start() gets a Transport
    BUS = "bus"  # a bus and an address: start() gets a BusLine
    STREAM = "stream"  # a camera: ``make`` returns a Camera, the camera room runs it
    NONE = "none"  # nothing: its options name what it needs; start() gets None


@dataclass(frozen=True, slots=True)
class DriverPlugin:
    """One driver. ``make`` builds it from a context and validated options and does no IO.

    ``make`` returns a ``TerminalDriver`` that also is a ``TicketPrinter`` ... for each of ``capabilities``; with
    ``Attachment.STREAM`` it returns a ``Camera``. ``simulate`` builds the device's side from a fault name (or None)
    and a bus address (or None). ``start`` and ``poll`` of a driver with ``addresses`` or ``tcp_ports`` disturb no
    device: they are what discovery tries it with.
    """

    name: str
    summary: str
    attachment: Attachment
    capabilities: frozenset[Capability]
    options: type[DriverOptions]
    make: Callable[[TerminalContext, Any], TerminalDriver | Camera]
    simulate: Callable[[str | None, int | None], Simulator]
    faults: Mapping[str, str]  # fault codes that ``poll`` may report -> remedy for the technician
    framing: Framing | None = None
    bus_gap_s: float = 0.004  # silence that the bus keeps after a frame of this family
    heads: tuple[bytes, ...] = ()  # how its frames begin, both ways: families whose heads agree can't share a bus
    line: str = "8N1"  # data bits, parity and stop bits that its devices are fixed to
    addresses: range = range(0)  # that `hallctl discover` asks on a bus; empty: its devices don't answer questions
    tcp_ports: tuple[int, ...] = ()  # where `hallctl discover` looks for it on the network
    example: Mapping[str, Any] = field(default_factory=dict)  # options where none can be left out (conformance suite)
    book: str = ""  # package whose faults.yaml explains codes of its own in English and Chinese (hallctl.faultbook)
    explain: Callable[[], Explainer] | None = None  # frames of its wire in words, for `hallctl trace`; None: hex alone
    preview: Callable[[Ticket, Any], bytes] | None = None  # a printer's: ticket and options -> PNG of the paper
