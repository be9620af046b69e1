"""systemd's watchdog is fed by a daemon that works, and by no other."""

import asyncio
import json
import os
import socket

import pytest

from hallctl.clock import ManualClock
from hallctl.errors import OutboxError
from hallctl.pulse import Pulse, notify, runtime_folder, watchdog_s

HEALTH = {"version": "1.2.3", "ready": True, "terminals": 15, "online": 14}


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """The socket that systemd listens at; gives everything that was said so far."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(tmp_path / "notify"))
    listener.setblocking(False)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))

    def said():
        found = []
        while True:
            try:
                found.append(listener.recv(4096).decode())
            except BlockingIOError:
                return found

    yield said
    listener.close()


async def beats(pulse, clock, seconds):
    """Let a pulse run for so long; real threads write its file meanwhile."""
    task = asyncio.create_task(pulse.run())
    for _ in range(seconds):
        await asyncio.sleep(0.01)
        await clock.advance(1)
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_daemon_that_works_feeds_the_watchdog_and_says_how_it_is(systemd, tmp_path):
    async def examine():
        return HEALTH

    clock = ManualClock()
    await beats(Pulse(examine, clock, folder=tmp_path), clock, 30)
    said = systemd()
    assert said.count("WATCHDOG=1") >= 4
    assert "STATUS=14 of 15 terminals online" in said
    told = json.loads((tmp_path / "health.json").read_text())
    assert {key: told[key] for key in HEALTH} == HEALTH
    assert told["at"].startswith("2026-03-02T01:00")


async def test_an_event_log_that_does_not_answer_ends_the_beats(systemd, tmp_path):
    answers = asyncio.Event()

    async def examine():
        await answers.wait()
        return HEALTH

    clock = ManualClock()
    pulse = Pulse(examine, clock, folder=tmp_path)
    await beats(pulse, clock, 60)
    assert systemd() == []
    assert not (tmp_path / "health.json").exists()
    answers.set()
    await beats(pulse, clock, 2)
    assert "WATCHDOG=1" in systemd()


async def test_a_disk_that_refuses_costs_a_beat_and_is_asked_again(systemd, tmp_path):
    asked = 0

    async def examine():
        nonlocal asked
        asked += 1
        if asked < 3:
            raise OutboxError("the event log can't be used: disk I/O error")
        return HEALTH

    clock = ManualClock()
    await beats(Pulse(examine, clock, folder=tmp_path), clock, 40)
    assert asked > 3
    assert "WATCHDOG=1" in systemd()


async def test_a_folder_that_can_not_be_written_stops_nothing(systemd, tmp_path):
    async def examine():
        return HEALTH

    clock = ManualClock()
    await beats(Pulse(examine, clock, folder=tmp_path / "absent"), clock, 12)
    assert systemd().count("WATCHDOG=1") >= 2


def test_without_systemd_nobody_is_told(monkeypatch):
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "RUNTIME_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    notify("READY=1")
    assert watchdog_s() == 0
    assert runtime_folder() is None


def test_a_watchdog_that_is_meant_for_another_process_is_not_ours(monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_s() == 0
