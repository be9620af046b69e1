"""A whole daemon with cameras, and what it wrote into its log."""

import asyncio
import contextlib
import json
import sqlite3
import sys
from pathlib import Path

import yaml

WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def camera(name, url):
    return {"id": name, "driver": "camera", "options": {"url": url, "check_every_s": 0.5}}


def view(name, zone):
    return {"camera": name, "zone": [list(corner) for corner in zone]}


def write(folder: Path, model: Path, **hall) -> Path:
    """The files of a controller that is always on duty; ``hall``: the terminals and windows of hall.yaml."""
    controller = {"site": "hall-1", "controller": "box-1", "state_dir": "state", "model": str(model)}
    hall |= {
        "attendance": {"grace_s": 4, "return_after_s": 1, "preroll_s": 3},
        "duty_hours": {"spans": [{"days": WEEK, "start": "00:00", "end": "23:59:59"}]},
    }
    (folder / "controller.yaml").write_text(yaml.safe_dump(controller))
    (folder / "hall.yaml").write_text(yaml.safe_dump(hall))
    return folder / "controller.yaml"


@contextlib.asynccontextmanager
async def daemon(config: Path):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hallctl.cli.main", "run", str(config), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def rows(folder: Path, type_: str):
    """What the log has of one type, as the centre would get it."""
    with contextlib.closing(sqlite3.connect(f"file:{folder}/state/outbox.db?mode=ro", uri=True)) as database:
        found = database.execute("SELECT body FROM log WHERE type = ? ORDER BY seq", (type_,)).fetchall()
    return [json.loads(body) for (body,) in found]


async def until(what, seconds=40):
    async with asyncio.timeout(seconds):
        while True:
            with contextlib.suppress(sqlite3.OperationalError):  # before the log is there
                if found := what():
                    return found
            await asyncio.sleep(0.1)


def kinds(alert):
    return [one["kind"] for one in alert["evidence"]]
