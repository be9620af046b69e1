"""The published contract: not behind the code, valid AsyncAPI, and true of what is really said."""

import asyncio
import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from contract.test_every_broker import ask
from controller.test_daemon_end_to_end import LAYOUT, TOPICS, daemon, printer, write
from fleet.conftest import CLOCK, Fleet
from hallctl_drivers.escpos.sim import EscposSimulator
from jsonschema import Draft202012Validator
from published import MAKERS, wrong_with

from hallctl.driver import on_tcp
from hallctl.fleet.desk import Desk
from hallctl.fleet.documents import read_source
from hallctl.fleet.pushing import PushRequest, begin, prepare, see_through
from hallctl.fleet.selector import EVERYONE
from hallctl.fleet.simulate.halls import hall_document
from hallctl.link import BrokerSettings, Session
from hallctl.link.alert_data import ALERTS
from hallctl.link.configuration import MAX_DESIRED_BYTES, HealthRule
from hallctl.link.event_data import EVENTS
from hallctl.link.payloads import MAX_BYTES, MAX_REPLY_BYTES
from hallctl.link.result_data import RESULTS
from hallctl.link.rollouts import MAX_PART_BYTES, RolloutRules
from hallctl.model import AlertKind, EventType

ROOT = Path(__file__).parents[2]
ASYNCAPI = json.loads((ROOT / "docs/asyncapi.json").read_text(encoding="utf-8"))
SCHEMAS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "docs/schemas").glob("*.json")}
REMEMBERING = {"hallctl.outbox.store"}  # makes events again of what is in the log
PARSER = "@asyncapi/parser@3.4.0"


def test_the_reference_is_not_behind_the_code():
    found = subprocess.run(
        [sys.executable, ROOT / "scripts/mqtt-reference", "--check"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr


@pytest.mark.slow
def test_the_document_is_valid_asyncapi(tmp_path):
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("npm is missing: the AsyncAPI parser is an npm package (apt-get install npm)")
    folder = ROOT / "build/asyncapi"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "node_modules/@asyncapi/parser").exists():
        command = [
            "npm",
            "install",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--silent",
            "--prefix",
            folder,
            PARSER,
        ]
        made = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env={**os.environ, "npm_config_update_notifier": "false"},
            check=False,
        )
        if made.returncode:
            pytest.skip(f"npm can't fetch {PARSER}: {made.stderr.strip()[-200:]}")
    command = ["node", ROOT / "tests/contract/asyncapi.mjs", ROOT / "docs/asyncapi.json", folder]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    told = json.loads(found.stdout.strip().splitlines()[-1])
    assert (told["wrong"], told["channels"]) == (0, len(ASYNCAPI["channels"])), found.stdout


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_schema_is_a_valid_one(name):
    Draft202012Validator.check_schema(SCHEMAS[name])


@pytest.mark.rule("MQ-20")
def test_no_topic_has_more_than_seven_slashes_and_only_what_lasts_is_retained():
    for operation in ASYNCAPI["operations"].values():
        name = operation["channel"]["$ref"].rsplit("/", 1)[-1]
        address = ASYNCAPI["channels"][name]["address"]
        assert address.count("/") <= 7
        passing = re.search(r"/(event|command|reply)/", address) is not None
        assert operation["bindings"]["mqtt"] == {"qos": 1, "retain": not passing, "bindingVersion": "0.2.0"}


def test_every_type_of_event_every_kind_of_alert_and_every_commands_result_has_a_schema_of_its_own():
    assert EVENTS.keys() == set(EventType)
    assert ALERTS.keys() == set(AlertKind)
    assert RESULTS.keys() == {name.removeprefix("command.") for name in SCHEMAS if name.startswith("command.")}


def test_events_are_watched_wherever_they_are_made():
    calls = {
        str(path.relative_to(ROOT).with_suffix("")).replace("/", ".")
        for path in (ROOT / "hallctl").rglob("*.py")
        if re.search(r"(?<![\w.])Event\(", path.read_text(encoding="utf-8")) and path.name != "model.py"
    }
    assert calls - REMEMBERING == set(MAKERS)


@pytest.mark.parametrize("name", sorted(name for name in SCHEMAS if name.startswith(("event.", "alert."))))
def test_a_schema_refuses_data_that_is_not_of_its_type(name):
    said = {"specversion": "1.0", "id": "box-1:1:1", "source": "hall/v1/hall-1/box-1", "time": "2026-03-02T01:00:00Z"}
    envelope = {**said, "type": f"hallctl.{name}", "data": {"nobody": "knows this"}}
    assert not Draft202012Validator(SCHEMAS[name]).is_valid(envelope)
    assert Draft202012Validator(SCHEMAS[name]).is_valid({**envelope, "data": {"cut_from_bytes": 9000}})
    assert not Draft202012Validator(SCHEMAS[name]).is_valid({**envelope, "type": "x", "data": {"cut_from_bytes": 9000}})


@pytest.mark.rule("MQ-20")
async def test_what_is_really_said_fits_the_schemas_and_the_limits(broker, tmp_path):
    fleet = Fleet(tmp_path, broker)
    async with Listener(broker) as listener:
        await fleet.start(3, "partial=box-0003")
        box = fleet.boxes["box-0001"]
        await ask(listener.session, box, "number.call", {"window": "w1", "ticket": "A001"})
        await ask(listener.session, box, "rebirth", {})
        await ask(listener.session, box, "config.get", {})
        await push(fleet, tmp_path)
        wanted = {"state", "terminal", "event.controller.started", "event.command.finished", "event.config.applied"}
        wanted |= {"command.rebirth", "reply.rebirth", "reply.config.get", "config.desired", "config.reported"}
        wanted |= {"rollout", "rollout.targets", "rollout.outcomes"}
        await fleet.until(lambda: wanted <= listener.heard.keys())
        with contextlib.suppress(Exception):
            await fleet.stop()
    # what a simulated controller answers to commands of the hall is its own
    assert listener.wrong("reply.number.call") == []


@pytest.mark.rule("MQ-19", "MQ-20")
async def test_what_a_real_daemon_says_fits_the_schemas_and_has_no_secret_in_it(broker, tmp_path, monkeypatch):
    monkeypatch.setenv("HALLCTL_TEST_BROKER", "broker-geheim")
    monkeypatch.setenv("HALLCTL_TEST_CAMERA", "camera-geheim")
    simulator, logged = EscposSimulator(), []
    async with (
        Listener(broker) as listener,
        on_tcp(simulator) as address,
        daemon(box_of(tmp_path, broker, address), logged=logged),
    ):
        await listener.until({"event.controller.started", "terminal"})
        for number, (name, arguments) in enumerate(REQUESTS_OF_A_DAY):
            box = SimpleNamespace(topics=TOPICS)
            await ask(listener.session, box, name, arguments, f"c-{number}")
        await listener.until({f"reply.{name}" for name, _ in REQUESTS_OF_A_DAY})
        await listener.until({"event.ticket.printed", "event.number.called", "event.window.changed"})
        await listener.until({"event.duty.changed", "event.text.shown", "event.display.failed"})
        await listener.until({"event.terminal.offline", "event.command.finished"})
        async with asyncio.timeout(40):  # a camera tries its stream for a while before it says that there is none
            while not any(topic.endswith("terminal/eye/state") for topic, _ in listener.heard["terminal"]):
                await asyncio.sleep(0.05)
    assert listener.wrong() == []
    refused = [body["data"] for _, body in listener.heard["reply.alert.acknowledge"]]
    assert (refused[-1]["state"], refused[-1]["result"]) == ("rejected", {})
    everything = json.dumps(listener.heard) + "".join(logged)
    assert "terminal/eye/state" in everything and "HALLCTL_TEST_CAMERA" in document_in(listener)
    assert "geheim" not in everything + document_in(listener)


def document_in(listener: "Listener") -> str:
    """The hall document that ``config.get`` brought."""
    return "".join(
        base64.b64decode(body["data"]["result"]["data"]).decode() for _, body in listener.heard["reply.config.get"]
    )


REQUESTS_OF_A_DAY = [
    ("ticket.print", {"fields": {"number": "A001"}}),
    ("printer.test", {}),
    ("number.call", {"window": "w1", "ticket": "A001"}),
    ("number.recall", {"window": "w1"}),
    ("text.show", {"display": "d1", "text": "请稍候"}),
    ("window.set", {"window": "w1", "state": "serving"}),
    ("duty.set", {"date": "2026-03-02", "spans": [{"start": "09:00", "end": "12:00"}]}),
    ("alert.acknowledge", {"alert": "none", "by": "li"}),
    ("config.get", {}),
    ("terminal.trace", {"terminal": "p1", "after": 0}),
    ("controller.look", {}),
    ("log.level", {"terminal": "p1", "level": "debug", "for_s": 60}),
    ("replay", {"from": 1, "to": 5}),
    ("recorded", {"seq": 0}),
    ("rebirth", {}),
]


def box_of(folder: Path, broker, address: str) -> Path:
    """A hall with a printer that works, and a display and a camera that nobody has plugged in; with passwords."""
    secret = {"username": "li", "password": {"env": "HALLCTL_TEST_CAMERA"}}
    terminals = [
        printer("p1", address),
        {"id": "d1", "driver": "onbon-bx", "port": "tcp://127.0.0.1:9"},
        {"id": "eye", "driver": "camera", "options": {"url": "rtsp://127.0.0.1:9/x", **secret}},
    ]
    windows = [{"id": "w1", "label": "1", "display": "d1"}]
    path = write(folder, broker, terminals, windows=windows, tickets=[LAYOUT])
    controller = yaml.safe_load(path.read_text())
    controller["broker"] |= {"username": "box", "password": {"env": "HALLCTL_TEST_BROKER"}}
    path.write_text(yaml.safe_dump(controller))
    return path


class Listener:
    """Hears everything, and sorts it by the schema that it has to fit."""

    def __init__(self, broker) -> None:
        self.session = Session(BrokerSettings(broker.host, broker.port, client_id="listens"))
        self.heard: dict[str, list[tuple[str, dict]]] = {}
        self._asked: dict[str, str] = {}
        self._wrong: list[str] = []

    async def __aenter__(self) -> "Listener":
        await self.session.connect()
        await self.session.subscribe("hall/v1/#", "hall-fleet/v1/rollout/#", "hall-fleet/v1/document/#")
        self._task = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._task.cancel()
        await self.session.disconnect()

    async def until(self, wanted: set[str]) -> None:
        async with asyncio.timeout(40):
            while not wanted <= self.heard.keys():
                if self._task.done():
                    self._task.result()
                await asyncio.sleep(0.05)

    def wrong(self, *but: str) -> list[str]:
        found = []
        for name, messages in self.heard.items():
            if name not in but:
                found += [f"{topic}: {line}" for topic, body in messages for line in wrong_with(name, body)]
                found += [f"{topic}: no schema {one}" for topic, body in messages if (one := unknown_schema(body))]
        return found

    async def _listen(self) -> None:
        while True:
            message = await self.session.receive()
            self.session.acknowledge(message)
            if not message.payload:
                continue
            body = json.loads(message.payload)
            name, channel = self._schema_of(message.topic, body)
            assert len(message.payload) <= LIMITS.get(channel, MAX_BYTES), message.topic
            self.heard.setdefault(name, []).append((message.topic, body))

    def _schema_of(self, topic: str, body: dict) -> tuple[str, str]:
        """The name of a message's schema, and of its channel. A reply is named by the command that it answers."""
        channel = channel_of(topic)
        if channel == "alert":
            return body["type"].removeprefix("hallctl."), channel
        if channel.startswith("command_"):
            self._asked[body["id"]] = body["type"].removeprefix("hallctl.command.")
        if channel == "reply":
            return f"reply.{self._asked[body['data']['command']]}", channel
        (message,) = ASYNCAPI["channels"][channel]["messages"]
        return ASYNCAPI["components"]["messages"][message]["name"], channel


def unknown_schema(body: dict) -> str:
    """The schema that a message names, where nobody has published it."""
    named = body.get("dataschema", "")
    known = {schema["$id"] for schema in SCHEMAS.values()}
    return "" if named == "" or named in known else named


LIMITS = {
    "reply": MAX_REPLY_BYTES,
    "config_desired": MAX_DESIRED_BYTES,
    "rollout_targets": MAX_PART_BYTES,
    "rollout_outcomes": MAX_PART_BYTES,
    "rollout_document": MAX_PART_BYTES,
}


def channel_of(topic: str) -> str:
    """The channel whose address a topic fits."""
    for key, channel in ASYNCAPI["channels"].items():
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(channel["address"]))
        if re.fullmatch(pattern, topic):
            return key
    raise AssertionError(f"no channel for {topic}")


async def push(fleet: Fleet, folder: Path) -> None:
    path = folder / "hall.yaml"
    path.write_text(yaml.safe_dump(hall_document(6, texts={"welcome": "您好"}), allow_unicode=True), encoding="utf-8")
    rules = RolloutRules.model_validate({"first": 5, "observe_s": 0.1, "wait_s": 10, "accept_partial": True})
    request = PushRequest(read_source(path, merge=False), EVERYONE, rules, HealthRule(window_s=1.0), beat_s=0.3)
    desk = Desk(fleet.settings, CLOCK, "li@centre")

    async def start():
        return await begin(desk, request, await prepare(desk, request), lambda _notice: None)

    async with asyncio.timeout(40):
        await see_through(desk, start, lambda _notice: None)
