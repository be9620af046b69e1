"""The owner of a port that several terminals share (RS-485): one wire, many addresses.

One task writes, one reads. Requests are served urgent first, then fairly; replies go to the request that waits
for them, everything else to the inbox of its address. The port is reopened for ever, and while it is closed
every call of every terminal says why.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from hallctl.clock import Clock
from hallctl.driver import BusLine, Framing
from hallctl.driver.terminal import Logger
from hallctl.errors import (
    ConfigError,
    HallctlError,
    TerminalBusy,
    TransportError,
    TransportLost,
    TransportTimeout,
    TransportUnavailable,
    Withdrawn,
)
from hallctl.tasks import first_to_fail
from hallctl.terminal.backoff import BackOff, rest
from hallctl.terminal.busline import SUSPECT_TIMEOUT_S, Line
from hallctl.terminal.deframe import Deframer
from hallctl.terminal.request import Request, RequestQueue
from hallctl.terminal.sorter import Sorter
from hallctl.terminal.wire import Wire, WireOptions
from hallctl.transport import PortAddress, Tap, TappedTransport, Transport, is_plugged, open_port
from hallctl.transport.uart import UartState

Opener = Callable[[PortAddress, Clock], Awaitable[Transport]]

WAITING_LIMIT = 64
PARTIAL_FRAME_S = 0.1  # silence after which an incomplete frame is given up; USB adapters pause for 16 ms
BACK_OFF = BackOff()
STABLE_AFTER_S = 10.0
STANDS_AFTER_S = 2.0  # a serial server without its adapter takes a connection and ends it at once: that is no news


class Bus:
    """One port. ``attach`` before or while ``run`` runs; ``stats`` counts since the start."""

    def __init__(
        self,
        name: str,
        address: PortAddress,
        clock: Clock,
        log: Logger,
        opener: Opener = open_port,
        *,
        waiting_limit: int = WAITING_LIMIT,
        plugged: Callable[[], bool | None] | None = None,
        tap: Tap | None = None,
    ) -> None:
        self.name = name
        self.tap = tap or Tap(name, clock, port=str(address))
        self.busy_s = 0.0  # how long the wire was taken since the start: frames, answers, silences after them
        self._address = address
        self._clock = clock
        self._log = log
        self._opener = opener
        self._plugged = plugged or (lambda: is_plugged(address))
        self._lines: dict[tuple[int, int], Line] = {}
        self._queue = RequestQueue(waiting_limit)
        self._deframer = Deframer()
        self._counts: Counter[str] = Counter()
        self._sorter = Sorter(self._lines, self._counts)
        self._current: Request | None = None
        self._wire: Wire | None = None
        self._reason: HallctlError | None = TransportUnavailable(f"bus {name} is not open yet", code="port.opening")
        self._reported = False
        self.tried = asyncio.Event()  # the port has been opened, or could not be, at least once

    @property
    def stats(self) -> Mapping[str, int]:
        """Counters that only grow: frames and bytes by what became of them."""
        names = ("frames_in", "frames_out", "timeouts", "unknown_addresses", "inbox_dropped", "refused_silent")
        known = {name: self._counts[name] for name in (*names, "collisions", "echoes", "openings", "waiting_rejected")}
        return {**known, "garbage_bytes": self._deframer.garbage}

    @property
    def is_open(self) -> bool:
        """Whether the port is open now."""
        return self._reason is None

    def uart(self) -> UartState:
        """What the open port itself knows of the line; empty while it is closed. May take some milliseconds."""
        return self._wire.uart() if self._wire is not None and self.is_open else UartState()

    def attach(self, address: int, framing: Framing, gap_s: float, tap: Tap | None = None) -> BusLine:
        """Give out one address, whose share of the bytes ``tap`` sees.

        Raises ``ConfigError`` when a terminal of the same family has it already.
        """
        key = (id(framing), address)
        if key in self._lines:
            hint = "each terminal of one family on a bus needs an address of its own"
            raise ConfigError(f"bus {self.name}: address {address} is used twice", hint=hint)
        line = Line(self, f"{self.name}/{address}", address, framing, gap_s, tap)
        self._lines[key] = line
        self._deframer.add(framing)
        return line

    def detach(self, line: BusLine) -> None:
        """Take an address back; whoever still waits on it gets ``TransportUnavailable``."""
        found = [(key, known) for key, known in self._lines.items() if known is line]
        for key, known in found:
            del self._lines[key]
            self._queue.fail(partial(_detached, known), known)
            if not any(other.framing is known.framing for other in self._lines.values()):
                self._deframer.remove(known.framing)
            known.wake()

    async def run(self) -> None:
        """Open, serve, and when the port is lost back off and open again, until cancelled."""
        failures = 0
        try:
            while True:
                started = self._clock.monotonic()
                try:
                    await self._session()
                except (TransportError, ConfigError) as exc:
                    self._close(exc)
                    self._report(exc)
                stable = self._clock.monotonic() - started >= STABLE_AFTER_S
                failures = 1 if stable else failures + 1
                if await rest(self._clock, BACK_OFF.wait_s(failures), self._plugged):
                    failures = 0
        finally:
            self._close(TransportUnavailable(f"bus {self.name} was stopped", code="bus.stopped"))

    # What lines ask of their owner.

    def error(self, line: Line) -> HallctlError | None:
        """Why the line can't be used now, as an error of its own for each caller."""
        if (id(line.framing), line.address) not in self._lines:
            return _detached(line)
        return None if self._reason is None else _copy(self._reason)

    def now(self) -> float:
        """Monotonic seconds."""
        return self._clock.monotonic()

    def dropped(self, line: Line, why: str) -> None:
        """Count and log a frame that was thrown away."""
        self._counts["inbox_dropped"] += 1
        self._log.warning("frame dropped", bus=self.name, address=line.address, why=why)

    async def transact(
        self, line: Line, frame: bytes, accept: Callable[[bytes], bool] | None, timeout_s: float, urgent: bool
    ) -> bytes:
        """Queue one request and wait for its outcome; a caller that gives up takes it out again."""
        line.check()
        if accept is not None and not urgent:
            self._refuse_silent(line)
        suspect = line.silence.suspect
        if suspect:
            timeout_s = min(timeout_s, SUSPECT_TIMEOUT_S)
        request = Request(line, frame, urgent, accept, timeout_s, suspect)
        self._put(request)
        request.outcome.add_done_callback(_looked_at)
        try:
            return await asyncio.shield(request.outcome)  # once sent, the bus waits for the answer, wanted or not
        finally:
            self._queue.remove(request)

    def withdraw(self, line: Line) -> None:
        """A call to this line is coming: its polls that are not on the wire yet make way."""
        self._queue.fail(lambda: Withdrawn(f"{line.name}: the poll made way for a call"), line, polls_only=True)

    def _put(self, request: Request) -> None:
        try:
            self._queue.put(request)
        except TerminalBusy:
            self._counts["waiting_rejected"] += 1
            raise

    def _refuse_silent(self, line: Line) -> None:
        wait = line.silence.remaining_s(self.now())
        if wait > 0:
            self._counts["refused_silent"] += 1
            raise TransportTimeout(
                f"{line.name}: silent, {line.silence.misses} requests unanswered; asked again in {wait:.1f} s",
                hint="check the terminal's power, its bus address and its A/B wires",
            )

    # One session of the open port.

    async def _session(self) -> None:
        options = WireOptions.of(self._address)
        transport = await TappedTransport.open(self._opener, self._address, self._clock, self.tap)
        try:
            wire = self._wire = Wire(transport, self._clock, options)
            self._open()
            await first_to_fail(self._listen(wire), self._speak(wire), self._tell_open())
        finally:
            await transport.close()

    def _open(self) -> None:
        self._counts["openings"] += 1
        self._reason = None
        self.tried.set()
        for line in self._lines.values():
            line.silence.heard()
            line.opened(str(self._address))
            line.wake()

    async def _tell_open(self) -> None:
        """Once, like the loss before it: where the port was lost, when it has stood for a moment."""
        if self._reported:
            await self._clock.sleep(STANDS_AFTER_S)
        self._reported = False
        self._log.info("bus open", bus=self.name, port=str(self._address))

    def _close(self, exc: HallctlError) -> None:
        self._reason = exc
        self.tried.set()
        self._deframer.clear()
        if self._current is not None:
            self._current.fail(_copy(exc))
            self._current = None
        self._queue.fail(lambda: _copy(exc))
        for line in self._lines.values():
            line.failed(exc.message)
            line.wake()

    def _report(self, exc: HallctlError) -> None:
        if not self._reported:
            code = exc.code or "config.invalid"
            self._log.warning("bus lost", bus=self.name, code=code, message=exc.message, hint=exc.hint)
        self._reported = True

    async def _speak(self, wire: Wire) -> None:
        while True:
            self._current = await self._queue.get()
            began = self._clock.monotonic()
            await self._serve(wire, self._current)
            self.busy_s += self._clock.monotonic() - began
            self._current = None

    async def _serve(self, wire: Wire, request: Request) -> None:
        line = request.line
        assert isinstance(line, Line)  # noqa: S101  # the queue only knows that lines can be told apart
        await wire.silence()
        if request.outcome.done():
            return
        request.sent = True
        line.sent(request.frame)
        await wire.write(request.frame, line.gap_s)
        self._counts["frames_out"] += 1
        if request.accept is None:
            request.succeed(b"")
            return
        await self._wait_for_reply(request, line)
        wire.keep_quiet(line.gap_s)

    async def _wait_for_reply(self, request: Request, line: Line) -> None:
        try:
            async with self._clock.timeout(request.timeout_s):
                await asyncio.wait([request.outcome])
        except TimeoutError:
            if request.outcome.done():  # the reply came in the very last moment
                return
            line.silence.missed(self.now())
            self._sorter.missed = line
            self._counts["timeouts"] += 1
            hint = "check the terminal's power, its bus address and its A/B wires"
            request.fail(TransportTimeout(f"{line.name}: no answer within {request.timeout_s:g} s", hint=hint))

    async def _listen(self, wire: Wire) -> None:
        while True:
            data = await wire.read(PARTIAL_FRAME_S if self._deframer.pending else None)
            self._counts["collisions"] += wire.collisions
            wire.collisions = 0
            found = self._deframer.drop_stale() if data is None else self._deframer.feed(data)
            turn = self._turn()
            if data:
                if turn is not None:
                    turn.received(data)  # garbage too: who is asked at the wrong baud answers garbage
                wire.keep_quiet(max((line.gap_s for line in self._lines.values()), default=0.0))
            for one in found:
                self._sorter.sort(one, self._current, turn)

    def _turn(self) -> Line | None:
        """Whose answer the bus waits for now."""
        current = self._current
        waits = current is not None and current.sent and current.accept is not None
        return current.line if current is not None and waits and isinstance(current.line, Line) else None


def _looked_at(outcome: "asyncio.Future[bytes]") -> None:
    """An outcome whose caller has gone is nobody's oversight."""
    if not outcome.cancelled():
        outcome.exception()


def _copy(exc: HallctlError) -> HallctlError:
    """A fresh error for each caller: one instance raised in many tasks would collect all their traces."""
    match exc:
        case TransportLost():
            return TransportLost(exc.message, hint=exc.hint)
        case TransportError():
            return TransportUnavailable(exc.message, code=exc.code, hint=exc.hint)
    return TransportUnavailable(exc.message, code="config.invalid", hint=exc.hint)


def _detached(line: Line) -> TransportUnavailable:
    return TransportUnavailable(f"{line.name} is no longer on its bus", code="bus.detached")
