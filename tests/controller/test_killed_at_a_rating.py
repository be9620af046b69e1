"""The real daemon, killed with SIGKILL between the disk and the thanks: a citizen's rating is there, and there once."""

import asyncio
import contextlib
import json
import sqlite3
import sys
from pathlib import Path

import pytest
import yaml
from hallctl_drivers.ff68.sim import Ff68PadSimulator
from hallctl_drivers.webpad.sim import WebPadSimulator

from hallctl.driver import on_pty

pytestmark = pytest.mark.slow  # daemons start and die

DYING = Path(__file__).with_name("dying_at_a_rating.py")
KILLED = -9


def write(folder, terminals, buses=()):
    controller = {"site": "hall-1", "controller": "box-1", "state_dir": "state", "trust_clock": True}
    window = {"id": "w1", "label": "1", "pad": "pad"}
    (folder / "controller.yaml").write_text(yaml.safe_dump(controller))
    (folder / "hall.yaml").write_text(
        yaml.safe_dump({"buses": list(buses), "terminals": terminals, "windows": [window]})
    )


@contextlib.asynccontextmanager
async def daemon(folder, *, dies):
    """``hallctl run``; one that dies has done so when the block is left."""
    command = [str(DYING)] if dies else ["-m", "hallctl.cli.main", "run"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *command, str(folder / "controller.yaml")), stderr=asyncio.subprocess.PIPE
    )
    log = asyncio.create_task(process.stderr.read())
    try:
        yield
        if dies:
            await ended(process)
    finally:
        if process.returncode is None:
            process.terminate()
        text = (await log).decode()
    assert await process.wait() == (KILLED if dies else 0), text


async def ended(process):
    async with asyncio.timeout(60):
        await process.wait()


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


async def said_until(pad, condition):
    """A pad that does not give up: the daemon may not have opened the port yet."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.2)
            pad._attempts = 0
            pad.tick()


def ratings(folder):
    path = folder / "state/outbox.db"
    if not path.exists():
        return []
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as log:
        if not log.execute("SELECT 1 FROM sqlite_master WHERE name = 'log'").fetchone():
            return []  # the daemon is just making it
        rows = log.execute("SELECT body FROM log WHERE type = 'rating.given'").fetchall()
    return [json.loads(body)["score"] for (body,) in rows]


async def test_what_a_pad_said_is_on_disk_before_it_thanks_and_the_next_daemon_hears_it_again(tmp_path):
    pad, link = Ff68PadSimulator(address=1, repeat_s=None), str(tmp_path / "line")
    bus = {"id": "line", "port": f"serial://{link}?baud=9600"}
    write(tmp_path, [{"id": "pad", "driver": "ff68-pad", "bus": "line", "address": 1}], [bus])
    async with on_pty([pad], link):
        async with daemon(tmp_path, dies=True):
            pad.evaluating = True
            pad.press(3)
            await said_until(pad, lambda: ratings(tmp_path))
        assert (ratings(tmp_path), pad.thanked) == ([5], 0)
        async with daemon(tmp_path, dies=False):
            await said_until(pad, lambda: pad.thanked)
    assert set(ratings(tmp_path)) == {5}


async def test_what_a_tablet_said_is_on_disk_before_it_thanks_and_counts_once(tmp_path, unused_tcp_port):
    write(
        tmp_path,
        [{"id": "pad", "driver": "web-pad", "options": {"listen": f"127.0.0.1:{unused_tcp_port}", "unasked": True}}],
    )
    tablet = WebPadSimulator()
    async with tablet.visit(f"http://127.0.0.1:{unused_tcp_port}/pad/pad"):
        async with daemon(tmp_path, dies=True):
            await until(lambda: tablet.connected)
            answer = tablet.press(4)
        assert (ratings(tmp_path), tablet.thanked) == ([4], [])
        async with daemon(tmp_path, dies=False):
            await until(lambda: tablet.thanked == [answer])
    assert ratings(tmp_path) == [4]
