"""Alerts: raised once, acknowledged, cleared; a clip that comes late reopens nothing."""

import pytest

from hallctl.clock import ManualClock
from hallctl.controller.alerts import AlertBook
from hallctl.errors import RequestRefused
from hallctl.model import AlertKind, AlertState, Evidence, Severity

CLIP = Evidence("clip", "/x/w1-clip.mp4", 10, "ab", "video/mp4")


class Bench:
    def __init__(self, open_alerts=()):
        self.clock = ManualClock()
        self.committed = []
        self.book = AlertBook(list(open_alerts), self.commit, self.clock)

    async def commit(self, alert):
        self.committed.append(alert)

    async def raise_empty(self):
        return await self.book.raise_once(AlertKind.POST_EMPTY, "w1", "nobody is at window 1")


async def test_one_trouble_raises_one_alert():
    bench = Bench()
    assert await bench.raise_empty() == await bench.raise_empty()
    assert len(bench.committed) == 1


async def test_an_alert_of_an_earlier_boot_is_not_raised_again_and_can_be_cleared():
    old = await Bench().raise_empty()
    bench = Bench([old])
    assert (await bench.raise_empty()).id == old.id
    assert bench.committed == []
    cleared = await bench.book.clear(AlertKind.POST_EMPTY, "w1", data={"absent_s": 7})
    assert (cleared.state, cleared.data["absent_s"]) == (AlertState.CLEARED, 7)
    assert bench.book.open == ()


async def test_two_faults_of_one_terminal_are_two_alerts():
    bench = Bench()
    for code in ("paper.end", "cover.open"):
        await bench.book.raise_once(AlertKind.TERMINAL_FAULT, "printer-1", code, code=code)
    assert len({alert.id for alert in bench.book.open}) == 2
    await bench.book.clear(AlertKind.TERMINAL_FAULT, "printer-1", "paper.end")
    assert [alert.data["code"] for alert in bench.book.open] == ["cover.open"]


async def test_a_clip_that_comes_after_the_end_does_not_reopen_the_alert():
    bench = Bench()
    alert = await bench.raise_empty()
    await bench.book.clear(AlertKind.POST_EMPTY, "w1", data={"absent_s": 7})
    updated = await bench.book.add_evidence(alert.id, (CLIP,))
    assert (updated.state, updated.evidence, updated.data["absent_s"]) == (AlertState.CLEARED, (CLIP,), 7)
    assert bench.book.open == ()


async def test_a_clip_that_comes_while_the_alert_is_open_keeps_its_acknowledgement():
    bench = Bench()
    alert = await bench.raise_empty()
    await bench.book.acknowledge(alert.id, "大厅主管")
    updated = await bench.book.add_evidence(alert.id, (CLIP,))
    assert (updated.state, updated.data["acknowledged_by"]) == (AlertState.ACKNOWLEDGED, "大厅主管")


async def test_a_late_clip_of_the_last_absence_does_not_land_on_the_next_one():
    bench = Bench()
    first = await bench.raise_empty()
    await bench.book.clear(AlertKind.POST_EMPTY, "w1")
    await bench.clock.advance(60)
    second = await bench.raise_empty()
    await bench.book.add_evidence(first.id, (CLIP,))
    assert bench.book.find(AlertKind.POST_EMPTY, "w1") == second


async def test_an_alert_that_is_not_open_can_not_be_acknowledged():
    with pytest.raises(RequestRefused, match="a-9"):
        await Bench().book.acknowledge("a-9", "x")


async def test_an_id_is_one_topic_level_whatever_the_subject():
    bench = Bench()
    alert = await bench.book.raise_once(AlertKind.TERMINAL_FAULT, "p" * 63, "x", code="paper.near_end")
    assert len(alert.id) <= 63
    assert not set(alert.id) & set("/+#. ")


async def test_an_alert_that_nobody_takes_escalates_once_and_one_that_is_taken_does_not():
    bench = Bench()
    taken = await bench.raise_empty()
    await bench.book.acknowledge(taken.id, "李")
    await bench.book.raise_once(AlertKind.POST_EMPTY, "w2", "nobody is at window 2")
    await bench.clock.advance(599)
    await bench.book.escalate(AlertKind.POST_EMPTY, 600)
    assert [alert.severity for alert in bench.committed] == [Severity.ERROR] * 3
    await bench.clock.advance(1)
    for _ in range(3):
        await bench.book.escalate(AlertKind.POST_EMPTY, 600)
    assert [(alert.subject, alert.severity) for alert in bench.committed[3:]] == [("w2", Severity.CRITICAL)]
    assert bench.committed[-1].data["escalated_at"] == bench.clock.now().isoformat()
