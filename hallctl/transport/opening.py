"""From a port's address to an open transport."""

from hallctl.clock import Clock
from hallctl.errors import TransportUnavailable
from hallctl.transport.base import PortAddress, Transport
from hallctl.transport.tcp import open_tcp


async def open_port(address: PortAddress, clock: Clock) -> Transport:
    """Open the port; raises ``TransportUnavailable`` with a stable code and a hint."""
    match address.scheme:
        case "tcp":
            return await open_tcp(address, clock)
        case "serial":
            from hallctl.transport.serial import open_serial  # noqa: PLC0415

            return await open_serial(address, clock)
        case "file":
            from hallctl.transport.file import open_file  # noqa: PLC0415

            return await open_file(address)
    raise TransportUnavailable(f"{address}: no transport for {address.scheme!r}")
