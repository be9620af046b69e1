"""The daemon's end: clients are let in, their commands go where those of the broker go, streams to their handlers.

A client that says nothing, says garbage or does not read costs the daemon nothing but its place, and that is taken
from it. A daemon whose socket can't be made says so and runs all the same.
"""

import asyncio
from pathlib import Path

from hallctl.clock import Clock
from hallctl.driver.terminal import Logger
from hallctl.errors import LocalError
from hallctl.link import CommandIntake
from hallctl.local.listening import listen, remove
from hallctl.local.peer import peer_of
from hallctl.local.session import Asked, LocalSession, StreamHandler
from hallctl.local.words import MAX_REQUEST_BYTES, Hello, line_of, reply_line
from hallctl.model import Reply, ReplyState

__all__ = ["Asked", "LocalServer", "StreamHandler"]

MAX_CLIENTS = 16


class LocalServer:
    """``run`` serves until it is cancelled."""

    def __init__(self, path: Path, hello: Hello, intake: CommandIntake, *, clock: Clock, log: Logger) -> None:
        self.path = path
        self._hello = hello
        self._intake = intake
        self._clock = clock
        self._log = log
        self._streams: dict[str, StreamHandler] = {}
        self._guests: set[asyncio.Task[None]] = set()
        self.listening = asyncio.Event()

    def stream(self, name: str, handler: StreamHandler) -> None:
        """Give a name to a handler that yields records until it ends or the client goes; then it is closed.

        It may raise ``RequestRefused`` (told as rejected) or any ``HallctlError`` (told as failed).
        """
        self._streams[name] = handler

    async def run(self) -> None:
        """Serve until cancelled, then let everybody go and take the socket's file away."""
        try:
            made = listen(self.path)
        except LocalError as exc:
            self._log.warning("there is no local socket", code=exc.code, message=exc.message, hint=exc.hint)
            return
        inode = self.path.lstat().st_ino
        server = await asyncio.start_unix_server(self._guest, sock=made, limit=MAX_REQUEST_BYTES)
        try:
            self.listening.set()
            await asyncio.Event().wait()
        finally:
            server.close()
            for guest in self._guests:
                guest.cancel()
            await asyncio.gather(*self._guests, return_exceptions=True)
            remove(self.path, inode)

    async def _guest(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a coroutine always runs in one
        self._guests.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # the client has gone, or the daemon goes
        finally:
            self._guests.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._guests) > MAX_CLIENTS:
            full = "too many clients talk to the daemon"
            writer.write(reply_line(Reply("", ReplyState.REJECTED, "local.busy", full, "close one of them")))
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            return
        writer.write(line_of("hello", self._hello.model_dump(mode="json")))
        session = LocalSession(
            reader,
            writer,
            peer_of(writer.get_extra_info("socket")),
            self._intake,
            self._streams,
            clock=self._clock,
            log=self._log,
        )
        await session.run()
