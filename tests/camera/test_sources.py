"""Every kind of source through the child: GStreamer's RTSP server, MJPEG over HTTP, a recording, /dev/video."""

import asyncio
from datetime import timedelta
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from camera.films import counter, film
from camera.mjpeg import MjpegCamera
from camera.rtsp import gst_rtsp, noisy
from camera.watched import Watched, empty, present
from hallctl_drivers.camera.config import PasswordRef

from hallctl.config.posts import Attendance
from hallctl.errors import ConfigError, TransportError, TransportUnavailable

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scenes(person):
    black = np.zeros((360, 640, 3), np.uint8)
    shown = {"present": noisy(counter(person)), "empty": noisy(counter())}
    return shown | {"frozen": shown["present"][:1], "black": [black]}


async def absence(camera, watched, *, lost_s=0.6):
    """Somebody goes and comes back; the clip that shows it, which a browser has to understand.

    ``lost_s``: what may be missing of it. UDP loses packets, and with a key frame all that follows up to the next one.
    """
    await watched.until(present)
    watched.runner.start_clip("w1-1", watched.now() - timedelta(seconds=3), 60.0)
    gone = watched.now()
    camera.scene("empty") if callable(camera.scene) else setattr(camera, "scene", "empty")
    await watched.until(empty)
    camera.scene("present") if callable(camera.scene) else setattr(camera, "scene", "present")
    await watched.until(present)
    watched.runner.finish_clip("w1-1")
    clip = await watched.clip("w1-1")
    assert clip.covers[0] < gone < clip.covers[1]
    with av.open(clip.path) as source:
        stream = source.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt[:4]) == ("h264", "yuv4")
        shown = [(frame.time, frame.to_ndarray(format="bgr24")) for frame in source.decode(video=0)]
    covered = (clip.covers[1] - clip.covers[0]).total_seconds()
    assert shown[-1][0] - shown[0][0] == pytest.approx(covered, abs=lost_s)
    return [picture for _, picture in shown]


@pytest.mark.parametrize(
    ("codec", "transport"), [("h264", "tcp"), ("h264", "udp"), ("h265", "tcp"), ("h265", "udp"), ("mjpeg", "tcp")]
)
async def test_rtsp_of_a_server_by_others(model, scenes, tmp_path, codec, transport):
    async with (
        gst_rtsp(tmp_path, scenes, codec=codec) as server,
        Watched(server.url, tmp_path / "out", model, transport=transport) as watched,
    ):
        pictures = await absence(server, watched, lost_s=1.6 if transport == "udp" else 0.6)
        info = (await watched.runner.poll()).info
    assert info["codec"] == {"h265": "hevc"}.get(codec, codec)
    assert info["mode"] == "key"
    first, last = pictures[0], pictures[-1]
    assert np.abs(first.astype(int) - last.astype(int)).mean() < 6  # somebody at its beginning and at its end
    most = max(np.abs(picture.astype(int) - first.astype(int)).mean() for picture in pictures)
    assert most > 15  # and nobody between


async def test_mjpeg_over_http(model, scenes, tmp_path):
    camera = MjpegCamera(scenes, credentials=("admin", "geheim"))
    (tmp_path / "password").write_text("geheim\n")
    (tmp_path / "password").chmod(0o600)
    async with camera.serve() as url:
        options = {"username": "admin", "password": {"file": str(tmp_path / "password")}}
        async with Watched(url, tmp_path / "out", model, **options) as watched:
            pictures = await absence(camera, watched)
            assert (await watched.runner.poll()).info["codec"] == "mjpeg"
        with pytest.raises(TransportUnavailable) as refused:
            await Watched(url, tmp_path / "out", model).runner.start(None)
        with pytest.raises(TransportUnavailable) as missing:
            await Watched(url + "x", tmp_path / "out", model, **options).runner.start(None)
    assert (refused.value.code, missing.value.code) == ("camera.unauthorised", "camera.no_such_stream")
    assert len(pictures) > 8


async def test_mjpeg_that_breaks_off_in_mid_picture_ends_the_session_and_the_next_one_works(model, scenes, tmp_path):
    camera = MjpegCamera(scenes)
    async with camera.serve() as url:
        async with Watched(url, tmp_path, model) as watched:
            await watched.until(present)
            looks = len(watched.looks)
            camera.scene, camera.half = "empty", True
            async with asyncio.timeout(20):
                with pytest.raises(TransportError):
                    await watched.task
            assert not [look for look in watched.looks[looks:] if empty(look)]  # half a picture is nothing
        camera.scene, camera.half = "present", False
        async with Watched(url, tmp_path, model) as watched:
            await watched.until(present)


async def test_a_stream_that_is_cut_or_stalls_ends_its_session_with_its_reason(model, scenes, tmp_path):
    async with gst_rtsp(tmp_path, scenes) as server:
        async with Watched(server.url, tmp_path / "out", model) as watched:
            await watched.until(present)
            server.cut()
            async with asyncio.timeout(20):
                with pytest.raises(TransportUnavailable) as cut:
                    await watched.task
        async with Watched(server.url, tmp_path / "out", model) as watched:
            await watched.until(present)
            server.stall()
            async with asyncio.timeout(30):
                with pytest.raises(TransportUnavailable) as stalled:
                    await watched.task
        assert watched.ended == 1
    assert cut.value.code in ("camera.ended", "camera.unreachable", "camera.stalled")
    assert stalled.value.code == "camera.stalled"


async def test_a_camera_that_hangs_while_it_is_opened_is_stalled(model, tmp_path):
    async with await asyncio.start_server(lambda _reader, _writer: asyncio.sleep(60), "127.0.0.1", 0) as listener:
        url = f"rtsp://127.0.0.1:{listener.sockets[0].getsockname()[1]}/stream"
        with pytest.raises(TransportError) as caught:
            await Watched(url, tmp_path, model).runner.start(None)
    assert caught.value.code == "camera.stalled"


@pytest.mark.parametrize(("scene", "reason"), [("black", "dark"), ("frozen", "frozen")])
async def test_a_stream_that_shows_nothing_is_told_and_is_never_an_empty_post(model, scenes, tmp_path, scene, reason):
    async with gst_rtsp(tmp_path, scenes) as server, Watched(server.url, tmp_path / "out", model) as watched:
        await watched.until(present)
        server.scene(scene)
        await watched.until(lambda look: look.score is None and look.reason == reason)
        server.scene("present")
        await watched.until(present)
    assert not [look for look in watched.looks if empty(look)]


async def test_the_small_stream_is_watched_and_the_large_one_recorded(model, scenes, person, tmp_path):
    small = {
        name: [cv2.resize(frame, (320, 180), interpolation=cv2.INTER_AREA) for frame in frames]
        for name, frames in scenes.items()
    }
    (tmp_path / "sub").mkdir()
    async with (
        gst_rtsp(tmp_path, scenes) as main,
        gst_rtsp(tmp_path / "sub", small) as sub,
        Watched(main.url, tmp_path / "out", model, sub_url=sub.url) as watched,
    ):
        await watched.until(present)
        await asyncio.sleep(3)  # what the clip has to have before it
        watched.runner.start_clip("w1-1", watched.now() - timedelta(seconds=2), 60.0)
        sub.scene("empty")
        await watched.until(empty)
        watched.runner.finish_clip("w1-1")
        clip = await watched.clip("w1-1")
        assert (await watched.runner.poll()).info["width"] == 320
        with av.open(clip.path) as source:
            assert source.streams.video[0].width == 640
        main.cut()
        main.stall()
        async with asyncio.timeout(40):
            while not (await watched.runner.poll()).faults:
                await asyncio.sleep(0.2)
        (fault,) = (await watched.runner.poll()).faults
        assert fault.code == "evidence.no_stream"
        sub.scene("present")
        await watched.until(present)  # the watching goes on
        main.resume()
        async with asyncio.timeout(60):
            while (await watched.runner.poll()).faults:
                await asyncio.sleep(0.2)


async def test_masked_places_are_in_no_snapshot_and_no_clip(model, scenes, tmp_path):
    mask = [[0.0, 0.0], [0.15, 0.0], [0.15, 0.3], [0.0, 0.3]]
    async with (
        gst_rtsp(tmp_path, scenes) as server,
        Watched(server.url, tmp_path / "out", model, masks=[mask]) as watched,
    ):
        await watched.until(present)
        snapshot = await watched.runner.snapshot("w1-1", "w1")
        pictures = await absence(server, watched)
    for picture in [cv2.imread(snapshot.path), *pictures]:
        assert picture[5:90, 5:90].max() < 40
        assert picture[-40:, :].mean() > 60


async def test_a_full_disk_is_a_fault_that_goes_when_there_is_room(model, scenes, tmp_path, monkeypatch):
    async with (
        gst_rtsp(tmp_path, scenes) as server,
        Watched(server.url, tmp_path / "out", model, free_bytes=1 << 60) as watched,
    ):
        await watched.until(present)
        watched.runner.start_clip("w1-1", watched.now(), 60.0)
        assert (await watched.clip("w1-1")).code == "evidence.disk_full"
        (fault,) = (await watched.runner.poll()).faults
        assert (fault.code, "runs on" in fault.hint) == ("evidence.disk_full", True)
        server.scene("empty")
        await watched.until(empty)  # and nothing else stops
        watched.runner._disk = (str(tmp_path), 1)
        assert (await watched.runner.poll()).faults == ()


async def test_a_recording_plays_at_its_own_pace_and_ends(model, person, tmp_path):
    video = film(tmp_path / "in.mp4", [(counter(person), 2, True), (counter(), 3, True)])
    async with Watched(str(video), tmp_path / "out", model, rules=Attendance(grace_s=1)) as watched:
        began = watched.now()
        await watched.until(empty)
        assert (watched.now() - began).total_seconds() > 1
        async with asyncio.timeout(20):
            with pytest.raises(TransportUnavailable) as ended:
                await watched.task
    assert ended.value.code == "camera.ended"


async def test_a_usb_camera(model, tmp_path):
    if not Path("/dev/video0").exists():
        pytest.skip("no /dev/video0 on this machine")
    async with Watched("/dev/video0", tmp_path, model) as watched:
        await watched.until(lambda look: True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "rtsp://admin:secret@192.0.2.1/x"}, "username and password"),
        ({"url": "rtsp://192.0.2.1/x", "sub_url": "http://u:p@192.0.2.1/x"}, "username and password"),
        ({"url": "/dev/video0", "video_size": "large"}, "video_size"),
        ({"url": "x", "masks": [[[0, 0], [1, 1]]]}, "masks"),
        ({"url": "x", "model_sha256": "abc"}, "model_sha256"),
    ],
)
def test_wrong_options_are_refused_by_name(tmp_path, options, words):
    with pytest.raises((ConfigError, ValueError), match=words):
        Watched(options.pop("url"), tmp_path, None, **options)


def test_a_password_that_others_may_read_is_refused_with_its_file_and_what_to_do(tmp_path):
    secret = tmp_path / "password"
    secret.write_text("geheim\n")
    secret.chmod(0o644)
    with pytest.raises(ConfigError) as refused:
        PasswordRef(file=secret).resolve()
    assert f"the camera's password: {secret}: others than its owner" in refused.value.message
    assert refused.value.hint == f"chmod 600 {secret}"
    assert "geheim" not in str(refused.value)
    secret.chmod(0o400)
    assert PasswordRef(file=secret).resolve() == "geheim"
