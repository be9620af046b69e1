"""Ports that go through the kernel's drivers: /dev/usb/lp0, the same by the printer's name, and USB serial adapters."""

import asyncio
from pathlib import Path

from hallctl.driver import PrintOutcome, PrintState
from hallctl.transport import PortAddress
from usb_lab.bench import FILE_URL, LP, case, once, opened, prints, seen, started, supervised, until
from usb_lab.gadget import Gadget, SerialGadget

SERIAL_URL = "serial:///dev/ttyACM0?baud=115200"
TTY = Path("/dev/ttyACM0")


@case("file: a ticket prints through usblp and is confirmed")
async def prints_through_usblp() -> None:
    async with Gadget() as gadget:
        await gadget.plug()
        await seen(FILE_URL)
        await prints(FILE_URL, gadget)


@case("file: an unplugged printer is offline with its port's reason, and online again after the replug")
async def file_comes_back() -> None:
    await comes_back(Gadget(), FILE_URL)


@case("file: paper out is told and ends when there is paper")
async def file_paper() -> None:
    async with Gadget() as gadget:
        await gadget.plug()
        await seen(FILE_URL)
        async with await opened(FILE_URL) as port:
            driver = await started(port)
            gadget.sim.remove_paper()
            assert [fault.code for fault in (await driver.poll()).faults] == ["paper.end"]
            gadget.sim.load_paper()
            assert (await driver.poll()).faults == ()


@case("file: closing does not wait for a printer that takes nothing")
async def file_closes_at_once() -> None:
    async with Gadget(queue=1) as gadget:
        await gadget.plug()
        await seen(FILE_URL)
        gadget.appetite = 0
        port = await opened(FILE_URL)
        writing = asyncio.create_task(port.write(bytes(100_000)))
        await asyncio.sleep(0.5)
        assert not writing.done(), "the printer has taken it all: this tests nothing"
        async with asyncio.timeout(3):
            await port.close()
        await asyncio.gather(writing, return_exceptions=True)


@case("file: a printer that is unplugged in the middle of a ticket leaves its outcome unknown")
async def file_lost_in_ticket() -> None:
    await lost_in_ticket(Gadget(queue=1), FILE_URL)


@case("usblp: a name finds its own printer in either plug order")
async def usblp_by_name() -> None:
    for order in ((0, 1), (1, 0)):
        async with Gadget("HALL0001") as first, Gadget("HALL0002") as second:
            both = (first, second)
            for index in order:
                await both[index].plug(index)
                await seen(both[index].url.replace("usb:", "usblp:"))
            for gadget, number in ((first, "A001"), (second, "B001")):
                await prints(gadget.url.replace("usb:", "usblp:"), gadget, number)
        assert not LP.exists()


@case("usblp: an unplugged printer is offline, and online again in another socket and under another number")
async def usblp_comes_back() -> None:
    async with Gadget("HALL0001") as gadget, Gadget("HALL0002") as other:
        await gadget.plug(0)
        async with supervised(gadget.url.replace("usb:", "usblp:")) as terminal:
            await terminal.online()
            await gadget.unplug()
            await terminal.offline()
            await other.plug(0)
            await seen(FILE_URL)
            await gadget.plug(1)
            await terminal.online()
            outcome = await terminal.prints("A002")
            assert outcome == PrintOutcome(PrintState.PRINTED, "gs_h"), outcome
            assert len(gadget.sim.tickets) == 1
            assert other.sim.tickets == []


@case("serial: a ticket prints through a USB serial adapter and is confirmed")
async def prints_through_acm() -> None:
    async with SerialGadget() as gadget:
        await gadget.plug()
        await seen(SERIAL_URL)
        await prints(SERIAL_URL, gadget)


@case("serial: an unplugged adapter comes back under the same node name, and the terminal with it")
async def serial_comes_back() -> None:
    await comes_back(SerialGadget(), SERIAL_URL)
    await until("the node has gone", lambda: not TTY.exists())


@case("serial: an adapter that is unplugged in the middle of a ticket leaves its outcome unknown")
async def serial_lost_in_ticket() -> None:
    await lost_in_ticket(SerialGadget(), SERIAL_URL)


async def lost_in_ticket(gadget: Gadget, url: str) -> None:
    """Pull the plug when the printer has part of a ticket: nobody knows, and nothing is sent again."""
    async with gadget:
        await gadget.plug()
        async with supervised(url) as terminal:
            await terminal.online()
            gadget.appetite = 500
            printing = asyncio.create_task(terminal.prints("A001", lines=1000))
            await until("the ticket has begun", lambda: gadget.appetite == 0)
            await gadget.unplug()
            assert (await printing).state is PrintState.UNKNOWN
            await terminal.offline()
            gadget.appetite = None
            await gadget.plug()
            await terminal.online()
            assert (await terminal.prints("A002")).state is PrintState.PRINTED
        assert once(gadget, "A001", "A002")


async def comes_back(gadget: Gadget, url: str) -> None:
    """Three times unplugged while idle, and each time back without help, fit to print."""
    async with gadget:
        await gadget.plug()
        async with supervised(url) as terminal:
            await terminal.online()
            for number in ("A001", "A002", "A003"):
                await gadget.unplug()
                await terminal.offline()
                await until("its node is gone", lambda: not Path(PortAddress.parse(url).path).exists(), 5)
                await gadget.plug()
                await terminal.online()
                outcome = await terminal.prints(number)
                assert outcome == PrintOutcome(PrintState.PRINTED, "gs_h"), outcome
        assert len(gadget.sim.tickets) == 3
