"""Cameras: stream, password, picture, model."""

import socket
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from diagnose.staging import stage
from hallctl_drivers.camera.sim import CameraSimulator

MODEL = Path(__file__).parents[2] / "build" / "models" / "person-ssdlite300.onnx"
ZONE = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]


def hall(url):
    camera = {"id": "p1", "driver": "camera", "options": {"url": url, "check_every_s": 0.5}}
    post = {"id": "w1", "label": "1", "post": {"camera": "p1", "zone": ZONE}}
    rules = {"blind_after_s": 5, "frozen_after_s": 3, "grace_s": 10}
    return {"terminals": [camera], "windows": [post], "attendance": rules}


def need_model():
    pytest.importorskip("av")
    if not MODEL.exists():
        pytest.skip("the detector's model is not here: run scripts/model (needs npm)")
    return str(MODEL)


@stage("camera gone", "the stream can't be read: Connection refused", "camera.unreachable")
@asynccontextmanager
async def camera_gone(box, stand):
    model = need_model()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        box.write(hall(f"rtsp://127.0.0.1:{free.getsockname()[1]}/stream"), model=model)
        yield


@stage("camera's password wrong", "the camera refuses user and password", "camera.unauthorised", slow=True)
@asynccontextmanager
async def wrong_password(box, stand):
    model = need_model()
    async with CameraSimulator("unauthorised").serve("127.0.0.1", 0) as url:
        box.write(hall(url), model=model)
        yield


@stage("stream black", "p1: its picture is black", "camera.blind", slow=True)
@asynccontextmanager
async def black(box, stand):
    model = need_model()
    async with CameraSimulator("black").serve("127.0.0.1", 0) as url:
        box.write(hall(url), model=model)
        yield lambda: box.blind("dark")


@stage("picture stands still", "p1: its picture stands still", "camera.blind", slow=True)
@asynccontextmanager
async def frozen(box, stand):
    model = need_model()
    async with CameraSimulator("frozen").serve("127.0.0.1", 0) as url:
        box.write(hall(url), model=model)
        yield lambda: box.blind("frozen")


@stage("model file corrupt", "person-ssdlite300.onnx is damaged", "camera.model", terminal=None)
@asynccontextmanager
async def corrupt_model(box, stand):
    pytest.importorskip("av")
    damaged = box.folder / MODEL.name
    damaged.write_bytes(b"\x08\x07 this is no model any more" * 100)
    async with CameraSimulator().serve("127.0.0.1", 0) as url:
        box.write(hall(url), model=str(damaged))
        yield
