"""A serial server's port, against ser2net: a server that is not ours, with a pty as its serial line.

What ser2net does not do on demand is played by pyserial's own server side, ``serial.rfc2217.PortManager``.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial
from hallctl_drivers.pinganlihe import PLUGIN
from hallctl_drivers.pinganlihe.sim import PingAnLiHeSimulator
from serial.rfc2217 import BINARY, DO, IAC, SE, WILL, PortManager

from hallctl.clock import SystemClock
from hallctl.driver import DisplayKind, DisplayMessage, TerminalContext, on_pty
from hallctl.errors import ConfigError, TransportLost, TransportUnavailable
from hallctl.terminal import Bus
from hallctl.transport import PortAddress, open_port

SER2NET = shutil.which("ser2net") or shutil.which("ser2net", path="/usr/sbin:/sbin")
# pyserial's thread calls what Python has deprecated; and it dies of a connection that ends while it answers.
pytestmark = [
    pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]
CLOCK = SystemClock()
EVERY_BYTE = bytes(range(256)) * 2


class Log:
    def debug(self, event, **_fields): ...

    info = warning = debug


class Server:
    """ser2net between a TCP port and a serial line."""

    def __init__(self, folder: Path, device: str, kick: bool = True) -> None:
        if SER2NET is None:
            pytest.skip("ser2net is not installed (apt-get install ser2net)")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.file = folder / "ser2net.yaml"
        self.file.write_text(
            "connection: &line\n"
            f"  accepter: telnet(rfc2217),tcp,127.0.0.1,{self.port}\n"
            f"  connector: serialdev,{device},9600n81,local\n"
            f"  options:\n    kickolduser: {'true' if kick else 'false'}\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"rfc2217://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self.process = subprocess.Popen(
            [SER2NET or "", "-n", "-d", "-c", self.file, "-P", self.file.with_suffix(".pid")]
        )
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                    return
                await asyncio.sleep(0.05)

    def hang(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self.process is not None:
            self.wake()
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


async def opened(server, query="?baud=9600", retry=("port.unsupported", "port.refused", "port.busy")):
    """A port; the server may still be saying good-bye to the one before."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await open_port(PortAddress.parse(server.url + query), CLOCK)
            except TransportUnavailable as exc:
                if exc.code not in retry:
                    raise
                await asyncio.sleep(0.2)


def write_all(descriptor: int, data: bytes) -> None:
    while data:
        with contextlib.suppress(BlockingIOError):
            data = data[os.write(descriptor, data[:64]) :]


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
    async with await opened(server) as port:
        await port.write(EVERY_BYTE)
        assert await far_bytes(line[0], len(EVERY_BYTE)) == EVERY_BYTE
        os.write(line[0], EVERY_BYTE)
        assert await near_bytes(port, len(EVERY_BYTE)) == EVERY_BYTE


async def test_draining_takes_what_came_and_waits_for_nothing(server, line):
    async with await opened(server) as port:
        assert await port.drain_input() == b""
        os.write(line[0], b"late")
        drained = bytearray()
        async with asyncio.timeout(10):
            while len(drained) < 4:
                drained += await port.drain_input()
                await asyncio.sleep(0.01)
        assert drained == b"late"


async def test_the_line_settings_reach_the_far_port(server, line):
    async with await opened(server, "?baud=19200&parity=even&bytesize=7&stopbits=2"):  # a pty keeps 8 bits, no parity
        _, _, control, _, speed, _, _ = termios.tcgetattr(line[2])
        assert speed == termios.B19200
        assert control & termios.CSTOPB
    async with await opened(server, "?baud=4800"):
        _, _, control, _, speed, _, _ = termios.tcgetattr(line[2])
        assert speed == termios.B4800
        assert not control & termios.CSTOPB


async def test_a_setting_that_the_server_does_not_take_is_named(server):
    with pytest.raises(TransportUnavailable, match=r"does not take stopbits=1\.5") as caught:  # POSIX knows 1 and 2
        await opened(server, "?baud=4800&stopbits=1.5", retry=("port.refused",))
    assert caught.value.code == "port.unsupported"
    await (await opened(server)).close()


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


async def test_reads_cancelled_all_the_time_lose_nothing(server, line):
    text = EVERY_BYTE * 8
    heard = bytearray()
    async with await opened(server) as port:
        sending = asyncio.create_task(asyncio.to_thread(write_all, line[0], text))
        async with asyncio.timeout(30):
            while len(heard) < len(text):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.001):
                        heard += await port.read(7)
        await sending
    assert heard == text


async def test_a_port_in_use_is_told_and_free_again_once_it_is_closed(tmp_path, line):
    server = Server(tmp_path, line[1], kick=False)
    await server.start()
    try:
        async with await opened(server):
            with pytest.raises(TransportUnavailable) as caught:
                await open_port(PortAddress.parse(server.url), CLOCK)
            assert caught.value.code == "port.busy"
        async with await opened(server) as port:
            await port.write(b"mine")
            assert await far_bytes(line[0], 4) == b"mine"
    finally:
        server.stop()


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


async def test_closing_does_not_wait_for_a_server_that_hangs(server, eventually):
    before = set(threading.enumerate())
    port = await opened(server)
    server.hang()
    writing = asyncio.create_task(port.write(bytes(8_000_000)))  # more than the kernels hold: it blocks
    reading = asyncio.create_task(port.read())
    await asyncio.sleep(0.1)
    async with asyncio.timeout(5):
        await port.close()
        await port.close()
    for waiting in (writing, reading):
        with pytest.raises(TransportLost, match="the port is closed"):
            await waiting
    with pytest.raises(TransportLost):
        await port.read()
    await eventually(lambda: set(threading.enumerate()) <= before)


async def test_opening_where_the_server_hangs_fails_and_leaves_the_loop_running(server):
    server.hang()
    opening = asyncio.create_task(open_port(PortAddress.parse(server.url), CLOCK))
    turns = 0
    while not opening.done():
        await asyncio.sleep(0.05)
        turns += 1
    with pytest.raises(TransportUnavailable, match="does not answer in RFC 2217") as caught:
        await opening
    assert "hangs" in caught.value.hint
    assert turns > 10
    server.wake()
    await (await opened(server)).close()


async def test_an_opening_that_is_cancelled_gives_the_port_back(tmp_path, line, eventually):
    before = set(threading.enumerate())
    server = Server(tmp_path, line[1], kick=False)
    await server.start()
    try:
        for pause_s in (0, 0.05, 0.2, 0.4):
            opening = asyncio.create_task(open_port(PortAddress.parse(server.url), CLOCK))
            await asyncio.sleep(pause_s)
            opening.cancel()
            try:
                await (await opening).close()
            except asyncio.CancelledError:
                pass
            except TransportUnavailable as exc:  # the server may still be saying good-bye to the one before
                assert exc.code == "port.busy"
        await eventually(lambda: set(threading.enumerate()) <= before)
        await (await opened(server)).close()
    finally:
        server.stop()


async def test_what_speaks_no_rfc_2217_is_told_with_what_to_write():
    async def silent(reader, writer):
        while await reader.read(4096):
            pass
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as listener:
        number = listener.sockets[0].getsockname()[1]
        with pytest.raises(TransportUnavailable) as caught:
            await open_port(PortAddress.parse(f"rfc2217://127.0.0.1:{number}"), CLOCK)
    assert (caught.value.code, "tcp://" in caught.value.hint) == ("port.unsupported", True)


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_peer_that_hangs_up_at_once_is_told():
    async with await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0) as listener:
        number = listener.sockets[0].getsockname()[1]
        with pytest.raises(TransportUnavailable) as caught:
            await open_port(PortAddress.parse(f"rfc2217://127.0.0.1:{number}"), CLOCK)
    assert (caught.value.code, "tcp://" in caught.value.hint) == ("port.busy", True)


@pytest.mark.parametrize(
    ("host", "code"), [("[::1]", "port.refused"), ("nowhere.invalid", "port.unresolved"), ("a" * 70, "port.unresolved")]
)
async def test_why_nobody_can_be_reached_is_told_as_of_a_tcp_port(host, code, unused_tcp_port):
    with pytest.raises(TransportUnavailable) as caught:
        await open_port(PortAddress.parse(f"rfc2217://{host}:{unused_tcp_port}"), CLOCK)
    assert caught.value.code == code


class Played:
    """pyserial's server for one client; ``then`` goes on with the connection once the client is content."""

    def __init__(self, then: Callable[[socket.socket], object]) -> None:
        self.heard = bytearray()
        self._then = then
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rfc2217://127.0.0.1:{self._listener.getsockname()[1]}"
        self.open = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        with self._listener, self._listener.accept()[0] as client:
            client.settimeout(0.1)
            self.write = client.sendall
            manager = PortManager(serial.serial_for_url("loop://"), self)
            while not self.open.is_set():
                with contextlib.suppress(TimeoutError):
                    if not (data := client.recv(4096)):
                        return
                    self.heard += data
                    list(manager.filter(data))
            self._then(client)
            client.shutdown(socket.SHUT_WR)
            client.settimeout(10)
            while client.recv(4096):  # closing with something unread would take our last words back
                pass


@pytest.fixture
def played() -> Iterator[Callable[[Callable[[socket.socket], object]], Played]]:
    servers: list[Played] = []

    def play(then: Callable[[socket.socket], object]) -> Played:
        servers.append(Played(then))
        return servers[-1]

    yield play
    for server in servers:
        server.open.set()
        server.thread.join()


async def all_until_lost(port) -> tuple[bytes, TransportLost]:
    heard = b""
    async with asyncio.timeout(10):
        while True:
            try:
                heard += await port.read()
            except TransportLost as exc:
                return heard, exc


async def test_last_words_are_delivered_before_the_loss(played):
    for _ in range(5):  # the client's thread and ours race for them
        server = played(lambda client: client.sendall(b"last words" * 100))
        async with await open_port(PortAddress.parse(server.url), CLOCK) as port:
            server.open.set()
            heard, lost = await all_until_lost(port)
        assert heard == b"last words" * 100
        assert "closed the connection" in str(lost)


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")  # nor is there a trace in the log
async def test_a_client_thread_that_dies_of_nonsense_is_a_loss_too(played):
    gone = threading.Event()

    def nonsense(client: socket.socket) -> None:
        client.sendall(b"abc" + IAC + SE)  # the end of a subnegotiation that never began
        gone.wait(30)

    server = played(nonsense)
    async with await open_port(PortAddress.parse(server.url), CLOCK) as port:
        server.open.set()
        heard, _ = await all_until_lost(port)
        with pytest.raises(TransportLost):
            await port.write(b"x")
    gone.set()
    assert heard == b"abc"


async def test_eight_bits_are_asked_for_in_both_directions(played, eventually):
    server = played(lambda _client: None)
    async with await open_port(PortAddress.parse(server.url), CLOCK):
        await eventually(lambda: IAC + WILL + BINARY in server.heard and IAC + DO + BINARY in server.heard)


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
