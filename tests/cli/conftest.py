"""The other side of the CLI: a small controller that speaks the contract over a real broker."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from hallctl.link import BrokerSettings, Session, Topics, read_topic
from hallctl.link.payloads import (
    ControllerState,
    TerminalPayload,
    alert_envelope,
    read_command,
    reply_envelope,
)
from hallctl.model import Alert, AlertKind, AlertState, Command, Identity, Reply, ReplyState

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
IDENTITY = Identity("gulou", "ctl-1", boot=7)
Answer = Callable[[Command], list[Reply]]


@dataclass
class FakeController:
    """Publishes what a controller would and answers commands as the test says."""

    session: Session
    topics: Topics = field(default_factory=lambda: Topics(IDENTITY.site, IDENTITY.controller))
    commands: list[Command] = field(default_factory=list)
    answer: Answer = lambda command: [Reply(command.id, ReplyState.SUCCEEDED)]

    async def say_state(self, status: str = "online", lease_s: float = 60, at: datetime | None = None) -> None:
        state = ControllerState(
            status="online" if status == "online" else "offline",
            boot=IDENTITY.boot,
            since=START,
            at=at or datetime.now(UTC),
            lease_s=lease_s,
            reason="" if status == "online" else "stopped",
            name="鼓楼一号",
        )
        await self.session.publish(self.topics.state, state.encode(), retain=True)

    async def say_terminal(self, terminal: str, status: str = "online", **more: object) -> None:
        values = {"terminal": terminal, "driver": "escpos", "status": status, "since": START, "boot": 7, **more}
        payload = TerminalPayload.model_validate(values)
        await self.session.publish(self.topics.terminal(terminal), payload.encode(), retain=True)

    async def say_alert(self, alert: str, state: AlertState = AlertState.RAISED) -> None:
        value = Alert(alert, AlertKind.POST_EMPTY, "window-1", state, START, message="窗口1无人值守")
        payload = alert_envelope(value, IDENTITY, START).encode()
        await self.session.publish(self.topics.alert(alert), payload, retain=True)

    async def serve(self) -> None:
        await self.session.subscribe(f"{self.topics.prefix}/command/+")
        while True:
            message = await self.session.receive()
            self.session.acknowledge(message)
            place = read_topic(message.topic)
            assert place is not None
            command = read_command(place.name, message.payload)
            self.commands.append(command)
            for reply in self.answer(command):
                payload = reply_envelope(reply, IDENTITY, START + timedelta(seconds=1)).encode(128 * 1024)
                await self.session.publish(self.topics.reply(command.id), payload)


@pytest.fixture
async def controller(any_broker) -> AsyncIterator[FakeController]:
    """A controller that is online and serves commands."""
    session = Session(BrokerSettings(any_broker.host, any_broker.port, client_id="fake-controller"))
    await session.connect()
    fake = FakeController(session)
    await fake.say_state()
    task = asyncio.create_task(fake.serve())
    yield fake
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await session.disconnect()


@dataclass(frozen=True)
class Ran:
    """What a command line has said."""

    code: int
    out: str
    err: str


Hallctl = Callable[..., Awaitable[Ran]]


@pytest.fixture
def start(any_broker) -> Callable[..., Awaitable[asyncio.subprocess.Process]]:
    """Starts ``hallctl`` as a process of its own, in a C locale."""

    async def begin(*args: str, target: bool = True) -> asyncio.subprocess.Process:
        where = ["--broker", f"mqtt://127.0.0.1:{any_broker.port}", "--site", "gulou", "--controller", "ctl-1"]
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "hallctl.cli.main",
            *args,
            *(where if target else ["--broker", where[1]]),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        )

    return begin


@pytest.fixture
def hallctl(start: Callable[..., Awaitable[asyncio.subprocess.Process]]) -> Hallctl:
    """Runs ``hallctl`` to its end."""

    async def run(*args: str, target: bool = True) -> Ran:
        process = await start(*args, target=target)
        async with asyncio.timeout(30):
            out, err = await process.communicate()
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())

    return run
