"""What the centre believes: boots, leases, the AND of controller and terminal; duplicates and gaps."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hallctl.clock import ManualClock
from hallctl.fleet import AlertChanged, Arrived, ControllerChanged, ControllerView, EventFeed, Gap, HallReader
from hallctl.link import BrokerSettings, Message, Session, Topics
from hallctl.link.payloads import ControllerState, Envelope, TerminalPayload

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
TOPICS = Topics("gulou", "ctl-1")
SOURCE = TOPICS.prefix


def state(status: str = "online", boot: int = 7, **more: object) -> ControllerState:
    values = {"status": status, "boot": boot, "since": NOW, "at": NOW, "lease_s": 35, **more}
    return ControllerState.model_validate(values)


def terminal(status: str = "online", boot: int = 7, **more: object) -> TerminalPayload:
    values = {"terminal": "p1", "driver": "escpos", "status": status, "since": NOW, "boot": boot, **more}
    return TerminalPayload.model_validate(values)


def view(controller: ControllerState | None = None, device: TerminalPayload | None = None) -> ControllerView:
    found = ControllerView(TOPICS)
    if controller:
        found.take_state(controller, NOW)
    if device:
        found.take_terminal("p1", device)
    return found


def event(seq: int | None, id_: str = "") -> Envelope:
    return Envelope(id=id_ or f"ctl-1:7:{seq}", source=SOURCE, type="hallctl.event.x", time=NOW, boot=7, seq=seq)


def message(topic: str, payload: Envelope | ControllerState | TerminalPayload | None, retain: bool = False) -> Message:
    return Message(topic, payload.encode() if payload else b"", retain, 1, 1)


def reader(clock: ManualClock | None = None) -> HallReader:
    return HallReader(Session(BrokerSettings("127.0.0.1")), clock or ManualClock())


def test_a_controller_is_online_while_its_lease_holds() -> None:
    assert view(state()).status(NOW + timedelta(seconds=34)).status == "online"


@pytest.mark.rule("MQ-03")
def test_a_lease_that_has_run_out_is_offline_since_its_end() -> None:
    found = view(state()).status(NOW + timedelta(seconds=60))
    assert (found.status, found.reason, found.since) == ("offline", "lease.expired", NOW + timedelta(seconds=35))


@pytest.mark.rule("MQ-01")
def test_the_death_of_another_run_changes_nothing() -> None:
    found = view(state(boot=8))
    found.take_state(state("offline", boot=7), NOW)
    assert found.status(NOW).status == "online"


def test_the_death_of_this_run_is_believed_with_its_reason() -> None:
    dead = view(state())
    dead.take_state(state("offline", reason="stopped"), NOW)
    found = dead.status(NOW)
    assert (found.status, found.reason) == ("offline", "stopped")


def test_a_controller_that_never_spoke_is_unknown() -> None:
    assert view().status(NOW).status == "unknown"


@pytest.mark.rule("MQ-04")
def test_a_terminal_is_offline_when_its_controller_is_whatever_it_said_last() -> None:
    found = view(state("offline", reason="connection_lost"), terminal()).terminal("p1", NOW)
    assert (found.status, found.reason) == ("offline", "controller.offline")
    assert "online" in found.hint


def test_a_terminal_of_an_earlier_run_is_unknown_until_it_is_spoken_of_again() -> None:
    found = view(state(boot=8), terminal(boot=7)).terminal("p1", NOW)
    assert (found.status, found.reason) == ("unknown", "state.stale")


@pytest.mark.rule("MQ-04")
def test_a_terminals_own_word_counts_while_its_controller_is_online() -> None:
    found = view(state(), terminal("offline", reason="port.lost", hint="plug it in")).terminal("p1", NOW)
    assert (found.status, found.reason, found.hint) == ("offline", "port.lost", "plug it in")


def test_an_emptied_topic_takes_the_terminal_away() -> None:
    found = view(state(), terminal())
    found.take_terminal("p1", None)
    assert not found.terminals


@pytest.mark.rule("MQ-21")
def test_an_event_that_comes_twice_is_given_once() -> None:
    feed = EventFeed()
    assert feed.take(event(1)) == [Arrived(event(1))]
    assert feed.take(event(1)) == []


def test_missing_numbers_are_a_gap_and_their_replay_is_late() -> None:
    feed = EventFeed()
    feed.take(event(1))
    assert feed.take(event(5)) == [Gap(SOURCE, 2, 4), Arrived(event(5))]
    assert feed.take(event(3)) == [Arrived(event(3), late=True)]
    assert feed.take(event(6)) == [Arrived(event(6))]


@pytest.mark.rule("MQ-07")
def test_a_trailing_gap_is_seen_one_heartbeat_later() -> None:
    feed = EventFeed()
    feed.take(event(1))
    assert feed.heartbeat(SOURCE, 3) == []
    assert feed.heartbeat(SOURCE, 3) == [Gap(SOURCE, 2, 3)]
    assert feed.heartbeat(SOURCE, 3) == []


def of_boot(boot: int, seq: int) -> Envelope:
    return event(seq, f"ctl-1:{boot}:{seq}").model_copy(update={"boot": boot})


def test_a_box_that_was_restored_counts_from_the_backup_on_and_nothing_of_it_is_taken_for_a_replay() -> None:
    feed = EventFeed()
    for seq in (500, 501):
        feed.take(of_boot(7, seq))
    assert feed.heartbeat(SOURCE, 300, 1_795_796_027) == []
    assert feed.take(of_boot(1_795_796_027, 301)) == [Arrived(of_boot(1_795_796_027, 301))]
    assert feed.take(of_boot(1_795_796_027, 303)) == [Gap(SOURCE, 302, 302), Arrived(of_boot(1_795_796_027, 303))]


def test_an_ordinary_restart_goes_on_counting_and_a_hole_before_it_is_still_seen() -> None:
    feed = EventFeed()
    feed.take(of_boot(7, 100))
    assert feed.take(of_boot(8, 103)) == [Gap(SOURCE, 101, 102), Arrived(of_boot(8, 103))]
    assert feed.take(of_boot(7, 101)) == [Arrived(of_boot(7, 101), late=True)]


def test_a_reader_that_comes_late_does_not_call_the_past_a_gap() -> None:
    feed = EventFeed()
    feed.heartbeat(SOURCE, 1000)
    assert feed.take(event(1001)) == [Arrived(event(1001))]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=80))
def test_every_number_arrives_once_or_lies_in_a_gap(numbers: list[int]) -> None:
    feed = EventFeed()
    arrived: list[int] = []
    gaps: set[int] = set()
    for number in numbers:
        for found in feed.take(event(number)):
            if isinstance(found, Gap):
                assert not gaps & set(range(found.first, found.last + 1))
                gaps |= set(range(found.first, found.last + 1))
            else:
                arrived.append(found.envelope.seq or 0)
    assert sorted(arrived) == sorted(set(numbers))
    assert set(range(numbers[0], max(numbers) + 1)) <= set(arrived) | gaps


def test_the_reader_folds_states_events_and_alerts() -> None:
    found = reader()
    assert found.take(message(TOPICS.state, state())) == [ControllerChanged(TOPICS)]
    alert = event(1).model_copy(update={"data": {"id": "a-1", "state": "raised"}})
    assert found.take(message(TOPICS.alert("a-1"), alert)) == [AlertChanged(TOPICS, "a-1", alert.data)]
    assert set(found.controllers[TOPICS].alerts) == {"a-1"}
    cleared = event(2).model_copy(update={"data": {"id": "a-1", "state": "cleared"}})
    found.take(message(TOPICS.alert("a-1"), cleared))
    assert not found.controllers[TOPICS].alerts


def test_the_emptied_topic_of_an_alert_closes_it() -> None:
    found = reader()
    found.take(message(TOPICS.alert("a-1"), event(1).model_copy(update={"data": {"state": "raised"}})))
    assert found.take(message(TOPICS.alert("a-1"), None)) == [AlertChanged(TOPICS, "a-1", None)]
    assert not found.controllers[TOPICS].alerts


def test_an_alert_that_is_published_again_after_a_connect_is_no_news() -> None:
    found = reader()
    body = {"id": "a-1", "state": "raised"}
    assert found.take(message(TOPICS.alert("a-1"), event(1).model_copy(update={"data": body})))
    assert (
        found.take(message(TOPICS.alert("a-1"), event(None, "ctl-1:a-1:raised").model_copy(update={"data": body})))
        == []
    )


@pytest.mark.parametrize("heartbeat_first", [True, False])
def test_every_alert_that_the_broker_keeps_is_open_whenever_it_was_raised(heartbeat_first: bool) -> None:
    found = reader()
    kept = [
        message(TOPICS.alert(f"a-{n}"), event(n).model_copy(update={"data": {"id": f"a-{n}", "state": "raised"}}), True)
        for n in (3, 40, 46)
    ]
    heartbeat = message(TOPICS.state, state(last_seq=46), True)
    messages = [heartbeat, *kept] if heartbeat_first else [*kept, heartbeat]
    changes = [change for one in messages for change in found.take(one)]
    assert set(found.controllers[TOPICS].alerts) == {"a-3", "a-40", "a-46"}
    assert [change for change in changes if isinstance(change, Gap)] == []
    assert found.take(message(TOPICS.event("x"), event(47))) == [Arrived(event(47))]


def test_a_retained_heartbeat_is_as_old_as_it_says_and_a_live_one_is_new() -> None:
    clock = ManualClock(NOW + timedelta(seconds=60))
    found = reader(clock)
    found.take(message(TOPICS.state, state(), retain=True))
    assert found.controllers[TOPICS].status(clock.now()).reason == "lease.expired"
    found.take(message(TOPICS.state, state()))
    assert found.controllers[TOPICS].status(clock.now()).status == "online"


def test_what_can_not_be_read_changes_nothing_and_is_counted() -> None:
    found = reader()
    assert found.take(Message(TOPICS.state, b"{", False, 1, 1)) == []
    assert found.take(Message(TOPICS.terminal("p1"), b'{"terminal": 5}', False, 1, 1)) == []
    assert found.take(Message("other/topic", b"{}", False, 1, 1)) == []
    assert found.unreadable == 2
