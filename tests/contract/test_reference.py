"""The published contract: not behind the code, valid AsyncAPI, and true of what is really said."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
import yaml
from contract.test_every_broker import ask
from fleet.conftest import CLOCK, Fleet
from jsonschema import Draft202012Validator, FormatChecker

from hallctl.fleet.desk import Desk
from hallctl.fleet.documents import read_source
from hallctl.fleet.pushing import PushRequest, begin, prepare, see_through
from hallctl.fleet.selector import EVERYONE
from hallctl.fleet.simulate.halls import hall_document
from hallctl.link import BrokerSettings, Session
from hallctl.link.configuration import HealthRule
from hallctl.link.rollouts import RolloutRules
from hallctl.model import Event, EventType

ROOT = Path(__file__).parents[2]
ASYNCAPI = json.loads((ROOT / "docs/asyncapi.json").read_text(encoding="utf-8"))
SCHEMAS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "docs/schemas").glob("*.json")}
PARSER = "@asyncapi/parser@3.4.0"


def test_the_reference_is_not_behind_the_code():
    found = subprocess.run(
        [sys.executable, ROOT / "scripts/mqtt-reference", "--check"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr


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


def schema_of(topic: str) -> str:
    """The channel whose address a topic fits; its name is that of its schema."""
    for key, channel in ASYNCAPI["channels"].items():
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(channel["address"]))
        if re.fullmatch(pattern, topic):
            return ASYNCAPI["components"]["messages"][key]["name"]
    raise AssertionError(f"no channel for {topic}")


@pytest.mark.rule("MQ-20")
async def test_what_is_really_said_fits_the_schemas_and_the_limits(broker, tmp_path):
    heard: dict[str, list[tuple[str, bytes]]] = {}
    fleet = Fleet(tmp_path, broker)
    listener = Session(BrokerSettings(broker.host, broker.port, client_id="listens"))
    await listener.connect()
    await listener.subscribe("hall/v1/#", "hall-fleet/v1/rollout/#", "hall-fleet/v1/document/#")

    async def listen():
        while True:
            message = await listener.receive()
            listener.acknowledge(message)
            if message.payload:
                heard.setdefault(schema_of(message.topic), []).append((message.topic, message.payload))

    listening = asyncio.create_task(listen())
    await fleet.start(3, "partial=box-0003")
    box = fleet.boxes["box-0001"]
    await box.say(Event(EventType.NUMBER_CALLED, {"window": "w1", "ticket": "A001"}))
    await ask(listener, box, "number.call", {"window": "w1", "ticket": "A001"})
    await ask(listener, box, "rebirth", {})
    await ask(listener, box, "ticket.print", {"printer": "p1", "fields": {"number": "A1"}}, str(uuid.uuid4()))
    await push(fleet, tmp_path)
    wanted = {"state", "terminal", "event.number.called", "event.command.finished", "command.number.call", "reply"}
    wanted |= {"config.desired", "config.reported", "rollout", "rollout.targets", "rollout.outcomes"}
    await fleet.until(lambda: wanted <= heard.keys())
    listening.cancel()
    await listener.disconnect()
    with contextlib.suppress(Exception):
        await fleet.stop()
    for name, messages in heard.items():
        validator = Draft202012Validator(SCHEMAS[name], format_checker=FormatChecker())
        for topic, payload in messages:
            wrong = [
                f"{'/'.join(map(str, one.path))}: {one.message}" for one in validator.iter_errors(json.loads(payload))
            ]
            assert not wrong, f"{topic}: {wrong[:3]}"
            assert len(payload) <= 250_000


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
