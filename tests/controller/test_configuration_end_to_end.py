"""The centre pushes documents to a real daemon, on a real broker and simulated devices: MQ-13 to MQ-17."""

import asyncio
import base64
import contextlib
import json
import sys
from pathlib import Path

import pytest
import yaml
from hallctl_drivers.escpos.sim import EscposSimulator
from hallctl_drivers.onbon_bx.sim import OnbonSimulator

from hallctl.clock import SystemClock
from hallctl.driver import on_tcp
from hallctl.fleet.request import send_command
from hallctl.link import BrokerSettings, Session, Topics
from hallctl.link.configuration import ApplyStatus, Desired, Reported, document_hash
from hallctl.model import ReplyState

TOPICS = Topics("hall-1", "box-1")
CLOCK = SystemClock(trust_wall_clock=True)
QUEUE = {"id": "queue", "lines": [{"text": "{number}"}]}


def printer(name, url, **options):
    return {"id": name, "driver": "escpos", "port": url, "options": {"poll_every_s": 1, **options}}


def bar(name, url):
    return {"id": name, "driver": "onbon-bx", "port": url, "options": {"poll_every_s": 0.5}}


class Hall:
    """A daemon's folder, and the desk that steers it."""

    def __init__(self, folder: Path, broker) -> None:
        self.folder = folder
        self.broker = broker
        self.version = 0
        self.session = Session(BrokerSettings(broker.host, broker.port, client_id="desk"))
        self.reports: list[Reported] = []
        self.states: dict[str, dict] = {}
        self._reader: asyncio.Task | None = None
        self._news = asyncio.Event()

    def write(self, document) -> None:
        controller = {
            "site": TOPICS.site,
            "controller": TOPICS.controller,
            "state_dir": "state",
            "trust_clock": True,
            "heartbeat_s": 1,
            "lease_s": 5,
            "broker": {"host": self.broker.host, "port": self.broker.port},
        }
        (self.folder / "controller.yaml").write_text(yaml.safe_dump(controller))
        (self.folder / "hall.yaml").write_text(yaml.safe_dump(document, allow_unicode=True))

    @contextlib.asynccontextmanager
    async def daemon(self, expected_exit=0):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "hallctl.cli.main", "run", str(self.folder / "controller.yaml")),
            stderr=asyncio.subprocess.PIPE,
        )
        log = asyncio.create_task(process.stderr.read())
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            self.log = (await log).decode()
            assert await process.wait() == expected_exit, self.log

    async def __aenter__(self):
        await self.session.connect()
        await self.session.subscribe(TOPICS.reported, TOPICS.terminal("+"))
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_):
        self._reader.cancel()
        await self.session.disconnect()

    async def _read(self):
        while True:
            message = await self.session.receive()
            self.session.acknowledge(message)
            if message.topic == TOPICS.reported:
                self.reports.append(Reported.model_validate_json(message.payload))
            elif message.payload:
                self.states[message.topic.split("/")[-2]] = json.loads(message.payload)
            else:
                self.states.pop(message.topic.split("/")[-2], None)
            self._news.set()

    async def until(self, wanted, seconds=30):
        async with asyncio.timeout(seconds):
            while not (found := wanted()):
                self._news.clear()
                await self._news.wait()
        return found

    async def push(self, document, version=None, **health) -> Reported:
        """Push and wait for the decision."""
        self.version = version or self.version + 1
        made = Desired.model_validate(
            {
                "version": self.version,
                "hash": document_hash(document),
                "document": document,
                "health": {"window_s": 8, **health},
            }
        )
        self.reports.clear()
        await self.session.publish(TOPICS.desired, made.model_dump_json().encode(), retain=True)
        return await self.decided(self.version)

    async def decided(self, version) -> Reported:
        def decision():
            return next((r for r in reversed(self.reports) if r.desired_version == version and r.status.final), None)

        return await self.until(decision)

    async def online(self, *names):
        await self.until(lambda: all(self.states.get(name, {}).get("status") == "online" for name in names))


@pytest.fixture
async def hall(broker, tmp_path):
    async with Hall(tmp_path, broker) as made:
        yield made


@pytest.fixture
async def devices():
    """Two printers and a display, each counting its connections."""
    async with contextlib.AsyncExitStack() as stack:
        found = {}
        for name, simulator in (("p1", Printer()), ("p2", Printer()), ("bar", Display())):
            found[name] = (await stack.enter_async_context(on_tcp(simulator)), simulator)
        yield found


class Printer(EscposSimulator):
    """Counts its connections."""

    connections = 0

    def connected(self):
        self.connections += 1
        super().connected()


class Display(OnbonSimulator):
    """Counts its connections."""

    connections = 0

    def connected(self):
        self.connections += 1
        super().connected()


@pytest.mark.rule("MQ-15")
async def test_only_what_differs_is_touched_and_everything_else_follows(hall, devices):
    (p1, first), (p2, second), (bar_url, display) = devices["p1"], devices["p2"], devices["bar"]
    windows = [{"id": "w1", "label": "1", "display": "bar-1"}]
    document = {"terminals": [printer("p1", p1), bar("bar-1", bar_url)], "windows": windows, "tickets": [QUEUE]}
    hall.write(document)
    async with hall.daemon():
        await hall.online("p1", "bar-1")
        changed = {
            **document,
            "terminals": [printer("p2", p2), bar("bar-1", bar_url)],
            "texts": {"welcome": "您好"},
        }
        report = await hall.push(changed)
        assert (report.status, report.errors) == (ApplyStatus.APPLIED, [])
        assert report.applied_version == 1
        assert report.applied_hash == document_hash(changed)
        await hall.online("p2")
        await hall.until(lambda: "p1" not in hall.states)
        async with asyncio.timeout(10):
            while display.shown.lines != ("您好",):
                await asyncio.sleep(0.02)
    assert (first.connections, second.connections, display.connections) == (1, 1, 1)


@pytest.mark.rule("MQ-14")
async def test_an_equal_document_under_a_new_version_touches_nothing(hall, devices):
    url, device = devices["p1"]
    document = {"terminals": [printer("p1", url)], "tickets": [QUEUE]}
    hall.write(document)
    async with hall.daemon():
        await hall.online("p1")
        report = await hall.push({"version": 77, **document})
        assert (report.status, report.applied_version, report.restarted) == (ApplyStatus.APPLIED, 1, 0)
        assert device.connections == 1


@pytest.mark.rule("MQ-13")
async def test_an_older_version_is_ignored_and_a_used_one_refused(hall, devices):
    url, _ = devices["p1"]
    document = {"terminals": [printer("p1", url)], "tickets": [QUEUE]}
    hall.write(document)
    async with hall.daemon():
        await hall.online("p1")
        assert (await hall.push(document, version=5)).applied_version == 5
        other = {**document, "texts": {"welcome": "x"}}
        report = await hall.push(other, version=5)
        assert (report.status, report.errors[0].code) == (ApplyStatus.REJECTED, "version.reused")
        made = {"version": 4, "hash": document_hash(other), "document": other}
        await hall.session.publish(TOPICS.desired, json.dumps(made).encode(), retain=True)
        report = await hall.push(document, version=6)
        assert (report.status, report.applied_hash) == (ApplyStatus.APPLIED, document_hash(document))
        assert 4 not in {one.desired_version for one in hall.reports}


@pytest.mark.rule("MQ-17")
async def test_mistakes_are_reported_with_pointers_and_change_nothing(hall, devices):
    url, device = devices["p1"]
    document = {"terminals": [printer("p1", url)], "tickets": [QUEUE]}
    hall.write(document)
    async with hall.daemon():
        await hall.online("p1")
        report = await hall.push({**document, "texts": {"welcom": "x"}})
        assert report.status is ApplyStatus.REJECTED
        assert [(one.pointer, one.code) for one in report.errors] == [("/texts/welcom", "unknown-key")]
        assert report.applied_version == 0
        hall.reports.clear()
        await hall.session.publish(TOPICS.desired, b'{"version": 9, "document": ', retain=True)
        await hall.until(lambda: hall.reports)
        assert (hall.reports[-1].status, hall.reports[-1].errors[0].code) == ("rejected", "desired.unreadable")
        assert device.connections == 1


@pytest.mark.rule("MQ-17")
async def test_one_bad_terminal_is_quarantined_and_the_others_run(hall, devices):
    (p1, _), (p2, _) = devices["p1"], devices["p2"]
    hall.write({"terminals": [printer("p1", p1)], "tickets": [QUEUE]})
    async with hall.daemon():
        await hall.online("p1")
        bad = printer("bad", "tcp://127.0.0.1:9", paper_with=58)
        report = await hall.push({"terminals": [printer("p1", p1), bad, printer("p2", p2)], "tickets": [QUEUE]})
        assert (report.status, report.quarantined) == (ApplyStatus.PARTIAL, ["bad"])
        assert report.errors[0].pointer == "/terminals/1/options/paper_with"
        await hall.online("p1", "p2")
        await hall.until(lambda: hall.states.get("bad", {}).get("status") == "quarantined")


@pytest.mark.rule("MQ-16")
async def test_a_document_that_loses_a_terminal_is_taken_back(hall, devices):
    url, device = devices["p1"]
    document = {"terminals": [printer("p1", url)], "tickets": [QUEUE]}
    hall.write(document)
    async with hall.daemon():
        await hall.online("p1")
        wrong = {**document, "terminals": [printer("p1", "tcp://127.0.0.1:9")]}
        report = await hall.push(wrong, window_s=2)
        assert report.status is ApplyStatus.ROLLED_BACK
        assert [(one.pointer, one.code) for one in report.errors] == [("/terminals/0", "port.refused")]
        assert (report.desired_version, report.applied_version) == (1, 0)
        await hall.online("p1")
        assert device.connections == 2
        again = await hall.push(document)  # what has always been there
        assert (again.status, again.applied_version) == (ApplyStatus.APPLIED, 2)
        assert device.connections == 2


@pytest.mark.rule("MQ-16")
async def test_what_was_pushed_runs_after_a_restart_without_a_broker_too(hall, devices):
    url, device = devices["p1"]
    hall.write({"terminals": [], "tickets": [QUEUE]})
    async with hall.daemon():
        await hall.until(lambda: hall.reports)
        report = await hall.push({"terminals": [printer("p1", url)], "tickets": [QUEUE]})
        assert report.status is ApplyStatus.APPLIED
    hall.broker.stop()
    async with hall.daemon():
        async with asyncio.timeout(20):
            while device.connections < 2:
                await asyncio.sleep(0.05)
    hall.broker.start()
    assert "runs the centre's document" in hall.log


async def test_the_document_that_runs_can_be_had_by_command(hall, devices):
    url, _ = devices["p1"]
    document = {"terminals": [printer("p1", url)], "tickets": [QUEUE], "windows": [{"id": "w1", "label": "07"}]}
    hall.write(document)
    async with hall.daemon():
        await hall.online("p1")
        asking = Session(BrokerSettings(hall.broker.host, hall.broker.port, client_id="asks"))
        await asking.connect()
        reply = await send_command(asking, TOPICS, "config.get", {}, CLOCK)
        await asking.disconnect()
        assert reply.state is ReplyState.SUCCEEDED
        assert (reply.data["source"], reply.data["last"]) == ("hall.yaml", True)
        assert json.loads(base64.b64decode(reply.data["data"])) == document
