"""TCP: network printers (raw port 9100), display cards, serial servers."""

import asyncio
import contextlib
import errno
import os
import socket

from hallctl.clock import Clock
from hallctl.errors import TransportLost, TransportUnavailable
from hallctl.transport.base import PortAddress, Transport

CONNECT_TIMEOUT_S = 5.0
_ADVICE = {
    errno.ECONNREFUSED: (
        "port.refused",
        "nothing listens there: check the device's port number, or whether another program holds its only connection",
    ),
    errno.EHOSTUNREACH: ("port.unreachable", "check the network cable, the device's power and its address"),
    errno.ENETUNREACH: ("port.unreachable", "check the controller's own network address and route"),
}


class TcpTransport(Transport):
    """A connected socket with keep-alive, so that a peer that vanished is noticed while idle."""

    def __init__(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.name = name
        self._reader = reader
        self._writer = writer

    async def read(self, limit: int = 4096) -> bytes:
        """Wait for bytes; an orderly close by the peer is ``TransportLost`` too."""
        try:
            data = await self._reader.read(limit)
        except OSError as exc:
            raise TransportLost(f"{self.name}: {exc}") from exc
        if not data:
            raise TransportLost(f"{self.name}: the device closed the connection")
        return data

    async def write(self, data: bytes) -> None:
        """Hand bytes to the kernel, waiting while its buffer is full."""
        if self._writer.is_closing():
            raise TransportLost(f"{self.name}: the connection is closed")
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as exc:
            raise TransportLost(f"{self.name}: {exc}") from exc

    async def drain_input(self) -> bytes:
        """What has arrived already. A peer that has closed is left for the next ``read`` to report."""
        waiting = bytearray()
        while not self._reader.at_eof():
            try:
                async with asyncio.timeout(0):
                    waiting += await self._reader.read(4096)
            except TimeoutError:
                break
            except OSError as exc:
                raise TransportLost(f"{self.name}: {exc}") from exc
        return bytes(waiting)

    async def close(self) -> None:
        """Close at once; what the kernel still holds is sent on by it, what it has not taken yet is thrown away."""
        if self._writer.transport.get_write_buffer_size():
            self._writer.transport.abort()
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()


async def open_tcp(address: PortAddress, clock: Clock) -> TcpTransport:
    """Connect within 5 s; raises ``TransportUnavailable`` with the reason in the technician's words."""
    try:
        async with clock.timeout(CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(address.host, address.port)
    except OSError as exc:
        raise unreachable(address, exc) from exc
    keep_alive(writer.get_extra_info("socket"))
    return TcpTransport(str(address), reader, writer)


def unreachable(address: PortAddress, exc: OSError) -> TransportUnavailable:
    """Why nobody could be connected to, with a stable code and a hint."""
    if isinstance(exc, TimeoutError):
        return TransportUnavailable(
            f"{address}: no answer within {CONNECT_TIMEOUT_S:g} s",
            code="port.unreachable",
            hint="check the network cable, the device's power and its address",
        )
    if isinstance(exc, socket.gaierror):
        return TransportUnavailable(
            f"{address}: the name {address.host!r} can't be resolved",
            code="port.unresolved",
            hint="check the name server, or write the device's IP address",
        )
    code, hint = _ADVICE.get(exc.errno or 0, ("port.unavailable", ""))
    return TransportUnavailable(f"{address}: {_plain(exc)}", code=code, hint=hint)


def _plain(exc: OSError) -> str:
    """The system's own words: asyncio puts its own in their place."""
    return os.strerror(exc.errno) if exc.errno else str(exc)


def keep_alive(sock: socket.socket) -> None:
    """A peer that vanished is noticed while idle; small frames are not held back."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
