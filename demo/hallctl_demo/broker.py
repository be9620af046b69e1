"""A broker for the demo: mosquitto where it is on PATH, else iotcore from pip. Bound to 127.0.0.1, never production."""

import asyncio
import contextlib
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from hallctl.errors import LinkError

_MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_packet_size 262144
max_queued_messages 10000
set_tcp_nodelay true
"""

# rumqttd's own format; MQTT 5 only, as the daemon speaks it by default.
_IOTCORE = """\
id = 0

[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10

[v5.1]
name = "hall"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1

[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 262144
max_inflight_count = 100
dynamic_filters = true
"""


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """Where it listens, and which one it is."""

    name: str
    port: int


@contextlib.asynccontextmanager
async def broker(folder: Path, kind: str | None = None) -> AsyncIterator[RunningBroker]:
    """Run a broker on a free port until the block is left. ``kind``: mosquitto, iotcore; default: the first found."""
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
    name = kind or ("mosquitto" if program else "iotcore")
    port = free_port()
    config = folder / ("mosquitto.conf" if name == "mosquitto" else "iotcore.toml")
    config.write_text((_MOSQUITTO if name == "mosquitto" else _IOTCORE).format(port=port), encoding="utf-8")
    if name == "mosquitto":
        arguments = [program or "mosquitto", "-c", str(config)]
    else:
        arguments = [sys.executable, "-m", "iotcore", "--config", str(config), "--log-level", "ERROR"]
    with (folder / "broker.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *arguments, stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL
        )
    try:
        await _listening(port, process, folder / "broker.log")
        yield RunningBroker(name, port)
    finally:
        await stop(process)


async def stop(process: asyncio.subprocess.Process, patience_s: float = 10.0) -> int:
    """Ask a child to end, wait, and make it. Gives its exit code."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    try:
        async with asyncio.timeout(patience_s):
            return await process.wait()
    except TimeoutError:
        process.kill()
        return await process.wait()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-500:] or "see broker.log"


async def _listening(port: int, process: asyncio.subprocess.Process, log: Path) -> None:
    for _ in range(200):
        if process.returncode is not None:
            break
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.05)
    raise LinkError("the demo's broker did not start", hint=_tail(log))
