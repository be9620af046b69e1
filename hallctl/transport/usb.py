"""USB printers without the kernel's printer driver: ``usb://04b8:0e15?serial=X``.

libusb blocks, so two owned threads a port move the bytes: one waits for what the printer says, one for the printer to
take what is written. Both look every fifth of a second whether the port is being closed; the last one to leave gives
the printer back to the kernel.
"""

import asyncio
import contextlib
import errno
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hallctl.clock import Clock
from hallctl.errors import TransportLost, TransportUnavailable
from hallctl.transport.base import PortAddress, Transport
from hallctl.transport.threads import Write, settle
from hallctl.transport.usb_device import UsbPrinterDevice
from hallctl.transport.usb_names import SYSFS, UsbName, find_usb

OPEN_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 2.0
INPUT_LIMIT = 65536  # bytes kept for a reader who doesn't come; what a printer says beyond is old news
LOOK_S = 0.2
_EMPTY_READ_PAUSE_S = 0.02  # some printers answer every read at once with an empty packet
_CHUNK = 16384


class UsbTransport(Transport):
    """An open USB printer. ``write`` returns when the printer itself has taken all bytes."""

    def __init__(self, name: str, device: UsbPrinterDevice) -> None:
        self.name = name
        self._device = device
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._ended = asyncio.Event()
        self._something = threading.Condition()
        self._incoming = bytearray()
        self._writes: deque[Write] = deque()
        self._closing = False
        self._lost: str | None = None
        jobs: list[Callable[[], None]] = [self._send_for_ever] + [self._hear_for_ever] * device.speaks
        self._running = len(jobs)
        self._threads = [threading.Thread(target=self._own, args=(job,), name=name, daemon=True) for job in jobs]
        for thread in self._threads:
            thread.start()

    async def read(self, limit: int = 4096) -> bytes:
        """Wait for bytes; what arrived before the printer was lost is still delivered."""
        while True:
            self._arrived.clear()
            if data := self._take(limit):
                return data
            self._raise_if_gone()
            await self._arrived.wait()

    async def drain_input(self) -> bytes:
        """What has arrived already."""
        return self._take(INPUT_LIMIT)

    async def write(self, data: bytes) -> None:
        """Send all of ``data``. A cancelled write is finished all the same once its first byte is out."""
        job = Write(bytes(data), self._loop.create_future())
        with self._something:
            self._raise_if_gone()
            self._writes.append(job)
            self._something.notify_all()
        await job.done

    async def close(self) -> None:
        """Give the printer back; what it has not taken yet is thrown away."""
        self._stop("the port is closed")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._ended.wait()

    def _take(self, limit: int) -> bytes:
        with self._something:
            data = bytes(self._incoming[:limit])
            del self._incoming[:limit]
        return data

    def _raise_if_gone(self) -> None:
        if self._lost is not None:
            raise TransportLost(f"{self.name}: {self._lost}")

    def _stop(self, reason: str) -> None:
        with self._something:
            self._closing = True
            self._lost = self._lost or reason
            self._something.notify_all()
        self._tell(self._arrived.set)

    # What follows runs in the owned threads.

    def _own(self, job: Callable[[], None]) -> None:
        try:
            job()
        except OSError as exc:
            self._stop(f"unplugged? {exc.strerror or exc}")
        finally:  # whatever else libusb raised: the last thread gives the printer back
            self._stop("the port failed")
            with self._something:
                self._running -= 1
                last = not self._running
            if last:
                self._device.close()
                self._tell(self._end)

    def _hear_for_ever(self) -> None:
        while not self._closing:
            data = self._device.read(LOOK_S)
            if not data:
                time.sleep(_EMPTY_READ_PAUSE_S)
                continue
            with self._something:
                self._incoming += data
                del self._incoming[:-INPUT_LIMIT]
            self._tell(self._arrived.set)

    def _send_for_ever(self) -> None:
        while not self._closing:
            with self._something:
                if not self._writes and not self._something.wait(LOOK_S) and not self._device.plugged:
                    raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
                if not self._writes:
                    continue
                job = self._writes[0]
            if job.rest and not (job.done.cancelled() and not job.started):
                taken = self._device.write(job.rest[:_CHUNK], LOOK_S)
                job.started = job.started or taken > 0
                job.rest = job.rest[taken:]
            if not job.rest or (job.done.cancelled() and not job.started):
                with self._something:
                    self._writes.popleft()
                self._tell(lambda done=job.done: settle(done))  # type: ignore[misc]

    def _tell(self, callback: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(callback)

    def _end(self) -> None:
        for job in self._writes:
            settle(job.done, TransportLost(f"{self.name}: {self._lost}"))
        self._writes.clear()
        self._arrived.set()
        self._ended.set()


async def open_usb(address: PortAddress, clock: Clock, backend: Any = None, sysfs: Path = SYSFS) -> UsbTransport:
    """Open for this process alone, in a worker thread. ``backend``: pyusb's, libusb unless a test gives its own.

    Raises ``ConfigError`` for an option that can't be, ``TransportUnavailable`` with ``port.absent``,
    ``port.ambiguous``, ``port.permission``, ``port.busy`` or ``port.unsupported``.
    """
    UsbName.from_address(address)
    opening = asyncio.get_running_loop().run_in_executor(None, _open, address, backend, sysfs)
    try:
        async with clock.timeout(OPEN_TIMEOUT_S):
            device = await asyncio.shield(opening)
    except TimeoutError as exc:
        opening.add_done_callback(_close_abandoned)
        hint = "the printer or its hub hangs: unplug it and plug it in again"
        raise TransportUnavailable(f"{address}: can't be opened within {OPEN_TIMEOUT_S:g} s", hint=hint) from exc
    except asyncio.CancelledError:
        opening.add_done_callback(_close_abandoned)
        raise
    return UsbTransport(str(address), device)


def _open(address: PortAddress, backend: Any, sysfs: Path) -> UsbPrinterDevice:
    return UsbPrinterDevice.open(address, find_usb(address, sysfs), backend)


def _close_abandoned(opening: "asyncio.Future[UsbPrinterDevice]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
