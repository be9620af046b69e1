"""Who can share a line with whom: told by the configuration check, not found out by lost calls."""

from pathlib import Path

import pytest

from hallctl.config import LoadedHall, load_hall
from hallctl.driver import Attachment, Capability, DriverOptions, DriverPlugin
from hallctl.driver.hallcheck import check_hall

HALL = """\
buses:
  - {id: line, port: "%s"}
terminals:
%s
"""


class Cut:
    def probe(self, buffer: bytes) -> int:
        return -1

    def address_of(self, frame: bytes) -> int | None:
        return None


def plugin(name: str, framing: Cut, *heads: bytes, line: str = "8N1") -> DriverPlugin:
    return DriverPlugin(
        name=name,
        summary="",
        attachment=Attachment.BUS,
        capabilities=frozenset({Capability.DISPLAY}),
        options=DriverOptions,
        make=None,  # type: ignore[arg-type]  # checking makes nothing
        simulate=None,  # type: ignore[arg-type]
        faults={},
        framing=framing,
        heads=heads,
        line=line,
    )


LONG, SHORT, PADS, SIGNS = Cut(), Cut(), Cut(), Cut()
PLUGINS = {
    one.name: one
    for one in (
        plugin("bar", SHORT, b"\xa0", b"\xaa"),
        plugin("bar-board", SHORT, b"\xa0", b"\xaa"),
        plugin("other-bar", LONG, b"\xa0\x90"),
        plugin("pad", PADS, b"\xff\x68"),
        plugin("sign", SIGNS, b"\x00", b"\x01", line="7E1"),
    )
}


def check(tmp_path: Path, *terminals: tuple[str, str, int], port: str = "serial:///dev/ttyS0?baud=9600") -> LoadedHall:
    lines = (
        f"  - {{id: {name}, driver: {driver}, bus: line, address: {number}}}" for name, driver, number in terminals
    )
    (tmp_path / "hall.yaml").write_text(HALL % (port, "\n".join(lines)), encoding="utf-8")
    return check_hall(load_hall(tmp_path / "hall.yaml"), PLUGINS.__getitem__)


def told(hall: LoadedHall) -> list[tuple[str, int, str]]:
    return [(problem.code, problem.line, problem.message) for problem in hall.problems]


def test_one_address_serves_a_window_bar_and_a_pad_of_another_family(tmp_path: Path) -> None:
    hall = check(tmp_path, ("a", "bar", 3), ("b", "pad", 3))
    assert hall.problems == ()


def test_one_address_does_not_serve_two_devices_of_one_family(tmp_path: Path) -> None:
    hall = check(tmp_path, ("a", "bar", 3), ("b", "bar-board", 3))
    assert told(hall) == [("duplicate", 5, "address 3 on bus 'line' belongs to 'a'")]
    assert "line 4" in hall.problems[0].hint
    assert list(hall.quarantined) == ["b"]


def test_families_whose_frames_begin_alike_can_not_share_and_the_first_stays(tmp_path: Path) -> None:
    hall = check(tmp_path, ("a", "pad", 1), ("b", "bar", 2), ("c", "other-bar", 3), ("d", "other-bar", 4))
    message = "driver 'other-bar' can't share bus 'line' with 'bar'"
    assert told(hall) == [("bus.family", 6, message), ("bus.family", 7, message)]
    assert "begin with A0 (see line 5)" in hall.problems[0].hint
    assert [terminal.id for terminal in hall.document.terminals] == ["a", "b"]


def test_the_same_families_on_buses_of_their_own_are_fine(tmp_path: Path) -> None:
    assert check(tmp_path, ("c", "other-bar", 3), ("d", "other-bar", 4)).problems == ()


@pytest.mark.parametrize("scheme", ["serial:///dev/ttyS0?baud=9600", "tcp://10.0.0.9:4001?baud=9600"])
def test_a_line_that_is_set_for_somebody_else_is_told_with_what_to_write(tmp_path: Path, scheme: str) -> None:
    hall = check(tmp_path, ("a", "sign", 1), port=scheme)
    assert told(hall) == [("bus.line", 4, "driver 'sign' talks 7E1, bus 'line' is set to 8N1")]
    assert "bytesize=7&parity=even&stopbits=1 in its port (line 2)" in hall.problems[0].hint


def test_a_line_that_is_set_right_is_fine_and_a_plain_serial_server_is_believed(tmp_path: Path) -> None:
    right = "serial:///dev/ttyS0?baud=9600&bytesize=7&parity=even"
    assert check(tmp_path, ("a", "sign", 1), port=right).problems == ()
    assert check(tmp_path, ("a", "sign", 1), port="tcp://10.0.0.9:4001").problems == ()
