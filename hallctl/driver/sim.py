"""The device's side of a driver, first-class: strict, with faults by name, on the same wires as the device.

A wire simulator is sans-IO: it is fed bytes and answers with bytes; the host below puts it on TCP or a pty, or
several of them on one bus. A stream simulator (camera) serves by itself, a visiting one (a tablet)
connects to the driver.
"""

import asyncio
import contextlib
import os
import time
import tty
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from hallctl.driver.uart import UartLine
from hallctl.errors import ConfigError

_DEAF_LOOK_S = 0.05


class Simulator(ABC):  # noqa: B024  # abstract by kind: a wire or a stream simulator is made
    """Any device's side. ``FAULTS`` maps the name of a fault to what the device then does."""

    FAULTS: ClassVar[Mapping[str, str]] = {}

    def __init__(self, fault: str | None = None) -> None:
        if fault is not None and fault not in self.FAULTS:
            known = ", ".join(sorted(self.FAULTS)) or "none"
            raise ConfigError(f"no fault is called {fault!r}", hint=f"faults of this simulator: {known}")
        self.fault = fault
        self._shown: bytes | None = None

    def draw(self) -> bytes | None:
        """What a person would see on the device now, as PNG; ``None`` where there is nothing to see."""
        return None

    def new_pictures(self) -> list[bytes]:
        """What has come to be seen since the last call, as PNG: here what the device shows now, if that is new."""
        shown, self._shown = self._shown, self.draw()
        return [self._shown] if self._shown is not None and self._shown != shown else []


class WireSimulator(Simulator):
    """A device on a wire. It refuses what the real one would, and counts it in ``refused``."""

    def __init__(self, fault: str | None = None) -> None:
        super().__init__(fault)
        self.refused: list[str] = []
        self.reply_delay_s = 0.0
        self.now: Callable[[], float] = time.monotonic  # a test gives it a clock that stands still
        self.emit: Callable[[bytes], None] = lambda _data: None

    @property
    def listening(self) -> bool:
        """False: the device takes nothing from the wire any more, although the connection stands."""
        return True

    @abstractmethod
    def feed(self, data: bytes) -> bytes:
        """Take bytes from the wire, in any pieces; return what the device answers to them."""

    def connected(self) -> None:
        """A peer has opened the port (default: nothing happens)."""


class VisitingSimulator(Simulator):
    """A device that comes by itself: a tablet that opens the page of a pad."""

    @abstractmethod
    def visit(self, where: str) -> contextlib.AbstractAsyncContextManager[None]:
        """Connect to ``where`` (a URL) and stay, reconnecting as the device does, until the block is left."""


class StreamSimulator(Simulator):
    """A camera's side."""

    @abstractmethod
    def serve(self, host: str, port: int) -> contextlib.AbstractAsyncContextManager[str]:
        """Serve until the block is left; gives the URL of the stream. Port 0: any free one."""


@contextlib.asynccontextmanager
async def on_tcp(simulator: WireSimulator, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Put a device on a TCP port; gives its ``tcp://`` address. A new peer takes the wire from the last one."""
    writers: list[asyncio.StreamWriter] = []

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        simulator.emit = writer.write
        simulator.connected()
        # cancelled: the simulator ends while a slow device still thinks; asyncio would write a trace about that
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while data := await _heard(simulator, reader):
                await _answer(simulator, data, writer.write)
        writer.close()

    server = await asyncio.start_server(peer, host, port)
    number = server.sockets[0].getsockname()[1]
    try:
        yield f"tcp://{host}:{number}"
    finally:
        server.close()
        for writer in writers:
            writer.close()


@contextlib.asynccontextmanager
async def on_pty(
    simulators: Sequence[WireSimulator], link: str | None = None, *, line: str | None = None
) -> AsyncIterator[str]:
    """Put one device, or several on one bus, on a pseudo-terminal; gives its path (``link``: a symlink to it).

    ``line`` is what the devices are set to, as "9600 8N1": a host with another setting is not understood, and hears
    nonsense, as on a real line. ``None``: they follow the host.

    Every device hears every byte, as on RS-485; what one answers, the others do not hear. Leaving the block
    unplugs the adapter: whoever has the port open loses it. Entering again with the same ``link`` plugs it in.
    """
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    path = os.ttyname(slave)
    bus = _PtyBus(master, simulators, line)
    bus.plug_in()
    if link:
        _point(link, path)
    try:
        yield link or path
    finally:
        if link:
            _unpoint(link, path)
        await bus.unplug()
        os.close(slave)


class _PtyBus:
    """The devices' side of a pseudo-terminal."""

    def __init__(self, master: int, simulators: Sequence[WireSimulator], line: str | None = None) -> None:
        self._master = master
        self._line = UartLine.parse(line) if line is not None else None
        self._simulators = simulators
        self._queues = [asyncio.Queue[bytes]() for _ in simulators]
        self._tasks: list[asyncio.Task[None]] = []
        self._loop = asyncio.get_running_loop()
        self._deaf: asyncio.TimerHandle | None = None

    def plug_in(self) -> None:
        for simulator, queue in zip(self._simulators, self._queues, strict=True):
            simulator.emit = self._write
            simulator.connected()
            self._tasks.append(asyncio.create_task(self._device(simulator, queue)))
        self._loop.add_reader(self._master, self._read)

    async def unplug(self) -> None:
        """Close the master, which hangs up the other side; raises what a simulator raised meanwhile."""
        if self._deaf is not None:
            self._deaf.cancel()
        self._loop.remove_reader(self._master)
        for simulator in self._simulators:
            simulator.emit = _nobody  # the descriptor's number may soon be somebody else's
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        os.close(self._master)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                raise result

    async def _device(self, simulator: WireSimulator, queue: asyncio.Queue[bytes]) -> None:
        while True:
            await _answer(simulator, await queue.get(), self._write)

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(BlockingIOError):  # nobody reads: a UART drops the bytes as well
            os.write(self._master, self._crossed(data))

    def _crossed(self, data: bytes) -> bytes:
        """What of it the other side makes out, with the settings of both ends as they are now."""
        return data if self._line is None else self._line.heard(data, UartLine.of(self._master))

    def _read(self) -> None:
        if not any(simulator.listening for simulator in self._simulators):
            self._loop.remove_reader(self._master)
            self._deaf = self._loop.call_later(_DEAF_LOOK_S, self._loop.add_reader, self._master, self._read)
            return
        with contextlib.suppress(OSError):
            data = self._crossed(os.read(self._master, 4096))
            for queue in self._queues if data else ():
                queue.put_nowait(data)


def _nobody(_data: bytes) -> None:
    """Where an unplugged device speaks to."""


def _point(link: str, path: str) -> None:
    """Make or move the symlink in one step, as udev does: whoever opens it finds the old device or the new one."""
    fresh = Path(f"{link}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(path)
    fresh.replace(link)


def _unpoint(link: str, path: str) -> None:
    """Remove the symlink unless somebody else has been plugged in under its name."""
    with contextlib.suppress(OSError):
        if str(Path(link).readlink()) == path:
            Path(link).unlink()


async def _heard(simulator: WireSimulator, reader: asyncio.StreamReader) -> bytes:
    while not simulator.listening:  # noqa: ASYNC110  # a fault may be switched on at any time by setting an attribute
        await asyncio.sleep(_DEAF_LOOK_S)
    return await reader.read(4096)


async def _answer(simulator: WireSimulator, data: bytes, write: Callable[[bytes], object]) -> None:
    reply = simulator.feed(data)
    if simulator.reply_delay_s:
        await asyncio.sleep(simulator.reply_delay_s)
    if reply:
        write(reply)
