"""Lines: rate, parity, address, wiring, echo, noise."""

from contextlib import asynccontextmanager

from diagnose.staging import bar, on_line, printer, stage
from hallctl_drivers.escpos.sim import EscposSimulator
from hallctl_drivers.pinganlihe.sim import PingAnLiHeSimulator

from hallctl.driver import on_pty


@stage("wrong baud", "p1: it answers at 9600 baud, but hall.yaml says 19200 baud", "line.baud")
@asynccontextmanager
async def wrong_baud(box, stand):
    async with on_pty([EscposSimulator()], line="9600 8N1") as path:
        box.write({"terminals": [printer(f"serial://{path}?baud=19200")]})
        yield


@stage("wrong baud of a whole bus", "p1: it answers at 9600 baud, but hall.yaml says 2400 baud", "line.baud")
@asynccontextmanager
async def wrong_baud_of_a_bus(box, stand):
    async with on_pty([PingAnLiHeSimulator(address=1), PingAnLiHeSimulator(address=2)], line="9600 8N1") as path:
        box.write(on_line(path, bar("p1", 1), bar("p2", 2), query="baud=2400"))
        yield


@stage("wrong parity", "p1: it answers at 8N1, but hall.yaml says 8O1", "line.parity", slow=True)
@asynccontextmanager
async def wrong_parity(box, stand):
    async with on_pty([EscposSimulator()], line="9600 8N1") as path:
        box.write({"terminals": [printer(f"serial://{path}?baud=9600&parity=odd")]})
        yield


@stage(
    "swapped address",
    "p1: nothing answers at its address 5, but a device of its kind does at 7",
    "line.address",
)
@asynccontextmanager
async def swapped_address(box, stand):
    async with on_pty([PingAnLiHeSimulator(address=7)], line="9600 8N1") as path:
        box.write(on_line(path, bar("p1", 5)))
        yield


@stage(
    "swapped address on a line that others use",
    "p1: nothing answers at its address 5, but a device of its kind does at 3",
    "line.address",
)
@asynccontextmanager
async def swapped_address_beside_others(box, stand):
    async with on_pty([PingAnLiHeSimulator(address=3), PingAnLiHeSimulator(address=2)]) as path:
        box.write(on_line(path, bar("p1", 5), bar("p2", 2)))
        yield


@stage(
    "no wire, no power, or A and B swapped", "p1: nothing comes from the line at any setting", "line.silent", slow=True
)
@asynccontextmanager
async def nothing_on_the_line(box, stand):
    async with on_pty([EscposSimulator("mute")]) as path:
        box.write({"terminals": [printer(f"serial://{path}?baud=9600")]})
        yield


@stage("the adapter hears itself", "p1: the line gives back only what was sent", "line.echo", slow=True)
@asynccontextmanager
async def echo(box, stand):
    async with on_pty([PingAnLiHeSimulator("echo_mute", 1)]) as path:
        box.write(on_line(path, bar("p1", 1)))
        yield


@stage("noise on the line", "p1: what comes from the line is no answer: noise", "line.noise")
@asynccontextmanager
async def noise(box, stand):
    async with on_pty([PingAnLiHeSimulator("noise", 1)]) as path:
        box.write(on_line(path, bar("p1", 1)))
        yield


@stage(
    "two devices speak at once",
    "p1: what comes from the line is no answer: noise, two devices",
    "line.noise",
    slow=True,
)
@asynccontextmanager
async def collisions(box, stand):
    async with on_pty([PingAnLiHeSimulator("collisions", 1)]) as path:
        box.write(on_line(path, bar("p1", 1)))
        yield
