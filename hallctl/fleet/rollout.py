"""One rollout as a state machine: waves, observation, abort and going back; no IO, no clock of its own.

The desk (``hallctl.fleet.driving``) tells it what controllers report and what time it is, and carries out the effects
that it answers with, in their order. A rollout that is built again from what was saved, and hears again what
controllers report, goes on where it was: sending twice does no harm, because versions are fixed in the plan.
"""

from collections.abc import Callable, Iterable, Iterator

from hallctl.fleet.rollout_values import (
    Aborted,
    Effect,
    Finished,
    Judged,
    Plan,
    Prepare,
    Progress,
    Save,
    Send,
    TakeBack,
    WaveBegun,
    WaveSettled,
)
from hallctl.fleet.standing import FAILURES, Standing, judge_back, judge_forward
from hallctl.link.configuration import Reported
from hallctl.link.rollouts import Fate, RolloutPhase, TargetRow, WayBack
from hallctl.link.topics import Topics

Online = Callable[[Topics], bool]


class Rollout:
    """Feed it with ``start``, ``heard``, ``tick`` and ``abort``; each answers with what is to be done.

    ``online`` says whether a controller is online now. Times are seconds of any clock that never goes back.
    """

    def __init__(self, plan: Plan, online: Online, progress: Progress | None = None) -> None:
        saved = progress or Progress()
        self.plan = plan
        self.phase, self.wave, self.reason = saved.phase, saved.wave, saved.reason
        self._online = online
        self._standings = {target.topics: Standing(target) for target in plan.targets}
        self._open: dict[Topics, Standing] = {}
        self._failures = 0
        self._settled_at: float | None = None
        self._started = False  # before that it hears what happened meanwhile, and decides nothing
        self._take_up(saved)

    @property
    def standings(self) -> Iterable[Standing]:
        """Every target's standing, in the order of the plan."""
        return self._standings.values()

    @property
    def counts(self) -> dict[str, int]:
        """How many met which fate, and how many are how far on the way back (``back.`` before it)."""
        found: dict[str, int] = {}
        for one in self._standings.values():
            keys = [one.fate.value, *([f"back.{one.way_back.value}"] if one.way_back else [])]
            for key in keys:
                found[key] = found.get(key, 0) + 1
        return found

    @property
    def sent(self) -> int:
        """How many controllers have been given it."""
        return sum(self.plan.waves[: self.wave + 1])

    def standing(self, topics: Topics) -> Standing | None:
        """One target's standing."""
        return self._standings.get(topics)

    def start(self, now: float, *, back: str | None = None) -> list[Effect]:
        """Begin, or go on after an interruption (also of the broker): what may be lost is sent again.

        ``back``: why it shall go back instead; then nothing of it is sent any more.
        """
        self._started = True
        if back is not None and self.phase is RolloutPhase.RUNNING:
            return self.abort(back, now)
        if self.phase.over:  # it may have ended while the broker was away
            return [self._save(), Finished(self.phase)]
        if self.wave < 0:
            return self._begin_wave(0, now) if self.plan.waves else self._finish(RolloutPhase.DONE)
        for one in self._open.values():
            was_online = one.fate is Fate.SENT if self.phase is RolloutPhase.RUNNING else one.way_back is WayBack.SENT
            one.restart(now, was_online or self._online(one.topics))
        targets = tuple(one.target for one in self._open.values())
        if self.phase is RolloutPhase.ABORTING:
            return [TakeBack(targets, again=True), *self._decide(now)] if targets else self._decide(now)
        wave = self.plan.wave(self.wave)
        return [Prepare(wave), *([Send(targets, again=True)] if targets else []), *self._decide(now)]

    def heard(self, topics: Topics, report: Reported, now: float) -> list[Effect]:
        """A controller reports."""
        one = self._standings.get(topics)
        if one is None or one.fate is Fate.WAITING or self.phase.over:
            return []
        before = one.fate, one.way_back
        self._change(one, *judge_forward(one, report))
        effects: list[Effect] = []
        if self.phase is RolloutPhase.ABORTING:
            self._change(one, one.fate, judge_back(one, report))
            if one.took_it_late:
                effects.append(self._call_back([one], now))
        return self._told(one, before) + effects + self._decide(now)

    def tick(self, now: float) -> list[Effect]:
        """Time has passed."""
        if self.phase.over:
            return []
        effects: list[Effect] = []
        again: list[TargetRow] = []
        for one in list(self._open.values()):
            before, online = (one.fate, one.way_back), self._online(one.topics)
            self._age(one, now, online=online)
            effects += self._told(one, before)
            if one.wants_again(now, self.plan.rules.resend_s, online=online):
                one.asked_at = now
                again.append(one.target)
        if again:
            kind = TakeBack if self.phase is RolloutPhase.ABORTING else Send
            effects.append(kind(tuple(again), again=True))
        return effects + self._decide(now)

    def denied(self, topics: Topics, message: str, now: float) -> list[Effect]:
        """The broker, or what is known, does not let this controller have it (or have it back)."""
        one = self._standings[topics]
        before = one.fate, one.way_back
        one.message = message
        if self.phase is RolloutPhase.ABORTING:
            self._change(one, one.fate, WayBack.FAILED)
        else:
            self._change(one, Fate.DENIED, one.way_back)
        return self._told(one, before) + self._decide(now)

    def withdrawn(self, topics: Topics, now: float) -> list[Effect]:
        """It never took it, and its desired topic is empty again: that is back."""
        one = self._standings[topics]
        before = one.fate, one.way_back
        one.withdrawn = True
        self._change(one, one.fate, WayBack.BACK)
        return self._told(one, before) + self._decide(now)

    def abort(self, reason: str, now: float) -> list[Effect]:
        """Everything that got it goes back."""
        if self.phase is not RolloutPhase.RUNNING:
            return []
        self.phase, self.reason = RolloutPhase.ABORTING, reason
        self._open.clear()
        sent = [one for one in self._standings.values() if one.was_given]
        begin = self._call_back(sent, now)
        tail: list[Effect] = [begin] if sent else []
        return [Aborted(reason), self._save(), *tail, *self._decide(now)]

    def _save(self) -> Save:
        return Save(self.phase, self.wave, self.reason)

    def _take_up(self, saved: Progress) -> None:
        given = self.plan.targets[: self.sent]
        for target in given:
            fate, way_back = saved.fates.get(target.topics, (Fate.SENT, WayBack.NONE))
            if self.phase is RolloutPhase.RUNNING:
                way_back = WayBack.NONE
            elif self.phase is RolloutPhase.ABORTING and way_back is WayBack.NONE and fate is not Fate.OVERTAKEN:
                way_back = WayBack.SENT
            one = self._standings[target.topics]
            self._change(one, Fate.SENT if fate is Fate.WAITING else fate, way_back)

    def _change(self, one: Standing, fate: Fate, way_back: WayBack) -> None:
        """The only place where fates change: keeps the count of failures and who is still open."""
        failing = FAILURES | (frozenset() if self.plan.rules.accept_partial else {Fate.PARTIAL})
        self._failures += (fate in failing) - (one.fate in failing)
        one.fate, one.way_back = fate, way_back
        going_back = self.phase is RolloutPhase.ABORTING
        is_open = way_back in (WayBack.SENT, WayBack.PENDING) if going_back else fate in (Fate.SENT, Fate.PENDING)
        if is_open:
            self._open[one.topics] = one
        else:
            self._open.pop(one.topics, None)

    def _told(self, one: Standing, before: tuple[Fate, WayBack]) -> list[Effect]:
        return [Judged(one)] if (one.fate, one.way_back) != before else []

    def _begin_wave(self, index: int, now: float) -> list[Effect]:
        self.wave, self._settled_at = index, None
        targets = self.plan.wave(index)
        for target in targets:
            one = self._standings[target.topics]
            online = self._online(one.topics)
            one.give(now, online)
            self._change(one, Fate.SENT if online else Fate.PENDING, WayBack.NONE)
        return [WaveBegun(index), Prepare(targets), self._save(), Send(targets), *self._decide(now)]

    def _call_back(self, ones: list[Standing], now: float) -> TakeBack:
        for one in ones:
            online = self._online(one.topics)
            one.give(now, online)
            one.withdrawn = False
            never = one.fate is Fate.PENDING and not online
            self._change(one, one.fate, WayBack.PENDING if never else WayBack.SENT)
        return TakeBack(tuple(one.target for one in ones))

    def _age(self, one: Standing, now: float, *, online: bool) -> None:
        late = now - one.since >= self.plan.rules.wait_s + (self.plan.health.window_s if one.works_on_it else 0.0)
        if self.phase is RolloutPhase.ABORTING:
            self._age_back(one, now, online=online, late=late)
            return
        match one.fate:
            case Fate.PENDING if online:
                one.restart(now, online=True)
                self._change(one, Fate.SENT, one.way_back)
            case Fate.SENT if online and late:
                self._change(one, Fate.SILENT, one.way_back)
            case Fate.SENT if not online and not one.seen_online:
                self._change(one, Fate.PENDING, one.way_back)
            case Fate.SENT if not online and late:
                self._change(one, Fate.LOST, one.way_back)
        one.seen_online = one.seen_online or online

    def _age_back(self, one: Standing, now: float, *, online: bool, late: bool) -> None:
        match one.way_back:
            case WayBack.PENDING if online:
                one.restart(now, online=True)
                self._change(one, one.fate, WayBack.SENT)
            case WayBack.SENT if late:
                self._change(one, one.fate, WayBack.FAILED if online else WayBack.PENDING)
            case WayBack.SENT if not online and not one.seen_online:
                self._change(one, one.fate, WayBack.PENDING)
        one.seen_online = one.seen_online or online

    def _decide(self, now: float) -> list[Effect]:
        if not self._started or self.phase.over:
            return []
        if self.phase is RolloutPhase.ABORTING:
            returning = any(one.way_back is WayBack.SENT for one in self._open.values())
            return [] if returning else self._finish(RolloutPhase.ABORTED)
        if self._too_many():
            return self.abort(self._verdict(), now)
        if any(True for _ in self._blocking()):
            self._settled_at = None
            return []
        if self._settled_at is None:
            self._settled_at = now
            return [WaveSettled(self.wave), self._save(), *self._after_wave(now)]
        return self._after_wave(now)

    def _after_wave(self, now: float) -> list[Effect]:
        """Those of the wave that took it have to be there at the end of the observation."""
        rules, settled_at = self.plan.rules, self._settled_at or 0.0
        proves = any(one.fate is not Fate.PENDING for one in self._of_wave())  # a wave that is offline proves nothing
        if proves and now < settled_at + rules.observe_s:
            return []
        gone = [one for one in self._of_wave() if one.runs_it and not self._online(one.topics)]
        if gone and now < settled_at + max(rules.observe_s, rules.wait_s):
            return []
        effects: list[Effect] = []
        for one in gone:
            before = one.fate, one.way_back
            self._change(one, Fate.LOST, one.way_back)
            effects += self._told(one, before)
        if self._too_many():
            return effects + self.abort(self._verdict(), now)
        if self.wave + 1 < len(self.plan.waves):
            return effects + self._begin_wave(self.wave + 1, now)
        return effects + self._finish(RolloutPhase.DONE)

    def _finish(self, phase: RolloutPhase) -> list[Effect]:
        self.phase = phase
        return [self._save(), Finished(phase)]

    def _blocking(self) -> Iterator[Standing]:
        """Who has to be heard before the next wave; at the end: everybody that is being asked."""
        last = self.wave + 1 == len(self.plan.waves)
        ones = self._open.values() if last else self._of_wave()
        return (one for one in ones if one.fate is Fate.SENT)

    def _of_wave(self) -> Iterator[Standing]:
        return (self._standings[target.topics] for target in self.plan.wave(self.wave))

    def _too_many(self) -> bool:
        rules, failures = self.plan.rules, self._failures
        if rules.abort_count is not None and failures >= rules.abort_count:
            return True
        return rules.abort_percent is not None and failures > 0 and failures * 100 >= rules.abort_percent * self.sent

    def _verdict(self) -> str:
        rules = self.plan.rules
        limit = f"{rules.abort_count}" if rules.abort_count is not None else f"{rules.abort_percent:g} %"
        return f"{self._failures} of {self.sent} controllers failed (limit: {limit})"
