"""A box that works alone is used at the box itself: the same commands, over the daemon's socket."""

import asyncio
import json

import pytest
from hallctl_drivers.escpos.sim import EscposSimulator
from local_box import Box

from hallctl.driver import on_tcp

LAYOUT = {"id": "queue", "lines": [{"text": "{number}"}]}


@pytest.fixture
async def box(tmp_path):
    async with on_tcp(EscposSimulator()) as url:
        box = Box(tmp_path)
        printer = {"id": "printer-1", "driver": "escpos", "port": url, "options": {"poll_every_s": 0.5}}
        window = {"id": "w1", "label": "1"}
        box.write({"terminals": [printer], "windows": [window], "tickets": [LAYOUT]})
        async with box.running():
            yield box


async def test_its_state_is_shown_as_the_centre_would_see_it(box):
    ran = await box.hallctl("status")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout.startswith("hall/box: online since")
    assert "printer-1  escpos  online" in ran.stdout
    document = json.loads((await box.hallctl("status", "--json")).stdout)
    assert [one["status"] for one in document["terminals"]] == ["online"]


@pytest.mark.parametrize(
    ("arguments", "out"),
    [
        (("call", "w1", "A001"), "done"),
        (("ticket", "print", "number=A001"), "on paper at printer-1, confirmed by"),
        (("printer", "test", "printer-1"), "done"),
    ],
    ids=lambda value: value[0],
)
async def test_its_commands_are_carried_out_by_the_daemon_that_holds_the_ports(box, arguments, out):
    ran = await box.hallctl(*arguments)
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert out in ran.stdout


async def test_its_open_alerts_are_shown_and_acknowledged(tmp_path):
    async with on_tcp(EscposSimulator("paper_out")) as url:
        box = Box(tmp_path)
        box.write({"terminals": [{"id": "printer-1", "driver": "escpos", "port": url}]})
        async with box.running(), asyncio.timeout(30):
            while not (shown := await box.hallctl("alerts", "--json")).stdout:
                assert (shown.exit_code, shown.stderr) == (0, "")
            alert = json.loads(shown.stdout)
            assert (alert["subject"], alert["state"]) == ("printer-1", "raised")
            assert (await box.hallctl("alerts", "ack", alert["id"])).exit_code == 0
            assert json.loads((await box.hallctl("alerts", "--json")).stdout)["state"] == "acknowledged"


async def test_a_box_without_an_alert_says_so_and_following_them_wants_a_broker(box):
    assert (await box.hallctl("alerts")).stdout == "No alert is open.\n"
    followed = await box.hallctl("alerts", "--follow")
    assert followed.exit_code == 78
    assert "names no broker" in followed.stderr


async def test_a_command_of_another_box_is_not_given_to_this_one(box):
    ran = await box.hallctl("call", "w1", "A001", "--controller", "another")
    assert ran.exit_code == 78
    assert "names no broker: this box works alone" in ran.stderr


async def test_a_box_whose_daemon_does_not_run_says_so_and_what_to_do(tmp_path):
    box = Box(tmp_path)
    box.write({})
    ran = await box.hallctl("call", "w1", "A001")
    assert ran.exit_code == 1
    assert "the daemon is not running: there is no socket" in ran.stderr
    assert "systemctl start hallctl" in ran.stderr
