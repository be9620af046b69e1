"""The daemon killed in the middle of an absence: one alert, no clip lost."""

import asyncio
import hashlib
import signal
from datetime import datetime
from pathlib import Path

import av
import pytest
from camera.attended import camera as seen_by
from camera.attended import daemon, kinds, rows, until, view, write
from camera.watched import ZONE
from hallctl_drivers.camera.sim import CameraSimulator

pytestmark = pytest.mark.slow


async def test_an_absence_survives_a_killed_daemon_with_one_alert_and_every_clip(model, person, tmp_path):
    camera = CameraSimulator(person=person)
    async with camera.serve("127.0.0.1", 0) as url:
        window = {"id": "w1", "label": "1", "post": view("camera-1", ZONE)}
        config = write(tmp_path, model, terminals=[seen_by("camera-1", url)], windows=[window])
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
