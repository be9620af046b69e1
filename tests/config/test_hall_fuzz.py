"""Whatever is in the file: problems come back, never a traceback, and what is left over is consistent."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hallctl.config import LoadedHall, load_hall, parse_hall
from hallctl.config.check import references
from hallctl.config.hall import HallDocument, Terminal, Window
from hallctl.config.loading import hall_of
from hallctl.config.posts import DutySpan, Post
from hallctl.config.problem import Problem
from hallctl.config.source import parse

SMALL_HALL = (Path(__file__).resolve().parents[2] / "configs" / "small-hall" / "hall.yaml").read_text(encoding="utf-8")
KEYS = sorted({"x", *(key for model in (HallDocument, Terminal, Window, Post, DutySpan) for key in model.model_fields)})
PUT = ["", " ", "\n", ":", "- ", "\t", "：", "[", "}", '"', "&a", "*a", "<<: ", "!x ", "0", "~"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["a", "b", "0123"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=30,
)


def consistent(hall: LoadedHall) -> None:
    document = hall.document
    running = {terminal.id for terminal in document.terminals}
    assert not running & set(hall.quarantined)
    assert len(running) == len(document.terminals)
    known = running | set(hall.quarantined)
    assert all(name in known for window in document.windows for _, name in references(window))
    assert all(terminal.bus in {bus.id for bus in document.buses} for terminal in document.terminals if terminal.bus)
    assert hall.fatal or all(problem.loc for problem in hall.problems)
    assert not hall.fatal or not document.terminals


def judge(text: str) -> LoadedHall | None:
    try:
        root = parse(text, "hall.yaml")
    except Problem as exc:
        assert exc.fatal
        return None
    return hall_of(root, "hall.yaml")


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_a_damaged_document_gives_problems_and_a_consistent_rest(data: st.DataObject) -> None:
    text = SMALL_HALL
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        cut = data.draw(st.integers(0, 12))
        put = data.draw(st.sampled_from(PUT))
        text = text[:at] + put + text[at + cut :]
    hall = judge(text)
    if hall is not None:
        consistent(hall)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6))
def test_any_json_from_the_centre_gives_problems_and_a_consistent_rest(value: dict[str, object]) -> None:
    consistent(parse_hall(value))


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_in_the_file_give_problems(tmp_path_factory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "hall.yaml"
    path.write_bytes(data)
    consistent(load_hall(path))


@settings(deadline=None)
@given(st.text(alphabet="ab0: -[]{}&*!|>'\"#%@\n\t,?<~", max_size=40))
def test_any_text_that_looks_like_yaml_gives_problems(text: str) -> None:
    hall = judge(text)
    if hall is not None:
        consistent(hall)
