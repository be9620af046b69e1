"""A person's end of the socket: commands and streams of the daemon on this box."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from hallctl.errors import LocalError, RequestRefused
from hallctl.local.words import EXPIRES_S, MAX_LINE_BYTES, Hello, Request, read_line
from hallctl.model import Reply, ReplyState

CONNECT_S = 5.0
GRACE_S = 5.0
_NOT_RUNNING = "start it: systemctl start hallctl, and `systemctl status hallctl` says why it does not run"


class LocalClient:
    """A connection to the daemon; one request at a time. ``hello`` says whose it is."""

    def __init__(self, path: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hello: Hello) -> None:
        self.hello = hello
        self._path = path
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, path: Path) -> Self:
        """Raises ``LocalError``: local.absent, local.stale, local.permission, local.busy, local.mute."""
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_unix_connection(path, limit=MAX_LINE_BYTES)
                try:
                    return cls(path, reader, writer, await _hello(reader))
                except BaseException:
                    writer.transport.abort()
                    raise
        except TimeoutError as exc:
            hint = "it may hang: the log says more (journalctl -u hallctl); systemd ends a daemon that hangs"
            raise LocalError(f"the daemon at {path} says nothing", code="local.mute", hint=hint) from exc
        except OSError as exc:
            raise _unreachable(path, exc) from exc

    @classmethod
    async def find(cls, paths: Iterable[Path], site: str, controller: str) -> Self:
        """The daemon of this box, wherever its socket is. Raises ``LocalError``: the one that tells most."""
        reasons = []
        for path in paths:
            try:
                client = await cls.connect(path)
            except LocalError as exc:
                reasons.append(exc)
                continue
            if (client.hello.site, client.hello.controller) == (site, controller):
                return client
            await client.close()
            whose = f"{client.hello.site}/{client.hello.controller}"
            reasons.append(LocalError(f"the daemon at {path} is that of {whose}", code="local.other"))
        raise max(reasons, key=lambda exc: exc.code != "local.absent")

    async def command(
        self,
        name: str,
        data: Mapping[str, Any],
        *,
        by: str = "",
        expires_s: float = EXPIRES_S,
        on_progress: Callable[[Reply], None] = lambda _reply: None,
    ) -> Reply:
        """The final reply to a command. Raises ``LocalError`` when the daemon goes meanwhile: it may have acted."""
        await self._send(Request(name=name, data=dict(data), by=by, expires_s=expires_s))
        async with self._patience(expires_s + GRACE_S, name):
            while True:
                _, reply = await self._next("reply")
                if reply.state.final:
                    return reply  # type: ignore[no-any-return]  # read_line gives a Reply for this kind
                on_progress(reply)

    async def stream(self, name: str, data: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Records until the daemon ends the stream; close the client to end it.

        Raises ``RequestRefused`` or ``LocalError`` in the daemon's own words when it refuses or fails.
        """
        await self._send(Request(name=name, data=dict(data)))
        while True:
            kind, value = await self._next("record", "reply")
            if kind == "record":
                yield value
            elif value.state is ReplyState.SUCCEEDED:
                return
            elif value.state is ReplyState.REJECTED:
                raise RequestRefused(value.code, value.message, hint=value.hint)
            else:
                raise LocalError(value.message, code=value.code, hint=value.hint)

    async def close(self) -> None:
        """Say good-bye; a stream ends with it."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    async def _send(self, request: Request) -> None:
        try:
            self._writer.write(request.model_dump_json(exclude_none=True).encode() + b"\n")
            await self._writer.drain()
        except OSError as exc:
            raise _ended(self._path) from exc

    async def _next(self, *kinds: str) -> tuple[str, Any]:
        while True:
            try:
                line = await self._reader.readuntil(b"\n")
            except (OSError, asyncio.IncompleteReadError) as exc:
                raise _ended(self._path) from exc
            kind, value = read_line(line)
            if kind in kinds:  # what a newer daemon says beside it is not for us
                return kind, value

    @contextlib.asynccontextmanager
    async def _patience(self, seconds: float, name: str) -> AsyncGenerator[None, None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as exc:
            hint = "it may have been carried out all the same: look before you repeat it"
            raise LocalError(f"{name}: no answer within {seconds:g} s", code="local.mute", hint=hint) from exc


async def _hello(reader: asyncio.StreamReader) -> Hello:
    try:
        kind, value = read_line(await reader.readuntil(b"\n"))
    except asyncio.IncompleteReadError as exc:
        raise LocalError("the daemon hung up at once", code="local.closed", hint="it is being stopped") from exc
    if kind == "hello":
        return value  # type: ignore[no-any-return]  # read_line gives a Hello for this kind
    raise LocalError(value.message, code=value.code, hint=value.hint)


def _unreachable(path: Path, exc: OSError) -> LocalError:
    match exc:
        case FileNotFoundError() | NotADirectoryError():
            message = f"the daemon is not running: there is no socket {path}"
            return LocalError(message, code="local.absent", hint=_NOT_RUNNING)
        case ConnectionRefusedError():
            message = f"the daemon is not running: nobody listens at {path}"
            return LocalError(message, code="local.stale", hint=_NOT_RUNNING)
        case PermissionError():
            hint = "use sudo, or add yourself to the daemon's group: usermod -aG hallctl YOU, then log in again"
            return LocalError(f"you may not talk to the daemon at {path}", code="local.permission", hint=hint)
    return LocalError(f"{path}: {exc.strerror or exc}", code="local.error")


def _ended(path: Path) -> LocalError:
    hint = "was the daemon stopped? what it had begun is answered in its log and events"
    return LocalError(f"the daemon at {path} closed the connection", code="local.closed", hint=hint)
