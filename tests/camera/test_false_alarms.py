"""An hour in which nothing happens that a supervisor wants to hear of: no alert, whatever light and people do."""

import json

import cv2
import pytest
from camera.films import counter, film
from click.testing import CliRunner

from hallctl.cli.main import cli

ZONE = "0.28,0.1,0.75,1"
STEPS = (1.0, 0.75, 0.5, 0.35, 0.6, 0.9, 1.15, 0.8, 0.45, 1.0, 0.7, 1.0)  # of light, five minutes each
FPS = 1


def clerk(person, light):
    """Somebody at the counter, who sits up and leans by turns, leaves for a minute or two, and people who pass by."""
    room, image = counter(), cv2.imread(str(person))
    sitting = cv2.resize(image, (230, 230), interpolation=cv2.INTER_AREA)
    passing = cv2.resize(image, (110, 110), interpolation=cv2.INTER_AREA)

    def at(second):
        picture = room.copy()
        if 120 <= second < 200:  # behind the zone, from the left border to the right one; the clerk is before them
            left = int((second - 120) / 80 * (640 - 110))
            if left + 55 < 0.26 * 640 or left + 55 > 0.78 * 640:
                picture[20:130, left : left + 110] = passing
        if not 30 <= second % 150 < 80:  # away for 50 s now and then: below the grace
            left = 215 + 6 * (int(second) // 7 % 4)
            picture[90:320, left : left + 230] = sitting
        return cv2.convertScaleAbs(picture, alpha=light)

    return at


@pytest.mark.slow
def test_an_hour_of_light_steps_short_absences_and_people_behind_the_zone_is_no_alert(model, person, tmp_path):
    video = film(tmp_path / "hour.mp4", [(clerk(person, light), 300, True) for light in STEPS], gop=2, fps=FPS)
    arguments = ["camera", "replay", str(video), "--post", ZONE, "--json", "--model", str(model)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.output.splitlines()]
    assert lines[-1]["t"] > 3500
    assert [one for one in lines if one["kind"] in ("alert", "clip")] == []
    states = [one["state"] for one in lines if one["kind"] == "state"]
    assert set(states) == {"unknown", "present", "absent"}
    assert states.count("absent") == 24  # the clerk's two short absences in each five minutes were seen as such
