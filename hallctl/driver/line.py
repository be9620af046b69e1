"""A terminal's share of a bus: what a driver on RS-485 sees instead of a transport."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol


class Framing(Protocol):
    """How one wire family cuts bytes into frames, so that several families can share a bus."""

    def probe(self, buffer: bytes) -> int:
        """Length of the valid frame at the buffer's start; 0: more bytes are needed; -1: no frame starts here."""

    def address_of(self, frame: bytes) -> int | None:
        """The terminal's address in a frame that ``probe`` accepted; ``None``: it names none."""


class BusLine(ABC):
    """One address on a bus. Calls of all terminals are queued by the bus's owner: urgent first, then in order."""

    name: str
    address: int

    def check(self) -> None:
        """Raise ``TransportError`` with the port's own reason while the bus is closed (default: nothing to check)."""
        return

    @abstractmethod
    async def send(self, frame: bytes, *, urgent: bool = True) -> None:
        """Put a frame on the wire; returns when its last byte has left. Raises ``TransportError``."""

    @abstractmethod
    async def exchange(
        self, frame: bytes, accept: Callable[[bytes], bool], *, timeout_s: float, urgent: bool = True
    ) -> bytes:
        """Send, then hold the bus until a frame that ``accept`` takes arrives. Raises ``TransportTimeout``."""

    async def lost(self) -> None:
        """Wait, and raise ``TransportError`` as soon as the bus closes (default: wait for ever)."""
        await asyncio.Event().wait()

    def withdraw(self) -> None:
        """A call is coming: what waits and is not urgent makes way, with ``Withdrawn`` (default: nothing waits)."""
        return

    @abstractmethod
    async def receive(self) -> bytes:
        """The next frame of this address that no exchange waited for (a key press)."""
