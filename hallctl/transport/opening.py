"""From a port's address to an open transport."""

from pathlib import Path

from hallctl.clock import Clock
from hallctl.errors import TransportUnavailable
from hallctl.transport.base import PortAddress, Transport
from hallctl.transport.tcp import open_tcp


async def open_port(address: PortAddress, clock: Clock) -> Transport:  # noqa: PLR0911  # one return a scheme
    """Open the port; raises ``TransportUnavailable`` with a stable code and a hint."""
    match address.scheme:
        case "tcp":
            return await open_tcp(address, clock)
        case "rfc2217":
            from hallctl.transport.rfc2217 import open_rfc2217  # noqa: PLC0415

            return await open_rfc2217(address, clock)
        case "serial":
            from hallctl.transport.serial import open_serial  # noqa: PLC0415

            return await open_serial(address, clock)
        case "file":
            from hallctl.transport.file import open_file  # noqa: PLC0415

            return await open_file(address, clock)
        case "input":
            from hallctl.transport.input import open_input  # noqa: PLC0415

            return await open_input(address)
        case "usb":
            from hallctl.transport.usb import open_usb  # noqa: PLC0415

            return await open_usb(address, clock)
        case "usblp":
            from hallctl.transport.file import open_usblp  # noqa: PLC0415

            return await open_usblp(address, clock)
    raise TransportUnavailable(f"{address}: no transport for {address.scheme!r}")


def is_plugged(address: PortAddress) -> bool | None:
    """Whether the device's node is there now; ``None`` where only trying tells (TCP). Quick, and never raises."""
    match address.scheme:
        case "serial" | "file" | "input":
            return Path(address.path).exists()
        case "usb" | "usblp":
            from hallctl.transport.usb_names import is_usb_plugged  # noqa: PLC0415

            return is_usb_plugged(address)
    return None
