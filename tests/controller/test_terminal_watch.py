"""What a terminal's state becomes: events, and alerts that call a person in time."""

from dataclasses import replace

import pytest

from hallctl.clock import ManualClock
from hallctl.controller.alerts import AlertBook
from hallctl.controller.watch import TerminalWatch
from hallctl.model import AlertState, FaultReport, Severity, TerminalState, TerminalStatus


@pytest.fixture
def bench():
    return Bench()


class Bench:
    def __init__(self):
        self.clock = ManualClock()
        self.alerts, self.events = [], []
        self.watch = TerminalWatch(
            commit=self.commit,
            publish=lambda _state: None,
            came_back=lambda _terminal: None,
            alerts=AlertBook([], self.raised, self.clock),
            clock=self.clock,
            offline_after_s=60,
        )
        self.state = TerminalState("p1", "escpos", TerminalStatus.ONLINE, self.clock.now())

    async def commit(self, event):
        self.events.append(event)

    async def raised(self, alert):
        self.alerts.append(alert)

    async def becomes(self, *faults):
        old, self.state = self.state, replace(self.state, faults=faults)
        await self.watch.changed(old, self.state)


async def test_paper_that_is_nearly_used_up_calls_somebody_before_a_citizen_stands_there_without_a_ticket(bench):
    near = FaultReport("paper.near_end", Severity.WARNING, "the roll is nearly used up", hint="keep a roll at hand")
    await bench.becomes(near)
    await bench.becomes(near)
    (alert,) = bench.alerts
    assert (alert.state, alert.severity, alert.data["code"]) == (AlertState.RAISED, Severity.WARNING, "paper.near_end")
    assert alert.data["hint"] == "keep a roll at hand"
    end = FaultReport("paper.end", Severity.ERROR, "there is no paper", hint="put in a roll")
    await bench.becomes(end)
    await bench.becomes()
    assert [(one.data["code"], one.severity, one.state) for one in bench.alerts[1:]] == [
        ("paper.end", Severity.ERROR, AlertState.RAISED),
        ("paper.near_end", Severity.WARNING, AlertState.CLEARED),
        ("paper.end", Severity.ERROR, AlertState.CLEARED),
    ]
