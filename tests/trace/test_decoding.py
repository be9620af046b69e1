"""From records to frames, and a file of them that time has not been kind to."""

import io
from datetime import UTC, datetime

import pytest
from hallctl_drivers.xinrui import codec as xinrui

from hallctl.driver import Explained, load_driver
from hallctl.link.result_data import TraceRecord
from hallctl.trace import Decoder, TraceHeader, TraceWriter, read_trace

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
SHOWN = xinrui.encode_reply(xinrui.Reply(2, True))
HEADER = TraceHeader(terminal="bar-2", driver="xinrui", port="bus b, address 2", site="hall", controller="box")


def record(number: int, data: bytes = b"", *, way: str = "in", seconds: float = 0.0, note: str = "") -> TraceRecord:
    return TraceRecord(number=number, at=NOW, seconds=seconds, direction=way, data=data.hex(), note=note)


def decoded(*records: TraceRecord, driver: str = "xinrui") -> list[tuple[str, bool]]:
    decoder = Decoder(load_driver(driver).explain)
    told = [one for each in records for one in decoder.feed(each)] + decoder.end()
    return [(one.text, one.known) for one in told]


def test_a_frame_in_two_pieces_is_one_frame() -> None:
    assert decoded(record(1, SHOWN[:2]), record(2, SHOWN[2:], seconds=0.1)) == [("bar 2 answers: shown", True)]


@pytest.mark.parametrize(
    "between",
    [
        (record(3, SHOWN[2:]),),  # record 2 is missing
        (record(2, way="note", note="opened bus"), record(3, SHOWN[2:])),
        (record(2, SHOWN[2:], seconds=5),),
        (record(1, SHOWN[2:]),),  # a daemon that was started anew counts from 1 again
    ],
    ids=["a record is missing", "the port was opened anew", "seconds later", "another daemon"],
)
def test_half_a_frame_is_not_finished_by_what_comes_after_a_hole(between) -> None:
    told = decoded(record(1, SHOWN[:2]), *between)
    assert ("bar 2 answers: shown", True) not in told
    assert any(not known for _, known in told)


def test_records_that_are_missing_are_counted() -> None:
    assert ("7 records are missing", False) in decoded(record(1, SHOWN), record(9, SHOWN))


def test_the_two_directions_do_not_cut_each_others_frames() -> None:
    told = decoded(record(1, SHOWN[:2]), record(2, SHOWN, way="out"), record(3, SHOWN[2:]))
    assert told == [("bar 2 answers: shown", True)] * 2


def test_a_driver_that_explains_nothing_leaves_the_bytes_as_they_came() -> None:
    decoder = Decoder(None)
    (told,) = decoder.feed(record(1, b"\x00\xff"))
    assert (told.raw, told.text, told.known) == (b"\x00\xff", "", True)


def test_a_driver_whose_explanation_fails_costs_its_words_and_no_byte() -> None:
    class Broken:
        def feed(self, _direction, _data) -> list[Explained]:
            raise IndexError("a vendor's mistake")

        rest = feed

    decoder = Decoder(Broken)
    first, second = decoder.feed(record(1, b"ab"))[0], decoder.feed(record(2, b"cd"))[0]
    assert "can't explain this: IndexError" in first.text
    assert (first.raw, second.raw) == (b"ab", b"cd")


def written(*records: TraceRecord) -> list[str]:
    file = io.StringIO()
    writer = TraceWriter(file, HEADER)
    for one in records:
        writer.write(one)
    return file.getvalue().splitlines(keepends=True)


def test_what_is_written_is_read_again() -> None:
    records = (record(1, SHOWN), record(2, way="note", note="已打开 opened"))
    reading = read_trace(written(*records))
    assert (reading.header, reading.records, reading.problems) == (HEADER, records, ())


def test_damaged_lines_are_named_and_the_rest_is_read() -> None:
    lines = written(record(1, SHOWN), record(2, SHOWN), record(3, SHOWN), record(4, SHOWN))
    lines[2] = lines[2].replace('"data":"a0', '"data":"zz')
    lines[3] = "\x00\x00\n"
    lines[4] = lines[4][:20]
    reading = read_trace(lines)
    assert [one.number for one in reading.records] == [1]
    assert [problem.partition(":")[0] for problem in reading.problems] == ["line 3", "line 4", "line 5"]


def test_a_file_without_its_header_is_read_and_asks_for_the_driver() -> None:
    reading = read_trace(written(record(1, SHOWN))[1:])
    assert reading.header is None
    assert [one.number for one in reading.records] == [1]
    assert "--driver" in reading.problems[0]


def test_a_newer_format_is_told() -> None:
    lines = written(record(1, SHOWN))
    reading = read_trace([lines[0].replace('"hallctl_trace":1', '"hallctl_trace":9'), *lines[1:]])
    assert "format 9 is newer" in reading.problems[0]
    assert len(reading.records) == 1


def test_any_file_at_all_is_read_without_an_error() -> None:
    reading = read_trace(["{", "[]", '{"number": 1}', "x" * 100_000, "null"])
    assert reading.records == ()
    assert len(reading.problems) == 5
