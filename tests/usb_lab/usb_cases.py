"""``usb://`` ports: libusb instead of the kernel's printer driver, which gets the printer back afterwards."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from hallctl.driver import PrintOutcome, PrintState
from hallctl.errors import TransportLost, TransportUnavailable
from hallctl.transport.usb_names import usb_devices
from usb_lab.bench import FILE_URL, LP, case, job, numbers, once, opened, prints, seen, started, supervised, until
from usb_lab.gadget import Gadget

CONFIRMED = PrintOutcome(PrintState.PRINTED, "gs_h")
NOBODY, GROUP_LP = 65534, 7


@contextlib.asynccontextmanager
async def plugged(serial: str = "HALL0001", socket: int = 0, *, queue: int = 10) -> AsyncIterator[Gadget]:
    """A printer that kernel and udev have seen."""
    async with Gadget(serial, queue=queue) as gadget:
        await gadget.plug(socket)
        await seen(gadget.url)
        await until("usblp has it", LP.exists)
        yield gadget


@case("usb: a ticket prints and is confirmed")
async def prints_through_libusb() -> None:
    async with plugged() as gadget:
        await prints(gadget.url, gadget)


@case("usb: usblp is detached while the port is open and has the printer again afterwards")
async def borrowed() -> None:
    async with plugged() as gadget:
        for _ in range(3):
            async with await opened(gadget.url):
                assert not LP.exists()
            await until("usblp has it again", LP.exists, 5)
        await seen(FILE_URL)
        await prints(FILE_URL, gadget)


@case("usb: what a killed process left detached is given back by the next one")
async def left_behind() -> None:
    async with plugged() as gadget:
        holder = await child(gadget.url, "hold")
        assert await said(holder) == "open"
        holder.kill()
        await holder.wait()
        assert not LP.exists()
        async with await opened(gadget.url):
            pass
        await until("usblp has it again", LP.exists, 5)


@case("usb: two printers of one kind are told apart by their serial numbers in either plug order")
async def told_apart() -> None:
    for order in ((0, 1), (1, 0)):
        async with Gadget("HALL0001") as first, Gadget("HALL0002") as second:
            both = (first, second)
            for index in order:
                await both[index].plug(index)
            for gadget, number in ((first, "A001"), (second, "B001")):
                await seen(gadget.url)
                await prints(gadget.url, gadget, number)


@case("usb: two printers of one kind without serial numbers in their ports are port.ambiguous, their sockets are not")
async def ambiguous() -> None:
    async with plugged("HALL0001", 0) as first, plugged("HALL0002", 1) as second:
        assert await refused("usb://1d6b:0104") == "port.ambiguous"
        for gadget, number in ((first, "A001"), (second, "B001")):
            (socket,) = (found.socket for found in usb_devices() if found.serial == gadget.serial)
            await prints(f"usb://1d6b:0104?socket={socket}", gadget, number)


@case("usb: unplugged in the middle of a ticket, the outcome is unknown and nothing is printed twice")
async def lost_in_ticket() -> None:
    async with plugged(queue=1) as gadget:
        async with await opened(gadget.url) as port:
            driver = await started(port)
            gadget.appetite = 2000
            printing = asyncio.create_task(driver.print_ticket(job("A001", lines=1000)))
            await until("the ticket has begun", lambda: gadget.appetite == 0)
            await gadget.unplug()
            async with asyncio.timeout(5):
                assert (await printing).state is PrintState.UNKNOWN
        gadget.appetite = None
        await gadget.plug()
        await seen(gadget.url)
        async with await opened(gadget.url) as port:
            assert await (await started(port)).print_ticket(job("A002")) == CONFIRMED
        assert once(gadget, "A001", "A002")


@case("usb: a supervised printer that is unplugged in the middle of a ticket comes back without printing it again")
async def supervised_in_ticket() -> None:
    async with plugged(queue=1) as gadget, supervised(gadget.url) as terminal:
        await terminal.online()
        gadget.appetite = 2000
        printing = asyncio.create_task(terminal.prints("A001", lines=1000))
        await until("the ticket has begun", lambda: gadget.appetite == 0)
        await gadget.unplug()
        assert (await printing).state is PrintState.UNKNOWN
        await terminal.offline()
        gadget.appetite = None
        await gadget.plug()
        await terminal.online()
        await asyncio.sleep(2)
        assert gadget.sim.tickets == []
        assert await terminal.prints("A002") == CONFIRMED
        assert once(gadget, "A001", "A002")


@case("usb: an unplugged printer is offline at once, and online again after each replug, also in another socket")
async def comes_back() -> None:
    async with plugged() as gadget, supervised(gadget.url) as terminal:
        await terminal.online()
        for number, socket in (("A001", 0), ("A002", 2), ("A003", 0)):
            await gadget.unplug()
            await terminal.offline(3)
            await gadget.plug(socket)
            await terminal.online()
            assert await terminal.prints(number) == CONFIRMED
        assert numbers(gadget) == ["A001", "A002", "A003"]


@case("usb: paper near its end and at its end are told")
async def paper() -> None:
    async with plugged() as gadget, supervised(gadget.url) as terminal:
        await terminal.online()
        assert terminal.faults == []
        gadget.sim.load_paper(2000.0)
        await until("near end is told", lambda: terminal.faults == ["paper.near_end"])
        gadget.sim.remove_paper()
        await until("the end is told", lambda: terminal.faults == ["paper.end"])
        gadget.sim.load_paper()
        await until("all is well again", lambda: terminal.faults == [])


@case("usb: a printer that is not there is port.absent")
async def absent() -> None:
    assert await refused("usb://1d6b:0104?serial=HALL0001") == "port.absent"
    async with plugged("HALL0002"):
        assert await refused("usb://1d6b:0104?serial=HALL0001") == "port.absent"


@case("usb: a second opener is port.busy, in this process and in another, and the first one prints on")
async def busy() -> None:
    async with plugged() as gadget:
        async with await opened(gadget.url) as port:
            driver = await started(port)
            assert await refused(gadget.url) == "port.busy"
            assert await said(await child(gadget.url)) == "port.busy"
            assert not LP.exists()
            assert await driver.print_ticket(job("A001")) == CONFIRMED
        await until("usblp has it again", LP.exists, 5)


@case("usb: a printer whose /dev/usb/lp0 somebody prints to is not torn out of his hands")
async def lp_in_use() -> None:
    async with plugged() as gadget, await opened(FILE_URL) as port:
        driver = await started(port)
        code = await refused(gadget.url)
        assert await driver.print_ticket(job("A001")) == CONFIRMED
        assert code == "port.busy", code


@case("usb: without permission it is port.permission, and the group lp is enough")
async def permission() -> None:
    async with plugged() as gadget:
        (found,) = (device for device in usb_devices() if device.serial == gadget.serial)
        node = Path(f"/dev/bus/usb/{found.bus:03}/{found.number:03}")
        assert await said(await child(gadget.url, group=GROUP_LP)) == "open"
        await until("usblp has it again", LP.exists, 5)
        node.chmod(0o600)
        assert await said(await child(gadget.url, group=NOBODY)) == "port.permission"
        assert LP.exists()


@case("usb: a slow printer gets every byte once and in order")
async def slow() -> None:
    async with plugged(queue=1) as gadget:
        async with await opened(gadget.url) as port:
            driver = await started(port)
            gadget.pace = (3000, 0.35)
            outcome = await driver.print_ticket(job("A001", lines=600))
        assert outcome == CONFIRMED, outcome
        (ticket,) = gadget.sim.tickets
        text = [line for line in ticket.lines if "请在休息区" in line]
        assert len(text) == 600, len(text)
        assert gadget.sim.refused == [], gadget.sim.refused


@case("usb: closing does not wait for a printer that takes nothing, and a writer is told")
async def closes_at_once() -> None:
    async with plugged(queue=1) as gadget:
        gadget.appetite = 0
        port = await opened(gadget.url)
        writing = asyncio.create_task(port.write(bytes(100_000)))
        await asyncio.sleep(1)
        assert not writing.done(), "the printer has taken it all: this tests nothing"
        async with asyncio.timeout(2):
            await port.close()
        (result,) = await asyncio.gather(writing, return_exceptions=True)
        assert isinstance(result, TransportLost), result
        await until("usblp has it again", LP.exists, 5)


@case("usb: a printer is used where usblp is not loaded, and nothing is given back to it")
async def without_usblp() -> None:
    async with plugged() as gadget:
        await done("modprobe", "-r", "usblp")
        try:
            for number in ("A001", "A002"):
                await prints(gadget.url, gadget, number)
        finally:
            await done("modprobe", "usblp")


@case("usb: a replugged printer is found also where udev tells nothing, as in a container")
async def without_udev() -> None:
    udev = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/comm") if "systemd-udevd" in path.read_text()]
    for process in udev:
        os.kill(process, signal.SIGKILL)
    try:
        async with Gadget() as gadget:
            for _ in range(2):
                await gadget.plug()
                await until("usblp has it", LP.exists)
                code = await refused(gadget.url)
                assert code == "open", code
                await gadget.unplug()
    finally:
        await done("/lib/systemd/systemd-udevd", "--daemon")


async def done(*command: str) -> None:
    """Run a command to its end."""
    await (await asyncio.create_subprocess_exec(*command)).wait()


async def refused(url: str) -> str:
    """Why the port can't be opened."""
    try:
        port = await opened(url)
    except TransportUnavailable as exc:
        print(exc.code, exc.message, exc.hint, sep=" | ", file=sys.stderr)
        return exc.code
    await port.close()
    return "open"


async def child(url: str, *words: str, group: int = 0) -> asyncio.subprocess.Process:
    """Another process that opens the port, as root or as nobody in a group."""
    command = (sys.executable, "-m", "usb_lab.child", url, *words)
    if not group:
        return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    return await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, user=NOBODY, group=group, extra_groups=[]
    )


async def said(process: asyncio.subprocess.Process) -> str:
    """Its first line."""
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()
