"""What a driver is: a class that the supervisor starts on an open port, polls, and asks to act.

The supervisor guarantees that ``start``, ``poll`` and the capability methods never overlap, so a driver needs
no lock. Only ``listen`` runs beside them, for devices that speak unasked (keys); it never shares their replies.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hallctl.clock import Clock
from hallctl.driver.line import BusLine
from hallctl.hall.signal import Signal
from hallctl.model import FaultReport
from hallctl.transport import Transport

Connection = Transport | BusLine | None


class Logger(Protocol):
    """The part of structlog's bound logger that drivers use."""

    def debug(self, event: str, **fields: object) -> Any: ...  # noqa: D102
    def info(self, event: str, **fields: object) -> Any: ...  # noqa: D102
    def warning(self, event: str, **fields: object) -> Any: ...  # noqa: D102


class Emit(Protocol):
    """Hand a signal to the hall; returns once it is on disk, so that a pad thanks the citizen only afterwards."""

    async def __call__(self, signal: Signal, /) -> None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class TerminalContext:
    """What the house gives a driver."""

    terminal: str
    clock: Clock
    log: Logger
    emit: Emit


@dataclass(frozen=True, slots=True)
class Health:
    """What ``poll`` found: ``faults`` (empty: all is well), ``info`` (what the device says of itself)."""

    faults: tuple[FaultReport, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict)


class TerminalDriver(ABC):
    """A terminal kind's behaviour over a codec and a connection. One instance lives as long as its configuration."""

    poll_every_s: float = 2.0
    attention: asyncio.Event | None = None
    """Set it where the device has something to tell before the next poll is due; the supervisor clears it and polls."""

    @abstractmethod
    async def start(self, connection: Connection) -> None:
        """Shake hands on a fresh connection. Raises ``TransportError``, ``CodecError`` or ``TerminalError``."""

    @abstractmethod
    async def poll(self) -> Health:
        """Ask the device how it is. An error ends the session: the supervisor closes, backs off and starts again."""

    async def listen(self) -> None:
        """Wait for what the device says unasked, for ever. The default has nothing to listen to."""
        await asyncio.Event().wait()

    async def stop(self) -> None:
        """Say good-bye before the port is closed on purpose. Not called when the port was lost."""
        return
