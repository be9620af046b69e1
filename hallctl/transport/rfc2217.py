"""Serial servers that speak RFC 2217: pyserial's client sets the far port's line and moves the bytes.

The client blocks, so one owned thread a port opens, writes and closes, and takes what the client's own thread has put
into its queue. It looks into that queue itself, because the client's ``read`` throws away what is still there when the
connection ends, and because the client's thread may die of a malformed command without leaving a word.
"""

import asyncio
import contextlib
import queue
import socket
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import serial
from serial.rfc2217 import BINARY, COM_PORT_OPTION, REALLY_INACTIVE, REQUESTED

from hallctl.clock import Clock
from hallctl.errors import HallctlError, TransportLost, TransportUnavailable
from hallctl.transport.base import PortAddress, Transport
from hallctl.transport.serial_settings import SerialSettings, remote_settings
from hallctl.transport.tcp import keep_alive, unreachable
from hallctl.transport.threads import Write, settle

OPEN_TIMEOUT_S = 5.0  # the client's own are 5 s to connect and 3 s for each answer
INPUT_LIMIT = 65536  # the newest bytes are kept for a reader who doesn't come
_LOOK_S = 0.5  # how often to look whether the client's thread lives
_UNANSWERED_MS = 25_000  # as long as keep-alive takes, which doesn't run while a sent byte is unanswered
_NAMES = {"baudrate": "baud", "datasize": "bytesize", "parity": "parity", "stopsize": "stopbits"}
_CLOSED = "the serial server closed the connection"


class Rfc2217Transport(Transport):
    """An open port of a serial server. ``write`` returns when the network has taken the bytes."""

    def __init__(self, address: PortAddress, settings: SerialSettings) -> None:
        self.name = str(address)
        self._address = address
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended = asyncio.Event()
        self._arrived = asyncio.Event()
        self._incoming = bytearray()
        self._writes: deque[Write] = deque()
        self._closing = False
        self._lost: str | None = None
        self._port: Any = _client(address, settings)
        self._thread = threading.Thread(target=self._own_port, name=f"rfc2217 {address.host}", daemon=True)

    async def open(self, clock: Clock) -> None:
        """Connect and agree on the line; raises ``TransportUnavailable``."""
        self._opened.add_done_callback(lambda opened: opened.cancelled() or opened.exception())
        self._thread.start()
        try:
            async with clock.timeout(OPEN_TIMEOUT_S):
                await self._agreed()
        except TimeoutError as exc:
            self._ask_to_close()
            if self._port._socket is None:
                raise unreachable(self._address, exc) from exc
            hint = "the serial server hangs: switch it off and on"
            raise TransportUnavailable(f"{self.name}: no agreement within {OPEN_TIMEOUT_S:g} s", hint=hint) from exc
        except BaseException:
            self._ask_to_close()
            raise

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
        return self._take(INPUT_LIMIT)

    async def write(self, data: bytes) -> None:
        """Hand all of ``data`` to the network. A cancelled write is finished all the same once it was begun."""
        self._raise_if_gone()
        job = Write(bytes(data), self._loop.create_future())
        self._writes.append(job)
        self._wake()
        await job.done

    async def close(self) -> None:
        """Give the port back. A thread that hangs (in the name server, say) is left behind after 1 s."""
        self._ask_to_close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._ended.wait()
            self._thread.join()  # it has said its last word and only has to return

    def _take(self, limit: int) -> bytes:
        data = bytes(self._incoming[:limit])
        del self._incoming[:limit]
        return data

    def _raise_if_gone(self) -> None:
        if self._lost is not None or self._closing:
            raise TransportLost(f"{self.name}: {self._lost or 'the port is closed'}")

    async def _agreed(self) -> None:
        """The client goes on waiting for answers when its thread has seen the end of the connection: we don't."""
        port, dead = self._port, 0
        while not self._opened.done():
            await asyncio.wait([self._opened], timeout=0.1)
            dead = dead + 1 if port.is_open and port._thread is not None and not port._thread.is_alive() else 0
            if dead > 1 and not self._opened.done():  # seen once it may be a thread that is just starting
                raise _hung_up(self._address)
        await self._opened

    def _ask_to_close(self) -> None:
        self._closing = True
        self._arrived.set()
        _shut(self._port)
        self._wake()

    def _wake(self) -> None:
        if self._port._read_buffer is not None:
            self._port._read_buffer.put(b"")

    def _heard(self, data: bytes) -> None:
        self._incoming += data
        del self._incoming[:-INPUT_LIMIT]
        self._arrived.set()

    # What follows runs in the owned thread.

    def _own_port(self) -> None:
        try:
            self._port.open()
            _prepare(self._port)
        except (OSError, ValueError) as exc:
            failure = _unavailable(self._address, self._port, exc)
            _leave(self._port)
            self._end(_CLOSED, failure)
            return
        self._tell(partial(settle, self._opened))
        reason = _CLOSED
        try:
            while not self._closing and self._gather():
                self._send_waiting()
        except OSError as exc:
            reason = str(exc)
        _leave(self._port)
        self._end("the port is closed" if self._closing else reason)

    def _gather(self) -> bool:
        """Wait for bytes, or for a wake; False when no more will come."""
        waiting: queue.Queue[bytes | None] = self._port._read_buffer
        alive: bool = self._port._thread.is_alive()  # asked first: what the client's thread left behind is still taken
        try:
            items = [waiting.get(timeout=_LOOK_S)]
        except queue.Empty:
            return alive
        items += [waiting.get_nowait() for _ in range(waiting.qsize())]
        if data := b"".join(item for item in items if item):
            self._tell(partial(self._heard, data))
        return alive and None not in items

    def _send_waiting(self) -> None:
        while self._writes:
            job = self._writes[0]
            if not job.done.cancelled():
                self._port.write(job.rest)
            self._writes.popleft()
            self._tell(partial(settle, job.done))

    def _tell(self, callback: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(callback)

    def _end(self, reason: str, failure: HallctlError | None = None) -> None:
        def ended() -> None:
            self._lost = reason
            settle(self._opened, failure)
            for job in self._writes:
                settle(job.done, TransportLost(f"{self.name}: {reason}"))
            self._arrived.set()
            self._ended.set()

        self._tell(ended)


async def open_rfc2217(address: PortAddress, clock: Clock) -> Rfc2217Transport:
    """Open a serial server's port; raises ``ConfigError`` for a wrong option, or ``TransportUnavailable`` with
    ``port.refused``, ``port.unreachable``, ``port.unresolved``, ``port.busy`` or ``port.unsupported``."""
    transport = Rfc2217Transport(address, remote_settings(address))
    await transport.open(clock)
    return transport


def _client(address: PortAddress, settings: SerialSettings) -> Any:
    # Servers leave modem lines unanswered that a line does not have; these devices use none of them.
    client = serial.serial_for_url(
        f"{address}?ign_set_control",
        baudrate=settings.baud,
        parity=settings.parity,
        bytesize=settings.bytesize,
        stopbits=settings.stopbits,
        do_not_open=True,
    )
    client._telnet_read_loop = partial(_read_until_it_ends, client._telnet_read_loop)
    return client


def _read_until_it_ends(read_loop: Callable[[], None]) -> None:
    """The client's own thread: a loss, or nonsense, ends it, and the owned thread sees that; a trace helps nobody."""
    with contextlib.suppress(OSError, ValueError, TypeError, LookupError, AttributeError):
        read_loop()


def _prepare(port: Any) -> None:
    """See a cut cable, and ask for eight bits both ways, which the client leaves to the server: outside BINARY a
    server may send a NUL after each carriage return (RFC 854, "The NVT printer and keyboard")."""
    keep_alive(port._socket)
    port._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNANSWERED_MS)
    for option in port._telnet_options:
        if option.option == BINARY and not option.active:
            option.state = REQUESTED
            port.telnet_send_option(option.send_yes, option.option)


def _shut(port: Any) -> None:
    """End what blocks in the client's socket, and let the server have its port back."""
    if (sock := port._socket) is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def _leave(port: Any) -> None:
    """Close. The client's own close sleeps after it has joined its thread, and keeps a socket that was reset."""
    sock, reader = port._socket, port._thread
    port.is_open = False
    _shut(port)
    if reader is not None:
        reader.join(1.0)
        port._thread = None
    port.close()
    if sock is not None:
        sock.close()


def _unavailable(address: PortAddress, port: Any, exc: Exception) -> TransportUnavailable:
    """Why opening failed, in the technician's words. The client tells texts only: its state says more."""
    cause = exc.__context__
    if isinstance(cause, UnicodeError):  # no name of the net is written like that
        return unreachable(address, socket.gaierror())
    if isinstance(cause, OSError) and not isinstance(cause, serial.SerialException):
        return unreachable(address, cause)
    if isinstance(exc, OSError) and not isinstance(exc, serial.SerialException):
        return _hung_up(address)
    if not any(option.active for option in port._telnet_options or () if option.option == COM_PORT_OPTION):
        hint = (
            "write tcp:// for a raw port, or switch the serial server's port to RFC 2217; "
            "when it speaks that already it hangs: switch it off and on"
        )
        text = f"{address}: what listens there does not answer in RFC 2217"
        return TransportUnavailable(text, code="port.unsupported", hint=hint)
    if refused := _refused(address, port):
        hint = "this port of the serial server can't do that: write what it can do, or change the server's settings"
        text = f"{address}: the serial server does not take {refused}"
        return TransportUnavailable(text, code="port.unsupported", hint=hint)
    return TransportUnavailable(f"{address}: {exc}", hint="the serial server hangs: switch it off and on")


def _hung_up(address: PortAddress) -> TransportUnavailable:
    hint = "another program has its only connection; or it is a port that does not speak RFC 2217: then write tcp://"
    return TransportUnavailable(f"{address}: {_CLOSED} at once", code="port.busy", hint=hint)


def _refused(address: PortAddress, port: Any) -> str:
    """The settings that were refused or, when none was, those that were not answered; as hall.yaml has them."""
    states = {_NAMES[name]: item.state for name, item in port._rfc2217_port_settings.items()}
    options = dict(address.options)
    for bad in (REALLY_INACTIVE, REQUESTED):
        if names := [name for name, state in states.items() if state == bad]:
            return ", ".join(f"{name}={options[name]}" if name in options else name for name in names)
    return ""
