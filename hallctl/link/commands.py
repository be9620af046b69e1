"""Commands as they arrive: each is committed before it is acknowledged, acts at most once, and is answered.

mqtt-contract rule 4. A slow command never delays another: each runs in a task of its own, and what keeps the order
on one device is its supervisor's turn.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hallctl.clock import Clock
from hallctl.driver.terminal import Logger
from hallctl.errors import LinkError
from hallctl.link.payloads import command_id, read_command
from hallctl.model import Command, Event, EventType, Reply, ReplyState
from hallctl.outbox import Outbox

Handler = Callable[[Command], Awaitable[Reply]]
Progress = Callable[[Reply], None]
DefaultHandler = Callable[[Command, Progress], Awaitable[Reply]]
Publish = Callable[[Reply], Awaitable[None]]

WITHOUT_SIDE_EFFECT = frozenset(
    {
        "config.get",
        "controller.look",
        "evidence.fetch",
        "rebirth",
        "recorded",
        "replay",
        "terminal.diagnose",
        "terminal.trace",
    }
)


class CommandIntake:
    """Takes commands in. Handlers are asked by name; all else goes to ``default``, which may tell how far it is."""

    def __init__(self, outbox: Outbox, clock: Clock, default: DefaultHandler, log: Logger) -> None:
        self._outbox = outbox
        self._clock = clock
        self._default = default
        self._log = log
        self._special: dict[str, Handler] = {}
        self._running: set[asyncio.Future[None]] = set()
        self._active: set[str] = set()

    def handle(self, name: str, handler: Handler) -> None:
        """Give one command to a handler of its own."""
        self._special[name] = handler

    async def take(self, name: str, payload: bytes, publish: Publish, *, here: bool = False) -> None:
        """Take one message. When this returns the command is on disk (or refused): acknowledge the message now.

        It goes on when its caller is cancelled (the session was lost): what is committed has to be carried out, since
        the message comes again and would find its id taken. ``here``: it was given at this box a moment ago, by this
        box's own clock, so that a clock that is not synchronised refuses nothing.
        """
        await asyncio.shield(self._start(self._take(name, payload, publish, here)))

    async def _take(self, name: str, payload: bytes, publish: Publish, here: bool) -> None:
        try:
            command = read_command(name, payload)
        except LinkError as exc:
            self._log.warning("command refused", command=name, message=exc.message)
            known = command_id(payload)
            await self._tell_of_malformed(name, known or "", exc.message)
            if known is not None:
                malformed = Reply(known, ReplyState.REJECTED, "command.malformed", exc.message, exc.hint)
                self._start(publish(malformed))
            return
        refusal = self._refusal(command, here)
        if name in WITHOUT_SIDE_EFFECT:
            self._start(self._run_unlogged(command, refusal, publish))
            return
        earlier = await self._outbox.begin_command(command)
        if earlier is not None:
            self._start(self._tell(earlier, publish))
        elif refusal is not None:
            await self._outbox.finish_command(refusal)
            self._start(publish(refusal))
        else:
            self._start(self._run(command, publish))

    async def drain(self, seconds: float) -> None:
        """Wait for running commands, so that a stop finishes a ticket."""
        deadline = self._clock.monotonic() + seconds
        while self._running and (left_s := deadline - self._clock.monotonic()) > 0:
            await asyncio.wait(set(self._running), timeout=left_s)

    def _start(self, work: Awaitable[None]) -> "asyncio.Future[None]":
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: "asyncio.Future[None]") -> None:
        self._running.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, LinkError):
            self._log.info("reply not delivered; it is kept for a repeat of the command", message=error.message)
        elif error is not None:
            self._log.warning("command failed unexpectedly", error=repr(error))

    async def _run(self, command: Command, publish: Publish) -> None:
        reply = Reply(
            command.id,
            ReplyState.UNKNOWN,
            "controller.interrupted",
            "the controller did not finish the command",
            "look at the terminal; send a new command only if nothing was done",
        )
        self._active.add(command.id)
        interrupted = False
        try:
            reply = await self._answer(command, publish)
        except asyncio.CancelledError:
            interrupted = True  # the next boot says what is known of it, and in an event too
            raise
        finally:  # also when the handler failed: a repeat must never act again
            self._active.discard(command.id)
            if not interrupted:
                await self._outbox.finish_command(reply)
                await publish(reply)

    async def _tell_of_malformed(self, name: str, command: str, message: str) -> None:
        """Who sends what nobody can read is audited too; its sender can't be read either."""
        if name in WITHOUT_SIDE_EFFECT:
            return
        now = self._clock.now().isoformat()
        data: dict[str, Any] = {"command": command, "name": name[:100], "by": "", "received_at": now}
        data |= {"state": ReplyState.REJECTED, "code": "command.malformed", "message": message[:500], "arguments": {}}
        await self._outbox.append(Event(EventType.COMMAND_FINISHED, data))

    async def _run_unlogged(self, command: Command, refusal: Reply | None, publish: Publish) -> None:
        await publish(refusal or await self._answer(command, publish))

    async def _answer(self, command: Command, publish: Publish) -> Reply:
        if (special := self._special.get(command.name)) is not None:
            return await special(command)

        def progress(reply: Reply) -> None:
            self._start(self._tell(reply, publish))

        return await self._default(command, progress)

    async def _tell(self, reply: Reply, publish: Publish) -> None:
        """Progress of a command that is over meanwhile would be the last word about it."""
        if reply.state.final or reply.command in self._active:
            await publish(reply)

    def _refusal(self, command: Command, here: bool) -> Reply | None:
        if self._clock.now() >= command.expires:
            return Reply(
                command.id, ReplyState.EXPIRED, "command.expired", f"it expired at {command.expires.isoformat()}"
            )
        if not here and command.name not in WITHOUT_SIDE_EFFECT and not self._clock.synchronised():
            return Reply(
                command.id,
                ReplyState.REJECTED,
                "clock.unsynchronised",
                "this box does not know the time, so it can't tell whether the command is still wanted",
                "start an NTP client on the box, or set trust_clock in controller.yaml",
            )
        return None
