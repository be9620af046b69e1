"""The rollout's engine: waves, abort and going back, whatever controllers do and wherever the desk dies."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hallctl.fleet.rollout import Rollout
from hallctl.fleet.rollout_values import (
    Aborted,
    Finished,
    Judged,
    Plan,
    Prepare,
    Progress,
    Save,
    Send,
    TakeBack,
    WaveBegun,
    wave_sizes,
)
from hallctl.link.configuration import ApplyStatus, HealthRule, Mistake, Reported
from hallctl.link.rollouts import Fate, RolloutPhase, RolloutRules, TargetRow, WayBack

NEW, OLD = "a" * 64, "b" * 64
AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
BEHAVIOURS = ("apply", "apply", "apply", "apply", "partial", "reject", "roll_back", "mute", "vanish", "offline", "slow")
DELAYS = {"slow": 5, "vanish": 1}


@dataclass
class Box:
    """A controller as far as the engine can see it; it never does anything but by its nature."""

    target: TargetRow
    nature: str
    online: bool = True
    desired: int = 0
    runs: str = OLD
    gave: list[tuple[int, Reported]] = field(default_factory=list)

    def take(self, version: int, document: str, now: int) -> None:
        if version < self.desired or not self.online:
            self.desired = max(version, self.desired)
            return
        self.desired = version
        back = document == self.target.previous
        nature = "apply" if back and self.nature != "mute" else self.nature
        status = {"partial": ApplyStatus.PARTIAL, "reject": ApplyStatus.REJECTED, "roll_back": ApplyStatus.ROLLED_BACK}
        if nature == "mute":
            return
        if nature == "vanish":
            self.online = False
            return
        answer = status.get(nature, ApplyStatus.APPLIED)
        if answer in (ApplyStatus.APPLIED, ApplyStatus.PARTIAL):
            self.runs = document
        report = Reported(boot=1, at=AT, status=answer, desired_version=version, desired_hash=document)
        self.gave.append((now + DELAYS.get(nature, 0), report))


class World:
    """Boxes, time, and a desk that may die between any two of its acts."""

    def __init__(self, natures: list[str], rules: RolloutRules) -> None:
        targets = [
            TargetRow(site="s", controller=f"box-{n}", version=5, document=NEW, previous_version=4, previous=OLD)
            for n, _ in enumerate(natures)
        ]
        self.boxes = {
            t.topics: Box(t, nature, online=nature != "offline") for t, nature in zip(targets, natures, strict=True)
        }
        targets.sort(key=lambda t: not self.boxes[t.topics].online)
        offline = natures.count("offline")
        waves = wave_sizes(len(natures) - offline, offline, rules.first, rules.grow)
        self.plan = Plan(tuple(targets), waves, rules, HealthRule(window_s=2))
        self.now = 0
        self.saved = Progress()
        self.begun: set[int] = set()
        self.last: dict[object, Reported] = {}
        self.acts = 0
        self.rollout = self.desk()

    def desk(self) -> Rollout:
        return Rollout(self.plan, lambda topics: self.boxes[topics].online, self.saved)

    def run(self, deaths: frozenset[int] = frozenset()) -> Rollout:
        effects = self.rollout.start(self.now)
        for _ in range(2000):
            effects = self.carry_out(effects, deaths)
            if self.rollout.phase.over and not effects:
                return self.rollout
            self.now += 1
            effects += self.hear() + self.rollout.tick(self.now)
        raise AssertionError(f"it never ends: {self.rollout.phase} {self.rollout.counts}")

    def carry_out(self, effects: list, deaths: frozenset[int]) -> list:
        for effect in effects:
            self.acts += 1
            if self.acts in deaths:  # the desk dies before this act; another one takes the rollout up
                self.rollout = self.desk()
                again = [e for t, r in self.last.items() for e in self.rollout.heard(t, r, self.now)]
                return [*again, *self.rollout.start(self.now)]
            self.act(effect)
        return []

    def act(self, effect: object) -> None:
        match effect:
            case Save(phase=phase, wave=wave, reason=reason):
                fates = {one.topics: (one.fate, one.way_back) for one in self.rollout.standings}
                self.saved = Progress(phase, wave, reason, fates)
            case Send(targets=targets):
                reach = self.plan.targets[: sum(self.plan.waves[: self.saved.wave + 1])]
                assert {t.controller for t in targets} <= {t.controller for t in reach}, (
                    "sent before its wave was saved"
                )
                for target in targets:
                    self.boxes[target.topics].take(target.version, target.document, self.now)
            case TakeBack(targets=targets):
                assert self.saved.phase is not RolloutPhase.RUNNING
                for target in targets:
                    self.boxes[target.topics].take(target.version + 1, target.previous, self.now)
            case WaveBegun(index=index):
                self.begun.add(index)

    def hear(self) -> list:
        effects = []
        for topics, box in self.boxes.items():
            due = [report for at, report in box.gave if at <= self.now]
            box.gave = [(at, report) for at, report in box.gave if at > self.now]
            for report in due:
                self.last[topics] = report
                effects += self.rollout.heard(topics, report, self.now)
        return effects


def rules(**more: object) -> RolloutRules:
    return RolloutRules.model_validate({"observe_s": 3, "wait_s": 10, "resend_s": 4, "abort_count": 1, **more})


def test_waves_grow_and_those_offline_come_last():
    assert wave_sizes(100, 7, 3, 4) == (3, 12, 48, 37, 7)
    assert wave_sizes(2, 0, 5, 2) == (2,)
    assert wave_sizes(0, 4, 5, 2) == (4,)


@pytest.mark.rule("MQ-27")
def test_when_all_is_well_every_controller_gets_it_wave_by_wave():
    world = World(["apply"] * 20, rules(first=2, grow=3))
    rollout = world.run()
    assert rollout.phase is RolloutPhase.DONE
    assert world.begun == {0, 1, 2}
    assert {box.runs for box in world.boxes.values()} == {NEW}


@pytest.mark.rule("MQ-27")
def test_a_bad_controller_in_the_second_wave_sends_everybody_back_and_the_third_is_never_begun():
    world = World(["apply"] * 4 + ["roll_back"] + ["apply"] * 15, rules(first=2, grow=3))
    rollout = world.run()
    assert rollout.phase is RolloutPhase.ABORTED
    assert world.begun == {0, 1}
    assert {box.runs for box in world.boxes.values()} == {OLD}
    assert rollout.counts == {"took": 7, "rolled_back": 1, "waiting": 12, "back.back": 8}


def test_one_that_is_offline_is_pending_and_no_failure():
    rollout = World(["apply", "offline", "apply"], rules()).run()
    assert rollout.phase is RolloutPhase.DONE
    assert rollout.counts == {"took": 2, "pending": 1}


def test_one_that_vanishes_with_it_is_a_failure():
    rollout = World(["apply", "vanish", "apply"], rules()).run()
    assert rollout.phase is RolloutPhase.ABORTED
    assert rollout.counts["lost"] == 1


@pytest.mark.rule("MQ-28")
def test_one_that_never_got_it_gets_it_again():
    world = World(["apply"], rules())
    box = next(iter(world.boxes.values()))
    swallowed = box.take
    calls = []

    def lose_the_first(version: int, document: str, now: int) -> None:
        calls.append(version)
        if len(calls) > 1:
            swallowed(version, document, now)

    box.take = lose_the_first
    assert world.run().counts == {"took": 1}
    assert calls == [5, 5]


def test_partial_is_a_failure_unless_it_is_accepted():
    assert World(["partial"], rules()).run().phase is RolloutPhase.ABORTED
    assert World(["partial"], rules(accept_partial=True)).run().phase is RolloutPhase.DONE


def test_failures_below_the_limit_end_nothing():
    natures = ["reject"] + ["apply"] * 19
    assert World(natures, rules(first=20, abort_count=2)).run().phase is RolloutPhase.DONE
    percent = rules(first=20, abort_count=None, abort_percent=6)
    assert World(natures, percent).run().phase is RolloutPhase.DONE
    assert World(natures, percent.model_copy(update={"abort_percent": 5})).run().phase is RolloutPhase.ABORTED


def test_somebody_elses_newer_push_is_left_alone():
    world = World(["apply", "apply"], rules(first=2))
    first, second = world.plan.targets
    effects = world.rollout.start(0)
    for effect in effects:
        world.act(effect)
    newer = Reported(boot=1, at=AT, status=ApplyStatus.APPLIED, desired_version=9, desired_hash="c" * 64)
    world.rollout.heard(first.topics, newer, 1)
    bad = Reported(
        boot=1,
        at=AT,
        status=ApplyStatus.REJECTED,
        desired_version=5,
        desired_hash=NEW,
        errors=[Mistake(pointer="/terminals/0", code="driver", message="no such driver")],
    )
    after = world.rollout.heard(second.topics, bad, 2)
    taken_back = [effect for effect in after if isinstance(effect, TakeBack)]
    assert [t.controller for effect in taken_back for t in effect.targets] == [second.controller]
    standing = world.rollout.standing(second.topics)
    assert standing is not None
    assert standing.why == "/terminals/0: no such driver"


def test_what_was_withdrawn_and_taken_all_the_same_is_taken_back():
    world = World(["apply", "apply"], rules(first=2))
    rollout = world.rollout
    _, offline = world.plan.targets
    world.boxes[offline.topics].online = False
    rollout.start(0)
    rollout.abort("somebody said so", 11)
    rollout.withdrawn(offline.topics, 11)
    world.boxes[offline.topics].online = True
    ok = Reported(boot=1, at=AT, status=ApplyStatus.APPLIED, desired_version=5, desired_hash=NEW)
    effects = rollout.heard(offline.topics, ok, 12)
    assert [e.targets for e in effects if isinstance(e, TakeBack)] == [(offline,)]


natures = st.lists(st.sampled_from(BEHAVIOURS), min_size=1, max_size=24)
some_rules = st.builds(
    lambda first, grow, count, partial: rules(first=first, grow=grow, abort_count=count, accept_partial=partial),
    st.integers(1, 6),
    st.sampled_from([1.0, 1.5, 3.0]),
    st.sampled_from([1, 2, 4, None]),
    st.booleans(),
)


def failures(world: World) -> int:
    bad = {Fate.REJECTED, Fate.ROLLED_BACK, Fate.SILENT, Fate.LOST}
    bad |= set() if world.plan.rules.accept_partial else {Fate.PARTIAL}
    return sum(one.fate in bad for one in world.rollout.standings)


@pytest.mark.rule("MQ-27")
@settings(max_examples=150, deadline=None)
@given(natures, some_rules)
def test_it_ends_keeps_to_its_waves_and_goes_back_exactly_when_too_many_failed(natures, some_rules):
    world = World(natures, some_rules)
    rollout = world.run()
    limit = some_rules.abort_count
    too_many = limit is not None and failures(world) >= limit
    assert rollout.phase is (RolloutPhase.ABORTED if too_many else RolloutPhase.DONE)
    assert world.begun == set(range(rollout.wave + 1))
    given_it = {target.topics for target in world.plan.targets[: rollout.sent]}
    for topics, box in world.boxes.items():
        assert (box.desired > 0) == (topics in given_it)
        if too_many and topics in given_it:
            assert box.desired == 6
            assert box.runs == OLD


@pytest.mark.rule("MQ-27")
@settings(max_examples=250, deadline=None)
@given(natures, some_rules, st.frozensets(st.integers(1, 60), max_size=6))
def test_wherever_desks_die_the_outcome_is_the_same(natures, some_rules, deaths):
    calm, troubled = World(natures, some_rules), World(natures, some_rules)
    expected, found = calm.run(), troubled.run(deaths)
    assert found.phase is expected.phase
    for here, there in zip(found.standings, expected.standings, strict=True):
        # An abort cuts short what controllers were still at: there, and only there, it is a matter of time.
        assert here.fate is there.fate or (
            expected.phase is RolloutPhase.ABORTED and Fate.SENT in (here.fate, there.fate)
        )
    assert {t: (b.runs, b.desired) for t, b in troubled.boxes.items()} == {
        t: (b.runs, b.desired) for t, b in calm.boxes.items()
    }


def test_a_controller_that_cannot_go_back_is_told_and_the_others_go_back():
    world = World(["apply", "reject"], rules(first=2))
    effects = world.rollout.start(0)
    for effect in effects:
        world.act(effect)
    for effect in world.hear():
        world.act(effect)
    first, second = world.plan.targets
    told = world.rollout.denied(first.topics, "nothing is known of what it ran before", 1)
    assert [e.standing.way_back for e in told if isinstance(e, Judged)] == [WayBack.FAILED]
    back = Reported(boot=1, at=AT, status=ApplyStatus.APPLIED, desired_version=6, desired_hash=OLD)
    ended = world.rollout.heard(second.topics, back, 2)
    assert Finished(RolloutPhase.ABORTED) in ended


def test_the_abort_is_saved_before_anything_goes_back():
    world = World(["apply", "apply"], rules(first=2))
    world.rollout.start(0)
    effects = world.rollout.abort("the operator said so", 1)
    kinds = [type(effect) for effect in effects]
    assert kinds[:3] == [Aborted, Save, TakeBack]


def test_what_runs_now_is_kept_before_the_wave_is_sent():
    kinds = [type(effect) for effect in World(["apply"], rules()).rollout.start(0)]
    assert kinds == [WaveBegun, Prepare, Save, Send]


def test_one_that_ended_while_the_broker_was_away_is_saved_as_ended():
    world = World(["apply"], rules())
    rollout = world.run()
    assert rollout.start(99) == [Save(RolloutPhase.DONE, 0), Finished(RolloutPhase.DONE)]
