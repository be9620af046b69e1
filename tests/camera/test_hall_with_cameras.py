"""A whole hall: one post that two cameras watch, another one in the picture of the first, a keypad that pauses."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import av
import pytest
from camera.attended import camera, daemon, kinds, rows, until, view, write
from camera.watched import ZONE
from hallctl_drivers.camera.sim import CameraSimulator
from hallctl_drivers.ff68 import codec
from hallctl_drivers.ff68.sim import Ff68KeypadSimulator

from hallctl.driver import on_tcp

pytestmark = pytest.mark.slow


async def test_two_cameras_a_shared_picture_and_a_pause_from_the_keypad_to_the_alert_with_its_clips(
    model, person, tmp_path
):
    one, two, keypad = CameraSimulator(person=person), CameraSimulator(person=person), Ff68KeypadSimulator()

    def about(window, **wanted):
        alerts = [alert for alert in rows(tmp_path, "post.empty") if alert["subject"] == window]
        return [alert for alert in alerts if all(alert[key] == value for key, value in wanted.items())]

    async with one.serve("127.0.0.1", 0) as first, two.serve("127.0.0.1", 0) as second, on_tcp(keypad) as line:
        config = write(
            tmp_path,
            model,
            buses=[{"id": "line", "port": line}],
            terminals=[
                camera("camera-1", first),
                camera("camera-2", second),
                {"id": "keypad-1", "driver": "ff68-keypad", "bus": "line", "address": 1},
            ],
            windows=[
                {
                    "id": "w1",
                    "label": "1",
                    "keypad": "keypad-1",
                    "post": {"views": [view("camera-1", ZONE), view("camera-2", ZONE)]},
                },
                {"id": "w2", "label": "2", "post": view("camera-1", ZONE)},
            ],
        )
        async with daemon(config):
            await until(lambda: len(rows(tmp_path, "terminal.online")) == 3)
            one.set_scene("empty")
            await until(lambda: about("w2", state="raised"))
            assert not about("w1")  # the other camera sees somebody there

            keypad.press_key(codec.KEY_PAUSE)
            await until(lambda: [row for row in rows(tmp_path, "window.changed") if row["state"] == "paused"])
            two.set_scene("empty")
            await until(lambda: [row for row in rows(tmp_path, "post.left") if row["window"] == "w1"])
            opened_at = datetime.now(UTC)
            keypad.press_key(codec.KEY_PAUSE)
            (alert,) = await until(lambda: about("w1"))
            assert datetime.fromisoformat(alert["data"]["since"]) >= opened_at  # the pause excuses what was before
            assert (kinds(alert), alert["data"]["cameras"]) == (["snapshot", "snapshot-2"], ["camera-1", "camera-2"])

            two.set_scene("present")
            whole = ["snapshot", "snapshot-2", "clip", "clip-2"]
            (last,) = await until(lambda: [row for row in about("w1", state="cleared") if kinds(row) == whole])
            assert last["data"]["over"] == "returned"
            assert not about("w2", state="cleared")
    for evidence in last["evidence"]:
        assert hashlib.sha256(Path(evidence["path"]).read_bytes()).hexdigest() == evidence["sha256"]
        if evidence["covers"]:
            before, after = (datetime.fromisoformat(moment) for moment in evidence["covers"])
            assert before < datetime.fromisoformat(last["data"]["since"]) < after
            with av.open(evidence["path"]) as clip:
                assert sum(1 for _ in clip.decode(video=0)) > 10
