"""Three ejabberd nodes on this machine, and a balancer in front of them, as a centre would have it.

ejabberd is one of the clustered engines that Debian brings. It routes between its nodes, but retains a message only
where it was published, and a killed node's sessions and wills are gone (docs/brokers.md).
"""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

LIBRARIES = Path("/usr/lib")
COOKIE = "hallctl-tests"
CONFIG = """\
hosts: [localhost]
loglevel: warning
auth_method: [anonymous]
anonymous_protocol: login_anon
allow_multiple_connections: true
listen:
  - {{port: {port}, ip: "127.0.0.1", module: mod_mqtt, max_payload_size: 262144}}
modules:
  mod_mqtt:
    session_expiry: 14 days
    max_queue: 100000
    access_publish: {{"#": [{{allow: all}}]}}
    access_subscribe: {{"#": [{{allow: all}}]}}
"""


def missing() -> str:
    """Why there can't be a cluster here; empty when there can."""
    if not shutil.which("erl") or _libraries() is None:
        return "ejabberd is missing: apt-get install ejabberd"
    return ""


def _libraries() -> Path | None:
    return next((path.parent for path in LIBRARIES.glob("*/ejabberd-*") if path.is_dir()), None)


class Cluster:
    """Nodes 1 to 3; each has an MQTT port."""

    def __init__(self, folder: Path) -> None:
        self.ports = [free_port() for _ in range(3)]
        self._folder = folder
        self._nodes: dict[int, subprocess.Popen[bytes]] = {}
        self._environment = {
            **os.environ,
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_LIBS": str(_libraries()),
            "HOME": str(folder),
        }

    def start(self) -> None:
        self._epmd = subprocess.Popen(["epmd"], env=self._environment, stdout=subprocess.DEVNULL)
        for number in range(3):
            self.start_node(number)
        for number in (1, 2):
            joined = self._ask(f"rpc:call('{_name(number)}', ejabberd_cluster, join, ['{_name(0)}'])")
            assert joined == "ok", joined
        for port in self.ports:
            wait_for(port)
        self._wait_for_all()

    def bring_back(self, number: int) -> None:
        """Start a killed node again, and wait until the others have it among them: its port is open before."""
        self.start_node(number)
        self._wait_for_all()

    def start_node(self, number: int) -> None:
        folder = self._folder / f"node-{number}"
        folder.mkdir(exist_ok=True)
        (folder / "ejabberd.yml").write_text(CONFIG.format(port=self.ports[number]))
        environment = {
            **self._environment,
            "EJABBERD_CONFIG_PATH": str(folder / "ejabberd.yml"),
            "EJABBERD_LOG_PATH": str(folder / "ejabberd.log"),
            "ERL_CRASH_DUMP": str(folder / "crash.dump"),
        }
        command = ["erl", "-noinput", "-name", _name(number), "-setcookie", COOKIE, "-start_epmd", "false"]
        command += ["-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-mnesia", "dir", f'"{folder}/db"']
        command += ["-kernel", "prevent_overlapping_partitions", "false"]  # else a node that is back is thrown out
        with (folder / "out").open("ab") as out:
            self._nodes[number] = subprocess.Popen(
                [*command, "-s", "ejabberd"], env=environment, stdout=out, stderr=out
            )
        wait_for(self.ports[number])

    def kill(self, number: int) -> None:
        node = self._nodes.pop(number)
        node.kill()
        node.wait()

    def lives(self, number: int) -> bool:
        """Whether this node has not been killed."""
        return number in self._nodes

    def stop(self) -> None:
        for number in list(self._nodes):
            self.kill(number)
        self._epmd.kill()
        self._epmd.wait()

    def _wait_for_all(self, seconds: float = 60) -> None:
        """Until every node says that it sees three."""
        names = ", ".join(f"'{_name(number)}'" for number in range(3))
        look = "[case rpc:call(N, ejabberd_cluster, get_nodes, []) of L when is_list(L) -> length(L); _ -> 0 end"
        look += f" || N <- [{names}]]"
        end = time.monotonic() + seconds
        while (seen := self._ask(look)) != "[3,3,3]":
            assert time.monotonic() < end, f"the nodes see {seen} of each other"

    def _ask(self, expression: str) -> str:
        command = ["erl", "-noshell", "-name", f"asks{time.monotonic_ns()}@127.0.0.1", "-setcookie", COOKIE]
        command += ["-start_epmd", "false", "-eval", f'io:format("~p", [{expression}]), halt().']
        found = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=60, check=True)
        return found.stdout.strip()


class Balancer:
    """A TCP port in front of several: each connection goes to the next one that lives."""

    def __init__(self, ports: list[int]) -> None:
        self.port = 0
        self._ports = ports
        self._turn = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Balancer":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            there_reads, there_writes = await self._connect()
            await _first_over(_copy(reader, there_writes), _copy(there_reads, writer))
            there_writes.close()
        writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for _ in self._ports:
            self._turn += 1
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", self._ports[self._turn % len(self._ports)])
        raise ConnectionError("no node lives")


async def _first_over(*work: object) -> None:
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


def _name(number: int) -> str:
    return f"hall{number}@127.0.0.1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens at {port}")
