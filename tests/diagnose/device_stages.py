"""Devices that say themselves what is wrong, drivers, and documents."""

import asyncio
import contextlib
import socket
from contextlib import asynccontextmanager

from diagnose.staging import printer, stage
from hallctl_drivers.escpos.driver import EscposPrinter
from hallctl_drivers.escpos.sim import EscposSimulator

from hallctl.controller.diagnosis import desk
from hallctl.driver import on_tcp
from hallctl.errors import HallctlError

LAYOUT = {"id": "queue", "lines": [{"text": "{number}"}]}


def says(fault):
    @asynccontextmanager
    async def enter(box, stand):
        async with on_tcp(EscposSimulator(fault)) as url:
            box.write({"terminals": [printer(url)]})
            yield

    return enter


stage("cover open", "p1: the cover is open", "cover.open")(says("cover_open"))
stage("paper out", "p1: there is no paper", "paper.end")(says("paper_out"))
stage("paper jam, cutter stuck", "p1: the cutter is stuck", "cutter.error")(says("cutter_jam"))
stage(
    "printer needs switching off",
    "p1: the printer reports an error that it can't recover",
    "printer.unrecoverable",
)(says("head_error"))
stage("paper nearly used up", "p1: the roll is nearly used up", "paper.near_end")(says("paper_near_end"))


@stage("driver bug", "ZeroDivisionError", "driver.bug")
@asynccontextmanager
async def driver_bug(box, stand):
    async def poll(self):
        return 1 / 0

    stand.monkeypatch.setattr(EscposPrinter, "poll", poll)
    async with on_tcp(EscposSimulator()) as url:
        box.write({"terminals": [printer(url)]})
        yield


@stage("driver not installed", "acme-printer", "config.invalid")
@asynccontextmanager
async def no_driver(box, stand):
    box.write({"terminals": [{"id": "p1", "driver": "acme-printer", "port": "tcp://127.0.0.1:9"}]})
    yield


@stage("wrong option, terminal quarantined", "paper_width", "config.invalid")
@asynccontextmanager
async def quarantined(box, stand):
    box.write({"terminals": [printer("tcp://127.0.0.1:9", paper_width=70)]})
    yield


@stage("printer busy", "p1: 1 command waits for it", "terminal.busy")
@asynccontextmanager
async def busy(box, stand):
    """Somebody else has the printer's turn and keeps it."""
    stand.monkeypatch.setattr(desk, "ASKED_S", 0.3)
    async with on_tcp(EscposSimulator()) as url, contextlib.AsyncExitStack() as after:
        box.write({"terminals": [printer(url, confirm="gs_h")], "tickets": [LAYOUT]})

        async def keep_busy():
            go_on = asyncio.Event()

            async def occupy(_driver):
                await go_on.wait()

            work = asyncio.create_task(box.supervisor("p1").act(occupy, timeout_s=60))
            await asyncio.sleep(0)

            async def finish():
                go_on.set()
                with contextlib.suppress(HallctlError):
                    await work

            after.push_async_callback(finish)

        yield keep_busy


@stage("web pad that no browser shows", "no tablet shows this pad's page", "pad.absent", slow=True)
@asynccontextmanager
async def no_browser(box, stand):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    box.write({"terminals": [{"id": "p1", "driver": "web-pad", "options": {"listen": listen}}]})

    async def wait():
        await box.wrong("p1", "pad.absent")

    yield wait
