"""What people who look for a cause ask of a running daemon, beside the hall's own commands: no device is acted upon."""

import contextlib
from collections.abc import Awaitable, Callable

from hallctl.clock import Clock
from hallctl.controller.figures import Figures
from hallctl.controller.loglevel import LogLevelDesk
from hallctl.controller.requests import TraceTerminal, read_request
from hallctl.controller.terminals import Terminals
from hallctl.errors import HallctlError, RequestRefused
from hallctl.link.look_data import LookResult
from hallctl.link.payloads import Payload
from hallctl.link.result_data import TraceRecord, TraceResult
from hallctl.model import Command, Reply, ReplyState
from hallctl.transport import Chunk, Tap

GATHER_S = 0.2  # after the first record: an answer follows its question in the same reply
ROOM_BYTES = 24 * 1024  # of a reply; in hexadecimal digits and with 512 records' frames about 100 KiB
ROOM_RECORDS = 400

Observer = Callable[[Command], Awaitable[Payload]]


class Observing:
    """``handle`` answers a command by its name, and never raises: what is wrong is the reply's."""

    def __init__(self, terminals: Terminals, figures: Figures, levels: LogLevelDesk, clock: Clock) -> None:
        self._terminals = terminals
        self._figures = figures
        self._clock = clock
        self.observers: dict[str, Observer] = {
            "terminal.trace": self._trace,
            "controller.look": self._look,
            "log.level": levels.set,
        }

    async def handle(self, command: Command) -> Reply:
        """Answer one of ``observers``."""
        try:
            result = await self.observers[command.name](command)
        except RequestRefused as exc:
            return Reply(command.id, ReplyState.REJECTED, exc.code, exc.message, exc.hint)
        except HallctlError as exc:
            return Reply(command.id, ReplyState.FAILED, exc.code or "error", exc.message, exc.hint)
        return Reply(command.id, ReplyState.SUCCEEDED, data=result.model_dump(mode="json", exclude_defaults=True))

    async def _look(self, command: Command) -> LookResult:
        read_request(command)
        return await self._figures.look()

    async def _trace(self, command: Command) -> TraceResult:
        request = read_request(command)
        assert isinstance(request, TraceTerminal)  # noqa: S101  # by its name
        tap, driver = self._tap(request.terminal)
        after = tap.number if request.after is None else request.after
        after = 0 if after > tap.number else after  # counted by a daemon that ran before this one
        await self._something(tap, after, request.wait_s)
        kept = tap.ring(after)
        chunks = _bounded(kept)
        missed = max(0, kept[0].number - after - 1) if kept and request.after is not None else 0
        return TraceResult(
            terminal=request.terminal,
            driver=driver,
            port=tap.port,
            number=chunks[-1].number if chunks else tap.number,
            missed=missed,
            records=[record_of(chunk) for chunk in chunks],
        )

    def _tap(self, name: str) -> tuple[Tap, str]:
        terminals = self._terminals
        if name in terminals.taps:
            supervisor = terminals.supervisors.get(name)
            return terminals.taps[name], supervisor.state.driver if supervisor else ""
        if name in terminals.buses:
            return terminals.buses[name].tap, ""
        known = ", ".join((*terminals.taps, *terminals.buses)) or "none"
        if name in terminals.supervisors:
            message = f"{name} has no port of its own to trace: cameras and web pads bring their own connection"
            raise RequestRefused("trace.no_port", message, hint=f"these can be traced: {known}")
        raise RequestRefused("terminal.unknown", f"no terminal or bus {name!r} runs here", hint=f"known here: {known}")

    async def _something(self, tap: Tap, after: int, wait_s: float) -> None:
        """Wait until there is a record after ``after``, and a moment longer for what belongs to it."""
        if tap.number > after or wait_s <= 0:
            return
        with contextlib.suppress(TimeoutError):
            async with self._clock.timeout(wait_s):
                await tap.newer(after)
            await self._clock.sleep(GATHER_S)


def record_of(chunk: Chunk) -> TraceRecord:
    """As it goes into replies and files."""
    return TraceRecord(
        number=chunk.number,
        at=chunk.at,
        seconds=chunk.seconds,
        direction=chunk.direction.value,
        data=chunk.data.hex(),
        note=chunk.note,
    )


def _bounded(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    """As many, oldest first, as a reply has room for; one at least."""
    size, count = 0, 0
    for chunk in chunks[:ROOM_RECORDS]:
        size += len(chunk.data) + len(chunk.note.encode())
        if count and size > ROOM_BYTES:
            break
        count += 1
    return chunks[:count]
