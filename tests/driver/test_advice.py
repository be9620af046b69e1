"""Advice: what runs, and will make trouble all the same."""

from datetime import date

import holidays

from hallctl.config import load_hall
from hallctl.driver.advice import advise
from hallctl.driver.hallcheck import check_hall

HALL = """\
buses:
  - {id: bus-a, port: "serial:///dev/ttyUSB0?baud=9600"}
terminals:
  - {id: p1, driver: escpos, port: "file:///dev/usb/lp1"}
  - {id: p2, driver: escpos, port: "serial:///dev/serial/by-id/usb-x?baud=9600"}
  - {id: p3, driver: escpos, port: "usb://04b8:0e15?serial=X", fallback: p1}
  - {id: p4, driver: escpos, port: "tcp://h:9100", fallback: p9}
  - {id: p5, driver: escpos, port: "tcp://h:9101", fallback: p5}
  - {id: pad, driver: ff68-pad, bus: bus-a, address: 1}
  - {id: p6, driver: escpos, port: "tcp://h:9102", fallback: pad}
  - {id: keys, driver: keyboard-keypad, port: "input:///dev/input/event3"}
windows:
  - {id: w1, label: 1, pad: pad, staff: {number: 0123, photo: nobody.png}}
tickets:
  - id: queue
    lines:
      - {text: A}
      - {logo: nowhere.png}
"""


def test_names_that_change_with_every_plug_and_absent_logos_are_advised_against(tmp_path):
    path = tmp_path / "hall.yaml"
    path.write_text(HALL)
    hall = check_hall(load_hall(path))
    assert [(one.line, one.code) for one in advise(hall)] == [
        (2, "port.unstable"),
        (4, "port.unstable"),
        (11, "port.unstable"),
        (13, "photo"),
        (18, "logo"),
    ]
    assert all(one.hint for one in advise(hall))


def test_a_printer_that_has_to_draw_and_finds_no_font_is_told_before_the_daemon_leaves_it_out(tmp_path):
    path = tmp_path / "hall.yaml"
    path.write_text(
        "terminals:\n"
        '  - {id: p1, driver: escpos, port: "tcp://h:1", options: {profile: no-chinese, font: /no/such.ttf}}\n'
        '  - {id: p2, driver: escpos, port: "tcp://h:2", options: {font: /no/such.ttf}}\n'
    )
    (one,) = advise(check_hall(load_hall(path)))
    assert (one.line, one.code) == (2, "printer.drawing")
    assert "there is no font file /no/such.ttf" in str(one)
    assert "fonts-wqy-microhei" in one.hint


def test_a_wrong_fallback_is_a_mistake_and_its_printer_runs_without_it(tmp_path):
    path = tmp_path / "hall.yaml"
    path.write_text(HALL)
    hall = check_hall(load_hall(path))
    assert [(problem.line, problem.pointer) for problem in hall.problems] == [
        (7, "/terminals/3/fallback"),
        (8, "/terminals/4/fallback"),
        (10, "/terminals/6/fallback"),
    ]
    assert "'p9'" in str(hall.problems[0])
    assert "no printer" in str(hall.problems[2])
    running = {terminal.id: terminal.fallback for terminal in hall.document.terminals}
    assert running == {
        "p1": None,
        "p2": None,
        "p3": "p1",
        "p4": None,
        "p5": None,
        "pad": None,
        "p6": None,
        "keys": None,
    }


def test_a_fallback_that_is_wrong_itself_is_passed_over_to_the_one_behind_it(tmp_path):
    path = tmp_path / "hall.yaml"
    path.write_text(
        "terminals:\n"
        "  - {id: p1, driver: escpos, port: 'tcp://h:1', fallback: p2}\n"
        "  - {id: p2, driver: escpos, port: 'tcp://h:2', fallback: p3, options: {nonsense: 1}}\n"
        "  - {id: p3, driver: escpos, port: 'tcp://h:3', fallback: p1}\n"
    )
    hall = check_hall(load_hall(path))
    assert [problem.line for problem in hall.problems] == [3]
    assert {terminal.id: terminal.fallback for terminal in hall.document.terminals} == {"p1": "p3", "p3": "p1"}


def test_an_attendance_check_that_can_not_work_as_meant_is_advised_against(tmp_path):
    path = tmp_path / "hall.yaml"
    path.write_text(
        """
terminals:
  - {id: camera-1, driver: camera, options: {url: "rtsp://192.0.2.1/x"}}
windows:
  - {id: w1, label: "1", post: {camera: camera-1, zone: [[0, 0], [1, 0], [1, 1]]}}
duty_hours: {calendar: CN}
attendance: {grace_s: 300, clip_max_s: 100}
""",
        encoding="utf-8",
    )
    hall = check_hall(load_hall(path))
    assert [one.code for one in advise(hall, date(2026, 11, 1))] == ["duty.none", "clip.short"]
    known = max(day.year for day in holidays.CN(years=range(2024, 2040)).weekend_workdays)
    assert "calendar.old" not in [one.code for one in advise(hall, date(known, 11, 1))]
    assert "calendar.old" in [one.code for one in advise(hall, date(known, 12, 20))]
