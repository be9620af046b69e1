"""How a push is told: lines for a person, with waves and those controllers that are in trouble, or JSON."""

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import click

from hallctl.cli.fleet.options import name_of, seconds
from hallctl.cli.fleet.wrong import why_of
from hallctl.cli.language import _, counted, marked
from hallctl.cli.output import EX_FAILED, EX_OK, print_json
from hallctl.cli.words import status_word, warning_line
from hallctl.fleet.driving import BrokerBack, BrokerLost, Driver, Notice, Warned
from hallctl.fleet.pushing import Prepared, PushRequest
from hallctl.fleet.rollout_values import Aborted, Finished, Judged, Send, TakeBack, WaveBegun, WaveSettled
from hallctl.fleet.standing import FAILURES, Standing
from hallctl.link.rollouts import Fate, RolloutPhase, WayBack

EX_PENDING = 75  # sysexits.h EX_TEMPFAIL
MOST = 20
EVERY_S = 5.0
WORDS = {
    Fate.WAITING: marked("not begun"),
    Fate.SENT: marked("not answered yet"),
    Fate.TOOK: marked("took it"),
    Fate.PARTIAL: marked("took it in part"),
    Fate.REJECTED: marked("refused it"),
    Fate.ROLLED_BACK: marked("tried it and went back"),
    Fate.SILENT: marked("said nothing"),
    Fate.LOST: marked("got it and is gone"),
    Fate.DENIED: marked("could not be given it"),
    Fate.PENDING: marked("offline, take it when they are back"),
    Fate.OVERTAKEN: marked("got something newer from somebody else"),
}
BACK_WORDS = {
    WayBack.SENT: marked("on the way back"),
    WayBack.BACK: marked("run again what they ran before"),
    WayBack.PENDING: marked("offline, go back when they return"),
    WayBack.FAILED: marked("did NOT go back"),
    WayBack.OVERTAKEN: marked("got something newer from somebody else"),
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
        click.echo(
            _("{name} to {counted}, {waves}").format(
                name=request.source.name, counted=counted(len(plan.targets), "controller"), waves=_waves(plan.waves)
            )
        )
        for number, words in (
            (len(planned.unchanged), _("run it already")),
            (
                len(planned.without_document),
                _("are left out: FILE has nothing for them, or what they run is not known"),
            ),
            (len(planned.not_known), _("have a document and are not known to the broker")),
        ):
            if number:
                click.echo(f"  {number:,} {words}")

    def begun(self, driver: Driver) -> None:
        """It is a rollout now."""
        self.driver = driver
        self._say({"what": "begun", "rollout": driver.head.id}, _("rollout {id}").format(id=driver.head.id))

    def interrupted(self) -> None:
        """This desk goes; the rollout stays."""
        if self.driver is None or self.driver.head.phase.over:
            return
        rollout = self.driver.head.id
        words = _("interrupted; nothing is lost. Go on: hallctl fleet push --resume {rollout}").format(rollout=rollout)
        if self._json:
            print_json({"what": "interrupted", "rollout": rollout})
        else:
            click.echo(words, err=True)
            click.echo(_("or take it back: hallctl fleet push --go-back {rollout}").format(rollout=rollout), err=True)

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
                self._say(
                    {"what": "aborted", "reason": reason},
                    _("ABORT: {reason}; all that got it go back").format(reason=reason),
                )
            case TakeBack(targets=targets, again=False):
                words = _("{counted} on the way back").format(counted=counted(len(targets), "controller"))
                self._say({"what": "going_back", "controllers": len(targets)}, words)
            case Send(targets=targets, again=True):
                words = _("  {counted} did not speak of it: sent again").format(
                    counted=counted(len(targets), "controller")
                )
                self._say({"what": "sent_again", "controllers": [name_of(one.topics) for one in targets]}, words)
            case Warned(message=message):
                self._say({"what": "warning", "message": message}, warning_line(message), err=True)
            case BrokerLost(message=message):
                words = _("the broker is away: {message}; waiting for it").format(message=message)
                self._say({"what": "broker_lost", "message": message}, words, err=True)
            case BrokerBack(lost_record=lost):
                words = _("the broker is back")
                if lost:
                    words = _("the broker is back and had lost the rollout: it was published again")
                self._say({"what": "broker_back", "lost_record": lost}, words, err=True)
            case Finished(phase=phase):
                self._finished(phase)

    def _wave(self, index: int) -> None:
        assert self.driver is not None  # noqa: S101  # a driver tells nothing before it is begun
        waves = self.driver.rollout.plan.waves
        self._wave_began = self._told_at = time.monotonic()
        body = {"what": "wave", "wave": index + 1, "of": len(waves), "controllers": waves[index]}
        self._say(
            body,
            _("wave {number} of {total}: {counted}").format(
                number=index + 1, total=len(waves), counted=counted(waves[index], "controller")
            ),
        )

    def _judged(self, one: Standing) -> None:
        if self._json:
            body = {"fate": one.fate.value, "way_back": one.way_back.value, "why": one.why}
            print_json({"what": "controller", "controller": name_of(one.topics), **body, "errors": _errors(one)})
            return
        if one.way_back is WayBack.FAILED:
            click.echo(
                _("  {name} did NOT go back: {why}").format(
                    name=name_of(one.topics), why=why_of(one) or _("no word from it")
                )
            )
        elif one.fate in (*FAILURES, Fate.PARTIAL) and one.way_back is WayBack.NONE:
            click.echo(f"  {name_of(one.topics)} {_(WORDS[one.fate])}" + (f": {why}" if (why := why_of(one)) else ""))
        elif time.monotonic() - self._told_at >= EVERY_S:
            self._told_at = time.monotonic()
            click.echo(f"  {self._so_far()}")

    def _so_far(self) -> str:
        counts = self.driver.rollout.counts if self.driver else {}
        return ", ".join(f"{counts[fate.value]:,} {_(WORDS[fate])}" for fate in Fate if counts.get(fate.value))

    def _settled(self, index: int) -> None:
        assert self.driver is not None  # noqa: S101  # as above
        rollout = self.driver.rollout
        fates = Counter(one.fate for t in rollout.plan.wave(index) if (one := rollout.standing(t.topics)))
        took_s = time.monotonic() - self._wave_began
        words = ", ".join(f"{number:,} {_(WORDS[fate])}" for fate, number in fates.items())
        observe = self.driver.head.rules.observe_s
        watching = (
            _("; watching for {duration}").format(duration=seconds(observe))
            if observe and set(fates) != {Fate.PENDING}
            else ""
        )
        body = {"what": "wave_settled", "wave": index + 1, "seconds": round(took_s, 2)}
        counts = {fate.value: number for fate, number in fates.items()}
        self._say(
            {**body, "counts": counts},
            _("wave {number}: {words} ({duration}){watching}").format(
                number=index + 1, words=words, duration=seconds(took_s), watching=watching
            ),
        )

    def _finished(self, phase: RolloutPhase) -> None:
        assert self.driver is not None  # noqa: S101  # as above
        took_s = time.monotonic() - self._began
        counts = self.driver.rollout.counts
        rollout = self.driver.head.id
        if self._json:
            body = {"what": "finished", "rollout": rollout, "phase": phase.value, "counts": counts}
            print_json({**body, "seconds": round(took_s, 2), "exit": exit_code(self.driver)})
            return
        click.echo(
            _("{phase} after {duration}: {so_far}").format(
                phase=status_word(phase.value), duration=seconds(took_s), so_far=self._so_far()
            )
        )
        for way in WayBack:
            if number := counts.get(f"back.{way.value}"):
                click.echo(f"  {number:,} {_(BACK_WORDS[way])}")
        for line in _in_trouble(self.driver.rollout.standings):
            click.echo(line)
        click.echo(_("each controller: hallctl fleet history {rollout}").format(rollout=rollout))

    def _say(self, body: dict[str, Any], words: str, *, err: bool = False) -> None:
        if self._json:
            print_json(body)
        else:
            click.echo(words, err=err)


def _waves(sizes: tuple[int, ...]) -> str:
    shown = ", ".join(f"{size:,}" for size in sizes[:8]) + (", ..." if len(sizes) > 8 else "")
    return f"{counted(len(sizes), 'wave')}: {shown}" if sizes else _("nothing to do")


def _errors(one: Standing) -> list[dict[str, Any]]:
    told = one.report if one.way_back is WayBack.FAILED else one.verdict
    return [mistake.model_dump() for mistake in told.errors] if told else []


def _in_trouble(standings: Iterable[Standing]) -> Iterable[str]:
    """Why, with how many and who; the same reason once."""
    reasons: dict[str, list[str]] = {}
    for one in standings:
        if one.fate in FAILURES or one.fate is Fate.PARTIAL:
            reasons.setdefault(f"{_(WORDS[one.fate])}: {why_of(one) or _('no reason given')}", []).append(
                name_of(one.topics)
            )
    for reason, names in sorted(reasons.items(), key=lambda pair: -len(pair[1]))[:MOST]:
        more = _(" and {number:,} more").format(number=len(names) - 3) if len(names) > 3 else ""
        yield f"  {counted(len(names), 'controller')} {reason} ({', '.join(names[:3])}{more})"
