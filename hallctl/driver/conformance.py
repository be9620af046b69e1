"""The suite that every driver passes, ours and a vendor's: wired to its own simulator over memory.

Use it from a test of your own::

    import pytest
    from hallctl.driver.conformance import CHECKS
    from acme_lamp import PLUGIN

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_conformance(check):
        await check(PLUGIN)

A check raises ``AssertionError`` that says what is wrong. Drivers on a bus get a line that does what the bus does,
without its timing.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog

from hallctl.clock import SystemClock
from hallctl.driver.book import unexplained
from hallctl.driver.capability import (
    Camera,
    Capability,
    EvaluationPad,
    Keypad,
    NumberDisplay,
    TicketPrinter,
)
from hallctl.driver.line import BusLine, Framing
from hallctl.driver.plugin import Attachment, DriverOptions, DriverPlugin
from hallctl.driver.sim import StreamSimulator, VisitingSimulator, WireSimulator
from hallctl.driver.terminal import Connection, TerminalContext, TerminalDriver
from hallctl.errors import CodecError, HallctlError, TransportTimeout
from hallctl.hall.signal import Signal
from hallctl.transport import Direction, MemoryTransport, null_modem

ADDRESS = 1
_CLASSES: dict[Capability, type] = {
    Capability.PRINTER: TicketPrinter,
    Capability.DISPLAY: NumberDisplay,
    Capability.PAD: EvaluationPad,
    Capability.KEYPAD: Keypad,
    Capability.CAMERA: Camera,
}


async def names_its_parts(plugin: DriverPlugin) -> None:
    """Name, summary, capabilities, options with descriptions, framing where it shares a bus."""
    assert plugin.name and plugin.name == plugin.name.lower(), f"name {plugin.name!r} must be lower case"
    assert plugin.summary, "summary says in a line what the driver is for"
    assert plugin.capabilities, "a driver has at least one capability"
    assert issubclass(plugin.options, DriverOptions), "options must inherit from DriverOptions"
    assert plugin.options.model_config.get("extra") == "forbid", "options must refuse unknown keys"
    bare = [name for name, field in plugin.options.model_fields.items() if not field.description]
    assert not bare, f"these options have no description: {', '.join(bare)}"
    assert (plugin.attachment is Attachment.BUS) == (plugin.framing is not None), "a bus driver has a framing"
    assert bool(plugin.heads) == (plugin.framing is not None), "a bus driver's heads say how its frames begin"


async def makes_what_it_promises(plugin: DriverPlugin) -> None:
    """``make`` does no IO and gives an object that has every capability of the plug-in."""
    made = _make(plugin)
    for capability in plugin.capabilities:
        assert isinstance(made, _CLASSES[capability]), f"{type(made).__name__} is no {_CLASSES[capability].__name__}"
    kind = Camera if plugin.attachment is Attachment.STREAM else TerminalDriver
    assert isinstance(made, kind), f"{type(made).__name__} is no {kind.__name__}"


async def has_a_simulator_that_refuses_unknown_faults(plugin: DriverPlugin) -> None:
    """``simulate`` builds the device's side; every fault has a description; an unknown fault is refused."""
    simulator = plugin.simulate(None, ADDRESS)
    kinds: dict[Attachment, type] = {Attachment.STREAM: StreamSimulator, Attachment.NONE: VisitingSimulator}
    kind = kinds.get(plugin.attachment, WireSimulator)
    assert isinstance(simulator, kind), f"{type(simulator).__name__} is no {kind.__name__}"
    assert all(simulator.FAULTS.values()), "every fault says what the device then does"
    with contextlib.suppress(HallctlError):
        plugin.simulate("no-such-fault", ADDRESS)
        raise AssertionError("an unknown fault was accepted")


async def comes_online_on_its_own_simulator(plugin: DriverPlugin) -> None:
    """``start`` and ``poll`` succeed on a healthy device, and ``poll`` reports no fault."""
    if plugin.attachment in (Attachment.STREAM, Attachment.NONE):  # these are tested where they serve
        return
    async with _wired(plugin, plugin.simulate(None, ADDRESS)) as (driver, connection):
        await driver.start(connection)
        health = await driver.poll()
        assert not health.faults, f"a healthy device reports {health.faults}"


async def turns_every_fault_into_a_house_error_or_a_report(plugin: DriverPlugin) -> None:
    """Whatever its device does, a driver raises only ``HallctlError`` and reports only codes that it documents."""
    if plugin.attachment in (Attachment.STREAM, Attachment.NONE):
        return
    for fault in plugin.simulate(None, ADDRESS).FAULTS:
        async with _wired(plugin, plugin.simulate(fault, ADDRESS)) as (driver, connection):
            with contextlib.suppress(HallctlError):
                async with asyncio.timeout(30):
                    await driver.start(connection)
                    health = await driver.poll()
                    unknown = {report.code for report in health.faults} - plugin.faults.keys()
                    assert not unknown, f"fault {fault!r}: codes without a documented remedy: {unknown}"


async def explains_its_codes_in_english_and_chinese(plugin: DriverPlugin) -> None:
    """Every fault code has an entry in hallctl's book of faults, or in the driver's own (``book``)."""
    codes = unexplained(plugin)
    assert not codes, (
        f"no entry in English and Chinese for {', '.join(codes)}: write faults.yaml, name its package in book"
    )


async def survives_noise(plugin: DriverPlugin) -> None:
    """Random bytes from the device raise nothing but ``HallctlError``; the framing never raises at all."""
    noise = random.Random(20261123)
    if plugin.framing is not None:
        for _ in range(2000):
            heard = noise.randbytes(noise.randrange(1, 40))
            begins = any(heard.startswith(head) or head.startswith(heard) for head in plugin.heads)
            assert plugin.framing.probe(heard) < 0 or begins, f"a frame begins with {heard[:2].hex(' ')}, heads lack it"
    if plugin.attachment is not Attachment.PORT:
        return
    near, far = null_modem()
    driver = _make(plugin)
    assert isinstance(driver, TerminalDriver)
    babble = asyncio.create_task(_babble(far, noise))
    try:
        with contextlib.suppress(HallctlError):
            async with asyncio.timeout(30):
                await driver.start(near)
                await driver.poll()
    finally:
        babble.cancel()
        await near.close()


async def explains_every_byte_once(plugin: DriverPlugin) -> None:
    """``explain`` never raises, and gives back every byte that it got, in order, cut in whatever way they come."""
    if plugin.explain is None:
        return
    noise = random.Random(20261127)
    for _ in range(200):
        explainer = plugin.explain()
        heads = plugin.heads or (b"",)
        for way in (Direction.OUT, Direction.IN):
            said = b"".join(noise.choice(heads) + noise.randbytes(noise.randrange(30)) for _ in range(3))
            cut = noise.randrange(len(said) + 1)
            told = explainer.feed(way, said[:cut]) + explainer.feed(way, said[cut:]) + explainer.rest(way)
            assert b"".join(one.raw for one in told) == said, f"not every byte of {said.hex(' ')} is told of once"
            assert all(one.text and "\n" not in one.text for one in told), "an explanation is one line"


CHECKS: tuple[Callable[[DriverPlugin], Awaitable[None]], ...] = (
    names_its_parts,
    makes_what_it_promises,
    has_a_simulator_that_refuses_unknown_faults,
    comes_online_on_its_own_simulator,
    turns_every_fault_into_a_house_error_or_a_report,
    explains_its_codes_in_english_and_chinese,
    survives_noise,
    explains_every_byte_once,
)


class DirectLine(BusLine):
    """A bus with one device on it, wired straight to its simulator: for tests of drivers."""

    def __init__(self, simulator: WireSimulator, framing: Framing, address: int = ADDRESS) -> None:
        self.name = "direct"
        self.address = address
        self._simulator = simulator
        self._framing = framing
        self._buffer = bytearray()
        self._frames: asyncio.Queue[bytes] = asyncio.Queue()
        self._time = 0.0
        simulator.now = lambda: self._time
        simulator.emit = self._heard
        simulator.connected()

    async def send(self, frame: bytes, *, urgent: bool = True) -> None:  # noqa: ARG002  # nothing to overtake
        """Straight into the device, a second of its own time after the last."""
        self._time += 1.0
        self._heard(self._simulator.feed(frame))
        await asyncio.sleep(0)

    async def exchange(
        self,
        frame: bytes,
        accept: Callable[[bytes], bool],
        *,
        timeout_s: float,  # noqa: ARG002  # the simulator answers at once or never
        urgent: bool = True,  # noqa: ARG002  # nothing to overtake
    ) -> bytes:
        """The first accepted frame of this address; others stay for ``receive``."""
        await self.send(frame)
        kept = []
        while not self._frames.empty():
            answer = self._frames.get_nowait()
            if accept(answer):
                return answer
            kept.append(answer)
        for answer in kept:
            self._frames.put_nowait(answer)
        raise TransportTimeout(f"address {self.address} does not answer")

    async def receive(self) -> bytes:
        """The next frame that nobody waited for."""
        return await self._frames.get()

    def _heard(self, data: bytes) -> None:
        self._buffer += data
        while self._buffer:
            length = self._framing.probe(bytes(self._buffer))
            if length == 0:
                return
            frame = bytes(self._buffer[: max(length, 1)])
            del self._buffer[: max(length, 1)]
            if length > 0 and self._framing.address_of(frame) in (self.address, None):
                self._frames.put_nowait(frame)


@contextlib.asynccontextmanager
async def _wired(plugin: DriverPlugin, simulator: object) -> AsyncIterator[tuple[TerminalDriver, Connection]]:
    assert isinstance(simulator, WireSimulator)
    driver = _make(plugin)
    assert isinstance(driver, TerminalDriver)
    if plugin.framing is not None:
        yield driver, DirectLine(simulator, plugin.framing)
        return
    near, far = null_modem()
    device = asyncio.create_task(_run_device(simulator, far))
    try:
        yield driver, near
    finally:
        device.cancel()
        await near.close()


async def _run_device(simulator: WireSimulator, wire: MemoryTransport) -> None:
    loop = asyncio.get_running_loop()
    sending: set[asyncio.Task[None]] = set()

    def emit(data: bytes) -> None:
        task = loop.create_task(wire.write(data))
        sending.add(task)
        task.add_done_callback(sending.discard)

    simulator.emit = emit
    simulator.connected()
    while True:
        answer = simulator.feed(await wire.read())
        if simulator.reply_delay_s:
            await asyncio.sleep(simulator.reply_delay_s)
        if answer:
            await wire.write(answer)


async def _babble(wire: MemoryTransport, noise: random.Random) -> None:
    while True:
        await wire.write(noise.randbytes(64))
        await asyncio.sleep(0.01)


async def _ignore(_signal: Signal) -> None:
    return


def _make(plugin: DriverPlugin) -> TerminalDriver | Camera:
    context = TerminalContext("conformance", SystemClock(), structlog.get_logger(), _ignore)
    return plugin.make(context, plugin.options.model_validate(dict(plugin.example)))


# CodecError is re-exported for vendors' own checks of a codec: any bytes may raise it, and nothing else.
__all__ = ["CHECKS", "CodecError", "DirectLine"]
