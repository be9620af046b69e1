"""The post's state machine: examples of each rule, and properties over random histories."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from hallctl.config.posts import Attendance
from hallctl.model import PostState
from hallctl.post import Look, PostMachine
from hallctl.post.machine import (
    ClearEmpty,
    Effect,
    Left,
    PauseOver,
    RaiseEmpty,
    Returned,
    StateChanged,
    Suspect,
    Unsuspect,
)

RULES = Attendance(grace_s=30, return_after_s=5, blind_after_s=20, pause_max_s=300)
START = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
Step = tuple[str, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["person", "nobody", "nobody", "blind", "doubt", "tick", "off", "pause", "resume", "restart"]),
        st.integers(min_value=0, max_value=40),
    ),
    max_size=60,
)
PERSON = {"person": True, "nobody": False, "blind": None, "doubt": None}


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def look(kind: str, moment: datetime) -> Look:
    score = {"person": 0.9, "nobody": 0.0}.get(kind)
    return Look(moment, PERSON[kind], score, "dark" if kind == "blind" else "")


def watch(machine: PostMachine, kind: str, seconds: range) -> list[Effect]:
    effects: list[Effect] = []
    for second in seconds:
        effects += machine.observe(look(kind, at(second))) + machine.tick(at(second), True)
    return effects


def of(kind: type, effects: list[Effect]) -> list[Effect]:
    return [one for one in effects if isinstance(one, kind)]


def test_one_missed_detection_is_no_departure_and_one_false_one_no_return() -> None:
    machine = PostMachine(RULES)
    watch(machine, "person", range(0, 10, 2))
    assert not of(StateChanged, watch(machine, "nobody", range(10, 11)))
    watch(machine, "person", range(12, 13))
    assert not of(StateChanged, watch(machine, "nobody", range(14, 15)))
    assert machine.state is PostState.PRESENT
    watch(machine, "nobody", range(16, 20, 2))
    assert machine.state is PostState.ABSENT
    assert not of(StateChanged, watch(machine, "person", range(20, 21)))
    assert machine.state is PostState.ABSENT


def test_an_absence_counts_from_the_first_look_that_saw_nobody_and_ends_with_its_length() -> None:
    machine = PostMachine(RULES)
    watch(machine, "person", range(0, 10, 2))
    gone = watch(machine, "nobody", range(10, 60, 2))
    assert of(Left, gone) == [Left(at(10), at(8))]
    assert of(Suspect, gone) == [Suspect(at(10))]
    assert [(one.since, one.last_seen) for one in gone if isinstance(one, RaiseEmpty)] == [(at(10), at(8))]
    back = watch(machine, "person", range(60, 70, 2))
    assert of(Returned, back) == [Returned(50.0)]
    assert of(ClearEmpty, back) == [ClearEmpty(50.0, "returned")]


def test_a_state_tells_since_when_it_is_so_and_when_that_was_certain() -> None:
    machine = PostMachine(RULES)
    watch(machine, "person", range(0, 4, 2))
    (left,) = of(StateChanged, watch(machine, "nobody", range(4, 10, 2)))
    assert (left.since, left.at) == (at(4), at(6))
    (back,) = of(StateChanged, watch(machine, "person", range(10, 20, 2)))
    assert (back.since, back.at) == (at(10), at(12))


def test_somebody_who_only_passes_by_does_not_end_an_absence() -> None:
    machine = PostMachine(RULES)
    watch(machine, "person", range(0, 4, 2))
    watch(machine, "nobody", range(4, 20, 2))
    passing = watch(machine, "person", range(20, 24, 1))  # 3 s, below return_after_s
    assert not of(Returned, passing)
    effects = watch(machine, "nobody", range(24, 60, 2))
    assert [one.since for one in effects if isinstance(one, RaiseEmpty)] == [at(4)]
    assert not of(Left, effects)


def test_who_is_back_within_the_grace_leaves_no_suspicion() -> None:
    machine = PostMachine(RULES)
    watch(machine, "person", range(0, 4, 2))
    watch(machine, "nobody", range(4, 20, 2))
    assert of(Unsuspect, watch(machine, "person", range(20, 30, 2)))
    assert not machine.suspect


def test_a_camera_that_cannot_see_is_blind_and_never_absent() -> None:
    machine = PostMachine(RULES)
    watch(machine, "person", range(0, 10, 2))
    effects = watch(machine, "blind", range(10, 200, 2))
    assert machine.state is PostState.BLIND
    assert not of(RaiseEmpty, effects)
    assert not of(Left, effects)


def test_what_happened_while_the_camera_was_blind_is_not_held_against_anybody() -> None:
    machine = PostMachine(RULES)
    watch(machine, "person", range(0, 4, 2))
    watch(machine, "nobody", range(4, 20, 2))
    watch(machine, "blind", range(20, 100, 2))
    effects = watch(machine, "nobody", range(100, 140, 2))
    raised = [one for one in effects if isinstance(one, RaiseEmpty)]
    assert [one.since for one in raised] == [at(100)]


def test_who_came_back_just_before_the_camera_went_blind_has_come_back() -> None:
    machine = PostMachine(RULES)
    watch(machine, "person", range(0, 4, 2))
    assert of(RaiseEmpty, watch(machine, "nobody", range(4, 50, 2)))
    watch(machine, "person", range(50, 54, 2))
    cleared = of(ClearEmpty, watch(machine, "blind", range(54, 100, 2)))
    assert [(one.absent_s, one.why) for one in cleared] == [(46.0, "returned")]
    raised = of(RaiseEmpty, watch(machine, "nobody", range(100, 140, 2)))
    assert [one.since for one in raised] == [at(100)]


def test_doubtful_looks_neither_make_nor_end_an_absence() -> None:
    machine = PostMachine(RULES)
    watch(machine, "person", range(0, 4, 2))
    for second in range(4, 100, 4):
        machine.observe(look("nobody", at(second)))
        machine.observe(look("doubt", at(second + 2)))
    assert machine.state is PostState.PRESENT


def test_a_pause_excuses_for_so_long_and_then_the_grace_begins() -> None:
    machine = PostMachine(RULES)
    watch(machine, "person", range(0, 4, 2))
    machine.pause("window", at(4))
    effects = watch(machine, "nobody", range(5, 307, 2))
    assert [round(one.paused_s) for one in of(PauseOver, effects)] == [301]
    assert not of(RaiseEmpty, effects)
    effects = watch(machine, "nobody", range(307, 347, 2))
    (raised,) = of(RaiseEmpty, effects)
    assert (raised.overrun, (at(307) - raised.since).total_seconds()) == (True, 2)
    assert not of(ClearEmpty, machine.resume(at(347)))


def test_the_end_of_duty_ends_an_alert_and_the_next_day_begins_anew() -> None:
    machine = PostMachine(RULES)
    watch(machine, "nobody", range(0, 40, 2))
    assert of(ClearEmpty, machine.tick(at(40), False)) == [ClearEmpty(40.0, "off_duty")]
    for second in range(42, 1000, 2):
        machine.observe(look("nobody", at(second)))
        assert not of(RaiseEmpty, machine.tick(at(second), False))
    raised = [one for one in watch(machine, "nobody", range(1000, 1040, 2)) if isinstance(one, RaiseEmpty)]
    assert [one.since for one in raised] == [at(1000)]


def test_a_restart_in_an_absence_raises_no_second_alert() -> None:
    machine = PostMachine(RULES)
    watch(machine, "person", range(0, 10, 2))
    assert len(of(RaiseEmpty, watch(machine, "nobody", range(10, 60, 2)))) == 1
    again = PostMachine.from_dict(RULES, machine.to_dict(), at(60))
    assert not of(RaiseEmpty, watch(again, "nobody", range(60, 300, 2)))
    assert len(of(ClearEmpty, watch(again, "person", range(300, 310, 2)))) == 1


def test_a_short_restart_does_not_begin_the_grace_anew_but_a_long_break_does() -> None:
    for back, since in ((24, 10), (300, 300)):
        machine = PostMachine(RULES)
        watch(machine, "person", range(0, 10, 2))
        watch(machine, "nobody", range(10, 20, 2))
        again = PostMachine.from_dict(RULES, machine.to_dict(), at(back))
        raised = [one for one in watch(again, "nobody", range(back, back + 60, 2)) if isinstance(one, RaiseEmpty)]
        assert [one.since for one in raised] == [at(since)]


def test_a_clock_that_jumps_raises_no_alert_before_the_grace_has_passed() -> None:
    for jump in (3600, -3600):
        machine = PostMachine(RULES)
        watch(machine, "person", range(0, 4, 2))
        watch(machine, "nobody", range(4, 20, 2))
        effects = watch(machine, "nobody", range(20 + jump, 45 + jump, 2))
        assert not of(RaiseEmpty, effects)
        raised = of(RaiseEmpty, watch(machine, "nobody", range(46 + jump, 60 + jump, 2)))
        assert [one.since for one in raised] == [at(20 + jump)]


def play(steps: list[Step]) -> list[tuple[str, datetime, PostState, Effect]]:
    """Every effect with the step that caused it, its time and the state before the step."""
    machine, now, seen = PostMachine(RULES), START, []
    for name, wait in steps:
        now += timedelta(seconds=wait)
        before = machine.state
        match name:
            case "person" | "nobody" | "blind" | "doubt":
                effects = machine.observe(look(name, now))
            case "tick" | "off":
                effects = machine.tick(now, name == "tick")
            case "pause":
                effects = machine.pause("lunch", now)
            case "resume":
                effects = machine.resume(now)
            case _:
                machine, effects = PostMachine.from_dict(RULES, machine.to_dict(), now), []
        seen += [(name, now, before, effect) for effect in effects]
    return seen


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_alerts_and_suspicions_open_and_close_by_turns_whatever_happens(steps: list[Step]) -> None:
    alert = suspect = False
    for _, _, _, effect in play(steps):
        match effect:
            case RaiseEmpty():
                assert suspect
                assert not alert
                alert, suspect = True, False
            case ClearEmpty():
                assert alert
                alert = False
            case Suspect():
                assert not suspect
                suspect = True
            case Unsuspect():
                assert suspect
                suspect = False


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_an_empty_post_is_an_alert_only_after_the_grace_on_duty_unpaused_and_seen(steps: list[Step]) -> None:
    for step, now, before, effect in play(steps):
        if isinstance(effect, RaiseEmpty):
            assert step in ("tick", "nobody")
            assert before is not PostState.PAUSED
            assert (now - effect.since).total_seconds() >= RULES.grace_s
