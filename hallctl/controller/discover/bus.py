"""Who is on a bus: every address is asked by the drivers that can ask, and who speaks by himself is heard."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

from hallctl.clock import Clock
from hallctl.controller.discover.quiet import QUIET
from hallctl.driver import BusLine, DriverPlugin, Framing, Signal, TerminalContext, TerminalDriver
from hallctl.errors import HallctlError, TransportError
from hallctl.terminal import Bus
from hallctl.terminal.bus import PARTIAL_FRAME_S, Opener
from hallctl.terminal.deframe import Deframer, Found
from hallctl.transport import PortAddress, Transport, open_port

PATIENCE_S = 0.2  # for one answer: a device of these families says something within 100 ms


@dataclass(frozen=True, slots=True)
class Answered:
    """A device that answered its driver's questions."""

    driver: str
    address: int


@dataclass(frozen=True, slots=True)
class Heard:
    """A device that spoke by itself; ``drivers`` of its family could be meant."""

    drivers: tuple[str, ...]
    address: int


class Hasty(BusLine):
    """A line on which nobody waits long: most addresses are empty."""

    def __init__(self, line: BusLine) -> None:
        self._line = line
        self.name, self.address = line.name, line.address

    def check(self) -> None:
        """As the line itself."""
        self._line.check()

    async def send(self, frame: bytes, *, urgent: bool = True) -> None:
        """As the line itself."""
        await self._line.send(frame, urgent=urgent)

    async def exchange(
        self,
        frame: bytes,
        accept: Callable[[bytes], bool],
        *,
        timeout_s: float,
        urgent: bool = True,  # noqa: ARG002  # an urgent request is never refused for a silence before it
    ) -> bytes:
        """At most ``PATIENCE_S``."""
        return await self._line.exchange(frame, accept, timeout_s=min(timeout_s, PATIENCE_S), urgent=True)

    async def receive(self) -> bytes:
        """As the line itself."""
        return await self._line.receive()


async def ask_bus(
    port: PortAddress,
    plugins: Iterable[DriverPlugin],
    clock: Clock,
    *,
    addresses: range | None = None,
    progress: Callable[[str, int], None] = lambda _driver, _address: None,
) -> AsyncIterator[Answered]:
    """Ask each family's addresses (or ``addresses``) in turn. Raises ``TransportError`` when the port can't be used."""
    async with _running(port, clock) as bus:
        for plugin in plugins:
            for address in addresses or plugin.addresses:
                progress(plugin.name, address)
                if await _answers(bus, plugin, address, clock):
                    yield Answered(plugin.name, address)


async def listen_on_bus(
    port: PortAddress, plugins: Iterable[DriverPlugin], clock: Clock, seconds: float, opener: Opener = open_port
) -> AsyncIterator[Heard]:
    """Hear who speaks: press a key on each pad and keypad. Nothing is sent, so a device may say it three times."""
    families: dict[int, tuple[Framing, tuple[str, ...]]] = {}
    deframer = Deframer()
    for plugin in plugins:
        if plugin.framing is not None:
            _, names = families.get(id(plugin.framing), (plugin.framing, ()))
            families[id(plugin.framing)] = (plugin.framing, (*names, plugin.name))
            deframer.add(plugin.framing)
    known: set[tuple[int, int]] = set()
    async with await opener(port, clock) as transport:
        with contextlib.suppress(TimeoutError):
            async with clock.timeout(seconds):
                while True:
                    for found in await _frames(transport, deframer, clock):
                        address = found.framing.address_of(found.frame)
                        key = (id(found.framing), address if address is not None else -1)
                        if address is not None and key not in known:
                            known.add(key)
                            yield Heard(families[id(found.framing)][1], address)


async def _frames(transport: Transport, deframer: Deframer, clock: Clock) -> list[Found]:
    """What is whole now; a beginning that noise has made is given up, as the bus does it."""
    if not deframer.pending:
        return deframer.feed(await transport.read())
    try:
        async with clock.timeout(PARTIAL_FRAME_S):
            return deframer.feed(await transport.read())
    except TimeoutError:
        return deframer.drop_stale()


@contextlib.asynccontextmanager
async def _running(port: PortAddress, clock: Clock) -> AsyncIterator[Bus]:
    async with await open_port(port, clock):
        pass  # a port that can't be opened is an error here, not something to wait for
    bus = Bus("discover", port, clock, QUIET)
    task = asyncio.create_task(bus.run())
    try:
        await bus.tried.wait()
        yield bus
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _answers(bus: Bus, plugin: DriverPlugin, address: int, clock: Clock) -> bool:
    if plugin.framing is None:
        return False
    context = TerminalContext(f"{plugin.name}-{address}", clock, QUIET, _ignore)
    driver = plugin.make(context, plugin.options.model_validate(dict(plugin.example)))
    if not isinstance(driver, TerminalDriver):
        return False
    line = bus.attach(address, plugin.framing, plugin.bus_gap_s)
    try:
        await driver.start(Hasty(line))
        await driver.poll()
    except TransportError:
        line.check()  # raises when it is the port that is lost
        return False
    except HallctlError:
        return True  # it said something, if only that it refuses
    finally:
        bus.detach(line)
    return True


async def _ignore(_signal: Signal, /) -> None:
    return
