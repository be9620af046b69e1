"""A look through a camera: what a technician sees on the ladder."""

import asyncio
import json
from pathlib import Path

import cv2
import pytest
import yaml
from camera.watched import ZONE
from click.testing import CliRunner
from hallctl_drivers.camera.sim import CameraSimulator

from hallctl.cli.main import cli


def write(folder: Path, url: str, model: Path, **options):
    (folder / "controller.yaml").write_text(yaml.safe_dump({"site": "s", "controller": "c", "model": str(model)}))
    post = {"camera": "camera-1", "zone": [list(corner) for corner in ZONE]}
    hall = {
        "terminals": [
            {"id": "camera-1", "driver": "camera", "options": {"url": url, **options}},
            {"id": "pad-1", "driver": "keyboard-pad", "port": "input:///dev/input/by-id/x"},
        ],
        "windows": [{"id": "window-1", "label": "1", "post": post}],
    }
    (folder / "hall.yaml").write_text(yaml.safe_dump(hall))
    return folder / "controller.yaml"


async def calibrate(config: Path, name: str, *more: str):
    png = config.with_name("look.png")
    arguments = ["camera", "calibrate", name, "--png", str(png), "--config", str(config), "--seconds", "2.5", *more]
    return await asyncio.to_thread(CliRunner().invoke, cli, arguments), png


@pytest.mark.slow
async def test_zones_masks_and_people_are_drawn_and_told(model, person, tmp_path):
    async with CameraSimulator(person=person).serve("127.0.0.1", 0) as url:
        mask = [[0.0, 0.0], [0.15, 0.0], [0.15, 0.2], [0.0, 0.2]]
        config = write(tmp_path, url, model, masks=[mask])
        result, png = await calibrate(config, "camera-1")
        assert result.exit_code == 0, result.output
        assert "h264 640x360" in result.output
        assert "only they are decoded" in result.output
        assert "somebody" in result.output
        shown = cv2.imread(str(png))
        assert shown.shape == (360, 640, 3)
        assert shown[10:60, 10:80].max() < 30  # the mask
        assert (shown[18, 200:440] == (0, 200, 255)).all(axis=1).any()  # the zone's upper edge
        assert ((shown[:, :, 1] > 200) & (shown[:, :, 0] < 110) & (shown[:, :, 2] < 90)).sum() > 200  # a person's box
        result, _ = await calibrate(config, "camera-1", "--json")
        told = json.loads(result.output)
        assert (told["mode"], told["codec"], told["posts"]) == ("key", "h264", ["window-1"])
        assert [one["counts"] for one in told["people"] if one["score"] > 0.3] == [True]


async def test_what_goes_wrong_is_told_in_the_technicians_words(model, tmp_path):
    config = write(tmp_path, "rtsp://127.0.0.1:9/stream", model)
    result, _ = await calibrate(config, "camera-1")
    assert result.exit_code == 1
    assert "hint: check the camera's power" in result.output
    result, _ = await calibrate(config, "camera-9")
    assert "there is no terminal 'camera-9'" in result.output
    assert "cameras here: camera-1" in result.output
    result, _ = await calibrate(config, "pad-1")
    assert "pad-1 is no camera" in result.output
    config = write(tmp_path, "rtsp://127.0.0.1:9/stream", tmp_path / "nothing.onnx")
    result, _ = await calibrate(config, "camera-1")
    assert result.exit_code == 78
    assert "model" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "--from", "2026-10-01", "--days", "1"], "holiday: National Day"),
        (["show", "--from", "2026-10-10", "--days", "1"], "make-up workday"),
        (["show", "--from", "soon"], "is no day"),
    ],
)
def test_duty_hours_are_told_with_their_reason(tmp_path, arguments, words):
    (tmp_path / "controller.yaml").write_text(yaml.safe_dump({"site": "s", "controller": "c"}))
    week = {"days": ["mon", "tue", "wed", "thu", "fri"], "start": "09:00", "end": "12:00"}
    (tmp_path / "hall.yaml").write_text(yaml.safe_dump({"duty_hours": {"calendar": "CN", "spans": [week]}}))
    result = CliRunner().invoke(cli, ["duty", *arguments, "--config", str(tmp_path / "controller.yaml")])
    assert words in result.output
