"""What a supervisor reads of an alert on one line."""

import pytest

from hallctl.cli.alerts import _row
from hallctl.link import Topics

TOPICS = Topics("hall-1", "box-1")
ALERT = {"id": "a1", "kind": "post.empty", "subject": "w1", "state": "raised", "message": "nobody is at window 1"}


@pytest.mark.parametrize(
    ("more", "state", "message"),
    [
        ({}, "raised", "nobody is at window 1"),
        ({"severity": "critical"}, "raised, critical", "nobody is at window 1"),
        ({"state": "acknowledged", "data": {"acknowledged_by": "李"}}, "acknowledged by 李", "nobody is at window 1"),
        (
            {"state": "cleared", "data": {"absent_s": 243.4}, "evidence": [{"kind": "snapshot"}, {"kind": "clip"}]},
            "cleared",
            "nobody is at window 1, for 0:04:03 [snapshot, clip]",
        ),
        ({"data": {"no_clip": "the disk is full"}}, "raised", "nobody is at window 1 (no clip: the disk is full)"),
    ],
)
def test_it_tells_who_takes_care_how_long_it_was_and_what_proves_it(more, state, message):
    row = _row(TOPICS, {**ALERT, **more})
    assert (row[4], row[6]) == (state, message)
