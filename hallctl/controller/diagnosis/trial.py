"""A line that is silent or babbles, asked at other rates, parities and addresses with the driver's harmless questions.

Whoever calls has seen to it that nobody else uses the port meanwhile (``Terminals.resting``).
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hallctl.clock import Clock
from hallctl.controller.discover.bus import Hasty
from hallctl.controller.discover.quiet import QUIET
from hallctl.diagnose import Attempt, Trial
from hallctl.driver import Attachment, Connection, DriverPlugin, Signal, TerminalContext, TerminalDriver
from hallctl.errors import CodecError, HallctlError, TransportError
from hallctl.terminal.bus import Bus
from hallctl.transport import PortAddress, Transport, open_port
from hallctl.transport.serial_settings import SerialSettings
from hallctl.transport.uart import UartState, read_uart

RATES = (9600, 19200, 38400, 115200, 57600, 4800, 2400, 1200)
FORMS = (("none", "8"), ("even", "8"), ("odd", "8"), ("even", "7"))
ATTEMPT_S = 1.2  # one setting, its questions and their repeats
PATIENCE_S = 0.3  # for one answer
LETTERS = {"none": "N", "even": "E", "odd": "O"}


@dataclass(frozen=True, slots=True)
class Line:
    """What is asked, and how it is configured. ``address``: on a bus, else ``None``."""

    port: PortAddress
    plugin: DriverPlugin
    options: Any
    address: int | None = None

    @property
    def harmless(self) -> bool:
        """Whether the driver's questions disturb no device, as discovery needs it."""
        return bool(self.plugin.addresses or self.plugin.tcp_ports) and self.port.scheme == "serial"


async def try_line(line: Line, clock: Clock, budget_s: float, taken: frozenset[int] = frozenset()) -> Trial:
    """As it is configured, then at other settings, then (on a bus) at other addresses; ends with the first answer.

    ``taken``: addresses of other terminals. ``budget_s``: how long all of it may take.
    """
    shown = _shown(line.port)
    if not line.harmless:
        return Trial(shown, why_not="devices of this kind can't be asked")
    attempts: list[Attempt] = []
    until = clock.monotonic() + budget_s
    for one in _variants(line, taken, attempts):
        if clock.monotonic() >= until:
            return _told_short(line, shown, attempts, "there was no time for more")
        attempts.append(await _attempt(one, clock))
        if attempts[-1].answered:
            break
    return _told_short(line, shown, attempts)


def _told_short(line: Line, shown: str, attempts: Sequence[Attempt], why_not: str = "") -> Trial:
    """A hundred addresses at which nobody is are one line."""
    telling = tuple(one for one in attempts if one.answered or one.address == line.address)
    empty = len(attempts) - len(telling)
    words = (f"{empty} other addresses: no answer" if empty else "", why_not)
    return Trial(shown, telling, "; ".join(filter(None, words)))


def _variants(line: Line, taken: frozenset[int], attempts: Sequence[Attempt]) -> Iterator[Line]:
    """An echo comes back at any rate, and nonsense is none of another address's: these need not be tried."""
    yield line
    first = attempts[0]
    echo = bool(first.received) and first.sent.startswith(first.received)
    yield from () if echo else _settings(line)
    yield from () if first.received and not echo else _addresses(line, taken)


async def try_addresses(bus: Bus, line: Line, clock: Clock, budget_s: float, taken: frozenset[int]) -> Trial:
    """On a bus that others work on: other addresses alone, between their calls."""
    attempts: list[Attempt] = []
    until = clock.monotonic() + budget_s
    for one in _addresses(line, taken) if line.harmless else ():
        if clock.monotonic() >= until:
            break
        attempts.append(await _on_bus(bus, one, clock, _Tape()))
        if attempts[-1].answered:
            return Trial(_shown(line.port), (attempts[-1],))
    return Trial(_shown(line.port), why_not="others use the line: only addresses were tried")


def uart(path: str) -> UartState:
    """Of a serial port that nobody uses now; blocks."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return UartState()
    try:
        return read_uart(descriptor)
    finally:
        os.close(descriptor)


class _Tape(Transport):
    """What goes over a port, kept."""

    def __init__(self) -> None:
        self.sent, self.received = bytearray(), bytearray()
        self._port: Transport | None = None

    async def open(self, address: PortAddress, clock: Clock) -> Transport:
        """Raises ``TransportError``."""
        self._port = await open_port(address, clock)
        self.name = self._port.name
        return self

    async def read(self, limit: int = 4096) -> bytes:
        data = await self._open.read(limit)
        self.received += data
        return data

    async def write(self, data: bytes) -> None:
        self.sent += data
        await self._open.write(data)

    async def drain_input(self) -> bytes:
        data = await self._open.drain_input()
        self.received += data
        return data

    async def close(self) -> None:
        await self._open.close()

    @property
    def _open(self) -> Transport:
        assert self._port is not None  # noqa: S101  # open comes first
        return self._port


def _settings(line: Line) -> Iterator[Line]:
    """Other rates, other forms at the configured rate."""
    own = SerialSettings.from_address(line.port)
    yield from (_with(line, baud=str(rate)) for rate in RATES if rate != own.baud)
    for parity, size in FORMS:
        if (LETTERS[parity], int(size)) != (own.parity, own.bytesize):
            yield _with(line, parity=parity, bytesize=size)


def _with(line: Line, **changed: str) -> Line:
    options = {**dict(line.port.options), **changed}
    return replace(line, port=replace(line.port, options=tuple(options.items())))


def _addresses(line: Line, taken: frozenset[int]) -> Iterator[Line]:
    if line.address is not None:
        for address in line.plugin.addresses:
            if address != line.address and address not in taken:
                yield replace(line, address=address)


async def _attempt(line: Line, clock: Clock) -> Attempt:
    tape = _Tape()
    if line.plugin.attachment is not Attachment.BUS:
        return await _on_port(line, clock, tape)
    bus = Bus("diagnose", line.port, clock, QUIET, tape.open)
    task = asyncio.create_task(bus.run())
    try:
        await bus.tried.wait()
        return await _on_bus(bus, line, clock, tape)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _on_port(line: Line, clock: Clock, tape: _Tape) -> Attempt:
    try:
        async with await tape.open(line.port, clock):
            return await _ask(line, tape, clock, tape)
    except HallctlError as exc:
        return _told(line, tape, exc.message)


async def _on_bus(bus: Bus, line: Line, clock: Clock, tape: _Tape) -> Attempt:
    assert line.plugin.framing is not None and line.address is not None  # noqa: S101  # a driver for a bus has both
    try:
        place = bus.attach(line.address, line.plugin.framing, line.plugin.bus_gap_s)
    except HallctlError as exc:
        return _told(line, tape, exc.message)
    try:
        return await _ask(line, Hasty(place), clock, tape)
    finally:
        bus.detach(place)


async def _ask(line: Line, connection: Connection, clock: Clock, tape: _Tape) -> Attempt:
    driver = line.plugin.make(TerminalContext("diagnose", clock, QUIET, _ignore), _hasty(line.options))
    if not isinstance(driver, TerminalDriver):
        return _told(line, tape, "it is no device on a line")
    try:
        async with clock.timeout(ATTEMPT_S):
            await driver.start(connection)
            await driver.poll()
    except (TransportError, CodecError) as exc:
        return _told(line, tape, exc.message)
    except TimeoutError:
        return _told(line, tape, f"no answer within {ATTEMPT_S:g} s")
    except HallctlError as exc:  # it said something, if only that it refuses
        return replace(_told(line, tape, exc.message), answered=True)
    except Exception as exc:  # noqa: BLE001  # a vendor's driver may raise anything
        return _told(line, tape, repr(exc))
    # Some drivers are content with silence; a bus that runs already has no tape of its own.
    heard = not tape.sent or bytes(tape.received) not in (b"", bytes(tape.sent))
    return replace(_told(line, tape, "" if heard else "no answer"), answered=heard)


def _hasty(options: Any) -> Any:
    """Nobody waits long for a device that will not answer."""
    known = getattr(options, "reply_timeout_s", None)
    return options.model_copy(update={"reply_timeout_s": min(known, PATIENCE_S)}) if known else options


def _told(line: Line, tape: _Tape, error: str) -> Attempt:
    return Attempt(
        line=_shown(line.port),
        address=line.address,
        answered=False,
        sent=tape.sent[:64].hex(),
        received=tape.received[:64].hex(),
        error=error,
    )


def _shown(port: PortAddress) -> str:
    """As technicians write it: 9600 8N1."""
    if port.scheme != "serial":
        return ""
    own = SerialSettings.from_address(port)
    return f"{own.baud} {own.bytesize}{own.parity}{own.stopbits:g}"


async def _ignore(_signal: Signal, /) -> None:
    return
