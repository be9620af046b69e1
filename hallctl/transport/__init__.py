"""Moves bytes: serial, USB, TCP, file, memory; one file a transport, all under ``Transport``."""

from hallctl.transport.base import PortAddress, Transport
from hallctl.transport.memory import MemoryTransport, null_modem
from hallctl.transport.opening import is_plugged, open_port
from hallctl.transport.tap import Chunk, Direction, Tap, TappedTransport

__all__ = [
    "Chunk",
    "Direction",
    "MemoryTransport",
    "PortAddress",
    "Tap",
    "TappedTransport",
    "Transport",
    "is_plugged",
    "null_modem",
    "open_port",
]
