"""Layouts and fields to tickets, and widths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hallctl.config.hall import TicketLayout
from hallctl.errors import ConfigError
from hallctl.ticket import (
    Align,
    Columns,
    Feed,
    Picture,
    QrCode,
    Rule,
    TextLine,
    display_width,
    fields_of,
    lay_out,
    pad,
    wrap,
)


def layout(*lines):
    return TicketLayout.model_validate({"id": "standard", "lines": list(lines)})


def test_fields_are_filled_into_text_columns_and_codes():
    ticket = lay_out(
        layout(
            {"text": "{number}", "align": "center", "size": [2, 3], "bold": True},
            {"columns": ["{service}", "{waiting} 人"]},
            {"qr": "https://example.invalid/{number}"},
            {"rule": True},
            {"feed": 2},
        ),
        {"number": "A001", "service": "户籍", "waiting": "5"},
    )
    assert ticket.elements == (
        TextLine("A001", Align.CENTER, 2, 3, True),
        Columns("户籍", "5 人"),
        QrCode("https://example.invalid/A001"),
        Rule(),
        Feed(2),
    )


def test_braces_in_a_value_are_only_braces():
    ticket = lay_out(layout({"text": "{name}{{x}}"}), {"name": "{number}{{", "number": "secret"})
    assert ticket.elements == (TextLine("{number}{{{x}"),)


def test_an_unknown_field_is_named_with_those_that_are_there():
    with pytest.raises(ConfigError, match=r"line 2: the field 'numbr'.*number, service"):
        lay_out(layout({"rule": True}, {"text": "{numbr}"}), {"number": "A001", "service": "户籍"})


def test_a_value_with_line_breaks_makes_several_lines():
    assert len(lay_out(layout({"text": "{note}"}), {"note": "一\n二"}).elements) == 2


def test_chinese_is_two_columns_wide():
    assert display_width("请A001号") == 8
    assert pad("请", 6, Align.RIGHT) == "    请"
    assert pad("请", 6, Align.CENTER) == "  请  "


def test_english_words_stay_whole_where_they_fit():
    assert wrap("please wait here", 11) == ["please wait", "here"]


@given(st.text(), st.integers(2, 60))
def test_wrapped_lines_fit_and_lose_nothing_but_spaces(text, columns):
    lines = wrap(text, columns)
    assert all(display_width(line) <= columns for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_a_field_in_a_web_address_is_quoted_and_elsewhere_it_is_not():
    lines = ({"qr": "https://e.invalid/t?n={number}", "module": 4}, {"qr": "票号 {number}"})
    web, plain = lay_out(layout(*lines), {"number": "A 1&x=户"}).elements
    assert web == QrCode("https://e.invalid/t?n=A%201%26x%3D%E6%88%B7", 4)
    assert plain == QrCode("票号 A 1&x=户")


def test_an_optional_line_is_left_out_where_a_field_of_it_is_missing_or_empty():
    lines = layout({"text": "{number}"}, {"columns": ["窗口", "{window}"], "optional": True})
    assert len(lay_out(lines, {"number": "A1", "window": "3"}).elements) == 2
    assert len(lay_out(lines, {"number": "A1", "window": ""}).elements) == 1
    assert len(lay_out(lines, {"number": "A1"}).elements) == 1


def test_a_logo_stands_in_the_middle_and_a_ticket_is_printed_without_one_that_could_not_be_read():
    lines = layout({"logo": "logo.png"}, {"text": "A1"})
    picture = Picture(8, b"\xff")
    assert lay_out(lines, {}, {"logo.png": picture}).elements == (picture, TextLine("A1"))
    assert lay_out(lines, {}).elements == (TextLine("A1"),)


def test_the_fields_of_a_layout_are_known_without_filling_it():
    lines = layout({"text": "{a}{{x}}{b}"}, {"columns": ["{b}", "{c}"]}, {"qr": "{d}"})
    assert fields_of(lines) == ("a", "b", "c", "d")
