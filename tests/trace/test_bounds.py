"""Replies fit the contract's 128 KiB, whatever a ring holds and however many terminals a box has."""

from datetime import UTC, datetime

import pytest

from hallctl.clock import ManualClock
from hallctl.controller.observing import _bounded, record_of
from hallctl.link.look_data import LookTerminal
from hallctl.link.payloads import ENVELOPE_BYTES, MAX_REPLY_BYTES
from hallctl.link.result_data import TraceResult
from hallctl.transport import Tap

ROOM = MAX_REPLY_BYTES - ENVELOPE_BYTES


@pytest.mark.parametrize("size", [1, 60, 200, 4096, 100_000])
def test_a_full_ring_is_told_in_replies_that_fit_and_nothing_is_left_out(size) -> None:
    tap = Tap("printer-1", ManualClock())
    while tap.number < 1000:
        tap.sent(b"\xff" * size)
    kept, told, after = tap.ring(), [], 0
    while chunks := _bounded(tap.ring(after)):
        records = [record_of(chunk) for chunk in chunks]
        result = TraceResult(terminal="p", driver="d", port="p", number=1, missed=0, records=records)
        assert len(result.model_dump_json()) < ROOM
        told += chunks
        after = chunks[-1].number
    assert tuple(told) == kept


def test_a_note_of_any_length_fits() -> None:
    tap = Tap("printer-1", ManualClock())
    for number in range(400):
        tap.note(f"{number} 端口" * 200)
    chunks = _bounded(tap.ring())
    assert 0 < len(chunks) < 400
    assert sum(len(record_of(chunk).model_dump_json().encode()) for chunk in chunks) < ROOM


def test_a_look_at_three_hundred_terminals_fits() -> None:
    now = datetime.now(UTC)
    one = LookTerminal(
        id="display-of-window-123",
        driver="onbon-bx-bus",
        status="offline",
        since=now,
        reason="port.unreachable",
        bytes_in=123_456_789,
        bytes_out=123_456_789,
        openings=1234,
        errors=1234,
        last_in=now,
    )
    assert 300 * len(one.model_dump_json(exclude_defaults=True)) < ROOM
