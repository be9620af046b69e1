"""A camera end to end: a real RTSP stream (read by FFmpeg's client), the child process, clips and snapshots."""

import asyncio
import hashlib
import os
import signal
from datetime import timedelta
from pathlib import Path

import av
import pytest
from camera.watched import Watched, empty, present
from hallctl_drivers.camera.sim import CameraSimulator

from hallctl.errors import TransportError, TransportUnavailable


async def test_a_person_who_goes_and_comes_is_seen_and_the_clip_shows_what_it_says(model, person, tmp_path):
    camera = CameraSimulator(person=person)
    async with camera.serve("127.0.0.1", 0) as url, Watched(url, tmp_path, model) as watched:
        await watched.until(present)
        camera.set_scene("empty")
        await watched.until(empty)
        watched.runner.start_clip("w1-1", watched.now() - timedelta(seconds=3), 60.0)
        snapshot = await watched.runner.snapshot("w1-1", "w1")
        camera.set_scene("present")
        await watched.until(present)
        watched.runner.finish_clip("w1-1")
        clip = await watched.clip("w1-1")
        assert (await watched.runner.poll()).info["codec"] == "h264"
    assert camera.refused == []
    for evidence in (snapshot, clip):
        data = Path(evidence.path).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (evidence.size, evidence.sha256)
        assert Path(evidence.path).stat().st_mode & 0o077 == 0
    with av.open(clip.path) as container:
        stream = container.streams.video[0]
        frames = sum(1 for _ in container.decode(stream))
        length = float(stream.duration * stream.time_base)
    covered = (clip.covers[1] - clip.covers[0]).total_seconds()
    assert abs(length - covered) < 1.0
    assert frames == pytest.approx(length * 10, abs=12)
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(("scene", "reason"), [("black", "dark"), ("frozen", "frozen")])
@pytest.mark.slow
async def test_a_camera_that_can_not_see_says_so_and_never_empty(model, person, tmp_path, scene, reason):
    camera = CameraSimulator(scene, person=person)
    async with camera.serve("127.0.0.1", 0) as url, Watched(url, tmp_path, model) as watched:
        await watched.until(lambda look: look.score is None and look.reason == reason)
        assert all(look.score is None or look.score > 0.8 for look in watched.looks)


async def test_a_refused_password_is_its_own_code_and_never_shown(model, tmp_path, monkeypatch):
    monkeypatch.setenv("CAMERA_PASSWORD", "geheim-geheim")
    camera = CameraSimulator(credentials=("admin", "right"))
    async with camera.serve("127.0.0.1", 0) as url:
        wrong = Watched(url, tmp_path, model, username="admin", password={"env": "CAMERA_PASSWORD"})
        with pytest.raises(TransportUnavailable) as caught:
            await wrong.runner.start(None)
        assert caught.value.code == "camera.unauthorised"
        assert "geheim" not in str(caught.value)
        monkeypatch.setenv("CAMERA_PASSWORD", "right")
        async with Watched(url, tmp_path, model, username="admin", password={"env": "CAMERA_PASSWORD"}) as watched:
            await watched.until(lambda seen: True)


async def test_an_unreachable_camera_is_an_error_with_a_hint(model, tmp_path):
    with pytest.raises(TransportUnavailable) as caught:
        await Watched("rtsp://127.0.0.1:9/stream", tmp_path, model).runner.start(None)
    assert caught.value.code == "camera.unreachable"
    assert caught.value.hint


@pytest.mark.slow
async def test_a_stream_that_is_cut_ends_the_session_and_the_next_start_works(model, tmp_path):
    async with CameraSimulator("cut").serve("127.0.0.1", 0) as url:
        watched = Watched(url, tmp_path, model)
        for _ in range(2):
            await watched.runner.start(None)
            with pytest.raises(TransportUnavailable):
                async with asyncio.timeout(20):
                    await watched.runner.listen()


@pytest.mark.slow
async def test_a_child_that_hangs_is_killed_and_replaced(model, tmp_path):
    async with CameraSimulator().serve("127.0.0.1", 0) as url:
        watched = Watched(url, tmp_path, model)
        await watched.runner.start(None)
        first = watched.runner._process.pid
        os.kill(first, signal.SIGSTOP)
        watched.runner._heard -= 100.0  # as if it had been silent for so long
        with pytest.raises(TransportError) as caught:
            await watched.runner.poll()
        assert caught.value.code == "camera.stalled"
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)
        await watched.runner.start(None)
        assert watched.runner._process.pid != first
        await watched.runner.stop()


async def test_a_missing_model_is_a_reason_not_a_crash(tmp_path):
    async with CameraSimulator().serve("127.0.0.1", 0) as url:
        with pytest.raises(TransportUnavailable) as caught:
            await Watched(url, tmp_path, tmp_path / "nothing.onnx").runner.start(None)
    assert caught.value.code == "camera.model"
