"""The daemon's pulse: systemd's watchdog is fed only by a daemon that works, and a file says how it is.

A beat goes once through the event loop and once through the event log's thread. A loop that hangs, or a disk that does
not answer, ends the beats; systemd then starts the daemon again (WatchdogSec of its unit).

``health.json`` in the runtime directory ($RUNTIME_DIRECTORY, set by systemd) is what an upgrade is judged by: version,
ready, terminals, online, connected (to the broker), at. It is replaced as a whole.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from hallctl.clock import Clock
from hallctl.errors import HallctlError

BEAT_S = 5.0

Examine = Callable[[], Awaitable[Mapping[str, Any]]]


def notify(message: str) -> None:
    """sd_notify(3): one datagram to the socket that systemd names; nothing where it names none, or does not listen."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.setblocking(False)  # a system that is stuck must not stop the hall
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.sendall(message.encode())


class Pulse:
    """Beats until cancelled. ``examine`` works through everything that has to work, and says how it is."""

    def __init__(self, examine: Examine, clock: Clock, *, folder: Path | None = None) -> None:
        self._examine = examine
        self._clock = clock
        self._folder = folder or runtime_folder()

    async def run(self) -> None:
        """One beat after the other. A beat that gets no answer waits for it: until then nothing feeds the watchdog."""
        every_s = min(BEAT_S, watchdog_s() / 3) if watchdog_s() else BEAT_S
        while True:
            with contextlib.suppress(HallctlError):  # the event log's disk refuses: no beat, and another try
                await self._beat()
            await self._clock.sleep(every_s)

    async def _beat(self) -> None:
        health = await self._examine()
        if watchdog_s():
            notify("WATCHDOG=1")
        notify(f"STATUS={health.get('online', 0)} of {health.get('terminals', 0)} terminals online")
        await asyncio.to_thread(self._write, {**health, "at": self._clock.now().isoformat()})

    def _write(self, health: Mapping[str, Any]) -> None:
        """A runtime directory that can't be written is no reason to stop."""
        if self._folder is None:
            return
        aside = self._folder / "health.json.new"
        with contextlib.suppress(OSError):
            aside.write_text(json.dumps(health) + "\n", encoding="utf-8")
            aside.replace(self._folder / "health.json")


def runtime_folder() -> Path | None:
    """The folder that systemd made for this run (systemd.exec(5), RuntimeDirectory); the first of several."""
    given = os.environ.get("RUNTIME_DIRECTORY", "").split(":", 1)[0]
    return Path(given) if given else None


def watchdog_s() -> float:
    """How often systemd wants to hear of this process (sd_watchdog_enabled(3)), seconds; 0: not at all."""
    wanted_of = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    micros = os.environ.get("WATCHDOG_USEC", "0")
    return int(micros) / 1e6 if micros.isdigit() and wanted_of == str(os.getpid()) else 0.0
