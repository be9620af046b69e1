"""Serial servers that speak RFC 2217: pyserial's client sets the far port's line and moves the bytes.

The client blocks and polls, so one thread a port reads and another opens, writes and closes. It tells a lost connection
only when it is read again, and it may take seconds to close; both are hidden here.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import serial

from hallctl.clock import Clock
from hallctl.errors import ConfigError, TransportLost, TransportUnavailable
from hallctl.transport.base import PortAddress, Transport
from hallctl.transport.serial_settings import SerialSettings
from hallctl.transport.tcp import keep_alive, unreachable

OPEN_TIMEOUT_S = 10.0  # the client's own are 5 s to connect and 3 s each to agree on the protocol and on the line
INPUT_LIMIT = 65536
_LOOK_S = 0.2  # how long the client waits for a byte before it looks whether it is closed


class Rfc2217Transport(Transport):
    """An open port of a serial server. ``write`` returns when the network has taken the bytes."""

    def __init__(self, address: PortAddress, settings: SerialSettings) -> None:
        self.name = str(address)
        self._address = address
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._incoming = bytearray()
        self._lost: str | None = None
        self._closing = False
        self._port: Any = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=f"rfc2217 {address.host}")

    async def open(self, clock: Clock) -> None:
        """Connect and agree on the line; raises ``TransportUnavailable``."""
        opening = self._loop.run_in_executor(self._worker, self._open)
        opening.add_done_callback(_looked_at)
        try:
            async with clock.timeout(OPEN_TIMEOUT_S):
                await asyncio.shield(opening)
        except TimeoutError as exc:
            await self.close()
            hint = "the serial server hangs: switch it off and on"
            raise TransportUnavailable(f"{self.name}: no agreement in {OPEN_TIMEOUT_S:g} s", hint=hint) from exc
        except BaseException:
            await self.close()
            raise
        threading.Thread(target=self._read_for_ever, name=f"read {self.name}", daemon=True).start()

    async def read(self, limit: int = 4096) -> bytes:
        """Wait for bytes; what arrived before the connection was lost is still delivered."""
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
        """Hand all of ``data`` to the network. A cancelled write is finished all the same."""
        self._raise_if_gone()
        writing = self._loop.run_in_executor(self._worker, self._port.write, bytes(data))
        writing.add_done_callback(_looked_at)
        try:
            await asyncio.shield(writing)
        except (OSError, AttributeError) as exc:  # AttributeError: the client took its socket away meanwhile
            self._lose(str(exc))
            raise TransportLost(f"{self.name}: {self._lost}") from exc

    async def close(self) -> None:
        """Give the port back at once; the client's own leave-taking goes on behind."""
        if self._closing:
            return
        self._closing = True
        self._arrived.set()
        _shut(self._port)
        self._worker.submit(self._close)
        self._worker.shutdown(wait=False)

    def _take(self, limit: int) -> bytes:
        data = bytes(self._incoming[:limit])
        del self._incoming[:limit]
        return data

    def _raise_if_gone(self) -> None:
        if self._lost is not None or self._closing:
            raise TransportLost(f"{self.name}: {self._lost or 'the port is closed'}")

    def _heard(self, data: bytes) -> None:
        self._incoming += data
        del self._incoming[:-INPUT_LIMIT]
        self._arrived.set()

    def _lose(self, reason: str) -> None:
        self._lost = self._lost or reason
        self._arrived.set()

    # What follows runs in threads.

    def _open(self) -> None:
        settings = self._settings
        # Servers leave modem lines unanswered that a line does not have; these devices use none of them.
        url = f"rfc2217://{self._address.host}:{self._address.port}?ign_set_control"
        try:
            port = serial.serial_for_url(
                url,
                baudrate=settings.baud,
                parity=settings.parity,
                bytesize=settings.bytesize,
                stopbits=settings.stopbits,
                timeout=_LOOK_S,
            )
        except (OSError, ValueError) as exc:
            raise _unavailable(self._address, exc) from exc
        keep_alive(port._socket)
        self._port = port

    def _read_for_ever(self) -> None:
        reason = "the port is closed"
        try:
            while not self._closing:
                if data := self._port.read(1):
                    self._tell(partial(self._heard, data + self._port.read(self._port.in_waiting)))
        except (OSError, TypeError, AttributeError):  # the client has lost its thread, or taken its socket away
            reason = "the serial server closed the connection"
        self._tell(partial(self._lose, reason))

    def _close(self) -> None:
        if self._port is not None:
            with contextlib.suppress(OSError):
                _shut(self._port)
                self._port.close()

    def _tell(self, callback: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(callback)


async def open_rfc2217(address: PortAddress, clock: Clock) -> Rfc2217Transport:
    """Open a serial server's port; raises ``TransportUnavailable``, or ``ConfigError`` for a wrong option."""
    transport = Rfc2217Transport(address, remote_settings(address))
    await transport.open(clock)
    return transport


def remote_settings(address: PortAddress) -> SerialSettings:
    """The line that the far port is to have; raises ``ConfigError``."""
    settings = SerialSettings.from_address(address)
    if settings.rs485:
        raise ConfigError(f"{address}: rs485 is the serial server's own setting", hint="set it there; remove rs485=1")
    return settings


def _shut(port: Any) -> None:
    """End what blocks in the client's socket, and let the server have its port back."""
    sock = getattr(port, "_socket", None)
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def _looked_at(done: "asyncio.Future[Any]") -> None:
    if not done.cancelled():
        done.exception()


def _unavailable(address: PortAddress, exc: Exception) -> TransportUnavailable:
    """What the client said, in the technician's words; of a failed connection it keeps only the text."""
    if isinstance(cause := exc.__context__, OSError) and not isinstance(cause, serial.SerialException):
        return unreachable(address, cause)
    text = str(exc)
    if "parameter change" in text or "timeout while waiting for option" in text:
        hint = "the serial server refuses these line settings: correct baud, parity, bytesize or stopbits"
        return TransportUnavailable(f"{address}: {text}", code="port.unsupported", hint=hint)
    hint = (
        "what listens there does not speak RFC 2217, or has given its one connection to another program: "
        "write tcp:// for a raw port, or switch the server's port to RFC 2217"
    )
    return TransportUnavailable(f"{address}: no RFC 2217", code="port.unsupported", hint=hint)
