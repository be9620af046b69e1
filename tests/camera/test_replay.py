"""Recordings through the live path: the real one with its marked spans, made ones with every blindness."""

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from camera.films import SIZE, counter, film
from click.testing import CliRunner

from hallctl.cli.main import cli

SHARED = Path(__file__).parents[3] / "shared"
# Frames of ten a second in which somebody is at the post, borders within 15 frames.
PRESENT = [(70, 195), (236, 440), (508, 695), (745, 865), (928, 1190), (1242, 1358)]
BORDER_S = 1.5
POST = "0.2,0.05,0.8,1"


def replay(*arguments):
    result = CliRunner().invoke(cli, ["camera", "replay", *map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def of(lines, kind, **wanted):
    return [one for one in lines if one["kind"] == kind and all(one.get(key) == value for key, value in wanted.items())]


@pytest.fixture(scope="module")
def real():
    video = SHARED / "data" / "one-by-one-person-detection.mp4"
    if not video.exists():
        pytest.skip("the recording is not beside this checkout")
    return video


def test_every_empty_span_of_the_real_recording_is_found_and_nothing_else(real, model, tmp_path):
    lines = replay(real, "--post", "0.36,0,0.78,1", "--grace", "2", "--clips", tmp_path / "clips", "--model", model)
    ends = [0.0, *(moment / 10 for span in PRESENT for moment in span), 139.4]
    empty = [(begin, end) for begin, end in zip(ends[::2], ends[1::2], strict=True) if end - begin >= 3]
    raised = of(lines, "alert", alert="post.empty", state="raised")
    assert len(raised) == len(empty) == 7
    for (begin, end), alert in zip(empty, raised, strict=True):
        assert abs(alert["since"] - begin) <= BORDER_S
        assert begin + 2 <= alert["t"] + BORDER_S
        assert alert["t"] <= end
    states = [one for one in of(lines, "state") if one["state"] in ("present", "absent")]
    spans = zip(states, [*(one["t"] for one in states[1:]), 139.4], strict=True)
    gaps = [(one["t"], until) for one, until in spans if one["state"] == "absent"]
    assert [pytest.approx(span, abs=BORDER_S) for span in gaps] == empty
    clips = of(lines, "clip")
    assert len(clips) == 7
    for alert, clip in zip(raised, clips, strict=True):
        assert clip["from"] <= max(0.0, alert["since"] - 9)
        assert clip["to"] >= alert["t"]
        with av.open(clip["path"]) as source:
            stream = source.streams.video[0]
            assert float(stream.duration * stream.time_base) == pytest.approx(clip["to"] - clip["from"], abs=0.4)


def turned(picture):
    matrix = cv2.getRotationMatrix2D((320, 180), 12, 1.2)
    return cv2.warpAffine(picture, matrix, SIZE, borderMode=cv2.BORDER_REFLECT)


@pytest.mark.parametrize(
    ("reason", "bad"),
    [
        ("dark", lambda _: (np.zeros((SIZE[1], SIZE[0], 3), np.uint8), 40, False)),
        ("covered", lambda _: (np.full((SIZE[1], SIZE[0], 3), 90, np.uint8), 40, True)),
        ("frozen", lambda person: (counter(person), 40, False)),
        ("moved", lambda _: (turned(counter()), 40, True)),
    ],
)
def test_a_blind_camera_is_told_by_its_reason_and_is_never_an_absence(model, person, tmp_path, reason, bad):
    video = film(tmp_path / "in.mp4", [(counter(person), 20, True), bad(person), (counter(person), 15, True)])
    lines = replay(video, "--post", POST, "--grace", "8", "--model", model)
    assert [one["state"] for one in of(lines, "state")] == ["unknown", "present", "blind", "present"]
    (raised,) = of(lines, "alert", alert="camera.blind", state="raised")
    assert raised["reason"] == reason
    assert 19 <= raised["since"] <= 36
    (cleared,) = of(lines, "alert", alert="camera.blind", state="cleared")
    assert 60 <= cleared["t"] <= 64
    assert of(lines, "alert", alert="post.empty") == []
    assert of(lines, "clip") == []


def test_a_frozen_picture_of_an_empty_post_is_no_absence_beyond_what_was_seen(model, person, tmp_path):
    video = film(tmp_path / "in.mp4", [(counter(person), 10, True), (counter(), 4, True), (counter(), 60, False)])
    lines = replay(video, "--post", POST, "--grace", "20", "--model", model)
    assert of(lines, "alert", alert="post.empty") == []
    assert of(lines, "alert", alert="camera.blind", state="raised")


def test_steps_of_light_and_somebody_behind_the_zone_are_no_alarm(model, person, tmp_path):
    """Half a minute each here; test_false_alarms.py plays an hour."""
    scenes = [(counter(person, light), 10, True) for light in (1.0, 0.45, 1.0, 0.7, 0.3, 1.0)]
    lines = replay(film(tmp_path / "in.mp4", scenes), "--post", POST, "--grace", "3", "--model", model)
    assert of(lines, "alert") == []
    assert [one["state"] for one in of(lines, "state")] == ["unknown", "present"]


def test_a_long_group_of_pictures_is_decoded_whole_and_gives_the_same(model, person, tmp_path):
    scenes = [(counter(person), 12, True), (counter(), 12, True), (counter(person), 12, True)]
    video = film(tmp_path / "in.mp4", scenes, gop=1000)
    lines = replay(video, "--post", POST, "--grace", "4", "--model", model)
    (raised,) = of(lines, "alert", state="raised")
    assert raised["since"] == pytest.approx(12, abs=1.6)
    (cleared,) = of(lines, "alert", state="cleared")
    assert cleared["absent_s"] == pytest.approx(12, abs=2)


def test_a_documents_rules_zones_and_duty_hours_are_used(model, person, tmp_path):
    hall = tmp_path / "hall.yaml"
    hall.write_text(
        """
terminals:
  - {id: camera-1, driver: camera, options: {url: "rtsp://192.0.2.1/x"}}
windows:
  - id: w3
    label: "3"
    post: {camera: camera-1, zone: [[0.2, 0.05], [0.8, 0.05], [0.8, 1], [0.2, 1]]}
attendance: {grace_s: 4}
duty_hours: {spans: [{days: [mon], start: "09:00", end: "12:00"}]}
""",
        encoding="utf-8",
    )
    video = film(tmp_path / "in.mp4", [(counter(person), 8, True), (counter(), 12, True)])
    found = ("--config", hall, "--model", model)
    assert [one["post"] for one in of(replay(video, *found), "alert")] == ["w3"]
    assert len(of(replay(video, *found, "--at", "2026-11-23T10:00"), "alert")) == 1
    assert of(replay(video, *found, "--at", "2026-11-23T12:30"), "alert") == []
    assert of(replay(video, *found, "--grace", "60"), "alert") == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.mp4", "--post", POST], "there is no file"),
        ([__file__, "--post", POST], "can't be read"),
        ([__file__], "no post is given"),
        ([__file__, "--post", "1,2,3"], "no box"),
        ([__file__, "--post", "0.5,0,0.4,1"], "no box"),
        ([__file__, "--post", POST, "--at", "noon"], "duty hours"),
        ([__file__, "--post", "0.1,0.1,0.5,0.5,0.9,0.9"], "no polygon"),
        ([__file__, "--post", f"w1={POST}", "--post", f"w1={POST}"], "a post 'w1' already"),
        ([__file__, "--post", f"../w1={POST}"], "no name"),
    ],
)
def test_wrong_use_is_told_without_a_trace(model, arguments, words):
    result = CliRunner().invoke(cli, ["camera", "replay", *arguments, "--model", str(model)])
    assert result.exit_code == 78
    assert words in result.output
    assert "Traceback" not in result.output


def test_a_grace_that_is_no_number_is_refused(model):
    for grace in ("nan", "inf", "0", "-1"):
        result = CliRunner().invoke(cli, ["camera", "replay", __file__, "--post", POST, "--grace", grace])
        assert result.exit_code == 2
        assert "--grace" in result.output


def test_posts_without_a_name_are_all_watched(model, person, tmp_path):
    video = film(tmp_path / "in.mp4", [(counter(person), 5, True)])
    lines = replay(video, "--post", POST, "--post", "0,0.05,0.15,1", "--grace", "2", "--model", model)
    states = [(one["post"], one["state"]) for one in of(lines, "state") if one["state"] != "unknown"]
    assert states == [("post", "present"), ("post-2", "absent")]


def remuxed(source, path, moved=lambda seconds: seconds):
    """The packets of a film in another container; ``moved`` gives the new time of each, or ``None``: left out."""
    with av.open(str(source)) as taken, av.open(str(path), "w") as out:
        stream = taken.streams.video[0]
        target = out.add_stream_from_template(stream)
        for packet in taken.demux(stream):
            if packet.dts is None or (at := moved(float(packet.pts * packet.time_base))) is None:
                continue
            ticks = round((at - float(packet.pts * packet.time_base)) / packet.time_base)
            packet.pts, packet.dts, packet.stream = packet.pts + ticks, packet.dts + ticks, target
            out.mux(packet)
    return path


@pytest.mark.parametrize(("container", "begins"), [("mkv", 0), ("mkv", 5000), ("ts", 0)])
def test_pictures_shown_out_of_order_are_timed_from_the_first_on_in_every_container(
    model, person, tmp_path, container, begins
):
    scenes = [(counter(person), 6, True), (counter(), 8, True), (counter(person), 8, True)]
    video = remuxed(
        film(tmp_path / "in.mp4", scenes, gop=20, reordered=2), tmp_path / f"x.{container}", lambda at: at + begins
    )
    lines = replay(video, "--post", POST, "--grace", "2", "--model", model)
    assert all(0 <= one["t"] <= 22.1 for one in lines)
    (raised,) = of(lines, "alert", state="raised")
    assert raised["since"] == pytest.approx(6, abs=1.5)
    assert of(lines, "clip")[0]["from"] <= 0.2


def test_a_hole_in_a_recording_is_an_unplugged_camera_and_no_absence(model, person, tmp_path):
    film(tmp_path / "in.mp4", [(counter(person), 20, True)])
    video = remuxed(tmp_path / "in.mp4", tmp_path / "hole.mp4", lambda at: at if at < 10 else at + 45)
    lines = replay(video, "--post", POST, "--grace", "3", "--model", model)
    assert [one["state"] for one in of(lines, "state")] == ["unknown", "present", "blind", "present"]
    (raised,) = of(lines, "alert", state="raised")
    assert (raised["alert"], raised["reason"]) == ("camera.blind", "unplugged")
    assert of(lines, "alert", alert="post.empty") == []


def test_a_recording_joined_of_two_goes_on_where_the_second_begins(model, person, tmp_path):
    one = remuxed(film(tmp_path / "a.mp4", [(counter(person), 12, True)]), tmp_path / "a.ts", lambda at: at + 100)
    two = remuxed(film(tmp_path / "b.mp4", [(counter(), 8, True)]), tmp_path / "b.ts")
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one.read_bytes() + two.read_bytes())
    (raised,) = of(replay(joined, "--post", POST, "--grace", "2", "--model", model), "alert", state="raised")
    assert raised["since"] == pytest.approx(12, abs=1.5)


def test_pictures_that_do_not_tell_their_time_are_an_error_not_silence(model, person, tmp_path):
    raw = remuxed(film(tmp_path / "in.mp4", [(counter(person), 3, True)]), tmp_path / "in.ts")
    with av.open(str(raw)) as source, (tmp_path / "in.h264").open("wb") as out:
        for packet in source.demux(source.streams.video[0]):
            out.write(bytes(packet))
    result = CliRunner().invoke(cli, ["camera", "replay", str(tmp_path / "in.h264"), "--post", POST])
    assert result.exit_code == 78
    assert "tell their time" in result.output
