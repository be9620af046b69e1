"""The live screen: what it shows of two looks at a box, at 80 columns and 24 lines, and that q ends it."""

import asyncio
import io
import os
import pty
import select
import subprocess
import sys
import termios
from datetime import UTC, datetime, timedelta

import pytest
from hallctl_drivers.escpos.sim import EscposSimulator
from local_box import Box
from rich.console import Console

from hallctl.cli.top.screen import frame
from hallctl.driver import on_tcp
from hallctl.link.look_data import LookBus, LookLink, LookOutbox, LookProcess, LookResult, LookTerminal

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


def terminal(name: str, **fields) -> LookTerminal:
    return LookTerminal(**{"id": name, "driver": "escpos", "status": "online", "since": NOW, **fields})


def look(seconds: float = 100.0, **fields) -> LookResult:
    whole = {
        "at": NOW + timedelta(seconds=seconds),
        "seconds": seconds,
        "site": "pudong",
        "controller": "box-1",
        "name": "一楼",
        "version": "0.1.0",
        "boot": 3,
        "since": NOW,
        "clock_synchronised": True,
        "link": LookLink(configured=True, connected=True),
        "outbox": LookOutbox(waiting=0, oldest_s=0, size_bytes=4096, last_seq=9),
        "process": LookProcess(cpu_s=seconds / 20, memory_bytes=82_000_000, tasks=30, threads=4),
        "terminals": [terminal("printer-1")],
        "buses": [],
        "alerts": {},
        "commands": {},
        "evidence_bytes": 1_250_000_000,
        "disk_free_bytes": 30_000_000_000,
    }
    return LookResult(**{**whole, **fields})


def shown(before: LookResult | None, now: LookResult, height: int = 24) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=80, height=height, color_system=None).print(frame(before, now, height))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_the_box_is_shown_in_three_lines() -> None:
    first, second, third = shown(look(99), look(100))[:3]
    assert first.startswith("pudong/box-1 一楼  hallctl 0.1.0  up 0:01:40")
    assert second.startswith("broker connected  events waiting 0  open alerts 0")
    assert third == "cpu 5 %  memory 82 MB  evidence 1.2 GB  disk free 30 GB"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"link": LookLink(configured=False, connected=False)}, "no broker"),
        ({"link": LookLink(configured=True, connected=False)}, "no connection to the broker"),
        ({"outbox": LookOutbox(waiting=7, oldest_s=300, size_bytes=1, last_seq=9)}, "events waiting 7 (0:05:00)"),
        ({"clock_synchronised": False}, "the clock is not synchronised"),
        ({"alerts": {"post_empty": 2, "terminal_offline": 1}}, "open alerts 3"),
    ],
)
def test_what_is_wrong_with_the_box_is_said(fields, words) -> None:
    assert any(words in line for line in shown(None, look(**fields)))


def test_rates_are_those_between_two_looks() -> None:
    buses = [
        [LookBus(id="bars", port="p", open=True, busy_s=busy, counters={"frames_in": frames, "timeouts": 0})]
        for busy, frames in ((10.0, 100), (11.0, 120))
    ]
    before = look(100, terminals=[terminal("p1", bytes_in=1000, bytes_out=0)], buses=buses[0])
    now = look(102, terminals=[terminal("p1", bytes_in=5000, bytes_out=20)], buses=buses[1])
    lines = shown(before, now)
    assert next(line for line in lines if line.startswith("bars")).split() == ["bars", "50%", "10.0"]
    assert next(line for line in lines if line.startswith("p1")).split() == ["p1", "online", "2.0", "kB", "10", "B"]


def test_of_one_look_or_of_another_run_of_the_daemon_no_rate_is_made_up() -> None:
    for before in (None, look(99, boot=2)):
        assert shown(before, look(100))[2].startswith("cpu -")


def test_trouble_comes_first_and_what_is_well_makes_room_on_a_small_screen() -> None:
    many = [terminal(f"display-{number:02}") for number in range(60)]
    offline = terminal("z-last", status="offline", reason="port.refused")
    faulty = terminal("y-printer", faults={"paper.end": "error"})
    lines = shown(None, look(terminals=[*many, offline, faulty]))
    assert len(lines) <= 24
    table = lines[next(at for at, line in enumerate(lines) if line.startswith("terminal")) + 1 :]
    assert table[0].startswith("z-last") and "port.refused" in table[0]
    assert table[1].startswith("y-printer") and "paper.end" in table[1]
    assert lines[-1] == f"... {62 - (len(table) - 1)} more"


def test_eighty_columns_are_enough_for_long_names() -> None:
    long = terminal("a-terminal-with-a-very-long-name-of-sixty-characters-and-some", status="offline")
    assert all(len(line) <= 80 for line in shown(None, look(terminals=[long])))


@pytest.fixture
async def box(tmp_path):
    async with on_tcp(EscposSimulator()) as url:
        box = Box(tmp_path)
        box.write({"terminals": [{"id": "printer-1", "driver": "escpos", "port": url}]})
        async with box.running():
            yield box


async def test_one_frame_is_printed_of_a_running_box(box) -> None:
    ran = await box.hallctl("top", "--once")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert "hall/box" in ran.stdout
    assert "printer-1" in ran.stdout


async def test_the_centre_and_scripts_get_it_as_an_object(box) -> None:
    ran = await box.hallctl("top", "--once", "--json")
    found = LookResult.model_validate_json(ran.stdout)
    assert [(one.id, one.status) for one in found.terminals] == [("printer-1", "online")]
    assert found.process.memory_bytes > 1_000_000


async def test_q_ends_the_live_screen_and_leaves_the_terminal_as_it_was(box) -> None:

    main, side = pty.openpty()
    before = termios.tcgetattr(side)
    program = [sys.executable, "-m", "hallctl.cli.main", "top", "--config", str(box.config), "--every", "0.2"]
    environment = {**os.environ, "TERM": "xterm", "LANG": "C.UTF-8", "COLUMNS": "80", "LINES": "24"}
    running = subprocess.Popen(program, stdin=side, stdout=side, stderr=side, env=environment)
    try:
        seen = await asyncio.to_thread(_read_until, main, b"printer-1")
        assert b"\x1b[?1049h" in seen  # a screen of its own: what was there before comes back
        os.write(main, b"q")
        await asyncio.to_thread(_read_until, main, b"\x1b[?1049l")
        assert await asyncio.to_thread(running.wait, 30) == 0
        assert termios.tcgetattr(side) == before
    finally:
        running.kill()
        running.wait()
        os.close(main)
        os.close(side)


def _read_until(descriptor: int, wanted: bytes) -> bytes:
    seen = b""
    while wanted not in seen:
        ready, _, _ = select.select([descriptor], [], [], 60)
        assert ready, seen
        seen += os.read(descriptor, 65536)
    return seen
