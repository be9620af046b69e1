"""Metrics as Prometheus scrapes them: parsed by its own library, checked by its own tool where it is installed."""

import asyncio
import json
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml
from hallctl_drivers.escpos.sim import EscposSimulator
from hallctl_drivers.xinrui.sim import XinruiSimulator
from local_box import Box
from prometheus_client.parser import text_string_to_metric_families

from hallctl.config import ConfigErrors, load_controller
from hallctl.driver import on_tcp

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
LAYOUT = {"id": "queue", "lines": [{"text": "{number}"}]}
PROMTOOL = shutil.which("promtool")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
async def box(tmp_path):
    async with on_tcp(EscposSimulator()) as url, on_tcp(XinruiSimulator(None, 3)) as wire:
        box = Box(tmp_path)
        terminals = [
            {"id": "printer-1", "driver": "escpos", "port": url, "options": {"poll_every_s": 60}},
            {"id": "bar-3", "driver": "xinrui", "bus": "bars", "address": 3},
            {"id": "panel-1", "driver": "onbon-bx", "port": "tcp://127.0.0.1:9"},
        ]
        windows = [{"id": "w1", "label": "1", "display": "bar-3"}]
        box.port = free_port()
        hall = {"terminals": terminals, "buses": [{"id": "bars", "port": wire}], "windows": windows}
        box.write({**hall, "tickets": [LAYOUT]}, metrics={"listen": f"127.0.0.1:{box.port}"})
        async with box.running():
            yield box


def fetch(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        return answer.read().decode()


async def scraped(box: Box) -> str:
    async with asyncio.timeout(30):
        while True:
            try:
                return await asyncio.to_thread(fetch, box.port)
            except urllib.error.URLError:  # the server starts beside the first pass of the terminals
                await asyncio.sleep(0.05)


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Name and label values, in the order of the labels, to value."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_what_runs_and_what_does_not_is_seen(box) -> None:
    found = samples(await scraped(box))
    assert found["hallctl_terminal_up", "escpos", "printer-1"] == 1
    assert found["hallctl_terminal_up", "onbon-bx", "panel-1"] == 0
    assert found["hallctl_bus_up", "bars"] == 1
    assert found["hallctl_link_up",] == 0
    assert found["hallctl_terminal_port_errors_total", "panel-1"] >= 1
    assert found["hallctl_terminal_received_bytes_total", "printer-1"] > 0
    assert found["hallctl_disk_free_bytes",] > 0
    assert found["process_resident_memory_bytes",] > 0


async def test_a_ticket_and_a_call_are_timed_and_counted(box) -> None:
    before = samples(await scraped(box))
    await box.hallctl("ticket", "print", "number=A015")
    await box.hallctl("call", "w1", "A015")
    after = samples(await scraped(box))
    assert after["hallctl_ticket_print_seconds_count", "succeeded"] == 1
    assert after["hallctl_number_call_seconds_count", "succeeded"] == 1
    assert after["hallctl_commands_total", "number.call", "succeeded"] == 1
    assert after["hallctl_bus_frames_total", "bars", "out"] > before["hallctl_bus_frames_total", "bars", "out"]
    assert after["hallctl_bus_busy_seconds_total", "bars"] > before["hallctl_bus_busy_seconds_total", "bars"]
    waiting = "hallctl_outbox_waiting_entries"
    assert after[waiting,] > before[waiting,]  # nobody takes them: there is no broker


async def test_a_fault_has_its_code(tmp_path) -> None:
    async with on_tcp(EscposSimulator("cover_open")) as url:
        box = Box(tmp_path)
        box.port = free_port()
        printer = {"id": "printer-1", "driver": "escpos", "port": url}
        box.write({"terminals": [printer]}, metrics={"listen": f"127.0.0.1:{box.port}"})
        async with box.running():
            assert samples(await scraped(box))["hallctl_terminal_fault", "cover.open", "error", "printer-1"] == 1


async def test_an_address_that_another_program_has_costs_the_metrics_and_nothing_else(tmp_path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        box = Box(tmp_path)
        box.write({}, metrics={"listen": f"127.0.0.1:{taken.getsockname()[1]}"})
        async with box.running():
            assert (await box.hallctl("status")).exit_code == 0


async def test_there_are_none_unless_they_are_asked_for(tmp_path) -> None:
    box = Box(tmp_path)
    box.write({})
    assert load_controller(box.config).metrics is None


@pytest.mark.parametrize("listen", ["9109", "127.0.0.1:99999", "127.0.0.1:"])
def test_an_address_that_is_none_is_refused_with_what_to_write(tmp_path, listen) -> None:
    box = Box(tmp_path)
    box.write({}, metrics={"listen": listen})
    with pytest.raises(ConfigErrors):
        load_controller(box.config)


async def test_prometheus_itself_finds_nothing_to_say_about_names_and_types(box) -> None:
    if PROMTOOL is None:
        pytest.skip("promtool is not installed")
    ran = await asyncio.to_thread(
        subprocess.run, [PROMTOOL, "check", "metrics"], input=(await scraped(box)).encode(), capture_output=True
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")


NAME = re.compile(r"\b(?:hallctl|process)_[a-z0-9_]+")


async def test_every_metric_of_the_dashboard_and_of_the_alert_rules_exists(box) -> None:
    await box.hallctl("ticket", "print", "number=A015")
    await box.hallctl("call", "w1", "A015")
    text = await scraped(box)
    known = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
    known |= {family.name for family in text_string_to_metric_families(text)}  # without a sample: no camera here
    board = json.loads((CONFIGS / "grafana" / "hallctl.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    queries += [one["definition"] for one in board["templating"]["list"] if "definition" in one]
    rules = yaml.safe_load((CONFIGS / "prometheus" / "hallctl.rules.yaml").read_text())
    queries += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    assert len(queries) > 20
    used = {name for query in queries for name in NAME.findall(query)}
    assert used - known == set()


def test_the_dashboard_is_one_that_grafana_imports() -> None:
    board = json.loads((CONFIGS / "grafana" / "hallctl.json").read_text())
    assert board["schemaVersion"] >= 39
    assert board["title"] and board["uid"]
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in panels:
        assert panel["title"] and panel["description"], panel["id"]
        assert panel["targets"] and all(target["refId"] for target in panel["targets"])
        assert panel["datasource"]["uid"] == "${datasource}"
    places = [tuple(panel["gridPos"][key] for key in "xywh") for panel in board["panels"]]
    assert all(x + w <= 24 for x, _, w, _ in places)
    taken = [(column, row) for x, y, w, h in places for column in range(x, x + w) for row in range(y, y + h)]
    assert len(taken) == len(set(taken)), "panels overlap"


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
@pytest.mark.parametrize(("what", "name"), [("config", "prometheus.yaml"), ("rules", "hallctl.rules.yaml")])
def test_prometheus_itself_takes_the_examples(what, name) -> None:
    path = CONFIGS / "prometheus" / name
    ran = subprocess.run([PROMTOOL, "check", what, path], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


async def test_every_metric_is_explained_in_the_docs(box) -> None:
    docs = (CONFIGS.parent / "docs" / "metrics.md").read_text()
    text = await scraped(box)
    names = {family.name for family in text_string_to_metric_families(text) if family.name.startswith("hallctl_")}
    assert len(names) > 20
    assert {name for name in names if name not in docs} == set()
