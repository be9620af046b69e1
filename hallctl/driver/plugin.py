"""What a driver package offers: one ``DriverPlugin`` value an entry point in the group ``hallctl.drivers``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from hallctl.driver.capability import Camera, Capability
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


@dataclass(frozen=True, slots=True)
class DriverPlugin:
    """One driver. ``make`` builds it from a context and validated options and does no IO.

    ``make`` returns a ``TerminalDriver`` that also is a ``TicketPrinter`` ... for each of ``capabilities``; with
    ``Attachment.STREAM`` it returns a ``Camera``. ``simulate`` builds the device's side from a fault name (or None)
    and a bus address (or None).
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
    preview: Callable[[Ticket, Any], bytes] | None = None  # a printer's: ticket and options -> PNG of the paper
