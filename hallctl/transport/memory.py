"""A null modem in memory: two transports back to back, for tests and for codecs wired to simulators."""

import asyncio

from hallctl.errors import TransportLost
from hallctl.transport.base import Transport


class MemoryTransport(Transport):
    """One end of a null modem. What one end writes, the other reads, in order and at once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._incoming = bytearray()
        self._arrived = asyncio.Event()
        self._closed = False
        self._peer: MemoryTransport | None = None

    async def read(self, limit: int = 4096) -> bytes:
        """Wait for bytes of the other end."""
        while not self._incoming:
            self._raise_if_closed()
            self._arrived.clear()
            await self._arrived.wait()
        return self._take(limit)

    async def write(self, data: bytes) -> None:
        """Put bytes before the other end."""
        self._raise_if_closed()
        if self._peer is not None:
            self._peer._receive(data)
        await asyncio.sleep(0)

    async def drain_input(self) -> bytes:
        """What has arrived already."""
        return self._take(len(self._incoming))

    async def close(self) -> None:
        """Pull the plug: both ends are lost."""
        for end in (self, self._peer):
            if end is not None and not end._closed:
                end._closed = True
                end._arrived.set()

    def _take(self, limit: int) -> bytes:
        data = bytes(self._incoming[:limit])
        del self._incoming[:limit]
        return data

    def _receive(self, data: bytes) -> None:
        self._incoming += data
        self._arrived.set()

    def _raise_if_closed(self) -> None:
        if self._closed:
            raise TransportLost(f"{self.name}: the null modem is unplugged")


def null_modem(near: str = "near", far: str = "far") -> tuple[MemoryTransport, MemoryTransport]:
    """Two connected ends."""
    left, right = MemoryTransport(near), MemoryTransport(far)
    left._peer, right._peer = right, left
    return left, right
