"""How a push is told: lines for a person, with waves and those controllers that are in trouble, or JSON."""

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import click

from hallctl.cli.fleet.options import counted, name_of, seconds
from hallctl.cli.output import EX_FAILED, EX_OK, print_json
from hallctl.fleet.driving import BrokerBack, BrokerLost, Driver, Notice, Warned
from hallctl.fleet.pushing import Prepared, PushRequest
from hallctl.fleet.rollout_values import Aborted, Finished, Judged, Send, TakeBack, WaveBegun, WaveSettled
from hallctl.fleet.standing import FAILURES, Standing
from hallctl.link.rollouts import Fate, RolloutPhase, WayBack

EX_PENDING = 75  # sysexits.h EX_TEMPFAIL
MOST = 20
EVERY_S = 5.0
WORDS = {
    Fate.WAITING: "not begun",
    Fate.SENT: "not answered yet",
    Fate.TOOK: "took it",
    Fate.PARTIAL: "took it in part",
    Fate.REJECTED: "refused it",
    Fate.ROLLED_BACK: "tried it and went back",
    Fate.SILENT: "said nothing",
    Fate.LOST: "got it and is gone",
    Fate.DENIED: "could not be given it",
    Fate.PENDING: "offline, take it when they are back",
    Fate.OVERTAKEN: "got something newer from somebody else",
}
BACK_WORDS = {
    WayBack.SENT: "on the way back",
    WayBack.BACK: "run again what they ran before",
    WayBack.PENDING: "offline, go back when they return",
    WayBack.FAILED: "did NOT go back",
    WayBack.OVERTAKEN: "got something newer from somebody else",
}


def exit_code(driver: Driver) -> int:
    """0 all run it; 1 aborted or some failed; 75 some are pending."""
    counts = driver.rollout.counts
    bad = FAILURES if driver.head.rules.accept_partial else FAILURES | {Fate.PARTIAL}
    if driver.rollout.phase is not RolloutPhase.DONE or any(counts.get(fate.value) for fate in bad):
        return EX_FAILED
    return EX_PENDING if counts.get(Fate.PENDING.value) or counts.get(Fate.SENT.value) else EX_OK


class Progress:
    """Call it with everything that a driver tells."""

    def __init__(self, *, as_json: bool) -> None:
        self.driver: Driver | None = None
        self._json = as_json
        self._began = self._wave_began = self._told_at = time.monotonic()

    def planned(self, request: PushRequest, prepared: Prepared) -> None:
        """What is going to happen."""
        planned, plan = prepared.planned, prepared.planned.plan
        if self._json:
            print_json(
                {
                    "what": "planned",
                    "file": request.source.name,
                    "controllers": len(plan.targets),
                    "unchanged": [name_of(one) for one in planned.unchanged],
                    "without_document": [name_of(one) for one in planned.without_document],
                    "not_known": [name_of(one) for one in planned.not_known],
                    "waves": list(plan.waves),
                }
            )
            return
        click.echo(f"{request.source.name} to {counted(len(plan.targets), 'controller')}, {_waves(plan.waves)}")
        for number, words in (
            (len(planned.unchanged), "run it already"),
            (
                len(planned.without_document),
                "are left out: FILE has nothing for them, or what they run is not known",
            ),
            (len(planned.not_known), "have a document and are not known to the broker"),
        ):
            if number:
                click.echo(f"  {number:,} {words}")

    def begun(self, driver: Driver) -> None:
        """It is a rollout now."""
        self.driver = driver
        self._say({"what": "begun", "rollout": driver.head.id}, f"rollout {driver.head.id}")

    def interrupted(self) -> None:
        """This desk goes; the rollout stays."""
        if self.driver is None or self.driver.head.phase.over:
            return
        rollout = self.driver.head.id
        words = f"interrupted; nothing is lost. Go on: hallctl fleet push --resume {rollout}"
        if self._json:
            print_json({"what": "interrupted", "rollout": rollout})
        else:
            click.echo(words, err=True)
            click.echo(f"or take it back: hallctl fleet push --go-back {rollout}", err=True)

    def __call__(self, notice: Notice) -> None:
        """Something happened."""
        match notice:
            case WaveBegun(index=index):
                self._wave(index)
            case Judged(standing=standing):
                self._judged(standing)
            case WaveSettled(index=index):
                self._settled(index)
            case Aborted(reason=reason):
                self._say({"what": "aborted", "reason": reason}, f"ABORT: {reason}; all that got it go back")
            case TakeBack(targets=targets, again=False):
                words = f"{counted(len(targets), 'controller')} on the way back"
                self._say({"what": "going_back", "controllers": len(targets)}, words)
            case Send(targets=targets, again=True):
                words = f"  {counted(len(targets), 'controller')} did not speak of it: sent again"
                self._say({"what": "sent_again", "controllers": [name_of(one.topics) for one in targets]}, words)
            case Warned(message=message):
                self._say({"what": "warning", "message": message}, f"warning: {message}", err=True)
            case BrokerLost(message=message):
                words = f"the broker is away: {message}; waiting for it"
                self._say({"what": "broker_lost", "message": message}, words, err=True)
            case BrokerBack(lost_record=lost):
                words = "the broker is back" + (" and had lost the rollout: it was published again" if lost else "")
                self._say({"what": "broker_back", "lost_record": lost}, words, err=True)
            case Finished(phase=phase):
                self._finished(phase)

    def _wave(self, index: int) -> None:
        assert self.driver is not None  # noqa: S101  # a driver tells nothing before it is begun
        waves = self.driver.rollout.plan.waves
        self._wave_began = self._told_at = time.monotonic()
        body = {"what": "wave", "wave": index + 1, "of": len(waves), "controllers": waves[index]}
        self._say(body, f"wave {index + 1} of {len(waves)}: {counted(waves[index], 'controller')}")

    def _judged(self, one: Standing) -> None:
        if self._json:
            body = {"fate": one.fate.value, "way_back": one.way_back.value, "why": one.why}
            print_json({"what": "controller", "controller": name_of(one.topics), **body, "errors": _errors(one)})
            return
        if one.way_back is WayBack.FAILED:
            click.echo(f"  {name_of(one.topics)} did NOT go back: {one.why or 'no word from it'}")
        elif one.fate in (*FAILURES, Fate.PARTIAL) and one.way_back is WayBack.NONE:
            click.echo(f"  {name_of(one.topics)} {WORDS[one.fate]}" + (f": {one.why}" if one.why else ""))
        elif time.monotonic() - self._told_at >= EVERY_S:
            self._told_at = time.monotonic()
            click.echo(f"  {self._so_far()}")

    def _so_far(self) -> str:
        counts = self.driver.rollout.counts if self.driver else {}
        return ", ".join(f"{counts[fate.value]:,} {WORDS[fate]}" for fate in Fate if counts.get(fate.value))

    def _settled(self, index: int) -> None:
        assert self.driver is not None  # noqa: S101  # as above
        rollout = self.driver.rollout
        fates = Counter(one.fate for t in rollout.plan.wave(index) if (one := rollout.standing(t.topics)))
        took_s = time.monotonic() - self._wave_began
        words = ", ".join(f"{number:,} {WORDS[fate]}" for fate, number in fates.items())
        observe = self.driver.head.rules.observe_s
        watching = f"; watching for {seconds(observe)}" if observe and set(fates) != {Fate.PENDING} else ""
        body = {"what": "wave_settled", "wave": index + 1, "seconds": round(took_s, 2)}
        counts = {fate.value: number for fate, number in fates.items()}
        self._say({**body, "counts": counts}, f"wave {index + 1}: {words} ({seconds(took_s)}){watching}")

    def _finished(self, phase: RolloutPhase) -> None:
        assert self.driver is not None  # noqa: S101  # as above
        took_s = time.monotonic() - self._began
        counts = self.driver.rollout.counts
        rollout = self.driver.head.id
        if self._json:
            body = {"what": "finished", "rollout": rollout, "phase": phase.value, "counts": counts}
            print_json({**body, "seconds": round(took_s, 2), "exit": exit_code(self.driver)})
            return
        click.echo(f"{phase.value} after {seconds(took_s)}: {self._so_far()}")
        for way in WayBack:
            if number := counts.get(f"back.{way.value}"):
                click.echo(f"  {number:,} {BACK_WORDS[way]}")
        for line in _in_trouble(self.driver.rollout.standings):
            click.echo(line)
        click.echo(f"each controller: hallctl fleet history {rollout}")

    def _say(self, body: dict[str, Any], words: str, *, err: bool = False) -> None:
        if self._json:
            print_json(body)
        else:
            click.echo(words, err=err)


def _waves(sizes: tuple[int, ...]) -> str:
    shown = ", ".join(f"{size:,}" for size in sizes[:8]) + (", ..." if len(sizes) > 8 else "")
    return f"{counted(len(sizes), 'wave')}: {shown}" if sizes else "nothing to do"


def _errors(one: Standing) -> list[dict[str, Any]]:
    told = one.report if one.way_back is WayBack.FAILED else one.verdict
    return [mistake.model_dump() for mistake in told.errors] if told else []


def _in_trouble(standings: Iterable[Standing]) -> Iterable[str]:
    """Why, with how many and who; the same reason once."""
    reasons: dict[str, list[str]] = {}
    for one in standings:
        if one.fate in FAILURES or one.fate is Fate.PARTIAL:
            reasons.setdefault(f"{WORDS[one.fate]}: {one.why or 'no reason given'}", []).append(name_of(one.topics))
    for reason, names in sorted(reasons.items(), key=lambda pair: -len(pair[1]))[:MOST]:
        more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
        yield f"  {counted(len(names), 'controller')} {reason} ({', '.join(names[:3])}{more})"
