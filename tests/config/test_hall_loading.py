"""hall.yaml: every mistake at once, each in its line, and the rest runs."""

from pathlib import Path

import pytest

from hallctl.config import ConfigErrors, LoadedHall, load_hall, parse_hall

GOOD = """\
buses:
  - {id: line, port: "serial:///dev/ttyS0"}
terminals:
  - {id: pad-1, driver: some-pad, bus: line, address: 1}
  - {id: pad-2, driver: some-pad, bus: line, address: 2}
windows:
  - {id: w1, label: 1, pad: pad-1}
  - {id: w2, label: 2, pad: pad-2}
"""


def load(tmp_path: Path, text: str | bytes) -> LoadedHall:
    path = tmp_path / "hall.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_hall(path)


def told(hall: LoadedHall) -> list[str]:
    return [str(problem).partition("hall.yaml:")[2] for problem in hall.problems]


def test_a_right_document_has_no_problems(tmp_path: Path) -> None:
    hall = load(tmp_path, GOOD)
    assert hall.problems == ()
    assert [terminal.id for terminal in hall.document.terminals] == ["pad-1", "pad-2"]
    assert not hall.quarantined


def test_a_misspelt_key_is_told_with_its_line_and_the_key_that_was_meant(tmp_path: Path) -> None:
    hall = load(tmp_path, "terminals:\n  - id: a\n    driver: x\n    adress: 3\n")
    assert told(hall) == ["4: terminals/0/adress: unknown key 'adress'; did you mean 'address'?"]
    assert hall.problems[0].pointer == "/terminals/0/adress"
    assert hall.problems[0].line == 4


def test_every_mistake_is_found_at_once(tmp_path: Path) -> None:
    hall = load(
        tmp_path, GOOD + "  - {id: W3, label: 3}\n  - {label: 4}\n  - {id: w5, label: 5, displya: x}\nwindws: []\n"
    )
    assert [problem.line for problem in hall.problems] == [9, 10, 11, 12]


def test_a_wrong_terminal_is_quarantined_and_its_neighbours_run(tmp_path: Path) -> None:
    hall = load(tmp_path, GOOD.replace("address: 2", "address: two"))
    assert [terminal.id for terminal in hall.document.terminals] == ["pad-1"]
    assert list(hall.quarantined) == ["pad-2"]
    assert hall.quarantined["pad-2"].line == 5
    assert not hall.fatal


def test_a_window_keeps_the_name_of_a_quarantined_terminal(tmp_path: Path) -> None:
    hall = load(tmp_path, GOOD.replace("address: 2", "address: two"))
    assert [window.id for window in hall.document.windows] == ["w1", "w2"]


def test_a_mistake_outside_of_an_item_is_fatal(tmp_path: Path) -> None:
    hall = load(tmp_path, GOOD + "evaluation: {timeout: 60}\n")
    assert hall.fatal
    with pytest.raises(ConfigErrors, match="'timeout'; did you mean 'timeout_s'"):
        hall.raise_if_fatal()


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("bus: line, address: 2", "bus: lime, address: 2"), 5, "there is no bus 'lime'; did you mean 'line'?"),
        ((", address: 2", ""), 5, "the key 'address' is missing"),
        (("bus: line, address: 2", "address: 2"), 5, "an address without a bus"),
        (("address: 2", 'address: 2, port: "tcp://a:1"'), 5, "both 'port' and 'bus' are given"),
        (("id: pad-2", "id: pad-1"), 5, "the id 'pad-1' is taken"),
        (("label: 2, pad: pad-2", "label: 2, pad: pad-3"), 8, "there is no terminal 'pad-3'; did you mean 'pad-2'?"),
        (("label: 2, pad: pad-2", "label: 2, pad: pad-1"), 8, "'pad-1' is the pad of another window"),
        (("id: w2", "id: w1"), 8, "the id 'w1' is taken"),
        (("address: 2", "address: 2, address: 3"), 5, "'address' is given twice, first in line 5"),
        (("driver: some-pad, bus: line, address: 2", "bus: line, address: 2"), 5, "the key 'driver' is missing"),
        (("address: 2", "address: "), 5, "nothing is written after 'address:'"),
        (("address: 2", "address: !!python/name:os.system x"), 5, "has no meaning here"),
        (("address: 2", "address: [2]"), 5, "a list stands where a whole number belongs"),
    ],
)
def test_a_contradiction_is_told_in_its_line(tmp_path: Path, change: tuple[str, str], line: int, words: str) -> None:
    hall = load(tmp_path, GOOD.replace(*change))
    found = [problem for problem in hall.problems if words in problem.message]
    assert [problem.line for problem in found] == [line], told(hall)
    assert not hall.fatal


def test_the_first_of_two_terminals_with_one_id_runs_and_is_not_quarantined(tmp_path: Path) -> None:
    hall = load(tmp_path, GOOD.replace("id: pad-2", "id: pad-1"))
    assert [terminal.address for terminal in hall.document.terminals] == [1]
    assert "pad-1" not in hall.quarantined


def test_the_line_of_a_duplicate_names_where_the_first_stands(tmp_path: Path) -> None:
    hall = load(tmp_path, GOOD.replace("id: w2", "id: w1"))
    assert "line 7" in hall.problems[0].hint


def test_an_unknown_main_board_is_left_out_and_the_others_stay(tmp_path: Path) -> None:
    hall = load(tmp_path, GOOD + "main_boards: {displays: [pad-1, board]}\n")
    assert hall.document.main_boards.displays == ["pad-1"]
    assert hall.problems[0].line == 9


@pytest.mark.parametrize(
    ("written", "meant"),
    [("0123", "0123"), ("on", "on"), ("12:30", "12:30"), ("1_000", "1_000"), ("007", "007"), ("1.10", "1.10"),
     ("0x1F", "0x1F"), ("true", "true"), ("2026-01-02", "2026-01-02"), ("1e3", "1e3"), ("'5'", "5"), ("85", "85")],
)  # fmt: skip
def test_a_staff_number_means_what_is_written(tmp_path: Path, written: str, meant: str) -> None:
    hall = load(tmp_path, f"windows:\n  - {{id: w, label: 1, staff: {{number: {written}}}}}\n")
    assert hall.problems == ()
    staff = hall.document.windows[0].staff
    assert staff is not None
    assert staff.number == meant


def test_duty_hours_without_quotes_are_times_of_day(tmp_path: Path) -> None:
    hall = load(tmp_path, "duty_hours:\n  spans: [{days: [mon], start: 9:00, end: 12:30}]\n")
    span = hall.document.duty_hours.spans[0]
    assert (span.start.isoformat(), span.end.isoformat()) == ("09:00:00", "12:30:00")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("duty_hours: {spans: [{days: [mon], start: 830, end: 12:30}]}", "830 is no time of day"),
        ("duty_hours: {spans: [{days: [mon], start: 13:00, end: 12:30}]}", "the end is not later than the start"),
        ("duty_hours: {spans: [{days: [mon], start: 13:00, end: 24:00}]}", "'24:00' is no time of day"),
        ("duty_hours: {closed: [20261001]}", "20261001 is no day"),
        ("duty_hours: {closed: [2026-02-30]}", "'2026-02-30' is no day"),
        ("duty_hours: {timezone: Asia/Beijing}", "there is no time zone 'Asia/Beijing'"),
        ("duty_hours: {spans: [{days: [monday], start: 1:00, end: 2:00}]}", "'monday' is not possible; did you mean"),
        ("attendance: {grace_s: .inf}", "'.inf' stands where a number belongs"),
        ("attendance: {grace_s: nan}", "stands where a number belongs"),
        ("attendance: {grace_s: 0}", "0 is out of range: at least 1"),
        ("keypads: {local: [recal]}", "'recal' is not possible; did you mean 'recall'?"),
        ("texts: 5", "5 stands where a map"),
        ("version: 1.5", "1.5 stands where a whole number belongs"),
    ],
)  # fmt: skip
def test_a_setting_that_would_be_misread_is_refused_in_plain_words(tmp_path: Path, text: str, words: str) -> None:
    hall = load(tmp_path, text)
    assert hall.fatal
    assert words in hall.problems[0].message


@pytest.mark.parametrize(
    ("text", "line", "words", "hint"),
    [
        ("a:\n\t- b", 2, "a tab is used for indentation", "spaces"),
        ("a: b: c", 1, "a ':' stands where none can be", "quotes"),
        ("a: 1\n b: 2", 2, "a ':' stands where none can be", "indentation"),
        ('a: "x\nb: 1\n', 1, "a quote is opened and never closed", "close it"),
        ("a: [1, 2\nb: 1\nc: 3", 1, "a list that '[' opens is never closed", "]"),
        ("version: 1\nid：a\nb: 1", 2, "there is no ':' after a key", "'：' is a Chinese full-width character"),
        ("- id: a\n  b：c\n  d: e", 2, "there is no ':' after a key", "'：' is a Chinese full-width character"),
        ("a: *x", 1, "*x is not defined above", "&x"),
        ("a: 1\n---\nb: 2", 2, "a second document begins here", "---"),
        ("", 1, "the file is empty", ""),
        ("# nothing\n", 1, "the file is empty", ""),
        ("- a\n- b\n", 1, "the document is a list", "key: value"),
        ("just a text\n", 1, "the document is a single text", "key: value"),
        ("version：1", 1, "the document is a single text", "'：' is a Chinese full-width character"),
        ("a: \x07", 1, "a control character (U+0007)", "remove"),
        ("a: " + "[" * 100_000, 1, "more than 64 levels are nested", ""),
        ("? [a]\n: b", 1, "a list or a map can't be a key", ""),
        ("a: &a [*a]", 1, "*a is not defined above", ""),
    ],
)
def test_broken_yaml_is_fatal_and_explained(tmp_path: Path, text: str, line: int, words: str, hint: str) -> None:
    hall = load(tmp_path, text)
    assert hall.fatal
    assert words in hall.problems[0].message
    assert hall.problems[0].line == line
    assert hint in hall.problems[0].hint


def test_a_file_in_gbk_is_named_as_such_with_the_line_and_the_remedy(tmp_path: Path) -> None:
    hall = load(tmp_path, "version: 1\ntexts: {welcome: 欢迎光临}\n".encode("gb18030"))
    assert "probably as GBK" in hall.problems[0].message
    assert hall.problems[0].line == 2
    assert "iconv" in hall.problems[0].hint


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    assert load(tmp_path, b"\xef\xbb\xbfversion: 3\n").document.version == 3


def test_a_file_in_utf_16_is_named_as_such(tmp_path: Path) -> None:
    assert "UTF-16" in load(tmp_path, "version: 3\n".encode("utf-16")).problems[0].message


def test_a_missing_file_is_a_fatal_problem(tmp_path: Path) -> None:
    hall = load_hall(tmp_path / "hall.yaml")
    assert "there is no such file" in str(hall.problems[0])
    assert hall.fatal


def test_aliases_that_multiply_are_stopped(tmp_path: Path) -> None:
    rows = ["a0: &a0 [1, 1]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    hall = load(tmp_path, "\n".join(rows))
    assert "more than 500000 values" in hall.problems[0].message


def test_anchors_and_merge_keys_save_typing(tmp_path: Path) -> None:
    text = "terminals:\n  - &p {id: p1, driver: d, options: {x: 1}}\n  - {<<: *p, id: p2}\n"
    text += "  - {<<: *p, id: p3, adress: 1}\n"
    hall = load(tmp_path, text)
    assert [(terminal.id, terminal.options) for terminal in hall.document.terminals] == [
        ("p1", {"x": 1}),
        ("p2", {"x": 1}),
    ]
    assert hall.problems[0].line == 4


def test_a_section_whose_items_are_all_commented_out_is_empty(tmp_path: Path) -> None:
    assert load(tmp_path, "windows:\n#  - id: a\n").problems == ()


def test_a_document_from_the_centre_has_pointers_and_no_lines() -> None:
    hall = parse_hall(
        {"version": 7, "terminals": [{"id": "a", "driver": "d", "adress": 1}, {"id": "b", "driver": "d"}]}
    )
    assert [terminal.id for terminal in hall.document.terminals] == ["b"]
    assert hall.quarantined["a"].pointer == "/terminals/0/adress"
    assert str(hall.problems[0]).startswith("hall document: terminals/0/adress: unknown key")


def test_a_document_survives_the_way_through_json() -> None:
    hall = parse_hall({"windows": [{"id": "w", "label": "01", "staff": {"number": "0123", "stars": None}}]})
    again = parse_hall(hall.document.model_dump(mode="json"))
    assert again.problems == ()
    assert again.document == hall.document


@pytest.mark.parametrize("value", [[], "text", 5, None])
def test_a_document_from_the_centre_that_is_no_map_is_fatal(value: object) -> None:
    assert parse_hall(value).fatal


def test_a_zone_on_one_line_encloses_nothing(tmp_path: Path) -> None:
    text = "windows:\n  - {id: w, label: 1, post: {camera: c, zone: [[0, 0], [0.5, 0.5], [1, 1]]}}\n"
    assert "the zone encloses nothing" in load(tmp_path, text).problems[0].message
