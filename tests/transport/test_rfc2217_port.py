"""A serial server's port, against ser2net: a server that is not ours, with a pty as its serial line."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import termios
import tty
from pathlib import Path

import pytest
from hallctl_drivers.pinganlihe import PLUGIN
from hallctl_drivers.pinganlihe.sim import PingAnLiHeSimulator

from hallctl.clock import SystemClock
from hallctl.driver import DisplayKind, DisplayMessage, TerminalContext, on_pty
from hallctl.errors import ConfigError, TransportLost, TransportUnavailable
from hallctl.terminal import Bus
from hallctl.transport import PortAddress, open_port

SER2NET = shutil.which("ser2net") or shutil.which("ser2net", path="/usr/sbin:/sbin")
pytestmark = pytest.mark.skipif(SER2NET is None, reason="ser2net is not installed (apt-get install ser2net)")
CLOCK = SystemClock()


class Log:
    def debug(self, event, **_fields): ...

    info = warning = debug


class Server:
    """ser2net between a TCP port and a serial line."""

    def __init__(self, folder: Path, device: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.file = folder / "ser2net.yaml"
        self.file.write_text(
            "connection: &line\n"
            f"  accepter: telnet(rfc2217),tcp,127.0.0.1,{self.port}\n"
            f"  connector: serialdev,{device},9600n81,local\n"
            "  options:\n    kickolduser: true\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"rfc2217://127.0.0.1:{self.port}"

    async def start(self) -> None:
        assert SER2NET is not None
        self.process = subprocess.Popen([SER2NET, "-n", "-d", "-c", self.file, "-P", self.file.with_suffix(".pid")])
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                    return
                await asyncio.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def line():
    """The far side of a serial line, and its device's name."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    yield master, os.ttyname(slave), slave
    os.close(master)
    os.close(slave)


@pytest.fixture
async def server(tmp_path, line):
    server = Server(tmp_path, line[1])
    await server.start()
    yield server
    server.stop()


async def opened(server, query="?baud=9600"):
    """A port; the server may still be saying good-bye to the one before."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await open_port(PortAddress.parse(server.url + query), CLOCK)
            except TransportUnavailable as exc:
                if exc.code not in ("port.unsupported", "port.refused"):
                    raise
                await asyncio.sleep(0.2)


async def far_bytes(master, count):
    heard = b""
    async with asyncio.timeout(10):
        while len(heard) < count:
            with contextlib.suppress(BlockingIOError):
                heard += os.read(master, 4096)
            await asyncio.sleep(0.01)
    return heard


async def near_bytes(port, count):
    heard = b""
    async with asyncio.timeout(10):
        while len(heard) < count:
            heard += await port.read()
    return heard


async def test_every_byte_value_goes_both_ways(server, line):
    every = bytes(range(256)) * 2
    async with await opened(server) as port:
        await port.write(every)
        assert await far_bytes(line[0], len(every)) == every
        os.write(line[0], every)
        assert await near_bytes(port, len(every)) == every
        os.write(line[0], b"late")
        await asyncio.sleep(0.3)
        assert await port.drain_input() == b"late"


async def test_the_line_settings_reach_the_far_port(server, line):
    async with await opened(server, "?baud=19200&parity=even&bytesize=7&stopbits=2"):
        _, _, control, _, speed, _, _ = termios.tcgetattr(line[2])
        assert speed == termios.B19200
        assert control & termios.CSTOPB


async def test_a_cancelled_read_loses_nothing_and_a_second_opening_works(server, line):
    async with await opened(server) as port:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await port.read()
        os.write(line[0], b"abc")
        assert await near_bytes(port, 3) == b"abc"
    with pytest.raises(TransportLost):
        await port.write(b"x")
    async with await opened(server) as port:
        await port.write(b"again")
        assert await far_bytes(line[0], 5) == b"again"


async def test_a_server_that_dies_is_lost_at_once_and_found_when_it_is_back(server, line):
    port = await opened(server)
    reading = asyncio.create_task(port.read())
    await asyncio.sleep(0.1)
    server.stop()
    with pytest.raises(TransportLost, match="closed the connection"):
        async with asyncio.timeout(10):
            await reading
    with pytest.raises(TransportLost):
        await port.write(b"x")
    await port.close()
    with pytest.raises(TransportUnavailable) as caught:
        await open_port(PortAddress.parse(server.url), CLOCK)
    assert caught.value.code == "port.refused"
    await server.start()
    await (await opened(server)).close()


async def test_closing_does_not_wait_for_a_server_that_hangs(server):
    port = await opened(server)
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    async with asyncio.timeout(5):
        await port.close()
        await port.close()
    with pytest.raises(TransportLost):
        await port.read()


async def test_what_speaks_no_rfc_2217_is_told_with_what_to_write():
    listener = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    number = listener.sockets[0].getsockname()[1]
    with pytest.raises(TransportUnavailable) as caught:
        await open_port(PortAddress.parse(f"rfc2217://127.0.0.1:{number}"), CLOCK)
    assert (caught.value.code, "tcp://" in caught.value.hint) == ("port.unsupported", True)
    listener.close()


@pytest.mark.parametrize(
    ("query", "word"), [("?baud=fast", "no speed"), ("?rs485=1", "own setting"), ("?bits=7", "bits")]
)
async def test_options_that_make_no_sense_are_refused_by_name(query, word):
    with pytest.raises(ConfigError, match=word):
        await open_port(PortAddress.parse(f"rfc2217://127.0.0.1:4001{query}"), CLOCK)


async def test_a_bus_works_behind_a_serial_server(tmp_path):
    bar, link = PingAnLiHeSimulator(address=3), str(tmp_path / "line")
    async with on_pty([bar], link):
        server = Server(tmp_path, link)
        await server.start()
        bus = Bus("hall", PortAddress.parse(f"{server.url}?baud=9600"), CLOCK, Log())
        running = asyncio.create_task(bus.run())
        try:
            async with asyncio.timeout(30):
                while not bus.is_open:
                    await asyncio.sleep(0.05)
            context = TerminalContext("bar-3", CLOCK, Log(), None)
            driver = PLUGIN.make(context, PLUGIN.options())
            await driver.start(bus.attach(3, PLUGIN.framing, PLUGIN.bus_gap_s))
            await driver.show(DisplayMessage(DisplayKind.CALL, ("...",), ticket="A001", window="3"))
            assert bar.shown.lines == ("请A001号到3号窗口",)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            server.stop()
