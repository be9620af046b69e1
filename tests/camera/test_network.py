"""A detector's network answers the same whichever library runs it, and says why it can't."""

import cv2
import numpy as np
import pytest

from hallctl.camera import network
from hallctl.camera.detector import SsdLite, score_at_post

ONE_PICTURE = (1, 3, 300, 300)


@pytest.fixture(params=["onnxruntime", "opencv"])
def library(request, monkeypatch):
    """The library that runs networks."""
    if request.param == "opencv":
        monkeypatch.setattr(network, "onnxruntime", None)
    elif network.onnxruntime is None:
        pytest.skip("onnxruntime is not installed")
    return request.param


def test_both_libraries_answer_the_same_to_five_digits(model, monkeypatch):
    pytest.importorskip("onnxruntime")
    noise = np.random.default_rng(5).uniform(-1, 1, ONE_PICTURE).astype(np.float32)
    one = network.load_network(model.read_bytes()).run(noise)
    monkeypatch.setattr(network, "onnxruntime", None)
    other = network.load_network(model.read_bytes()).run(noise)
    assert {name: answer.shape for name, answer in one.items()} == {"boxes": (1, 1917, 4), "logits": (1, 1917, 1)}
    for name, answer in one.items():
        assert np.abs(answer - other[name]).max() < 1e-4


def test_a_person_is_found_whichever_library_runs_the_detector(model, person, library):
    picture = np.full((480, 640, 3), (200, 205, 210), np.uint8)
    picture[100:460, 150:510] = cv2.resize(cv2.imread(str(person)), (360, 360), interpolation=cv2.INTER_AREA)
    zone = [(0.2, 0.1), (0.8, 0.1), (0.8, 1.0), (0.2, 1.0)]
    assert 0.7 < score_at_post(SsdLite(model), picture, zone) < 0.9


@pytest.mark.parametrize("data", [b"", b"x", b"\x08\x08" * 40])
def test_what_is_no_network_is_refused_with_a_reason(library, data):
    with pytest.raises(ValueError, match=r"\w"):
        network.load_network(data)


def test_an_input_of_another_size_is_refused_with_a_reason(model, library):
    loaded = network.load_network(model.read_bytes())
    with pytest.raises(ValueError, match=r"\w"):
        loaded.run(np.zeros((1, 3, 200, 310), np.float32))
    assert loaded.run(np.zeros(ONE_PICTURE, np.float32))["logits"].shape == (1, 1917, 1)  # it goes on
