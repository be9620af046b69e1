"""Moves bytes: serial, TCP, file, memory; one file a transport, all under ``Transport``."""

from hallctl.transport.base import PortAddress, Transport
from hallctl.transport.memory import MemoryTransport, null_modem
from hallctl.transport.opening import open_port

__all__ = ["MemoryTransport", "PortAddress", "Transport", "null_modem", "open_port"]
