"""Serial ports: pyserial opens and sets the line, one owned thread a port moves the bytes.

Opening, draining and closing a tty may block for long, and asyncio must not. So one thread owns the descriptor
from open to close: it alone reads, writes and closes, and a pipe wakes it. A lost port is closed by that thread
at once, because a descriptor that stays open makes the re-plugged adapter come back as the next ttyUSB number.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import select
import struct
import termios
import threading
from collections import deque
from collections.abc import Callable
from functools import partial

from hallctl.clock import Clock
from hallctl.errors import HallctlError, TransportLost, TransportUnavailable
from hallctl.transport.base import PortAddress, Transport
from hallctl.transport.serial_settings import SerialSettings
from hallctl.transport.threads import Write, settle
from hallctl.transport.tty import close_pyserial, open_pyserial
from hallctl.transport.uart import UartState, read_uart

OPEN_TIMEOUT_S = 5.0
INPUT_LIMIT = 65536  # bytes kept for a reader who doesn't come; then the kernel's own buffer fills
_DRAIN_STEP_S = 0.001
_DRAIN_EXTRA_S = 0.5


class SerialTransport(Transport):
    """An open serial port. ``write`` returns when the kernel's output queue is empty, as tcdrain would."""

    def __init__(self, address: PortAddress, settings: SerialSettings) -> None:
        self.name = str(address)
        self._address = address
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended = asyncio.Event()
        self._arrived = asyncio.Event()
        self._lock = threading.Lock()
        self._incoming = bytearray()
        self._writes: deque[Write] = deque()
        self._closing = False
        self._lost: str | None = None
        self._descriptor = -1  # of the open port; the thread closes it
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._own_port, name=f"serial {address.path}", daemon=True)

    async def open(self, clock: Clock) -> None:
        """Start the thread and wait until it has the port; raises ``TransportUnavailable``."""
        self._thread.start()
        try:
            async with clock.timeout(OPEN_TIMEOUT_S):
                await asyncio.shield(self._opened)
        except TimeoutError as exc:
            self._abandon_opening()
            hint = "the driver of this adapter hangs: unplug it and plug it in again"
            raise TransportUnavailable(f"{self.name}: can't be opened within {OPEN_TIMEOUT_S:g} s", hint=hint) from exc
        except TransportUnavailable:
            self._thread.join()  # it has said its last word and only has to return
            raise
        except asyncio.CancelledError:
            self._abandon_opening()
            raise

    async def read(self, limit: int = 4096) -> bytes:
        """Wait for bytes; what arrived before the port was lost is still delivered."""
        while True:
            self._arrived.clear()
            data = b"" if self._closing else self._take(limit)
            if data:
                return data
            self._raise_if_gone()
            await self._arrived.wait()

    async def drain_input(self) -> bytes:
        """What has arrived already."""
        return self._take(INPUT_LIMIT * 2)

    async def write(self, data: bytes) -> None:
        """Send all of ``data``. A cancelled write is finished all the same once its first byte is out."""
        job = Write(bytes(data), self._loop.create_future())
        with self._lock:
            self._raise_if_gone()
            self._writes.append(job)
        self._wake()
        await job.done

    def uart(self) -> UartState:
        """Asked while the thread can't close the port."""
        with self._lock:
            return read_uart(self._descriptor) if self._descriptor >= 0 else UartState()

    async def close(self) -> None:
        """Give the port back; what has not left yet is thrown away. A thread that hangs is left behind after 1 s."""
        self._ask_to_close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._ended.wait()
            self._thread.join()  # it has said its last word and only has to return

    def _take(self, limit: int) -> bytes:
        with self._lock:
            was_full = len(self._incoming) >= INPUT_LIMIT
            data = bytes(self._incoming[:limit])
            del self._incoming[:limit]
        if was_full:
            self._wake()
        return data

    def _raise_if_gone(self) -> None:
        if self._lost is not None or self._closing:
            raise TransportLost(f"{self.name}: {self._lost or 'the port is closed'}")

    def _abandon_opening(self) -> None:
        self._opened.add_done_callback(lambda opened: opened.cancelled() or opened.exception())
        self._ask_to_close()

    def _ask_to_close(self) -> None:
        with self._lock:
            self._closing = True
        self._arrived.set()
        self._wake()

    def _wake(self) -> None:
        with self._lock, contextlib.suppress(BlockingIOError):
            if self._wake_write >= 0:
                os.write(self._wake_write, b"!")

    # What follows runs in the owned thread.

    def _own_port(self) -> None:
        try:
            port = open_pyserial(self._address, self._settings)
        except HallctlError as exc:
            self._end(partial(settle, self._opened, exc))
            return
        with self._lock:
            self._descriptor = port.fileno()
        self._tell(partial(settle, self._opened))
        reason = "the port is closed"
        try:
            self._move_bytes(port.fileno())
        except OSError as exc:
            reason = f"unplugged? {exc.strerror or exc}"
        with self._lock:
            self._descriptor = -1
        close_pyserial(port)
        self._end(partial(self._fail_writes, reason), reason)

    def _move_bytes(self, descriptor: int) -> None:
        """Until closing: read what comes, write what waits; raises ``OSError`` when the device is gone."""
        while not self._closing:
            with self._lock:
                room = len(self._incoming) < INPUT_LIMIT
                job = self._writes[0] if self._writes else None
            self._wait(descriptor, room, job is not None)
            if job is not None:
                self._write_some(descriptor, job)

    def _wait(self, descriptor: int, room: bool, sending: bool, timeout_s: float | None = None) -> None:
        """Sleep until something can be done, and read what has come."""
        poller = select.poll()  # not select(): a daemon with many cameras has descriptors above 1023
        poller.register(self._wake_read, select.POLLIN)
        poller.register(descriptor, (select.POLLIN if room else 0) | (select.POLLOUT if sending else 0))
        ready = dict(poller.poll(None if timeout_s is None else timeout_s * 1000))
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 512)
        state = ready.get(descriptor, 0)
        if state & select.POLLIN and self._read_some(descriptor):
            return
        if state & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
            raise OSError(errno.EIO, "the device hung up")

    def _read_some(self, descriptor: int) -> bool:
        try:
            data = os.read(descriptor, 4096)  # b"" is no end: a tty with VMIN 0 says so when nothing is there
        except BlockingIOError:
            return False
        if data:
            with self._lock:
                self._incoming += data
            self._tell(self._arrived.set)
        return bool(data)

    def _write_some(self, descriptor: int, job: Write) -> None:
        if job.done.cancelled() and not job.started:
            self._writes.popleft()
            return
        size = len(job.rest)
        with contextlib.suppress(BlockingIOError):
            job.rest = job.rest[os.write(descriptor, job.rest) :]
            job.started = True
        if job.rest:
            return
        self._drain(descriptor, size)
        with self._lock:
            self._writes.popleft()
        self._tell(partial(settle, job.done))

    def _drain(self, descriptor: int, size: int) -> None:
        """Wait like tcdrain, but keep reading and stay able to close: flow control may hold bytes for ever."""
        steps = int((size * self._settings.byte_s + _DRAIN_EXTRA_S) / _DRAIN_STEP_S)
        for _ in range(steps):
            if self._closing or not _output_queue(descriptor):
                return
            self._wait(descriptor, True, False, _DRAIN_STEP_S)

    def _tell(self, callback: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(callback)

    def _end(self, callback: Callable[[], object], reason: str = "the port is closed") -> None:
        with self._lock:
            self._lost = reason
            os.close(self._wake_read)
            os.close(self._wake_write)
            self._wake_read = self._wake_write = -1

        def ended() -> None:
            callback()
            self._arrived.set()
            self._ended.set()

        self._tell(ended)

    def _fail_writes(self, reason: str) -> None:
        for job in self._writes:
            settle(job.done, TransportLost(f"{self.name}: {reason}"))
        self._writes.clear()


async def open_serial(address: PortAddress, clock: Clock) -> SerialTransport:
    """Open the port for this process alone.

    Raises ``ConfigError`` for an option that can't be, ``TransportUnavailable`` with ``port.absent``,
    ``port.permission``, ``port.busy`` or ``port.unsupported``.
    """
    transport = SerialTransport(address, SerialSettings.from_address(address))
    await transport.open(clock)
    return transport


def _output_queue(descriptor: int) -> int:
    return int(struct.unpack("I", fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)))[0])
