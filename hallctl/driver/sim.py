"""The device's side of a driver, first-class: strict, with faults by name, on the same wires as the device.

A wire simulator is sans-IO: it is fed bytes and answers with bytes; the host below puts it on TCP or a pty, or
several of them on one bus. A stream simulator (camera) serves by itself.
"""

import asyncio
import contextlib
import os
import tty
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import ClassVar

from hallctl.errors import ConfigError


class Simulator(ABC):  # noqa: B024  # abstract by kind: a wire or a stream simulator is made
    """Any device's side. ``FAULTS`` maps the name of a fault to what the device then does."""

    FAULTS: ClassVar[Mapping[str, str]] = {}

    def __init__(self, fault: str | None = None) -> None:
        if fault is not None and fault not in self.FAULTS:
            known = ", ".join(sorted(self.FAULTS)) or "none"
            raise ConfigError(f"no fault is called {fault!r}", hint=f"faults of this simulator: {known}")
        self.fault = fault

    def draw(self) -> bytes | None:
        """What a person would see on the device now, as PNG; ``None`` where there is nothing to see."""
        return None


class WireSimulator(Simulator):
    """A device on a wire. It refuses what the real one would, and counts it in ``refused``."""

    def __init__(self, fault: str | None = None) -> None:
        super().__init__(fault)
        self.refused: list[str] = []
        self.reply_delay_s = 0.0
        self.emit: Callable[[bytes], None] = lambda _data: None

    @abstractmethod
    def feed(self, data: bytes) -> bytes:
        """Take bytes from the wire, in any pieces; return what the device answers to them."""

    def connected(self) -> None:
        """A peer has opened the port (default: nothing happens)."""


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
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
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
async def on_pty(simulators: Sequence[WireSimulator], link: str | None = None) -> AsyncIterator[str]:
    """Put one device, or several on one bus, on a pseudo-terminal; gives its path (``link``: a symlink to it).

    Every device hears every byte, as on RS-485; what one answers, the others do not hear.
    """
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    path = os.ttyname(slave)
    if link:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(link)  # noqa: PTH108
        os.symlink(path, link)  # noqa: PTH211
    tasks: set[asyncio.Task[None]] = set()
    queues = [asyncio.Queue[bytes]() for _ in simulators]

    def write(data: bytes) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(master, data)

    def readable() -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            data = os.read(master, 4096)
            for queue in queues:
                queue.put_nowait(data)

    async def device(simulator: WireSimulator, queue: asyncio.Queue[bytes]) -> None:
        while True:
            await _answer(simulator, await queue.get(), write)

    for simulator, queue in zip(simulators, queues, strict=True):
        simulator.emit = write
        simulator.connected()
        tasks.add(asyncio.create_task(device(simulator, queue)))
    loop = asyncio.get_running_loop()
    loop.add_reader(master, readable)
    try:
        yield link or path
    finally:
        loop.remove_reader(master)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        os.close(master)
        os.close(slave)
        if link:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(link)  # noqa: PTH108


async def _answer(simulator: WireSimulator, data: bytes, write: Callable[[bytes], object]) -> None:
    reply = simulator.feed(data)
    if simulator.reply_delay_s:
        await asyncio.sleep(simulator.reply_delay_s)
    if reply:
        write(reply)
