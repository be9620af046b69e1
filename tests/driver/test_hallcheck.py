"""Does each terminal fit to its driver? With a driver of the test's own, so that no family is needed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import Field

from hallctl.config import LoadedHall, load_hall
from hallctl.driver import Attachment, Capability, DriverOptions, DriverPlugin, Simulator
from hallctl.driver.hallcheck import check_hall
from hallctl.errors import DriverLoadError

GOOD = """\
buses:
  - {id: line, port: "serial:///dev/ttyS0?baud=9600"}
terminals:
  - {id: screen, driver: display, port: "tcp://10.0.0.1:5005", options: {title: 07}}
  - {id: pad, driver: pad, bus: line, address: 1}
  - {id: eye, driver: camera}
windows:
  - {id: w1, label: 1, display: screen, pad: pad, post: {camera: eye, zone: [[0, 0], [1, 0], [1, 1]]}}
"""


class Options(DriverOptions):
    title: str = Field("", description="a text")
    level: int = Field(0, ge=0, le=5, description="a number")


def never(*_args: object) -> Simulator:
    raise AssertionError("checking builds no simulator and no driver")


def plugin(name: str, attachment: Attachment, capability: Capability) -> DriverPlugin:
    return DriverPlugin(
        name=name,
        summary="",
        attachment=attachment,
        capabilities=frozenset({capability}),
        options=Options,
        make=never,  # type: ignore[arg-type]  # never called
        simulate=never,
        faults={},
    )


PLUGINS = {
    "display": plugin("display", Attachment.PORT, Capability.DISPLAY),
    "pad": plugin("pad", Attachment.BUS, Capability.PAD),
    "camera": plugin("camera", Attachment.STREAM, Capability.CAMERA),
}


def load(name: str) -> DriverPlugin:
    if name not in PLUGINS:
        raise DriverLoadError(f"no driver is called {name!r}", hint="installed drivers: ...")
    return PLUGINS[name]


@pytest.fixture
def judged(tmp_path: Path) -> Callable[[str], LoadedHall]:
    def judge(text: str) -> LoadedHall:
        path = tmp_path / "hall.yaml"
        path.write_text(text)
        return check_hall(load_hall(path), load)

    return judge


def test_a_right_hall_stays_as_it_is(judged: Callable[[str], LoadedHall]) -> None:
    hall = judged(GOOD)
    assert hall.problems == ()
    assert len(hall.document.terminals) == 3


def test_a_text_option_keeps_what_was_written(judged: Callable[[str], LoadedHall]) -> None:
    assert judged(GOOD).document.terminals[0].options == {"title": "07"}
    assert judged(GOOD.replace("07", "1.50")).document.terminals[0].options == {"title": "1.50"}


@pytest.mark.parametrize(
    ("change", "place", "words"),
    [
        (("driver: pad", "driver: pat"), "terminals/1/driver", "no driver is called 'pat'"),
        (("title: 07", "titel: 07"), "terminals/0/options/titel", "unknown key 'titel'; did you mean 'title'?"),
        (("title: 07", "level: 9"), "terminals/0/options/level", "9 is out of range: at most 5"),
        (("tcp://10.0.0.1:5005", "tcp://10.0.0.1"), "terminals/0/port", "host or port number is missing"),
        (("tcp://10.0.0.1:5005", "10.0.0.1"), "terminals/0/port", "is not a port"),
        (("tcp://10.0.0.1:5005", "tcp://10.0.0.1:5005?baud=1"), "terminals/0/port", "has no option 'baud'"),
        (("baud=9600", "baud=fast"), "buses/0/port", "is no speed"),
        (("baud=9600", "boud=9600"), "buses/0/port", "unknown option 'boud'"),
        (("tcp://10.0.0.1:5005", "serial:///dev/ttyS0"), "terminals/0/port", "is taken already, see line 2"),
        (('port: "tcp://10.0.0.1:5005", ', ""), "terminals/0/port", "the key 'port' is missing"),
        (('port: "tcp://10.0.0.1:5005"', "bus: line, address: 9"), "terminals/0/bus", "'bus' does not belong here"),
        (("bus: line, address: 1", 'port: "tcp://a:1"'), "terminals/1/port", "'port' does not belong here"),
        ((", bus: line, address: 1", ""), "terminals/1/bus", "the key 'bus' is missing"),
        (("driver: camera", 'driver: camera, port: "tcp://a:1"'), "terminals/2/port", "does not belong here"),
        (("camera: eye", "camera: pad"), "windows/0/post/camera", "'pad' (driver 'pad') is no camera"),
        (("display: screen", "display: eye"), "windows/0/display", "'eye' (driver 'camera') is no display"),
    ],
)
def test_what_does_not_fit_is_told_at_its_place(
    judged: Callable[[str], LoadedHall], change: tuple[str, str], place: str, words: str
) -> None:
    hall = judged(GOOD.replace(*change))
    found = [problem for problem in hall.problems if words in problem.message]
    assert [problem.pointer for problem in found] == [f"/{place}"], [str(problem) for problem in hall.problems]
    assert not hall.fatal


def test_a_terminal_without_its_driver_is_quarantined_and_the_others_run(judged: Callable[[str], LoadedHall]) -> None:
    hall = judged(GOOD.replace("driver: pad", "driver: pat"))
    assert set(hall.quarantined) == {"pad"}
    assert [terminal.id for terminal in hall.document.terminals] == ["screen", "eye"]
    assert [window.id for window in hall.document.windows] == ["w1"]


def test_a_wrong_bus_takes_its_terminals_with_it_and_says_why(judged: Callable[[str], LoadedHall]) -> None:
    hall = judged(GOOD.replace("serial:///dev/ttyS0", "/dev/ttyS0"))
    assert hall.document.buses == []
    assert "its bus 'line' is wrong itself" in hall.quarantined["pad"].message


def test_a_display_that_is_none_is_taken_off_the_main_boards(judged: Callable[[str], LoadedHall]) -> None:
    hall = judged(GOOD + "main_boards: {displays: [pad, screen]}\n")
    assert hall.document.main_boards.displays == ["screen"]
    assert hall.problems[0].line == 9


def test_a_terminal_that_was_left_out_is_still_checked_against_its_driver(judged: Callable[[str], LoadedHall]) -> None:
    hall = judged(GOOD.replace("bus: line, address: 1", "bus: lime, address: 1, options: {levle: 1}"))
    assert [problem.pointer for problem in hall.problems] == ["/terminals/1/bus", "/terminals/1/options/levle"]


def test_a_fatally_wrong_document_is_not_checked_further(judged: Callable[[str], LoadedHall]) -> None:
    hall = judged(GOOD + "nonsense: 1\n")
    assert len(hall.problems) == 1
    assert hall.fatal
