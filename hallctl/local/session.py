"""One client's time on the socket: its lines in, replies and records out."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hallctl.clock import Clock
from hallctl.driver.terminal import Logger
from hallctl.errors import HallctlError, LinkError, LocalError, RequestRefused
from hallctl.link import CommandIntake
from hallctl.link.payloads import command_envelope, command_id
from hallctl.local.peer import Peer
from hallctl.local.words import MAX_REQUEST_BYTES, Request, line_of, read_request, reply_line
from hallctl.model import Command, JsonObject, Reply, ReplyState

IDLE_S = 300.0  # without a line and without a stream
TAKES_NOTHING_S = 10.0  # a client that does not read for so long is dropped
AFTER_THE_END_S = 120.0  # for answers to a client that has closed its sending side
MAX_STREAMS = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """What a stream's handler gets: the request's data, and who asks."""

    data: JsonObject
    by: str


StreamHandler = Callable[[Asked], AsyncGenerator[dict[str, Any], None]]


class LocalSession:
    """``run`` ends when the client goes, or is sent away."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        peer: Peer,
        intake: CommandIntake,
        streams: Mapping[str, StreamHandler],
        *,
        clock: Clock,
        log: Logger,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._peer = peer
        self._intake = intake
        self._streams = streams
        self._clock = clock
        self._log = log
        self._lock = asyncio.Lock()
        self._unanswered: set[str] = set()
        self._answered = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._gone = False

    async def run(self) -> None:
        """Take lines until there are no more; then answers that are still due are given."""
        try:
            with contextlib.suppress(LocalError):
                while line := await self._line():
                    await self._take(line)
            await self._stop_streams()
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout(AFTER_THE_END_S):
                    await self._until_answered()
        finally:
            self._gone = True
            await self._stop_streams()

    async def _line(self) -> bytes:
        """The next line; empty at the end. A line that is too long ends the conversation: its end can't be found."""
        while True:
            try:
                async with self._clock.timeout(IDLE_S):
                    line = await self._reader.readuntil(b"\n")
            except asyncio.IncompleteReadError as exc:
                return exc.partial if exc.partial.strip() else b""
            except TimeoutError:
                if not self._running and not self._unanswered:
                    return b""
                continue
            except asyncio.LimitOverrunError as exc:
                await self._refuse("", f"a line may have {MAX_REQUEST_BYTES} bytes", "command.malformed", "")
                raise LocalError("the line is too long") from exc
            if line.strip():
                return line

    async def _take(self, line: bytes) -> None:
        try:
            request = read_request(line)
        except LocalError as exc:
            await self._refuse("", exc.message, exc.code, exc.hint)
            return
        if request.name in self._streams:
            await self._start_stream(request)
        else:
            await self._command(request)

    async def _command(self, request: Request) -> None:
        """Into the same intake as a command of the centre: on disk first, at most once, audited, answered."""
        now = self._clock.now()
        expires = now + timedelta(seconds=request.expires_s)
        by = self._peer.by(request.by)
        command = Command(request.id or str(uuid.uuid4()), request.name, expires, request.data, by)
        payload = command_envelope(command, "hallctl/local", now).encode(2 * MAX_REQUEST_BYTES)
        if command_id(payload) is None:
            hint = "leave it out, or use a UUID"
            await self._refuse("", f"{command.id[:100]!r} is no id", "command.malformed", hint)
            return
        self._unanswered.add(command.id)
        try:
            await self._intake.take(request.name, payload, self._publish, here=True)
        except HallctlError as exc:  # the event log's disk refuses: without a record nothing is done
            self._unanswered.discard(command.id)
            code = exc.code or "error"
            await self._tell(Reply(command.id, ReplyState.FAILED, code, exc.message, exc.hint))

    async def _publish(self, reply: Reply) -> None:
        """Raises ``LinkError`` when the client has gone: the stored reply answers a repeat."""
        if reply.state.final:
            self._unanswered.discard(reply.command)
            self._answered.set()
        await self._write(reply_line(reply))

    async def _until_answered(self) -> None:
        while self._unanswered:
            self._answered.clear()
            await self._answered.wait()

    async def _start_stream(self, request: Request) -> None:
        if len(self._running) >= MAX_STREAMS:
            hint = "open another connection"
            await self._refuse(request.id or "", f"{MAX_STREAMS} streams run already", "local.busy", hint)
            return
        task = asyncio.create_task(self._stream(request))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _stream(self, request: Request) -> None:
        name = request.id or ""
        asked = Asked(request.data, self._peer.by(request.by))
        try:
            async with contextlib.aclosing(self._streams[request.name](asked)) as records:
                async for record in records:
                    await self._write(line_of("record", record))
            reply = Reply(name, ReplyState.SUCCEEDED)
        except RequestRefused as exc:
            reply = Reply(name, ReplyState.REJECTED, exc.code, exc.message, exc.hint)
        except LinkError:
            return  # the client does not read: nobody can be told
        except HallctlError as exc:
            reply = Reply(name, ReplyState.FAILED, exc.code or "error", exc.message, exc.hint)
        await self._tell(reply)

    async def _stop_streams(self) -> None:
        running = list(self._running)
        for task in running:
            task.cancel()
        for failed in await asyncio.gather(*running, return_exceptions=True):
            if isinstance(failed, Exception):
                self._log.warning("a local stream failed unexpectedly", error=repr(failed))

    async def _refuse(self, command: str, message: str, code: str, hint: str) -> None:
        await self._tell(Reply(command, ReplyState.REJECTED, code, message, hint))

    async def _tell(self, reply: Reply) -> None:
        """As far as somebody still listens."""
        with contextlib.suppress(LinkError):
            await self._write(reply_line(reply))

    async def _write(self, line: bytes) -> None:
        """One line at a time. Raises ``LinkError`` when the client has gone, or is dropped since it does not read."""
        async with self._lock:
            if self._gone:
                raise LinkError("the local client has gone")
            try:
                self._writer.write(line)
                async with self._clock.timeout(TAKES_NOTHING_S):
                    await self._writer.drain()
            except (OSError, TimeoutError) as exc:
                self._gone = True
                self._writer.transport.abort()
                raise LinkError("the local client has gone, or does not read") from exc
