"""A printer driver, a simulated printer on a null modem, and the clients and decoders that are not ours."""

import asyncio
import contextlib
import importlib.util
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hallctl_drivers.escpos.config import EscposOptions
from hallctl_drivers.escpos.driver import EscposPrinter
from hallctl_drivers.escpos.sim import EscposSimulator

from hallctl.clock import Clock, ManualClock, SystemClock
from hallctl.driver import PrintJob, TerminalContext
from hallctl.ticket import Align, Columns, QrCode, Rule, TextLine, Ticket
from hallctl.transport import Transport, null_modem

BUILD = Path(__file__).parents[3] / "build"
NPM = BUILD / "npm"
CLIENTS = ("receiptio@2.1.2", "receiptline@4.0.4")
EMUPOS = BUILD / "emupos" / "emupos-0.4.0-py3-none-any.whl"
EMUPOS_PIN = "emupos==0.4.0 --hash=sha256:d41f15caa2b286e7303b12c4bdcb02dc395c75553479d02b20566e2bacc2bb9a\n"


class Log:
    """Keeps what the driver logs."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def debug(self, event: str, **fields: object) -> None: ...

    def info(self, event: str, **fields: object) -> None: ...

    def warning(self, event: str, **fields: object) -> None:
        self.warnings.append(event)


async def nobody(_signal: object) -> None: ...


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def make_printer(log: Log) -> Callable[..., EscposPrinter]:
    def make(clock: Clock | None = None, **options: Any) -> EscposPrinter:
        context = TerminalContext("printer-1", clock or SystemClock(), log, nobody)
        return EscposPrinter(context, EscposOptions(**options))

    return make


@pytest.fixture
def job() -> PrintJob:
    return PrintJob(
        "job-1",
        Ticket(
            (
                TextLine("政务服务中心", Align.CENTER, 2, 2, True),
                TextLine("A001", Align.CENTER, 4, 4),
                Rule(),
                Columns("个人业务", "前面等候 5 人"),
                TextLine("请在休息区等候叫号，过号请重新取号。"),
                QrCode("https://example.invalid/t/A001"),
            )
        ),
    )


@pytest.fixture
def plugged() -> Callable[[EscposSimulator], contextlib.AbstractAsyncContextManager[Transport]]:
    """The driver's end of a null modem with the printer at the other; leaving the block pulls the plug."""

    @contextlib.asynccontextmanager
    async def plug(simulator: EscposSimulator) -> AsyncIterator[Transport]:
        near, far = null_modem("printer", "device")
        sending: set[asyncio.Task[None]] = set()

        def emit(data: bytes) -> None:
            sending.add(asyncio.ensure_future(far.write(data)))

        async def device() -> None:
            while True:
                answer = simulator.feed(await far.read())
                if answer:
                    await far.write(answer)

        simulator.emit = emit
        simulator.connected()
        task = asyncio.create_task(device())
        try:
            yield near
        finally:
            task.cancel()
            await asyncio.gather(task, *sending, return_exceptions=True)
            await near.close()

    return plug


async def in_time(clock: ManualClock, work: Any) -> Any:
    """Let time pass until something that waits is done."""
    task = asyncio.ensure_future(work)
    for _ in range(60):
        if task.done():
            break
        await clock.advance(1)
    assert task.done(), "still waiting after a minute of the test's clock"
    return await task


@pytest.fixture
def pass_time() -> Callable[[ManualClock, Any], Any]:
    return in_time


@pytest.fixture(scope="session")
def npm_clients() -> Path:
    """node_modules with receiptio and receiptline; kept in build/ between runs."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        pytest.skip("node and npm are not installed: the independent ESC/POS clients can't run")
    modules = NPM / "node_modules"
    if not (modules / "receiptio").is_dir() or not (modules / "receiptline").is_dir():
        NPM.mkdir(parents=True, exist_ok=True)
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(NPM)]
        done = subprocess.run(
            [npm, "install", *options, *CLIENTS], capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode:
            pytest.skip(f"npm could not install {' '.join(CLIENTS)}: {done.stderr.strip()[-200:]}")
    return modules


@pytest.fixture(scope="session")
def emupos() -> ModuleType:
    """The ESC/POS decoder of emupos, an emulator of other people; its wheel is kept in build/ between runs.

    It is written for Python 3.13 and can't be installed beside hallctl; all that its decoder has from there are two
    ``type`` statements.
    """
    if not EMUPOS.is_file():
        _download_emupos()
    with zipfile.ZipFile(EMUPOS) as wheel:
        source = wheel.read("emupos/printer/escpos/tokenizer.py").decode()
    path = EMUPOS.parent / "emupos_tokenizer.py"
    path.write_text(re.sub(r"(?m)^type (?=\w+ =)", "", source), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    module.COMMANDS[b"\x1c!"] = module.CommandSpec("FS !", 1)  # the size of Chinese characters: the one that it lacks
    return module


def _download_emupos() -> None:
    EMUPOS.parent.mkdir(parents=True, exist_ok=True)
    wanted = EMUPOS.parent / "requirements.txt"
    wanted.write_text(EMUPOS_PIN)
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--python-version=3.13", "--require-hashes"]
    pip = [sys.executable, "-m", "pip", "download", *options, "--dest", EMUPOS.parent, "--requirement", wanted]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.skip(f"pip could not fetch emupos, the independent ESC/POS decoder: {done.stderr.strip()[-200:]}")
