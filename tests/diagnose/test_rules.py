"""The rules themselves, on facts that no pseudo-terminal can be made to show, and in which order causes are told."""

from dataclasses import replace

import pytest

from hallctl.diagnose import (
    Attempt,
    BoxFacts,
    BusFacts,
    Finding,
    PortFacts,
    TerminalFacts,
    Trial,
    Weight,
    judge_box,
    judge_terminal,
)
from hallctl.driver.uart import UartLine, resampled

PORT = PortFacts("serial:///dev/serial/by-id/usb-A?baud=9600", "serial", exists=True, allowed=True)
MUTE = TerminalFacts("p1", "pinganlihe", "offline", "2026-03-02T09:05:00+08:00", reason="device.mute", message="silent")
BOX = BoxFacts("hall", "box", "1", "2026-03-02T09:05:00+08:00", broker="mq:8883", connected=True)


def bus(**more):
    return BusFacts("line", PORT, is_open=True, **more)


def code_of(facts):
    return judge_terminal(facts)[0].code


def attempt(line="9600 8N1", address=1, **more):
    return Attempt(line, address, answered=more.pop("answered", False), sent="a003", **more)


@pytest.mark.parametrize("form", ["9600 8E1", "9600 7E1"])
def test_even_parity_and_seven_bits_are_told_from_the_rate(form):
    trial = Trial("9600 8N1", (attempt(), attempt(form, answered=True)))
    assert code_of(replace(MUTE, bus=bus(), address=1, trial=trial)) == "line.parity"


def test_damaged_bytes_that_the_uart_has_counted_are_noise_although_none_came_through():
    port = replace(PORT, errors={"frame": 12, "parity": 0, "overrun": 0, "break": 0})
    assert code_of(replace(MUTE, port=port, trial=Trial("9600 8N1", (attempt(),)))) == "line.noise"


def test_one_silent_device_among_others_that_answer_is_not_the_line():
    facts = replace(MUTE, bus=bus(members={"p2": "online", "p3": "offline"}), address=4)
    (found, *_) = judge_terminal(facts)
    assert found.code == "line.alone"
    assert "p2 on the same line answer" in found.message


def test_a_device_that_answers_again_is_not_called_wrongly_set():
    trial = Trial("9600 8N1", (attempt(answered=True),))
    (found, *_) = judge_terminal(replace(MUTE, bus=bus(), address=1, trial=trial))
    assert found.code == "device.mute"
    assert "answers now" in found.message


def test_what_nobody_can_judge_is_told_in_the_words_of_its_state():
    (found,) = judge_terminal(replace(MUTE, reason="acme.overheated", message="42 degrees", hint="open a window"))
    assert (found.code, found.message, found.hint) == ("acme.overheated", "p1: 42 degrees", "open a window")


def test_a_line_that_is_down_is_one_cause_however_many_hang_on_it():
    gone = replace(PORT, exists=False)
    facts = [
        replace(MUTE, terminal=name, reason="port.absent", bus=replace(bus(members={"x": "offline"}), port=gone))
        for name in ("p1", "p2", "p3")
    ]
    found = judge_box(BOX, [one for each in facts for one in judge_terminal(each)])
    assert [(one.code, one.subject, one.weight) for one in found] == [("port.absent", "line", Weight.LINE)]


def test_what_takes_the_most_along_comes_first():
    box = replace(BOX, connected=False, link_code="link.refused", clock=False, certificate="3 days are left")
    terminal = Finding("cover.open", "p1: the cover is open", "close it", "p1")
    assert [one.code for one in judge_box(box, [terminal])] == [
        "clock.unsynchronised",
        "link.refused",
        "cover.open",
        "certificate.expiring",
    ]


def test_a_box_without_a_broker_misses_none():
    assert judge_box(replace(BOX, broker="", connected=False)) == []


def test_what_two_ends_of_a_line_make_of_each_other_is_right_at_one_rate_and_nonsense_at_others():
    data = bytes(range(256))
    assert resampled(data, 9600, 9600) == data
    for read in (4800, 19200, 115200):
        assert resampled(b"\xa0\x03\x29\x01\x00\x2d\xff", 9600, read) != b"\xa0\x03\x29\x01\x00\x2d\xff"
    same = UartLine.parse("9600 8N1")
    assert same.heard(data, same) == data
    assert same.heard(b"\x01\x03", UartLine.parse("9600 8O1")) == b"\x03"
