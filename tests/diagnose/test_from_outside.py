"""A box whose daemon does not run, and what only the person at the box may see."""

import asyncio
import json
import subprocess
import sys

from diagnose.port_stages import HOLD
from diagnose.staging import bar, on_line, printer
from hallctl_drivers.escpos.sim import EscposSimulator
from local_box import Box

from hallctl.controller.diagnosis import ports
from hallctl.driver import on_pty


async def test_without_a_daemon_what_keeps_it_from_working_comes_first_and_then_the_ports(tmp_path):
    box = Box(tmp_path)
    box.write({"terminals": [printer("serial:///dev/serial/by-id/usb-gone")]})
    ran = await box.hallctl("diagnose", "--json")
    assert [one["code"] for one in json.loads(ran.stdout)["findings"]] == ["local.absent", "port.absent"]
    assert ran.exit_code == 1


async def test_without_a_daemon_a_terminal_on_a_bus_is_judged_by_its_bus_port(tmp_path):
    box = Box(tmp_path)
    box.write(on_line("/dev/serial/by-id/usb-gone", bar("p1", 1)))
    ran = await box.hallctl("diagnose", "p1")
    assert "its port /dev/serial/by-id/usb-gone is not there" in ran.stdout


async def test_a_holder_that_the_sandboxed_daemon_can_not_see_is_named_by_who_stands_at_the_box(tmp_path, monkeypatch):
    monkeypatch.setattr(ports, "holders", lambda _node: iter(()))  # ProtectProc=invisible
    async with on_pty([EscposSimulator()]) as path:
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert await asyncio.to_thread(holder.stdout.readline) == "held\n"
            box = Box(tmp_path)
            box.write({"terminals": [printer(f"serial://{path}?baud=9600")]})
            async with box.running():
                ran = await box.hallctl("diagnose", "p1")
        finally:
            holder.communicate()
    first = next(line for line in ran.stdout.splitlines() if line.startswith("p1: "))
    assert first.startswith("p1: its port is held by python")
    assert f"(pid {holder.pid})" in first


async def test_a_box_that_is_healthy_but_for_pads_that_never_speak_is_called_well(tmp_path):
    async with on_pty([]) as path:
        box = Box(tmp_path)
        pad = {"id": "pad-1", "driver": "ff68-pad", "bus": "line", "address": 1}
        box.write({"buses": [{"id": "line", "port": f"serial://{path}?baud=9600"}], "terminals": [pad]})
        async with box.running():
            all_of_it = await box.hallctl("diagnose")
            one = await box.hallctl("diagnose", "pad-1")
    assert (all_of_it.exit_code, one.exit_code) == (0, 0)
    assert "hall/box: all is well" in all_of_it.stdout
    assert "speak only when a key is pressed" in one.stdout
