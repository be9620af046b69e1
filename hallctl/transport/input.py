"""Keyboards and pads that are keyboards: /dev/input, for one process alone.

The kernel hands out whole events (struct input_event, linux/input.h), and with EVIOCGRAB to nobody else: a citizen's
key press must not type into the console's login. Their times are of CLOCK_MONOTONIC: setting the clock moves no key.
"""

import asyncio
import errno
import fcntl
import os
import struct
import time

from hallctl.errors import ConfigError, TransportLost, TransportUnavailable
from hallctl.transport.base import PortAddress, Transport
from hallctl.transport.device import unavailable

EVENT_SIZE = struct.calcsize("@llHHi")  # struct input_event: two longs of time, type, code, value
_EVIOCGRAB = 0x40044590  # _IOW('E', 0x90, int)
_EVIOCSCLOCKID = 0x400445A0  # _IOW('E', 0xa0, int)
_EVIOCGNAME_256 = 0x81004506  # _IOC(_IOC_READ, 'E', 0x06, 256)
_MOST_EVENTS = 64


class InputTransport(Transport):
    """An open input device; it only speaks. ``device_name`` is what it calls itself."""

    def __init__(self, name: str, descriptor: int, device_name: str) -> None:
        self.name = name
        self.device_name = device_name
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._gone: str | None = None
        self._ready = asyncio.Event()

    async def read(self, limit: int = 4096) -> bytes:
        """Wait for events; always a whole number of them, so ``limit`` is at least one."""
        while True:
            if data := self._take(limit):
                return data
            self._ready.clear()
            self._loop.add_reader(self._descriptor, self._ready.set)
            try:
                await self._ready.wait()
            finally:
                if self._gone is None:
                    self._loop.remove_reader(self._descriptor)

    async def write(self, data: bytes) -> None:  # noqa: ARG002  # there is nothing to write to
        """Never works: a keyboard takes nothing."""
        raise TransportUnavailable(f"{self.name}: an input device takes no bytes", code="port.unsupported")

    async def drain_input(self) -> bytes:
        """What has been pressed already."""
        return self._take(_MOST_EVENTS * EVENT_SIZE)

    async def close(self) -> None:
        """Let others have its keys again."""
        if self._gone is None:
            self._end("the port is closed")

    def _take(self, limit: int) -> bytes:
        if self._gone is not None:
            raise TransportLost(f"{self.name}: {self._gone}")
        events = max(1, min(_MOST_EVENTS, limit // EVENT_SIZE))
        try:
            return os.read(self._descriptor, events * EVENT_SIZE)
        except BlockingIOError:
            return b""
        except OSError as exc:
            self._end(f"unplugged? {exc.strerror or exc}")
            raise TransportLost(f"{self.name}: {self._gone}") from exc

    def _end(self, reason: str) -> None:
        self._gone = reason
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)  # gives the grab back, too
        self._ready.set()


async def open_input(address: PortAddress) -> InputTransport:
    """Open and grab the device; raises ``TransportUnavailable``, or ``ConfigError`` for an option."""
    if address.options:
        raise ConfigError(f"{address}: an input port has no option {address.options[0][0]!r}", hint="remove the '?...'")
    try:
        descriptor = os.open(address.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise unavailable(address, exc) from exc
    try:
        fcntl.ioctl(descriptor, _EVIOCSCLOCKID, struct.pack("i", time.CLOCK_MONOTONIC))
        fcntl.ioctl(descriptor, _EVIOCGRAB, 1)
    except OSError as exc:
        os.close(descriptor)
        raise _refused(address, exc) from exc
    return InputTransport(str(address), descriptor, _name(descriptor))


def _name(descriptor: int) -> str:
    """What the device calls itself; one without a name is as good."""
    try:
        answer = fcntl.ioctl(descriptor, _EVIOCGNAME_256, bytes(256))
    except OSError:
        return ""
    return answer.partition(b"\0")[0].decode("utf-8", "replace")


def _refused(address: PortAddress, exc: OSError) -> TransportUnavailable:
    if exc.errno in (errno.EBUSY, errno.ENODEV):  # somebody grabbed it; the plug was pulled meanwhile
        return unavailable(address, exc)
    return unavailable(address, OSError(errno.ENOTTY, "it is no input device"))
