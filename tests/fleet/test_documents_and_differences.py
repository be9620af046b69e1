"""What is pushed, and what it changes."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hallctl.config import ConfigErrors, parse_hall
from hallctl.fleet.compare import compare, restarted_terminals
from hallctl.fleet.documents import check_file, merge_patch, read_source, refused
from hallctl.fleet.simulate.halls import hall_document
from hallctl.link import Topics
from hallctl.link.configuration import document_hash

RFC_7396 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7396)
def test_a_patch_is_merged_as_the_appendix_of_rfc_7396_says(target, patch, result):
    assert merge_patch(target, patch) == result


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=2), values, max_size=4), st.dictionaries(st.text(max_size=2), values, max_size=4)
)
def test_merging_twice_is_merging_once_and_changes_neither(target, patch):
    before = repr(target)
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once
    assert repr(target) == before


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_what_was_written_stays_what_it_was_on_its_way_through_json(tmp_path):
    text = """
version: 7
windows: [{id: w1, label: 1.10, staff: {number: 0123}}, {id: w2, label: on}]
terminals: [{id: p1, driver: escpos, port: "tcp://192.0.2.1:9100", options: {profile: epson}}]
duty_hours: {spans: [{days: [mon], start: 09:00, end: 12:00}]}
"""
    checked = check_file(write(tmp_path / "hall.yaml", text))
    assert checked.version == 7
    assert "version" not in checked.document
    again = parse_hall(checked.document)
    assert not again.problems
    assert [(w.label, w.staff.number if w.staff else "") for w in again.document.windows] == [
        ("1.10", "0123"),
        ("on", ""),
    ]
    assert again.document == checked.hall.document.model_copy(update={"version": 1})


def test_a_document_that_no_box_could_run_is_refused_with_file_and_line(tmp_path):
    path = write(tmp_path / "hall.yaml", "texts: {welcome: a}\nalertz: {}\n")
    with pytest.raises(ConfigErrors) as caught:
        read_source(path, merge=False)
    assert f"{path}:2" in str(caught.value)


def test_a_driver_that_only_the_desk_lacks_is_for_the_box_to_judge(tmp_path):
    text = "terminals: [{id: x, driver: vendors-own, port: 'tcp://192.0.2.1:1'}, {id: y, driver: escpos}]"
    checked = check_file(write(tmp_path / "hall.yaml", text))
    assert {problem.code for problem in checked.hall.problems} == {"driver", "attachment"}
    assert [problem.loc[:2] for problem in refused(checked)] == [("terminals", 1)]


def test_a_folder_has_a_document_for_each_controller(tmp_path):
    write(tmp_path / "gulou/box-1.yaml", "texts: {welcome: a}")
    write(tmp_path / "xihu/box-1.yaml", "texts: {welcome: b}")
    source = read_source(tmp_path, merge=False)
    assert {t: c.document["texts"]["welcome"] for t, c in source.each.items()} == {
        Topics("gulou", "box-1"): "a",
        Topics("xihu", "box-1"): "b",
    }


def test_every_mistake_in_a_folder_is_told_at_once(tmp_path):
    write(tmp_path / "gulou/box-1.yaml", "nonsense: 1")
    write(tmp_path / "xihu/box-1.yaml", "[")
    with pytest.raises(ConfigErrors) as caught:
        read_source(tmp_path, merge=False)
    assert len(caught.value.errors) == 2


def test_an_empty_folder_and_an_empty_patch_are_told(tmp_path):
    with pytest.raises(ConfigErrors, match="there are no documents"):
        read_source(tmp_path, merge=False)
    with pytest.raises(ConfigErrors, match="changes nothing"):
        read_source(write(tmp_path / "patch.yaml", "{}"), merge=True)


def test_differences_are_told_by_terminals_windows_and_sections():
    old = hall_document(5, texts={"welcome": "a"})
    new = hall_document(8, texts={"welcome": "b"}, printing={"wait_s": 5})
    new["terminals"][1]["address"] = 77
    new["windows"] = new["windows"][:2]
    told = [str(one) for one in compare(old, new)]
    assert told == [
        "+ terminals/display-3",
        "+ terminals/keypad-2",
        "+ terminals/pad-2",
        "~ terminals/display-1: address 11 -> 77",
        "~ windows/window-2: keypad nothing -> keypad-2; pad nothing -> pad-2",
        "+ printing",
        "~ texts: welcome a -> b",
    ]
    assert restarted_terminals(old, new) == ["display-1"]


def test_a_bus_that_changes_touches_every_terminal_on_it():
    old, new = hall_document(4), hall_document(4)
    new["buses"][0]["port"] = "serial:///dev/ttyS2?baud=9600"
    assert restarted_terminals(old, new) == ["display-1", "keypad-1", "pad-1"]


def test_a_new_name_is_a_difference_that_restarts_nothing():
    old, new = hall_document(4), hall_document(4)
    new["terminals"][1]["name"] = "1号窗口屏"
    assert [str(one) for one in compare(old, new)] == ["~ terminals/display-1: name nothing -> 1号窗口屏"]
    assert restarted_terminals(old, new) == []


def test_the_version_alone_is_no_difference():
    assert compare({"version": 1, "texts": {}}, {"version": 2, "texts": {}}) == ()
    assert document_hash({"version": 1}) == document_hash({"version": 2})


def test_a_document_is_read_from_yaml_as_a_box_would(tmp_path):
    path = write(tmp_path / "hall.yaml", yaml.safe_dump(hall_document(20), allow_unicode=True))
    checked = check_file(path)
    assert not checked.hall.problems
    assert len(parse_hall(checked.document).document.terminals) == 20
