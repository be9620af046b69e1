"""A real daemon on a real broker, and the desk that pushes documents to it."""

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path

import yaml
from hallctl_drivers.escpos.sim import EscposSimulator
from hallctl_drivers.onbon_bx.sim import OnbonSimulator

from hallctl.clock import SystemClock
from hallctl.link import BrokerSettings, Session, Topics
from hallctl.link.configuration import Desired, Reported, document_hash

DYING = Path(__file__).with_name("dying_daemon.py")

TOPICS = Topics("hall-1", "box-1")
CLOCK = SystemClock(trust_wall_clock=True)
QUEUE = {"id": "queue", "lines": [{"text": "{number}"}]}


def printer(name, url, **options):
    return {"id": name, "driver": "escpos", "port": url, "options": {"poll_every_s": 1, **options}}


def bar(name, url):
    return {"id": name, "driver": "onbon-bx", "port": url, "options": {"poll_every_s": 0.5}}


class Hall:
    """A daemon's folder, and the desk that steers it."""

    def __init__(self, folder: Path, broker) -> None:
        self.folder = folder
        self.broker = broker
        self.version = 0
        self.session = Session(BrokerSettings(broker.host, broker.port, client_id="desk"))
        self.reports: list[Reported] = []
        self.states: dict[str, dict] = {}
        self._reader: asyncio.Task | None = None
        self._news = asyncio.Event()

    def write(self, document) -> None:
        controller = {
            "site": TOPICS.site,
            "controller": TOPICS.controller,
            "state_dir": "state",
            "trust_clock": True,
            "heartbeat_s": 1,
            "lease_s": 5,
            "broker": {"host": self.broker.host, "port": self.broker.port},
        }
        (self.folder / "controller.yaml").write_text(yaml.safe_dump(controller))
        (self.folder / "hall.yaml").write_text(yaml.safe_dump(document, allow_unicode=True))

    @contextlib.asynccontextmanager
    async def daemon(self, expected_exit=0, *, dies_at="", path=""):
        """``hallctl run``. ``dies_at``: it ends itself with SIGKILL at that step. ``path``: more Python packages."""
        config = str(self.folder / "controller.yaml")
        arguments = [str(DYING), config, dies_at] if dies_at else ["-m", "hallctl.cli.main", "run", config]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *arguments),
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path} if path else None,
        )
        log = asyncio.create_task(process.stderr.read())
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            self.log = (await log).decode()
            assert await process.wait() == expected_exit, self.log

    async def __aenter__(self):
        await self.session.connect()
        await self.session.subscribe(TOPICS.reported, TOPICS.terminal("+"))
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_):
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self.session.disconnect()

    async def _read(self):
        while True:
            message = await self.session.receive()
            self.session.acknowledge(message)
            if message.topic == TOPICS.reported:
                self.reports.append(Reported.model_validate_json(message.payload))
            elif message.payload:
                self.states[message.topic.split("/")[-2]] = json.loads(message.payload)
            else:
                self.states.pop(message.topic.split("/")[-2], None)
            self._news.set()

    async def until(self, wanted, seconds=30):
        async with asyncio.timeout(seconds):
            while not (found := wanted()):
                self._news.clear()
                await self._news.wait()
        return found

    async def push(self, document, version=None, **health) -> Reported:
        """Push and wait for the decision."""
        await self.send(document, version, **health)
        return await self.decided(self.version)

    async def send(self, document, version=None, **health) -> None:
        """Push."""
        self.version = version or self.version + 1
        made = Desired.model_validate(
            {
                "version": self.version,
                "hash": document_hash(document),
                "document": document,
                "health": {"window_s": 8, **health},
            }
        )
        self.reports.clear()
        await self.session.publish(TOPICS.desired, made.model_dump_json().encode(), retain=True)

    async def decided(self, version) -> Reported:
        def decision():
            return next((r for r in reversed(self.reports) if r.desired_version == version and r.status.final), None)

        return await self.until(decision)

    async def online(self, *names):
        await self.until(lambda: all(self.states.get(name, {}).get("status") == "online" for name in names))


class Printer(EscposSimulator):
    """Counts its connections."""

    connections = 0

    def connected(self):
        self.connections += 1
        super().connected()


class Display(OnbonSimulator):
    """Counts its connections."""

    connections = 0

    def connected(self):
        self.connections += 1
        super().connected()
