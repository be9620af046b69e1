"""A supervisor opens a clip: a real browser plays it, knows its length and can go to its end."""

import pytest
from camera.films import counter, film
from camera.test_clips import Source, grown, packets, recording, write

from hallctl.camera.clipfile import salvaged

pytestmark = pytest.mark.slow


async def plays(page, clip):
    """Its length in seconds, once it has been played and gone to its end."""
    html = clip.with_suffix(".html")
    html.write_text(f'<body style="margin:0"><video id="clip" src="{clip.name}" muted></video>')
    await page.open(html.as_uri())
    await page.until("clip.readyState >= 2 || clip.error")
    assert await page.get("clip.error && clip.error.message") is None
    await page.get("clip.play()")
    await page.until("clip.currentTime > 0.5")
    await page.get(
        "new Promise(done => { clip.pause(); clip.onseeked = done; clip.currentTime = clip.duration - 0.2 })"
    )
    assert await page.get("clip.videoWidth > 0 && clip.getVideoPlaybackQuality().totalVideoFrames > 3")
    return await page.get("clip.duration")


async def test_a_clip_of_a_camera_that_speaks_h264_as_it_came(page, tmp_path, person):
    stream, kept = packets(film(tmp_path / "in.mp4", [(counter(person), 6, True)]))
    assert Source(stream).copied
    write(tmp_path / "w1-1-clip.mp4", Source(stream), kept)
    assert await plays(page, tmp_path / "w1-1-clip.mp4") == pytest.approx(6, abs=0.3)
    shown = tmp_path / "clip.png"
    await page.shoot(shown)
    assert shown.stat().st_size > 20_000


@pytest.mark.parametrize(
    ("codec", "name", "options"),
    [
        ("libx265", "in.mp4", {"x265-params": "keyint=10:log-level=none"}),
        ("mjpeg", "in.avi", {"pix_fmt": "yuvj420p"}),
        ("libx264", "in.mp4", {"pix_fmt": "yuv444p"}),
    ],
)
async def test_a_clip_that_was_encoded_because_no_browser_plays_the_camera(page, tmp_path, codec, name, options):
    stream, kept = packets(recording(tmp_path / name, codec, **options))
    assert not Source(stream).copied
    write(tmp_path / "w1-1-clip.mp4", Source(stream), kept)
    assert await plays(page, tmp_path / "w1-1-clip.mp4") == pytest.approx(6, abs=0.3)


async def test_a_clip_that_a_crash_has_cut_short(page, tmp_path):
    part = grown(tmp_path, g="10", bf="0")
    part.write_bytes(part.read_bytes()[:-700])
    taken = salvaged(part, tmp_path / "w1-1-clip.mp4")
    assert await plays(page, taken.path) == pytest.approx(taken.covers[1] - taken.covers[0], abs=0.3)


async def test_a_clip_as_it_has_grown_where_there_was_no_room_for_a_better_one(page, tmp_path):
    part = grown(tmp_path, g="10", bf="0")
    part.rename(tmp_path / "w1-1-clip.mp4")
    assert await plays(page, tmp_path / "w1-1-clip.mp4") > 5
