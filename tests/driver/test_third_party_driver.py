"""A vendor's driver: built outside the tree, installed with pip, found by entry point, run by the real parts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "acme-lamp"
version = "1.0"
dependencies = []

[project.entry-points."hallctl.drivers"]
acme-lamp = "acme_lamp:PLUGIN"
acme-broken = "acme_broken:PLUGIN"
acme-wrong = "acme_lamp:NOT_A_PLUGIN"

[tool.hatch.build.targets.wheel]
packages = ["acme_lamp", "acme_broken"]
"""

LAMP = '''
"""A lamp that says OK to every line: the smallest honest driver."""

from pydantic import Field

from hallctl.driver import (
    Attachment, Capability, DisplayMessage, DriverOptions, DriverPlugin, Health, NumberDisplay, TerminalContext,
    TerminalDriver, WireSimulator,
)
from hallctl.errors import RemoteCodecError
from hallctl.transport import Transport


class Options(DriverOptions):
    prefix: str = Field("", description="put before every text")


class Lamp(TerminalDriver, NumberDisplay):
    def __init__(self, context: TerminalContext, options: Options) -> None:
        self._options = options
        self._wire: Transport | None = None

    async def _say(self, line: str) -> None:
        await self._wire.write(line.encode("gb18030") + b"\\n")
        if await self._wire.read() != b"OK\\n":
            raise RemoteCodecError("the lamp did not say OK")

    async def start(self, connection):
        self._wire = connection
        await self._say("HELLO")

    async def poll(self) -> Health:
        await self._say("PING")
        return Health(info={"maker": "acme"})

    async def show(self, message: DisplayMessage) -> None:
        await self._say("SHOW " + self._options.prefix + message.text)


class LampSimulator(WireSimulator):
    def __init__(self, fault=None):
        super().__init__(fault)
        self.shown = ""

    def feed(self, data: bytes) -> bytes:
        line = data.decode("gb18030").strip()
        if line.startswith("SHOW "):
            self.shown = line[5:]
        return b"OK\\n"


PLUGIN = DriverPlugin(
    name="acme-lamp", summary="a lamp", attachment=Attachment.PORT, capabilities=frozenset({Capability.DISPLAY}),
    options=Options, make=Lamp, simulate=lambda fault, address: LampSimulator(fault), faults={},
)
NOT_A_PLUGIN = object()
'''

PROGRAM = """
import asyncio, json, structlog
from hallctl.clock import SystemClock
from hallctl.driver import (
    DisplayKind, DisplayMessage, TerminalContext, driver_names, load_driver, on_tcp,
)
from hallctl.driver.conformance import CHECKS
from hallctl.errors import DriverLoadError
from hallctl.terminal.supervisor import TerminalSupervisor
from hallctl.transport import PortAddress, open_port
import contextlib

async def main():
    errors = {}
    for name in ("acme-broken", "acme-wrong", "acme-absent"):
        try:
            load_driver(name)
        except DriverLoadError as exc:
            errors[name] = str(exc)
    plugin = load_driver("acme-lamp")
    for check in CHECKS:
        await check(plugin)
    clock = SystemClock()
    lamp = plugin.simulate(None, None)

    async def emit(signal): ...
    async def on_state(old, new): ...

    @contextlib.asynccontextmanager
    async def connect(address):
        async with await open_port(PortAddress.parse(address), clock) as transport:
            yield transport

    async with on_tcp(lamp) as address:
        context = TerminalContext("lamp-1", clock, structlog.get_logger(), emit)
        driver = plugin.make(context, plugin.options.model_validate({"prefix": "* "}))
        supervisor = TerminalSupervisor(
            "lamp-1", "acme-lamp", driver, lambda: connect(address), clock=clock, log=structlog.get_logger(),
            on_state=on_state,
        )
        task = asyncio.create_task(supervisor.run())
        await asyncio.wait_for(supervisor.first_pass.wait(), 10)
        await supervisor.act(lambda d: d.show(DisplayMessage(DisplayKind.TEXT, ("请A001号",))))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    state = supervisor.state.status
    print(json.dumps({"shown": lamp.shown, "names": driver_names(), "errors": errors, "state": state}))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def site_packages(tmp_path_factory) -> Path:
    project = tmp_path_factory.mktemp("acme")
    (project / "acme_lamp").mkdir()
    (project / "acme_broken").mkdir()
    (project / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (project / "acme_lamp" / "__init__.py").write_text(LAMP, encoding="utf-8")
    (project / "acme_broken" / "__init__.py").write_text("import no_such_vendor_library\n", encoding="utf-8")
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--no-index", "--target", target, project], check=True)
    return target


def test_a_driver_from_outside_the_tree_is_found_conforms_and_runs_a_terminal(site_packages):
    environment = {**os.environ, "PYTHONPATH": str(site_packages)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["shown"] == "* 请A001号"
    assert "acme-lamp" in result["names"]
    assert result["state"] == "online"
    assert "no_such_vendor_library" in result["errors"]["acme-broken"]
    assert "not a DriverPlugin" in result["errors"]["acme-wrong"]
    assert "installed drivers:" in result["errors"]["acme-absent"]
