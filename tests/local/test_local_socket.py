"""The daemon's own socket: who may come, what he may ask, and what no client can do to the daemon."""

import asyncio
import getpass
import json
import os
import socket
import stat
import subprocess
import sys
from datetime import timedelta

import pytest
import structlog

from hallctl.clock import Clock, SystemClock
from hallctl.errors import LocalError, OutboxError, RequestRefused
from hallctl.link import CommandIntake
from hallctl.local import Hello, LocalClient, LocalServer, is_there, server, session, socket_path, socket_paths
from hallctl.local.listening import listen
from hallctl.local.peer import Peer
from hallctl.model import Reply, ReplyState
from hallctl.outbox import Outbox

HELLO = Hello(site="hall", controller="box", version="1", boot=3)


class NoTime(SystemClock):
    """Nobody has told this box what time it is."""

    def synchronised(self):
        return False


class Bench:
    """A server over a real intake and log; its handler says what it was asked."""

    def __init__(self, folder, clock: Clock):
        self.path = folder / "control.sock"
        self.outbox = Outbox.open(folder / "outbox.db", "hall", "box", clock)
        self.intake = CommandIntake(self.outbox, clock, self.handle, structlog.get_logger())
        self.server = LocalServer(self.path, HELLO, self.intake, clock=clock, log=structlog.get_logger())
        self.server.stream("numbers", self.numbers)
        self.server.stream("flood", self.flood)
        self.server.stream("no", self.no)
        self.handled = []
        self.closed = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def handle(self, command, progress):
        self.handled.append(command)
        progress(Reply(command.id, ReplyState.IN_PROGRESS, "paper.end"))
        await asyncio.sleep(0)  # what is known on the way is told beside
        await self.go_on.wait()
        return Reply(command.id, ReplyState.SUCCEEDED, data={"name": command.name, **command.data})

    async def numbers(self, asked):
        try:
            number = 0
            while number < asked.data.get("upto", 1e9):
                number += 1
                yield {"number": number}
                await asyncio.sleep(0)
        finally:
            self.closed.set()

    async def flood(self, _asked):
        try:
            while True:
                yield {"text": "x" * 65536}
        finally:
            self.closed.set()

    async def no(self, _asked):
        raise RequestRefused("terminal.unknown", "there is no such terminal", hint="look")
        yield {}

    async def raw(self):
        reader, writer = await asyncio.open_unix_connection(self.path)
        assert "hello" in json.loads(await reader.readline())
        return reader, writer


@pytest.fixture
async def bench(tmp_path, request):
    bench = Bench(tmp_path, getattr(request, "param", None) or SystemClock(trust_wall_clock=True))
    task = asyncio.create_task(bench.server.run())
    await bench.server.listening.wait()
    yield bench
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await bench.intake.drain(10)
    await bench.outbox.close()


async def test_a_command_is_answered_and_stands_in_the_audit_with_who_gave_it_as_the_kernel_says(bench):
    told = []
    async with await LocalClient.connect(bench.path) as client:
        reply = await client.command("ticket.print", {"printer": "p"}, by="王五", on_progress=told.append)
    assert (reply.state, reply.data) == (ReplyState.SUCCEEDED, {"name": "ticket.print", "printer": "p"})
    assert [one.code for one in told] == ["paper.end"]
    (entry,) = [one for one in await bench.outbox.read_range(1, 9) if one.type == "command.finished"]
    assert entry.data["by"] == f"王五 ({getpass.getuser()}, local)"
    assert timedelta(0) < bench.handled[0].expires - SystemClock().now() <= timedelta(seconds=60)


async def test_a_repeated_id_gives_the_first_reply_and_acts_no_second_time(bench):
    reader, writer = await bench.raw()
    line = json.dumps({"name": "ticket.print", "id": "t-1"}).encode() + b"\n"
    states = []
    for _ in range(2):
        writer.write(line)
        while not states or states[-1] != "succeeded":
            states.append(json.loads(await reader.readline())["reply"]["state"])
        states.append("")
    assert [state for state in states if state] == ["in_progress", "succeeded", "succeeded"]
    assert len(bench.handled) == 1
    writer.close()


@pytest.mark.parametrize("bench", [NoTime()], indirect=True)
async def test_a_box_that_does_not_know_the_time_obeys_who_stands_before_it(bench):
    async with await LocalClient.connect(bench.path) as client:
        assert (await client.command("ticket.print", {})).state is ReplyState.SUCCEEDED


async def test_only_owner_and_group_may_connect(bench):
    assert stat.S_IMODE(bench.path.stat().st_mode) == 0o660


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
async def test_a_stranger_is_told_how_to_be_let_in(bench, tmp_path):
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    code = (
        "import os, sys, asyncio, pathlib; from hallctl.local import LocalClient\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "asyncio.run(LocalClient.connect(pathlib.Path(sys.argv[1])))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(bench.path), stderr=subprocess.PIPE)
    _, err = await process.communicate()
    assert b"you may not talk to the daemon" in err
    assert b"usermod -aG hallctl" in err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"\xff\xfe\n", "the line can't be read"),
        (b"[]\n", "the line can't be read"),
        (b'{"name": "x", "nmae": 1}\n', "nmae: Extra inputs"),
        (b'{"name": ""}\n', "name: String should have at least 1"),
        (b'{"name": "x", "id": "a/b"}\n', "'a/b' is no id"),
        (b'{"name": "x", "expires_s": -1}\n', "expires_s: Input should be greater than 0"),
    ],
)
async def test_garbage_is_answered_with_what_is_wrong_and_the_client_may_go_on(bench, line, says):
    reader, writer = await bench.raw()
    writer.write(line)
    reply = json.loads(await reader.readline())["reply"]
    assert (reply["state"], reply["code"]) == ("rejected", "command.malformed")
    assert says in reply["message"]
    writer.write(b'{"name": "number.call"}')  # without a newline, and no more to say: still answered
    writer.write_eof()
    rest = (await reader.read()).decode().splitlines()
    assert json.loads(rest[-1])["reply"]["state"] == "succeeded"


async def test_a_line_without_an_end_is_refused_and_the_client_sent_away(bench):
    reader, writer = await bench.raw()
    writer.write(b"x" * 200_000)
    assert "65536 bytes" in json.loads(await reader.readline())["reply"]["message"]
    assert not (await reader.read()).strip()
    writer.close()


async def test_a_stream_runs_until_its_client_goes(bench):
    client = await LocalClient.connect(bench.path)
    got = []
    async for record in client.stream("numbers", {}):
        got.append(record["number"])
        if len(got) == 5:
            break
    assert got == [1, 2, 3, 4, 5]
    assert not bench.closed.is_set()
    await client.close()
    async with asyncio.timeout(10):
        await bench.closed.wait()


async def test_a_stream_that_ends_and_one_that_is_refused_say_so(bench):
    async with await LocalClient.connect(bench.path) as client:
        assert [one["number"] async for one in client.stream("numbers", {"upto": 3})] == [1, 2, 3]
        with pytest.raises(RequestRefused) as refused:
            assert [one async for one in client.stream("no", {})] == []
    assert (refused.value.code, refused.value.hint) == ("terminal.unknown", "look")


async def test_a_client_that_does_not_read_is_dropped_and_its_stream_ends(bench, monkeypatch):
    monkeypatch.setattr(session, "TAKES_NOTHING_S", 0.05)
    deaf = socket.socket(socket.AF_UNIX)
    deaf.setblocking(False)
    deaf.connect(str(bench.path))
    deaf.send(b'{"name": "flood"}\n')
    async with asyncio.timeout(20):
        await bench.closed.wait()
    async with await LocalClient.connect(bench.path) as client:
        assert (await client.command("number.call", {})).state is ReplyState.SUCCEEDED
    deaf.close()


async def test_more_clients_than_there_are_places_are_told_so(bench, monkeypatch):
    monkeypatch.setattr(server, "MAX_CLIENTS", 1)
    async with await LocalClient.connect(bench.path):
        with pytest.raises(LocalError, match="too many clients") as refused:
            await LocalClient.connect(bench.path)
    assert refused.value.code == "local.busy"


async def test_a_command_that_can_not_be_recorded_is_not_carried_out_and_said_to_have_failed(bench, monkeypatch):
    async def refuse(_command):
        raise OutboxError("the event log can't be used: disk full", hint="check free space")

    monkeypatch.setattr(bench.outbox, "begin_command", refuse)
    async with await LocalClient.connect(bench.path) as client:
        reply = await client.command("ticket.print", {})
    assert (reply.state, reply.code, reply.hint) == (ReplyState.FAILED, "outbox.error", "check free space")
    assert bench.handled == []


async def test_a_command_goes_on_when_its_client_goes(bench):
    bench.go_on.clear()
    reader, writer = await bench.raw()
    writer.write(b'{"name": "ticket.print", "id": "t-1"}\n')
    await reader.readline()
    writer.transport.abort()
    bench.go_on.set()
    await bench.intake.drain(10)
    assert [one.data["state"] for one in await bench.outbox.read_range(1, 9)] == ["succeeded"]


async def test_a_socket_that_a_killed_daemon_left_is_replaced_and_taken_away_at_the_end(tmp_path):
    path = tmp_path / "control.sock"
    listen(path).close()  # as a kill leaves it
    with pytest.raises(LocalError, match="not running: nobody listens") as refused:
        await LocalClient.connect(path)
    assert refused.value.code == "local.stale"
    bench = Bench(tmp_path, SystemClock(trust_wall_clock=True))
    task = asyncio.create_task(bench.server.run())
    async with asyncio.timeout(10):
        await bench.server.listening.wait()
    async with await LocalClient.connect(path) as client:
        assert client.hello == HELLO
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not path.exists()
    await bench.outbox.close()


async def test_the_socket_of_a_living_daemon_is_not_stolen(bench):
    second = LocalServer(bench.path, HELLO, bench.intake, clock=SystemClock(), log=structlog.get_logger())
    await second.run()  # gives up at once, and the daemon runs on without it
    with pytest.raises(LocalError, match="another daemon listens"):
        listen(bench.path)
    async with await LocalClient.connect(bench.path) as client:
        assert client.hello == HELLO


def test_a_path_that_linux_does_not_take_is_said_with_its_length(tmp_path):
    with pytest.raises(LocalError, match="is too long for a socket") as refused:
        listen(tmp_path / ("x" * 120) / "control.sock")
    assert "107 bytes" in refused.value.hint


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_folder_that_is_shut_to_us_may_hold_a_socket(tmp_path):
    shut = tmp_path / "run"
    shut.mkdir(mode=0o700)
    os.seteuid(65534)
    try:
        assert is_there(shut / "control.sock")
        with pytest.raises(LocalError) as refused:
            asyncio.run(LocalClient.find((shut / "control.sock",), "hall", "box"))
    finally:
        os.seteuid(0)
    assert refused.value.code == "local.permission"
    assert not is_there(shut / "control.sock")


def test_a_file_in_the_way_is_left_alone(tmp_path):
    (tmp_path / "control.sock").write_text("mine")
    with pytest.raises(LocalError, match="is no socket"):
        listen(tmp_path / "control.sock")
    assert (tmp_path / "control.sock").read_text() == "mine"


async def test_a_box_is_found_by_its_name_and_another_ones_socket_is_passed_by(bench, tmp_path):
    paths = (tmp_path / "absent", bench.path)
    async with await LocalClient.find(paths, "hall", "box") as client:
        assert client.hello.boot == 3
    with pytest.raises(LocalError) as other:
        await LocalClient.find(paths, "hall", "another")
    assert other.value.code == "local.other"
    with pytest.raises(LocalError, match="the daemon is not running") as absent:
        await LocalClient.find(paths[:1], "hall", "box")
    assert absent.value.code == "local.absent"


def test_the_socket_is_where_systemd_says_else_in_the_state_directory(tmp_path):
    assert socket_path(tmp_path, {"RUNTIME_DIRECTORY": "/run/a:/run/b"}).as_posix() == "/run/a/control.sock"
    assert socket_path(tmp_path, {}) == tmp_path / "control.sock"
    assert [one.as_posix() for one in socket_paths(tmp_path, {})] == [
        f"{tmp_path}/control.sock",
        "/run/hallctl/control.sock",
    ]


@pytest.mark.parametrize(
    ("peer", "claimed", "by"),
    [
        (Peer(1, 0, "root"), "", "root (local)"),
        (Peer(1, 1000, "wang"), "王五", "王五 (wang, local)"),
        (Peer(1, 4711, ""), "", "uid 4711 (local)"),
        (Peer(1, 65534, ""), "wang@box", "wang@box (local)"),  # from inside the unit's user namespace
        (Peer(1, 65534, ""), "", "somebody (local)"),
    ],
)
def test_who_asks_is_said_as_well_as_the_kernel_knows_it(peer, claimed, by):
    assert peer.by(claimed) == by
    assert len(peer.by("x" * 100)) <= 100
