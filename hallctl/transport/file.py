"""Device files and plain files: /dev/usb/lp0, FIFOs, a file that collects what a printer would get.

What can be waited for without blocking (usblp, FIFOs, ttys) is watched by the event loop; what cannot (a plain
file) is written in a worker thread, so the loop never stands still.
"""

import asyncio
import errno
import os
import select
import stat
from collections.abc import Callable
from pathlib import Path

from hallctl.clock import Clock, SystemClock
from hallctl.errors import ConfigError, TransportLost, TransportUnavailable
from hallctl.transport.base import PortAddress, Transport
from hallctl.transport.device import lock, unavailable
from hallctl.transport.usb_names import find_lp

_EMPTY_READ_PAUSE_S = 0.1  # usblp answers b"" to an empty USB packet, and some printers send those all day


class FileTransport(Transport):
    """An open file. ``watched``: the event loop can wait for it; ``readable``: its device may speak."""

    def __init__(self, name: str, descriptor: int, *, watched: bool, readable: bool, clock: Clock) -> None:
        self.name = name
        self._descriptor = descriptor
        self._watched = watched
        self._readable = readable
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._gone: str | None = None
        self._waiting: set[asyncio.Event] = set()

    async def read(self, limit: int = 4096) -> bytes:
        """Wait for bytes; on a file that only takes bytes this waits until it is lost or closed."""
        while True:
            self._raise_if_gone()
            data = self._take(limit)
            if data:
                return data
            if data is None:
                await self._until_readable()
            else:
                self._raise_if_hung_up()
                await self._clock.sleep(_EMPTY_READ_PAUSE_S)

    async def drain_input(self) -> bytes:
        """What the device has said already."""
        self._raise_if_gone()
        return self._take(65536) or b""

    async def write(self, data: bytes) -> None:
        """Hand all of ``data`` to the kernel, waiting while the device is busy."""
        self._raise_if_gone()
        if not self._watched:
            await self._write_in_thread(bytes(data))
            return
        rest = bytes(data)
        while rest:
            self._raise_if_gone()
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                await self._until(self._loop.add_writer, self._loop.remove_writer)
            except OSError as exc:
                raise self._lost(exc) from exc

    async def close(self) -> None:
        """Give the file back; a reader or writer that waits is told."""
        self._shut("the file is closed")

    def _take(self, limit: int) -> bytes | None:
        """Bytes that are there, ``None`` when there are none, ``b""`` when the device said nothing at length."""
        if not self._readable:
            return None
        try:
            return os.read(self._descriptor, limit)
        except BlockingIOError:
            return None
        except OSError as exc:
            raise self._lost(exc) from exc

    async def _until_readable(self) -> None:
        if not self._watched:
            await self._until(None, None)
            return
        await self._until(self._loop.add_reader, self._loop.remove_reader)
        if not self._readable:
            self._raise_if_hung_up()

    async def _until(self, watch: Callable[..., object] | None, forget: Callable[[int], object] | None) -> None:
        ready = asyncio.Event()
        self._waiting.add(ready)
        if watch is not None:
            watch(self._descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            self._waiting.discard(ready)
            if forget is not None and self._gone is None:
                forget(self._descriptor)

    async def _write_in_thread(self, data: bytes) -> None:
        copy = os.dup(self._descriptor)  # closing this transport can't pull the descriptor from under the thread
        try:
            await asyncio.to_thread(_write_all_and_close, copy, data)
        except OSError as exc:
            raise self._lost(exc) from exc

    def _raise_if_gone(self) -> None:
        if self._gone is not None:
            raise TransportLost(f"{self.name}: {self._gone}")

    def _raise_if_hung_up(self) -> None:
        self._raise_if_gone()
        poller = select.poll()
        poller.register(self._descriptor, 0)
        if poller.poll(0):
            raise self._lost(OSError(errno.EPIPE, "the other end hung up"))

    def _lost(self, exc: OSError) -> TransportLost:
        self._shut(exc.strerror or str(exc))
        return TransportLost(f"{self.name}: {exc.strerror or exc}")

    def _shut(self, reason: str) -> None:
        if self._gone is not None:
            return
        self._gone = reason
        if self._watched:
            self._loop.remove_reader(self._descriptor)
            self._loop.remove_writer(self._descriptor)
        os.close(self._descriptor)
        for ready in self._waiting:
            ready.set()


async def open_file(address: PortAddress, clock: Clock | None = None) -> FileTransport:
    """Open for this process alone; the file has to be there, because a mistyped path must not make one.

    Raises ``ConfigError`` for options, ``TransportUnavailable`` with ``port.absent``, ``port.permission``,
    ``port.busy``, ``port.unconnected`` (a FIFO that nobody reads) or ``port.unsupported``.
    """
    if address.options:
        raise ConfigError(f"{address}: unknown option {address.options[0][0]!r}", hint="a file:// port has no options")
    opening = asyncio.get_running_loop().run_in_executor(None, _open, address)
    try:
        descriptor, readable = await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_abandoned)
        raise
    watched = _can_watch(descriptor)
    return FileTransport(
        str(address), descriptor, watched=watched, readable=readable and watched, clock=clock or SystemClock()
    )


async def open_usblp(address: PortAddress, clock: Clock | None = None) -> FileTransport:
    """Open the kernel's node of the USB printer with this name, whatever number it has today.

    Raises what ``open_file`` raises, and ``port.ambiguous`` where several printers fit.
    """
    return await open_file(PortAddress("file", path=str(find_lp(address))), clock)


def _open(address: PortAddress) -> tuple[int, bool]:
    """Blocks. The descriptor, and whether its device may speak."""
    try:
        kind = Path(address.path).stat().st_mode
        descriptor, readable = _open_kind(address.path, kind)
    except OSError as exc:
        raise unavailable(address, exc) from exc
    try:
        lock(descriptor)
    except OSError as exc:
        os.close(descriptor)
        raise unavailable(address, exc) from exc
    return descriptor, readable


def _open_kind(path: str, kind: int) -> tuple[int, bool]:
    flags = os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    if not stat.S_ISCHR(kind):  # a FIFO opened for both would read back what it wrote
        return os.open(path, flags | os.O_WRONLY | os.O_APPEND), False
    try:
        return os.open(path, flags | os.O_RDWR), True
    except PermissionError:
        return os.open(path, flags | os.O_WRONLY), False


def _can_watch(descriptor: int) -> bool:
    """epoll refuses plain files and devices without a poll method with EPERM."""
    with select.epoll() as poller:
        try:
            poller.register(descriptor, 0)
        except PermissionError:
            return False
    return True


def _write_all_and_close(descriptor: int, data: bytes) -> None:
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


def _close_abandoned(opening: "asyncio.Future[tuple[int, bool]]") -> None:
    if not opening.cancelled() and not isinstance(opening.exception(), TransportUnavailable):
        os.close(opening.result()[0])
