"""Frames in words: what a trace says of each family's wire."""

import pytest
from hallctl_drivers.alpha import codec as alpha
from hallctl_drivers.escpos import codec as escpos
from hallctl_drivers.ff68 import codec as ff68
from hallctl_drivers.keyboard.codec import Event
from hallctl_drivers.onbon_bx import codec as onbon
from hallctl_drivers.onbon_bx.frame import CLIENT_ADDRESS, Packet, encode_packet
from hallctl_drivers.pinganlihe import codec as pinganlihe
from hallctl_drivers.xinrui import codec as xinrui

from hallctl.driver import Direction, load_driver

OUT, IN = Direction.OUT, Direction.IN


def to_card(request: onbon.Request) -> bytes:
    return encode_packet(Packet(1, CLIENT_ADDRESS, onbon.encode_request(request)))


def from_card(reply: onbon.Reply) -> bytes:
    return encode_packet(Packet(CLIENT_ADDRESS, 1, onbon.encode_reply(reply)))


ALPHA_TEXT = alpha.encode_packet(alpha.write_text(3, alpha.Text("A015")))
XINRUI_TEXT = xinrui.encode_text(xinrui.Text(2, (("请", 1), ("8", 2))))
CASES = [
    ("alpha", OUT, ALPHA_TEXT, "sign 3: show 'A015', red, hold"),
    (
        "alpha",
        IN,
        alpha.encode_packet(alpha.status_answer(0x10)),
        "answer: serial error status: the checksum was wrong",
    ),
    ("xinrui", OUT, XINRUI_TEXT, "bar 2: show '请8', colour 1, 2"),
    ("xinrui", IN, xinrui.encode_reply(xinrui.Reply(2, True)), "bar 2 answers: shown"),
    (
        "pinganlihe",
        OUT,
        pinganlihe.encode(pinganlihe.window_bar(4, pinganlihe.Sub.CALL, pinganlihe.Call(1234, 5, "A"))),
        "bar 4: call A1234 to window 5",
    ),
    ("pinganlihe", IN, pinganlihe.encode(pinganlihe.ack(4)), "bar 4 answers: done"),
    ("onbon-bx", OUT, to_card(onbon.ping()), "card 1: are you there?"),
    ("onbon-bx", IN, from_card(onbon.Reply(onbon.Command.NAK, 12)), "refuses: error 12, the font is not on the card"),
    ("onbon-bx-bus", IN, from_card(onbon.Reply(onbon.Command.ACK)), "card 1 answers: done"),
    ("ff68-pad", OUT, ff68.start_evaluation(7).to_bytes(), "pad 7: start an evaluation"),
    ("ff68-pad", IN, ff68.result(7, 2).to_bytes(), "pad 7 says: key 2 was pressed"),
    ("ff68-keypad", IN, ff68.key_press(8, "12", ff68.KEY_CALL).to_bytes(), "keypad 8 says: key call after 12"),
    ("ff68-keypad", OUT, ff68.show_queue(8, 5, "A015").to_bytes(), "keypad 8: show '  5015'"),
    ("keyboard-pad", IN, Event(1, 2, 1).to_bytes(), "KEY_1 pressed"),
    ("escpos", OUT, escpos.INIT, "ESC @: initialise"),
    ("escpos", OUT, "号码".encode("gb18030"), "text '号码'"),
]


@pytest.mark.parametrize(("driver", "way", "raw", "words"), CASES, ids=lambda value: str(value)[:20])
def test_a_frame_is_one_line_of_words(driver, way, raw, words) -> None:
    (told,) = load_driver(driver).explain().feed(way, raw)
    assert told.known
    assert words in told.text
    assert told.raw == raw


@pytest.mark.parametrize(("driver", "way", "raw", "_words"), CASES, ids=lambda value: str(value)[:20])
def test_bytes_one_by_one_become_the_same_frames(driver, way, raw, _words) -> None:
    at_once, one_by_one = load_driver(driver).explain(), load_driver(driver).explain()
    pieces = [told for byte in raw for told in one_by_one.feed(way, bytes([byte]))]
    if driver == "escpos" and len(raw) > 2:  # text has no end of its own: it is told as it comes
        assert b"".join(told.raw for told in pieces + one_by_one.rest(way)) == raw
    else:
        assert pieces == at_once.feed(way, raw)


def test_a_status_answer_of_a_printer_is_told_with_its_question() -> None:
    explainer = load_driver("escpos").explain()
    explainer.feed(OUT, escpos.real_time_status(1, 4))
    printer, paper = explainer.feed(IN, b"\x12\x72")
    assert printer.text == "answers DLE EOT 1: nothing is wrong"
    assert paper.text == "answers DLE EOT 4: there is no paper"


@pytest.mark.parametrize(
    ("driver", "raw", "why"),
    [
        ("xinrui", XINRUI_TEXT[:-1] + b"\x00", "checksum is 00"),
        ("alpha", ALPHA_TEXT.replace(b"A015", b"A016"), "checksum"),
        ("onbon-bx", to_card(onbon.ping()).replace(b"\xfe\x02", b"\xfe\x03"), "CRC is"),
        ("ff68-pad", b"\xff\x68\x03", "no frame of this family"),
    ],
)
def test_a_broken_frame_says_what_is_wrong_with_it_and_hides_no_byte(driver, raw, why) -> None:
    explainer = load_driver(driver).explain()
    told = explainer.feed(IN, raw) + explainer.rest(IN)
    assert b"".join(one.raw for one in told) == raw
    assert not any(one.known for one in told)
    assert why in " ".join(one.text for one in told)


def test_a_frame_behind_a_false_beginning_is_found_when_the_beginning_is_given_up() -> None:
    explainer = load_driver("xinrui").explain()
    whole = xinrui.encode_reply(xinrui.Reply(2, False))
    assert explainer.feed(IN, xinrui.HEAD + b"\x01\xa5\x00\xff" + whole) == []
    lost, answer = explainer.rest(IN)
    assert not lost.known
    assert (answer.raw, answer.text) == (whole, "bar 2 answers: not shown")


@pytest.mark.parametrize("driver", ["camera", "web-pad"])
def test_what_has_no_wire_of_its_own_has_nothing_to_explain(driver) -> None:
    assert load_driver(driver).explain is None
