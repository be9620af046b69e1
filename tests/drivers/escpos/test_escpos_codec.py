"""Tickets to bytes, and a printer's bytes to frames."""

import pytest
from hallctl_drivers.escpos import codec
from hallctl_drivers.escpos.commands import CommandDecoder
from hallctl_drivers.escpos.faults import from_auto_status, from_real_time
from hallctl_drivers.escpos.sim import EscposSimulator
from hallctl_drivers.escpos.status import AutoStatus, Printed, Queued, RealTime, StatusDecoder
from hypothesis import given
from hypothesis import strategies as st

from hallctl.errors import CodecError, LocalCodecError
from hallctl.ticket import Align, Columns, QrCode, TextLine, Ticket


def printed(*elements):
    simulator = EscposSimulator()
    simulator.feed(codec.INIT + codec.encode_ticket(Ticket(elements), codec.Style()))
    assert not simulator.refused
    return simulator.tickets[0]


def frames_of(*pieces):
    decoder, found = StatusDecoder(), []
    for piece in pieces:
        decoder.feed(piece)
        while (frame := decoder.next()) is not None:
            found.append(frame)
    return found


def test_chinese_is_gb18030_behind_the_chinese_switch():
    data = codec.encode_ticket(Ticket((TextLine("请A001号"),)), codec.Style())
    assert data == bytes.fromhex("1C26 C7EB 41303031 BAC5 0A 1D564200")


@pytest.mark.parametrize(
    ("text", "expected"), [("㐀", "8139EE39"), ("𠀀", "95328236"), ("，。：《》①", "A3ACA1A3A3BAA1B6A1B7A2D9")]
)
def test_punctuation_and_four_byte_characters_have_their_codes(text, expected):
    assert codec.encode_text(text) == bytes.fromhex(expected)


def test_the_question_whether_it_is_printed_carries_its_id():
    assert codec.ask_when_printed(b"aB1~") == bytes.fromhex("1D2848060030306142317E")


@pytest.mark.parametrize("ident", [b"abc", b"abc\x7f", b"abc\x00"])
def test_an_id_that_the_printer_would_not_take_is_refused(ident):
    with pytest.raises(LocalCodecError):
        codec.ask_when_printed(ident)


@given(st.text())
def test_any_text_prints_or_is_refused_naming_the_character(text):
    try:
        ticket = printed(TextLine(text))
    except LocalCodecError as exc:
        assert any(f"U+{ord(character):04X}" in exc.message for character in text)
        assert exc.hint
    else:
        assert "".join(ticket.lines).replace(" ", "") == text.replace(" ", "")


@given(st.binary(), st.binary())
def test_any_answer_raises_only_codec_errors_and_never_hangs(first, second):
    decoder = StatusDecoder()
    for data in (first, second):
        decoder.feed(data)
        for _ in range(len(first) + len(second) + 1):
            try:
                if decoder.next() is None:
                    break
            except CodecError:
                continue
        else:
            pytest.fail("the decoder does not come to an end")


@given(st.binary())
def test_any_bytes_leave_the_simulator_standing(data):
    EscposSimulator().feed(data)


def test_answers_of_all_kinds_are_told_apart_in_any_pieces():
    stream = bytes.fromhex("12 10000C0F 00 3722414243440012")
    expected = [RealTime(0x12), AutoStatus(bytes.fromhex("10000C0F")), Queued(0), Printed(b"ABCD"), RealTime(0x12)]
    assert frames_of(stream) == expected
    assert frames_of(*(bytes((byte,)) for byte in stream)) == expected


def test_both_kinds_of_status_say_the_same_of_the_same_printer():
    for fault in ("paper_out", "paper_near_end", "cover_open", "cutter_jam"):
        simulator = EscposSimulator(fault)
        answers = {n: simulator.feed(codec.real_time_status(n))[0] for n in (1, 2, 3, 4)}
        assert from_real_time(answers) == from_auto_status(simulator.feed(codec.ASB_ON))


def test_columns_stand_at_both_edges_by_display_width():
    (line,) = printed(Columns("前面等候", "5 人")).lines
    assert line == "前面等候" + " " * 36 + "5 人"


def test_a_long_line_is_broken_before_the_printer_does_it():
    assert printed(TextLine("请" * 25)).lines == ("请" * 24, "请")
    assert printed(TextLine("请" * 13, Align.CENTER, 2, 2)).lines == ("请" * 12, "请")


def test_a_qr_code_shrinks_to_the_paper_and_one_that_can_not_is_refused():
    narrow = codec.Style(dots=384)
    data = codec.encode_ticket(Ticket((QrCode("x" * 200, module=16),)), narrow)
    assert bytes.fromhex("1D286B0300314306") in data
    with pytest.raises(LocalCodecError, match="does not fit"):
        codec.encode_ticket(Ticket((QrCode("x" * 2400),)), narrow)


def test_a_qr_code_on_the_drawn_ticket_can_be_read():
    cv2 = pytest.importorskip("cv2")
    numpy = pytest.importorskip("numpy")
    picture = printed(TextLine("请A001号"), QrCode("https://example.invalid/t/A001")).png()
    image = cv2.imdecode(numpy.frombuffer(picture, numpy.uint8), cv2.IMREAD_COLOR)
    assert cv2.QRCodeDetector().detectAndDecode(image)[0] == "https://example.invalid/t/A001"


def test_an_unknown_command_is_refused_and_named():
    simulator = EscposSimulator()
    simulator.feed(b"\x1b\x7f")
    assert simulator.refused == ["unknown command 1B 7F"]


def test_a_status_question_within_a_picture_is_answered_at_once():
    simulator = EscposSimulator()
    assert simulator.feed(b"\x1dv0\x00\x02\x00\x04\x00\xff\x10\x04\x04") == b"\x12"
    assert len(CommandDecoder()) == 0
