"""A trial disturbs nobody: who rested goes on, who works on the same line goes on working, and it ends in time."""

import asyncio

import pytest
from diagnose.staging import bar, on_line, printer
from hallctl_drivers.escpos.sim import EscposSimulator
from hallctl_drivers.pinganlihe.sim import PingAnLiHeSimulator
from local_box import Box

from hallctl.clock import SystemClock
from hallctl.controller.diagnosis import desk, trial
from hallctl.driver import load_driver, on_pty
from hallctl.link.payloads import MAX_REPLY_BYTES, reply_envelope
from hallctl.model import Identity, Reply, ReplyState
from hallctl.transport import PortAddress


@pytest.mark.slow
async def test_a_printer_that_rested_for_a_trial_is_found_again_when_it_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "RATES", (9600, 19200))
    monkeypatch.setattr(trial, "FORMS", ())
    simulator = EscposSimulator("mute")
    async with on_pty([simulator]) as path:
        box = Box(tmp_path)
        box.write({"terminals": [printer(f"serial://{path}?baud=9600")]})
        async with box.running():
            ran = await box.hallctl("diagnose", "p1")
            assert "nothing comes from the line" in ran.stdout
            simulator.fault = None
            await box.until("p1", "online")


async def test_bars_that_rested_for_a_trial_of_their_line_are_found_again_and_no_reason_of_ours_is_told(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(trial, "RATES", (9600, 19200))
    monkeypatch.setattr(trial, "FORMS", ())
    monkeypatch.setattr(desk, "BUDGET_S", 2.0)
    bars = [PingAnLiHeSimulator("mute", 1), PingAnLiHeSimulator("mute", 2)]
    async with on_pty(bars) as path:
        box = Box(tmp_path)
        box.write(on_line(path, bar("p1", 1), bar("p2", 2)))
        async with box.running() as controller:
            await box.hallctl("diagnose", "p1")
            for simulator in bars:
                simulator.fault = None
            await box.until("p1", "online")
            await box.until("p2", "online")
            told = controller._floor.history.of("p1") + controller._floor.history.of("p2")
    assert {change["reason"] for change in told} <= {"", "device.mute"}


async def test_a_bar_that_works_goes_on_working_while_its_neighbour_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(desk, "BUDGET_S", 2.0)
    async with on_pty([PingAnLiHeSimulator(address=2)], line="9600 8N1") as path:
        box = Box(tmp_path)
        box.write(
            {**on_line(path, bar("p1", 1), bar("p2", 2)), "windows": [{"id": "w", "label": "1", "display": "p2"}]}
        )
        async with box.running() as controller:
            asked = asyncio.create_task(box.diagnosis("p1"))
            called = await box.hallctl("call", "w", "A001")
            found = await asked
            told = controller._floor.history.of("p2")
    assert called.exit_code == 0, called.stderr
    assert found["findings"][0]["code"] == "line.alone"
    assert "it alone is silent at address 1: p2 on the same line answer" in found["findings"][0]["message"]
    assert [change["status"] for change in told] == ["online"]


async def test_a_trial_ends_when_its_time_is_over_and_says_so():
    plugin = load_driver("escpos")
    async with on_pty([EscposSimulator("mute")]) as path:
        line = trial.Line(PortAddress.parse(f"serial://{path}"), plugin, plugin.options())
        found = await trial.try_line(line, SystemClock(), 0.1)
    assert len(found.attempts) == 1
    assert found.why_not == "there was no time for more"


@pytest.mark.parametrize("driver", ["ff68-pad", "xinrui"])
async def test_a_family_that_answers_no_questions_is_not_tried(driver):
    plugin = load_driver(driver)
    line = trial.Line(PortAddress.parse("serial:///dev/null"), plugin, plugin.options(), 1)
    assert (await trial.try_line(line, SystemClock(), 1.0)).why_not == "devices of this kind can't be asked"


@pytest.mark.slow
async def test_two_who_ask_at_once_are_answered_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "RATES", ())
    monkeypatch.setattr(trial, "FORMS", ())
    async with on_pty([EscposSimulator("mute")]) as path:
        box = Box(tmp_path)
        box.write({"terminals": [printer(f"serial://{path}?baud=9600")]})
        async with box.running():
            both = await asyncio.gather(*(box.diagnosis("p1") for _ in range(2)))
    assert [one["findings"][0]["code"] for one in both] == ["line.silent", "line.silent"]


async def test_a_box_with_hundreds_of_troubles_still_fits_one_reply(tmp_path):
    box = Box(tmp_path)
    bars = [bar(f"bar-{number}", number) for number in range(1, 100)]
    printers = [{**printer(f"tcp://127.0.1.{number}:9"), "id": f"printer-{number}"} for number in range(100)]
    gone = on_line("/dev/serial/by-id/usb-gone", *bars)
    box.write({"buses": gone["buses"], "terminals": [*gone["terminals"], *printers]})
    async with box.running():
        found = await box.diagnosis(None)
    reply = reply_envelope(Reply("c-1", ReplyState.SUCCEEDED, data=found), Identity("hall", "box"), SystemClock().now())
    assert len(reply.encode(MAX_REPLY_BYTES)) > 0
    assert found["findings"][0]["code"] == "port.absent"
    assert len([one for one in found["findings"] if one["code"] == "port.refused"]) == 100
