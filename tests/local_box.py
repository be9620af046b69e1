"""A whole box in this process: the daemon's controller on real ports, and the command line that asks it."""

import asyncio
import contextlib
from pathlib import Path

import yaml
from click.testing import CliRunner

from hallctl.clock import SystemClock
from hallctl.config import load_controller, load_hall
from hallctl.controller import Controller
from hallctl.driver.hallcheck import check_hall
from hallctl.twin import TWIN_FOLDER, TwinStore, begin, no_checkpoint


class Box:
    """A folder with controller.yaml and hall.yaml, and what runs of them."""

    def __init__(self, folder: Path, clock=None) -> None:
        self.folder = folder
        self.clock = clock or SystemClock(trust_wall_clock=True)
        self.config = folder / "controller.yaml"

    def write(self, hall, **controller) -> None:
        document = {"site": "hall", "controller": "box", "state_dir": "state", "heartbeat_s": 1, "lease_s": 5}
        self.config.write_text(yaml.safe_dump({**document, **controller}))
        text = hall if isinstance(hall, str) else yaml.safe_dump({"version": 1, **hall}, allow_unicode=True)
        (self.folder / "hall.yaml").write_text(text)

    @contextlib.asynccontextmanager
    async def running(self):
        """The daemon's controller, from its first pass on."""
        config = load_controller(self.config)
        store = TwinStore(config.state_dir / TWIN_FOLDER, no_checkpoint)
        beginning = begin(store, check_hall(load_hall(config.hall)), self.clock)
        controller = Controller.build(config, beginning, store, self.clock)
        stop, ready = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(controller.run(stop, ready.set))
        try:
            async with asyncio.timeout(40):
                await asyncio.wait([task, asyncio.create_task(ready.wait())], return_when=asyncio.FIRST_COMPLETED)
                if task.done():
                    task.result()
                await controller.local.listening.wait()
            self.controller = controller
            yield controller
        finally:
            stop.set()
            await task

    def supervisor(self, terminal: str):
        return self.controller._floor.terminals.supervisors[terminal]

    async def diagnosis(self, terminal: str | None):
        """Asked within the process: two command lines at once would share one standard output."""
        return await self.controller._handler._diagnosis.of(terminal, probe=True)

    async def until(self, terminal: str, status: str) -> None:
        await _until(lambda: self.supervisor(terminal).state.status.value == status)

    async def wrong(self, terminal: str, code: str) -> None:
        await _until(lambda: code in [fault.code for fault in self.supervisor(terminal).state.faults])

    async def connected(self, controller) -> None:
        await _until(lambda: controller._uplink.connected)

    async def eventually(self, wanted) -> None:
        await _until(wanted)

    async def link_lost(self) -> None:
        await _until(lambda: self.controller._uplink.lost is not None)

    async def blind(self, reason: str) -> None:
        await _until(lambda: self.controller._floor.attendance.blindness("p1") == reason)

    async def reported(self, status: str) -> None:
        await _until(lambda: (found := self.controller._standing.reported) and found.status.value == status)

    async def hallctl(self, *arguments: str, config: bool = True):
        """Run a command line; gives click's result: exit_code, stdout, stderr."""
        from hallctl.cli.main import cli  # noqa: PLC0415  # slow to import, and not every test asks

        where = ["--config", str(self.config)] if config else []
        return await asyncio.to_thread(CliRunner().invoke, cli, [*arguments, *where], catch_exceptions=False)


async def _until(wanted) -> None:
    async with asyncio.timeout(40):
        while not wanted():
            await asyncio.sleep(0.02)
