"""A twin with everything real but its floor: files, event log and checks; terminals that live in memory."""

import asyncio
import json
from pathlib import Path

import structlog
import yaml

from hallctl.clock import ManualClock
from hallctl.config import load_hall
from hallctl.driver.hallcheck import check_hall
from hallctl.link.configuration import document_hash
from hallctl.model import TerminalState, TerminalStatus
from hallctl.outbox import Outbox
from hallctl.twin import Changed, Twin, TwinStore, begin
from hallctl.twin.diff import difference

ONLINE, OFFLINE = TerminalStatus.ONLINE, TerminalStatus.OFFLINE


def document(*printers, **changes):
    """A hall of printers: ``document("a", "b", b=9101)`` gives the second one another port."""
    terminals = [
        {"id": name, "driver": "escpos", "port": f"tcp://127.0.0.1:{changes.get(name, 9000 + number)}"}
        for number, name in enumerate(printers)
    ]
    return {"terminals": terminals}


def desired(version, wanted, **more):
    """The message of ``config/desired``."""
    return json.dumps({"version": version, "hash": document_hash(wanted), "document": wanted, **more}).encode()


class MemoryFloor:
    """Terminals that are online at once, unless they are in ``dead``; ``touched`` counts what an apply did to each."""

    def __init__(self, clock, hall):
        self.hall = hall
        self.dead = {}
        self.touched = []
        self.applied = []
        self.error = None
        self._clock = clock
        self._states = {}
        self.begin()

    def begin(self):
        """As after a start of the daemon: everything is new."""
        self._states = {terminal.id: self._state(terminal.id) for terminal in self.hall.document.terminals}

    def refresh(self, *names):
        """Their states are as ``dead`` says now."""
        self._states |= {name: self._state(name) for name in names}

    async def apply(self, hall):
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        found = difference(self.hall.document, hall.document)
        self.hall = hall
        self.applied.append(hall)
        self.touched += sorted(found.started | found.restarted | found.stopped)
        for name in found.stopped:
            del self._states[name]
        self.refresh(*(found.started | found.restarted))
        return Changed(found.started, found.restarted, found.stopped)

    def states(self):
        return dict(self._states)

    def _state(self, name):
        status = self.dead.get(name, ONLINE)
        reason = None if status is ONLINE else "port.refused"
        message = "" if status is ONLINE else "nothing listens"
        hint = "" if status is ONLINE else "look at the cable"
        return TerminalState(name, "escpos", status, self._clock.now(), reason, message, hint)


class World:
    """One box, over its deaths. ``own`` is its hall.yaml."""

    def __init__(self, folder: Path, own=None):
        self.folder = folder
        self.clock = ManualClock()
        self.hall_yaml = folder / "hall.yaml"
        self.hall_yaml.write_text(yaml.safe_dump(own if own is not None else document("a", "b")))
        self.published = []
        self.checkpoints = []
        self.dead = {}
        self.task = None

    @property
    def state(self):
        return self.folder / "twin"

    def start(self, checkpoint=None):
        """A boot of the daemon, as far as the twin goes."""
        own = check_hall(load_hall(self.hall_yaml))
        self.store = TwinStore(self.state, checkpoint or self.checkpoints.append)
        self.beginning = begin(self.store, own, self.clock)
        self.outbox = Outbox.open(self.folder / "outbox.db", "hall-1", "box-1", self.clock)
        self.floor = MemoryFloor(self.clock, self.beginning.hall)
        self.floor.dead = self.dead
        self.floor.begin()
        self.twin = Twin(
            self.store,
            self.beginning,
            self.floor,
            self.outbox,
            clock=self.clock,
            log=structlog.get_logger(),
            publish=self.published.append,
        )
        self.task = asyncio.create_task(self.twin.run())

    async def stop(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.outbox.close()

    async def restart(self):
        await self.stop()
        self.start()

    async def push(self, version, wanted, **more):
        """What arrives is taken; gives the report when it is decided, time standing still."""
        await self.twin.take(desired(version, wanted, **more))
        return await self.report(version, document_hash(wanted))

    async def report(self, version, hash_=None):
        """The final report about a version."""

        def decided():
            told = self.twin.reported
            return told.status.final and told.desired_version == version and hash_ in (None, told.desired_hash)

        await self.until(decided)
        return self.twin.reported

    async def in_time(self, version):
        """The final report about a version, with as much time as it takes."""

        def decided():
            return self.twin.reported.status.final and self.twin.reported.desired_version == version

        async with asyncio.timeout(20):
            while not decided():
                await self.clock.advance(1)
                await asyncio.sleep(0.002)
        return self.twin.reported

    async def log_has(self, *facts):
        """The events of the log that are about the configuration are these."""
        async with asyncio.timeout(20):
            while len(await self.facts()) < len(facts):
                await asyncio.sleep(0.002)
        assert await self.facts() == list(facts)

    async def until(self, wanted, seconds=20):
        async with asyncio.timeout(seconds):
            while not wanted():
                if self.task.done():
                    self.task.result()
                await asyncio.sleep(0.002)

    async def facts(self):
        """The events of the log that are about the configuration: type and version."""
        stored = await self.outbox.read_range(1, self.outbox.last_seq, 1000)
        return [(one.type, one.data["version"]) for one in stored if one.type.startswith("config.")]

    def running(self):
        """Which ports the floor runs."""
        return {terminal.id: terminal.port for terminal in self.floor.hall.document.terminals}

    def names(self):
        return sorted(path.name for path in self.state.iterdir())
