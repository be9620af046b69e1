"""From the centre the same question gives the same words, over a real broker; and devices do what they are asked to."""

import json
from contextlib import asynccontextmanager

import pytest
from diagnose.camera_stages import hall as watched
from diagnose.camera_stages import need_model
from diagnose.staging import bar, printer
from hallctl_drivers.camera.sim import CameraSimulator
from hallctl_drivers.escpos.sim import EscposSimulator
from hallctl_drivers.ff68.sim import Ff68KeypadSimulator
from hallctl_drivers.pinganlihe.sim import PingAnLiHeSimulator
from local_box import Box

from hallctl.driver import on_pty, on_tcp

DEVICES = {
    "cover_open": (EscposSimulator, "p1: the cover is open"),
    "half_open": (EscposSimulator, "takes the connection and then says nothing"),
    "cutter_jam": (EscposSimulator, "p1: the cutter"),
}


@asynccontextmanager
async def sampled(folder, broker, fault):
    simulator, _ = DEVICES[fault]
    async with on_tcp(simulator(fault)) as url:
        box = Box(folder)
        box.write({"terminals": [printer(url)]}, broker={"host": broker.host, "port": broker.port})
        async with box.running() as controller:
            await box.connected(controller)
            yield box


def remote(broker):
    return ("--broker", f"mqtt://{broker.host}:{broker.port}", "--site", "hall", "--controller", "box")


def told(text, *, without=("what it says now", "last sent", "last received", "history", "tried")):
    """What does not change from one question to the next; log lines of the daemon in this process are left out."""
    lines = [line for line in text.splitlines() if not line.startswith(("20", *without))]
    return [line.rstrip() for line in lines]


@pytest.mark.parametrize("fault", sorted(DEVICES))
async def test_the_centre_reads_the_same_as_who_stands_at_the_box(tmp_path, broker, fault):
    async with sampled(tmp_path, broker, fault) as box:
        here = await box.hallctl("diagnose", "p1")
        there = await box.hallctl("diagnose", "p1", *remote(broker), config=False)
    assert DEVICES[fault][1] in told(here.stdout)[0]
    assert told(there.stdout)[:2] == told(here.stdout)[:2]
    assert [line.split()[0] for line in told(there.stdout) if line] == [
        line.split()[0] for line in told(here.stdout) if line
    ]
    assert (here.exit_code, there.exit_code) == (1, 1)


async def test_the_centre_has_a_line_tried_at_other_rates(tmp_path, broker):
    async with on_pty([EscposSimulator()], line="9600 8N1") as path:
        box = Box(tmp_path)
        hall = {"terminals": [printer(f"serial://{path}?baud=19200")]}
        box.write(hall, broker={"host": broker.host, "port": broker.port})
        async with box.running() as controller:
            await box.connected(controller)
            ran = await box.hallctl("diagnose", "p1", *remote(broker), config=False)
    assert told(ran.stdout)[0] == "p1: it answers at 9600 baud, but hall.yaml says 19200 baud"


async def test_a_healthy_terminal_and_a_healthy_box_are_told_so(tmp_path):
    async with on_tcp(EscposSimulator()) as url:
        box = Box(tmp_path)
        box.write({"terminals": [printer(url)]})
        async with box.running():
            one = await box.hallctl("diagnose", "p1")
            all_of_it = await box.hallctl("diagnose")
    assert (one.exit_code, all_of_it.exit_code) == (0, 0)
    assert told(one.stdout)[0].startswith("p1 works: online since")
    assert told(all_of_it.stdout)[0] == "hall/box: all is well"


async def test_an_unknown_terminal_is_answered_with_those_that_there_are(tmp_path):
    box = Box(tmp_path)
    box.write({"terminals": [printer("tcp://127.0.0.1:9")]})
    async with box.running():
        ran = await box.hallctl("diagnose", "p9")
    assert ran.exit_code == 1
    assert "there is no terminal 'p9'" in ran.stderr
    assert "terminals here: p1" in ran.stderr


async def test_a_printer_is_exercised_with_a_ticket_that_stands_in_the_audit(tmp_path):
    simulator = EscposSimulator()
    async with on_tcp(simulator) as url:
        box = Box(tmp_path)
        box.write({"terminals": [printer(url)]})
        async with box.running() as controller:
            ran = await box.hallctl("diagnose", "p1", "--exercise", "--by", "王五")
            entries = await controller._outbox.read_range(1, 99)
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    assert "a test ticket comes out of it" in ran.stdout
    assert len(simulator.tickets) == 1
    (finished,) = [one.data for one in entries if one.type == "command.finished"]
    assert finished["name"] == "terminal.exercise"
    assert finished["by"].startswith("王五 (")


async def test_a_display_shows_digits_and_then_what_it_has_to_show(tmp_path, monkeypatch):
    monkeypatch.setattr("hallctl.controller.diagnosis.exercise.SHOWN_S", 0.2)
    simulator = PingAnLiHeSimulator(address=1)
    async with on_pty([simulator]) as path:
        box = Box(tmp_path)
        hall = {"buses": [{"id": "line", "port": f"serial://{path}?baud=9600"}], "terminals": [bar("d1", 1)]}
        box.write({**hall, "windows": [{"id": "w1", "label": "1", "display": "d1"}]})
        async with box.running():
            ran = await box.hallctl("diagnose", "d1", "--exercise")
            assert "8888 stands on it" in ran.stdout
            await box.eventually(lambda: "8888" not in str(simulator.shown))
    assert ran.exit_code == 0


@pytest.mark.slow
async def test_a_camera_takes_a_picture_that_stays_on_the_box_and_a_keypad_sounds(tmp_path):
    model = need_model()
    keypad = Ff68KeypadSimulator(None, 3)
    async with CameraSimulator().serve("127.0.0.1", 0) as url, on_pty([keypad]) as path:
        box = Box(tmp_path)
        document = watched(url)
        document["buses"] = [{"id": "line", "port": f"serial://{path}?baud=9600"}]
        document["terminals"].append({"id": "k1", "driver": "ff68-keypad", "bus": "line", "address": 3})
        box.write(document, model=model)
        async with box.running():
            picture = await box.hallctl("diagnose", "p1", "--exercise")
            sound = await box.hallctl("diagnose", "k1", "--exercise")
    assert "is among the evidence: exercise-p1" in picture.stdout
    assert str(tmp_path / "state" / "evidence") not in picture.stdout
    assert list((tmp_path / "state" / "evidence").glob("exercise-p1*.jpg"))
    assert "it sounds" in sound.stdout


async def test_a_pad_can_not_be_exercised_and_says_what_to_do_instead(tmp_path):
    async with on_pty([]) as path:
        box = Box(tmp_path)
        pad = {"id": "pad-1", "driver": "ff68-pad", "bus": "line", "address": 1}
        box.write({"buses": [{"id": "line", "port": f"serial://{path}?baud=9600"}], "terminals": [pad]})
        async with box.running():
            ran = await box.hallctl("diagnose", "pad-1", "--exercise", "--json")
    diagnosis, exercise = (json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{"))
    assert [(one["code"], one["weight"]) for one in diagnosis["findings"]] == [("device.unproven", "note")]
    assert exercise["code"] == "exercise.unsupported"
    assert "hallctl rate" in exercise["hint"]


async def test_a_daemon_is_asked_over_its_socket_in_chinese_where_the_locale_is(tmp_path, monkeypatch):
    monkeypatch.setenv("HALLCTL_LANG", "zh")
    async with on_tcp(EscposSimulator("cover_open")) as url:
        box = Box(tmp_path)
        box.write({"terminals": [printer(url)]})
        async with box.running():
            ran = await box.hallctl("diagnose", "p1")
    lines = told(ran.stdout)
    assert lines[0].startswith("p1：") or lines[0].startswith("p1: ")
    assert not lines[0].isascii()
    assert "the cover is open" in ran.stdout
