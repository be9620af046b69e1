"""The supervisor: every way a driver can fail, and that none is silent or lasting."""

import asyncio
import contextlib

import pytest
import structlog

from hallctl.clock import ManualClock
from hallctl.driver import Health, TerminalDriver
from hallctl.errors import (
    DriverBug,
    Fault,
    NothingDone,
    RemoteCodecError,
    TerminalBusy,
    TerminalOffline,
    TransportLost,
    TransportTimeout,
    TransportUnavailable,
    Withdrawn,
)
from hallctl.model import EventType, FaultReport, Severity, TerminalStatus
from hallctl.terminal.backoff import BackOff
from hallctl.terminal.changes import events_of
from hallctl.terminal.supervisor import TerminalSupervisor

PAPER_END = FaultReport("paper.end", Severity.ERROR, "no paper", "put in a roll")


class ScriptedDriver(TerminalDriver):
    """A driver whose fate the test decides."""

    poll_every_s = 2.0

    def __init__(self) -> None:
        self.health = Health()
        self.start_error: Exception | None = None
        self.poll_error: Exception | None = None
        self.starts = 0
        self.stops = 0
        self.busy = 0

    async def start(self, connection):
        self.starts += 1
        if self.start_error:
            raise self.start_error

    async def poll(self):
        assert not self.busy, "poll overlaps an action"
        if self.poll_error:
            error, self.poll_error = self.poll_error, None
            raise error
        return self.health

    async def stop(self):
        self.stops += 1


class Bench:
    """A supervisor on a manual clock, with what it reported."""

    def __init__(self, **options) -> None:
        self.clock = ManualClock()
        self.driver = ScriptedDriver()
        self.connect_error: Exception | None = None
        self.open_ports = 0
        self.changes = []
        self.task = None
        self.supervisor = TerminalSupervisor(
            "printer-1",
            "scripted",
            self.driver,
            self.connect,
            clock=self.clock,
            log=structlog.get_logger(),
            on_state=self.on_state,
            back_off=BackOff(1.0, 8.0),
            **options,
        )

    async def advance(self, seconds):
        """Start supervising at the first call, then let time pass."""
        if self.task is None:
            self.task = asyncio.create_task(self.supervisor.run())
        await self.clock.advance(seconds)

    async def end(self):
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.task
        assert self.open_ports == 0

    @contextlib.asynccontextmanager
    async def connect(self):
        if self.connect_error:
            raise self.connect_error
        self.open_ports += 1
        try:
            yield None
        finally:
            self.open_ports -= 1

    async def on_state(self, old, new):
        self.changes.append((old, new))

    @property
    def events(self):
        return [event.type for old, new in self.changes for event in events_of(old, new)]

    @property
    def state(self):
        return self.supervisor.state


@pytest.fixture
async def bench():
    bench = Bench(waiting_limit=2)
    yield bench
    await bench.end()


@pytest.fixture
async def make_bench():
    made = []

    def make(**options):
        made.append(Bench(**options))
        return made[-1]

    yield make
    for one in made:
        await one.end()


async def test_a_good_terminal_comes_online_once(bench):
    await bench.advance(10)
    assert bench.state.status is TerminalStatus.ONLINE
    assert bench.events == [EventType.TERMINAL_ONLINE]
    assert bench.supervisor.first_pass.is_set()


async def test_an_absent_port_is_a_state_with_its_reason_and_is_tried_again(bench):
    bench.connect_error = TransportUnavailable("/dev/ttyUSB7 is not there", code="port.absent", hint="plug it in")
    await bench.advance(60)
    assert (bench.state.status, bench.state.reason, bench.state.hint) == (
        TerminalStatus.OFFLINE,
        "port.absent",
        "plug it in",
    )
    assert bench.events == [EventType.TERMINAL_OFFLINE]
    bench.connect_error = None
    await bench.advance(9)
    assert bench.state.status is TerminalStatus.ONLINE


async def test_a_lost_port_is_closed_and_opened_again(bench):
    await bench.advance(1)
    bench.driver.poll_error = TransportLost("unplugged")
    await bench.advance(1)
    assert (bench.state.status, bench.state.reason) == (TerminalStatus.OFFLINE, "port.lost")
    assert bench.open_ports == 0
    await bench.advance(9)
    assert bench.state.status is TerminalStatus.ONLINE
    assert bench.driver.starts == 2


async def test_a_driver_that_raises_rubbish_is_a_state_not_a_crash(bench):
    bench.driver.start_error = ZeroDivisionError("oh")
    await bench.advance(1)
    assert (bench.state.status, bench.state.reason) == (TerminalStatus.OFFLINE, "driver.bug")
    bench.driver.start_error = None
    await bench.advance(9)
    assert bench.state.status is TerminalStatus.ONLINE


async def test_a_fault_is_raised_once_keeps_its_since_and_is_cleared(bench):
    await bench.advance(1)
    bench.driver.health = Health(faults=(PAPER_END,))
    await bench.advance(2)
    since = bench.state.faults[0].since
    await bench.advance(20)
    assert bench.state.faults[0].since == since
    assert not bench.state.ready
    bench.driver.health = Health()
    await bench.advance(2)
    assert bench.events == [EventType.TERMINAL_ONLINE, EventType.FAULT_RAISED, EventType.FAULT_CLEARED]


async def test_a_fault_that_outlives_an_outage_is_not_raised_again(bench):
    bench.driver.health = Health(faults=(PAPER_END,))
    await bench.advance(1)
    bench.driver.poll_error = TransportLost("unplugged")
    await bench.advance(12)
    assert bench.state.status is TerminalStatus.ONLINE
    assert bench.events.count(EventType.FAULT_RAISED) == 1


async def test_what_is_asked_of_an_offline_terminal_is_refused_with_the_reason(bench):
    bench.connect_error = TransportUnavailable("refused", code="port.refused")
    await bench.advance(1)
    with pytest.raises(TerminalOffline) as caught:
        await bench.supervisor.act(lambda driver: asyncio.sleep(0))
    assert caught.value.code == "port.refused"


async def test_actions_run_one_at_a_time_and_the_queue_is_bounded(bench):
    await bench.advance(1)
    gate = asyncio.Event()

    async def slow(driver):
        driver.busy += 1
        assert driver.busy == 1
        await gate.wait()
        driver.busy -= 1
        return "done"

    running = [asyncio.create_task(bench.supervisor.act(slow)) for _ in range(2)]
    await bench.advance(5)
    with pytest.raises(TerminalBusy):
        await bench.supervisor.act(slow)
    gate.set()
    assert await asyncio.gather(*running) == ["done", "done"]


async def test_an_action_that_lasts_too_long_times_out_and_recycles_the_session(bench):
    await bench.advance(1)
    action = asyncio.create_task(bench.supervisor.act(lambda driver: asyncio.Event().wait(), timeout_s=5))
    await bench.advance(5)
    with pytest.raises(TransportTimeout):
        await action
    assert bench.state.status is TerminalStatus.OFFLINE
    await bench.advance(9)
    assert bench.state.status is TerminalStatus.ONLINE


async def test_garbage_during_an_action_recycles_the_session_but_a_refusal_does_not(bench):
    await bench.advance(1)

    async def refused(driver):
        raise Fault("paper.end", "no paper")

    async def garbage(driver):
        raise RemoteCodecError("what was that")

    with pytest.raises(Fault):
        await bench.supervisor.act(refused)
    await bench.clock.settle()
    assert bench.state.status is TerminalStatus.ONLINE
    with pytest.raises(RemoteCodecError):
        await bench.supervisor.act(garbage)
    await bench.clock.settle()
    assert (bench.state.status, bench.state.reason) == (TerminalStatus.OFFLINE, "device.garbage")


async def test_a_stopped_supervisor_lets_the_driver_say_good_bye():
    bench = Bench()
    await bench.advance(1)
    await bench.end()
    assert bench.driver.stops == 1


def test_the_waits_between_attempts_grow_to_their_bound_with_jitter():
    back_off = BackOff(1.0, 8.0)
    for failures, whole in ((1, 1.0), (2, 2.0), (4, 8.0), (40, 8.0)):
        waits = {back_off.wait_s(failures) for _ in range(50)}
        assert len(waits) > 1
        assert all(whole * 2 / 3 <= wait <= whole for wait in waits)


async def test_a_device_that_is_plugged_in_ends_the_back_off_and_the_next_failure_is_a_first_one(make_bench):
    plugged = False
    bench = make_bench(plugged=lambda: plugged)
    bench.connect_error = TransportUnavailable("not there", code="port.absent")
    await bench.advance(120)  # long enough for the longest back-off
    await bench.advance(0.1)
    plugged = True
    bench.connect_error = None
    await bench.advance(0.6)
    assert bench.state.status is TerminalStatus.ONLINE


async def test_a_device_that_failed_before_anything_was_sent_is_opened_again(bench):
    await bench.advance(1)

    async def refuses(driver):
        raise NothingDone("half open", code="device.mute")

    with pytest.raises(NothingDone):
        await bench.supervisor.act(refuses)
    await bench.advance(0)
    assert (bench.state.status, bench.state.reason) == (TerminalStatus.OFFLINE, "device.mute")
    await bench.advance(9)
    assert bench.driver.starts == 2


async def test_a_driver_that_asks_for_attention_is_polled_at_once(bench):
    bench.driver.poll_every_s = 300.0
    bench.driver.attention = asyncio.Event()
    await bench.advance(1)
    bench.driver.health = Health(faults=(PAPER_END,))
    await bench.advance(10)
    assert bench.state.faults == ()
    bench.driver.attention.set()
    await bench.advance(0.2)
    assert [fault.code for fault in bench.state.faults] == ["paper.end"]
    bench.driver.health = Health()
    await bench.advance(299)
    assert bench.state.faults, "one request is one poll"
    await bench.advance(2)
    assert bench.state.faults == ()


async def test_an_action_that_raises_rubbish_is_told_as_a_bug_of_the_driver_and_ends_the_session(bench):
    await bench.advance(1)

    async def rubbish(driver):
        raise ValueError("oh")

    with pytest.raises(DriverBug, match="ValueError"):
        await bench.supervisor.act(rubbish)
    await bench.advance(0)
    assert (bench.state.status, bench.state.reason) == (TerminalStatus.OFFLINE, "driver.bug")


async def test_a_poll_that_made_way_for_a_call_is_no_fault(bench):
    await bench.advance(1)
    bench.driver.poll_error = Withdrawn("the poll made way")
    await bench.advance(2)
    assert bench.state.status is TerminalStatus.ONLINE
    assert bench.driver.starts == 1
