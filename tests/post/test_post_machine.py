"""The post's state machine: examples of each rule, and properties over random histories."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from hallctl.config.hall import Attendance
from hallctl.model import PostState
from hallctl.post.machine import (
    ClearBlind,
    ClearEmpty,
    Effect,
    Left,
    PostMachine,
    RaiseBlind,
    RaiseEmpty,
    Returned,
)

RULES = Attendance(grace_s=30, return_after_s=5, blind_after_s=20)
START = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
Step = tuple[str, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["person", "nobody", "nobody", "blind", "tick", "off", "pause", "resume", "restart"]),
        st.integers(min_value=0, max_value=40),
    ),
    max_size=60,
)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def watch(machine: PostMachine, score: float | None, seconds: range) -> list[Effect]:
    effects: list[Effect] = []
    for second in seconds:
        effects += machine.observe(score, at(second)) + machine.tick(at(second), True)
    return effects


def of(kind: type, effects: list[Effect]) -> list[Effect]:
    return [one for one in effects if isinstance(one, kind)]


def test_one_missed_detection_is_no_departure() -> None:
    machine = PostMachine(RULES)
    watch(machine, 0.9, range(0, 10, 2))
    assert not of(Left, watch(machine, 0.0, range(10, 11)))
    watch(machine, 0.9, range(12, 13))
    assert not of(Left, watch(machine, 0.0, range(14, 15)))
    assert machine.state is PostState.PRESENT


def test_an_absence_counts_from_when_somebody_was_last_seen_and_ends_with_its_length() -> None:
    machine = PostMachine(RULES)
    watch(machine, 0.9, range(0, 10, 2))
    gone = watch(machine, 0.1, range(10, 60, 2))
    assert of(Left, gone) == [Left(at(8))]
    assert [one.since for one in gone if isinstance(one, RaiseEmpty)] == [at(8)]
    back = watch(machine, 0.9, range(60, 70, 2))
    assert of(Returned, back) == [Returned(52.0)]
    assert of(ClearEmpty, back) == [ClearEmpty(52.0)]


def test_a_camera_that_cannot_see_is_blind_and_never_absent() -> None:
    machine = PostMachine(RULES)
    watch(machine, 0.9, range(0, 10, 2))
    effects = watch(machine, None, range(10, 200, 2))
    assert machine.state is PostState.BLIND
    assert len(of(RaiseBlind, effects)) == 1
    assert not of(RaiseEmpty, effects)
    assert len(of(ClearBlind, watch(machine, 0.9, range(200, 202)))) == 1


def test_a_restart_in_an_absence_raises_no_second_alert() -> None:
    machine = PostMachine(RULES)
    watch(machine, 0.9, range(0, 10, 2))
    assert len(of(RaiseEmpty, watch(machine, 0.0, range(10, 60, 2)))) == 1
    again = PostMachine.from_dict(RULES, machine.to_dict())
    assert not of(RaiseEmpty, watch(again, 0.0, range(60, 300, 2)))
    assert len(of(ClearEmpty, watch(again, 0.9, range(300, 310, 2)))) == 1


def play(steps: list[Step]) -> list[tuple[str, datetime, PostState, Effect]]:
    """Every effect with the step that caused it, its time and the state before the step."""
    machine, now, seen = PostMachine(RULES), START, []
    for name, wait in steps:
        now += timedelta(seconds=wait)
        before = machine.state
        match name:
            case "person" | "nobody" | "blind":
                effects = machine.observe({"person": 0.9, "nobody": 0.0, "blind": None}[name], now, "dark")
            case "tick" | "off":
                effects = machine.tick(now, name == "tick")
            case "pause":
                effects = machine.pause("lunch", now)
            case "resume":
                effects = machine.resume(now)
            case _:
                machine, effects = PostMachine.from_dict(RULES, machine.to_dict()), []
        seen += [(name, now, before, effect) for effect in effects]
    return seen


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_alerts_open_and_close_by_turns_whatever_happens(steps: list[Step]) -> None:
    is_open = {"empty": False, "blind": False}
    for _, _, _, effect in play(steps):
        match effect:
            case RaiseEmpty() | RaiseBlind():
                kind = "empty" if isinstance(effect, RaiseEmpty) else "blind"
                assert not is_open[kind]
                is_open[kind] = True
            case ClearEmpty() | ClearBlind():
                kind = "empty" if isinstance(effect, ClearEmpty) else "blind"
                assert is_open[kind]
                is_open[kind] = False


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_an_empty_post_is_an_alert_only_after_the_grace_on_duty_unpaused_and_seen(steps: list[Step]) -> None:
    for step, now, before, effect in play(steps):
        if isinstance(effect, RaiseEmpty):
            assert step == "tick"
            assert before is PostState.ABSENT
            assert (now - effect.since).total_seconds() >= RULES.grace_s
