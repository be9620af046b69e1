"""The daemon killed in the middle of an absence: one alert, no clip lost."""

import asyncio
import contextlib
import hashlib
import json
import signal
import sqlite3
import sys
from datetime import datetime
from pathlib import Path

import av
import pytest
import yaml
from camera.watched import ZONE
from hallctl_drivers.camera.sim import CameraSimulator

pytestmark = pytest.mark.slow
WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def write(folder: Path, url: str, model: Path) -> Path:
    controller = {"site": "hall-1", "controller": "box-1", "state_dir": "state", "model": str(model)}
    post = {"camera": "camera-1", "zone": [list(corner) for corner in ZONE]}
    hall = {
        "terminals": [{"id": "camera-1", "driver": "camera", "options": {"url": url, "check_every_s": 0.5}}],
        "windows": [{"id": "w1", "label": "1", "post": post}],
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


async def test_an_absence_survives_a_killed_daemon_with_one_alert_and_every_clip(model, person, tmp_path):
    camera = CameraSimulator(person=person)
    async with camera.serve("127.0.0.1", 0) as url:
        config = write(tmp_path, url, model)
        async with daemon(config) as first:
            await until(lambda: rows(tmp_path, "terminal.online"))
            await asyncio.sleep(6)
            camera.set_scene("empty")
            await until(lambda: rows(tmp_path, "post.empty"))
            (tmp_path / "state").mkdir(exist_ok=True)
            await asyncio.sleep(3)
            first.send_signal(signal.SIGKILL)
            await first.wait()
        assert list((tmp_path / "state" / "evidence").glob("*-clip.mp4.part"))
        async with daemon(config):
            await until(
                lambda: [alert for alert in rows(tmp_path, "post.empty") if kinds(alert) == ["snapshot", "clip"]]
            )
            await asyncio.sleep(4)
            camera.set_scene("present")
            last = await until(
                lambda: [
                    alert
                    for alert in rows(tmp_path, "post.empty")
                    if alert["state"] == "cleared" and kinds(alert) == ["snapshot", "clip", "clip-2"]
                ]
            )
    alerts = rows(tmp_path, "post.empty")
    assert len({alert["id"] for alert in alerts}) == 1
    alert = last[-1]
    left_at = datetime.fromisoformat(alert["data"]["since"])
    spans = []
    for evidence in alert["evidence"]:
        data = Path(evidence["path"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == evidence["sha256"]
        if evidence["covers"]:
            spans.append([datetime.fromisoformat(moment) for moment in evidence["covers"]])
            with av.open(evidence["path"]) as clip:
                assert sum(1 for _ in clip.decode(video=0)) > 10
    (before, broken_off), (_, returned) = spans
    assert (left_at - before).total_seconds() > 1.5
    assert (broken_off - left_at).total_seconds() > 4  # up to the kill, but for the last second or two
    assert (returned - left_at).total_seconds() == pytest.approx(alert["data"]["absent_s"], abs=3)
    assert not list((tmp_path / "state" / "evidence").glob("*.part"))


def kinds(alert):
    return [one["kind"] for one in alert["evidence"]]
