"""Ports: absent, forbidden, held, unplugged, and the network's ways not to answer."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from diagnose.staging import printer, stage
from hallctl_drivers.escpos.sim import EscposSimulator

from hallctl.controller.diagnosis import ports
from hallctl.controller.discover.local import local_ports
from hallctl.driver import on_pty, on_tcp

NOBODY = 65534
HOLD = (
    "import fcntl, os, sys\n"
    "port = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)\n"
    "fcntl.flock(port, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
    "print('held', flush=True)\n"
    "sys.stdin.read()\n"
)


@stage("no permission", "p1: the daemon may not open", "port.permission")
@asynccontextmanager
async def no_permission(box, stand):
    """Root may open everything: the daemon becomes nobody for the time of the test."""
    async with on_pty([EscposSimulator()]) as path:
        box.write({"terminals": [printer(f"serial://{path}?baud=9600")]})
        if os.geteuid() != 0:
            Path(path).chmod(0)
            yield
            return
        for folder in (box.folder, *box.folder.parents[:3]):
            folder.chmod(folder.stat().st_mode | 0o711)
        os.chown(box.folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)


@stage(
    "another adapter is plugged in",
    "usb-FTDI_B-if00-port0 is not there; plugged in is serial://",
    "port.absent",
)
@asynccontextmanager
async def another_adapter(box, stand):
    async with on_pty([EscposSimulator()]) as path:
        by_id = box.folder / "dev" / "serial" / "by-id"
        by_id.mkdir(parents=True)
        (by_id / "usb-FTDI_A-if00-port0").symlink_to(path)
        stand.monkeypatch.setattr(ports, "local_ports", partial(local_ports, dev=box.folder / "dev"))
        box.write({"terminals": [printer(f"serial://{by_id}/usb-FTDI_B-if00-port0?baud=9600")]})
        yield


@stage("port held by another process", "is held by python", "port.busy")
@asynccontextmanager
async def held(box, stand):
    async with on_pty([EscposSimulator()]) as path:
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert holder.stdout is not None
            assert await asyncio.to_thread(holder.stdout.readline) == "held\n"
            box.write({"terminals": [printer(f"serial://{path}?baud=9600")]})
            yield
        finally:
            holder.communicate()


@stage("USB adapter unplugged", "is not there; it worked until", "port.absent")
@asynccontextmanager
async def unplugged(box, stand):
    link = str(box.folder / "adapter")
    async with contextlib.AsyncExitStack() as plug:
        await plug.enter_async_context(on_pty([EscposSimulator()], link))
        box.write({"terminals": [printer(f"serial://{link}?baud=9600")]})

        async def unplug():
            await plug.aclose()
            await box.until("p1", "offline")

        yield unplug


@stage("nothing listens at the address", "Connection refused", "port.refused")
@asynccontextmanager
async def refused(box, stand):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        box.write({"terminals": [printer(f"tcp://127.0.0.1:{free.getsockname()[1]}")]})
        yield


@stage("no route, or nobody at the address", "no answer within 5 s", "port.unreachable", slow=True)
@asynccontextmanager
async def no_answer(box, stand):
    """A full backlog drops what knocks, as a cable that is pulled does."""
    with socket.socket() as deaf, contextlib.ExitStack() as knocking:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(3):
            knock = knocking.enter_context(socket.socket())
            knock.setblocking(False)
            knock.connect_ex(deaf.getsockname())
        box.write({"terminals": [printer(f"tcp://127.0.0.1:{deaf.getsockname()[1]}")]})
        yield


@stage("DNS gone", "the name 'printer.invalid' can't be resolved", "port.unresolved")
@asynccontextmanager
async def no_name(box, stand):
    box.write({"terminals": [printer("tcp://printer.invalid:9100")]})
    yield


@stage("half-open TCP", "takes the connection and then says nothing", "port.half_open")
@asynccontextmanager
async def half_open(box, stand):
    async with on_tcp(EscposSimulator("half_open")) as url:
        box.write({"terminals": [printer(url)]})
        yield


@stage("another device at the address", "is no device of driver escpos", "device.garbage")
@asynccontextmanager
async def wrong_device(box, stand):
    """Something that says back what it hears: a serial server with a loop, a network test."""

    async def babble(reader, writer):
        with contextlib.suppress(OSError):
            while await reader.read(100):
                writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        box.write({"terminals": [printer(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}")]})
        yield
