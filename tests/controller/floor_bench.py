"""A whole controller in this process, on simulated devices, that changes its document while it runs."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hallctl_drivers.escpos.sim import EscposSimulator
from hallctl_drivers.onbon_bx.sim import OnbonSimulator

from hallctl.clock import SystemClock
from hallctl.config import ControllerConfig, parse_hall
from hallctl.controller import Controller
from hallctl.driver.hallcheck import check_hall
from hallctl.model import Command, TerminalStatus
from hallctl.twin import TWIN_FOLDER, TwinStore, begin

PATIENCE_S = 30.0
LAYOUT = {"id": "queue", "lines": [{"text": "{number}"}]}
CLOCK = SystemClock(trust_wall_clock=True)


class CountedPrinter(EscposSimulator):
    """Counts who has opened its port."""

    def __init__(self, fault=None):
        super().__init__(fault)
        self.openings = 0

    def connected(self):
        super().connected()
        self.openings += 1


class CountedBar(OnbonSimulator):
    """Counts who has opened its port."""

    def __init__(self, fault=None):
        super().__init__(fault)
        self.openings = 0

    def connected(self):
        super().connected()
        self.openings += 1


def printer(name, port, **more):
    return {"id": name, "driver": "escpos", "port": port, "options": {"poll_every_s": 0.5}, **more}


def bar(name, port, **more):
    return {"id": name, "driver": "onbon-bx", "port": port, "options": {"poll_every_s": 0.5}, **more}


def hall(**document):
    """A document as the centre pushes it, checked as the daemon does it."""
    return check_hall(parse_hall({"tickets": [LAYOUT], **document}))


async def until(condition):
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # what is watched are plain attributes
            await asyncio.sleep(0.01)


class Floor:
    """One running controller."""

    def __init__(self, folder: Path, first, **config) -> None:
        settings = {"site": "s", "controller": "c", "state_dir": str(folder / "state"), "hall": folder / "hall.yaml"}
        self.config = ControllerConfig.model_validate({**settings, **config})
        store = TwinStore(self.config.state_dir / TWIN_FOLDER)
        self.controller = Controller.build(self.config, begin(store, first, CLOCK), store, CLOCK)
        self._stop = asyncio.Event()
        self._ready = asyncio.Event()
        self._task = None
        self._commands = 0

    async def __aenter__(self):
        self._task = asyncio.create_task(self.controller.run(self._stop, self._ready.set))
        async with asyncio.timeout(PATIENCE_S):
            await self._ready.wait()
        return self

    async def __aexit__(self, *_exc):
        self._stop.set()
        async with asyncio.timeout(PATIENCE_S):
            await self._task

    async def apply(self, **document):
        async with asyncio.timeout(PATIENCE_S):
            return await self.controller._floor.apply(hall(**document))

    def status(self, name):
        state = self.controller._floor.states().get(name)
        return state and state.status

    async def online(self, *names):
        await until(lambda: all(self.status(name) is TerminalStatus.ONLINE for name in names))

    async def do(self, name, **data):
        """Carry a command out as if it had come over the link; gives the reply, progress goes to ``told``."""
        self._commands += 1
        expires = datetime.now(UTC) + timedelta(seconds=60)
        command = Command(f"c-{self._commands}", name, expires, data)
        return await self.controller._handle(command, lambda _reply: None)

    @contextlib.asynccontextmanager
    async def doing(self, name, **data):
        """The same, in the background."""
        task = asyncio.create_task(self.do(name, **data))
        try:
            yield task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @property
    def rooms(self):
        return self.controller._floor

    @property
    def alerts(self):
        return {(one.kind.value, one.subject, one.data.get("code", "")) for one in self.controller._alerts.open}

    async def log(self, kind):
        """What the event log has of one kind."""
        return [one.data for one in await self.controller._outbox.read_range(1, 10_000, 10_000) if one.type == kind]
