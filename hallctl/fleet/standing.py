"""Where one controller stands in a rollout, and what its report means for that; pure."""

from dataclasses import dataclass

from hallctl.link.configuration import ApplyStatus, Reported
from hallctl.link.rollouts import Fate, TargetRow, WayBack
from hallctl.link.topics import Topics

FAILURES = frozenset({Fate.REJECTED, Fate.ROLLED_BACK, Fate.SILENT, Fate.LOST, Fate.DENIED})
_FATES = {
    ApplyStatus.APPLIED: Fate.TOOK,
    ApplyStatus.PARTIAL: Fate.PARTIAL,
    ApplyStatus.REJECTED: Fate.REJECTED,
    ApplyStatus.ROLLED_BACK: Fate.ROLLED_BACK,
}


@dataclass(slots=True)
class Standing:
    """One target of a rollout. ``since``: its time to answer began then; ``report``: its last word.

    ``verdict`` is its word about what was pushed: why it failed stays known after it went back.
    """

    target: TargetRow
    fate: Fate = Fate.WAITING
    way_back: WayBack = WayBack.NONE
    since: float = 0.0
    asked_at: float = 0.0
    seen_online: bool = False
    withdrawn: bool = False
    report: Reported | None = None
    verdict: Reported | None = None
    message: str = ""

    @property
    def topics(self) -> Topics:
        """Its controller's topics."""
        return self.target.topics

    @property
    def was_given(self) -> bool:
        """Whether it has, or may have, what was pushed, and nobody has given it something newer."""
        return self.fate not in (Fate.WAITING, Fate.OVERTAKEN)

    @property
    def runs_it(self) -> bool:
        """Whether it said that it runs what was pushed."""
        return self.fate in (Fate.TOOK, Fate.PARTIAL)

    @property
    def took_it_late(self) -> bool:
        """Whether it took what had been withdrawn already."""
        return self.withdrawn and self.runs_it

    @property
    def works_on_it(self) -> bool:
        """Whether its last word was that it is at it."""
        return self.report is not None and self.report.status is ApplyStatus.APPLYING and self._about_us(self.report)

    @property
    def why(self) -> str:
        """Why it has not taken it, or is not back, on one line; empty: nothing is wrong."""
        told = self.report if self.way_back is WayBack.FAILED else self.verdict
        if self.message:
            return self.message
        if told is None or not told.errors:
            return ""
        first = told.errors[0]
        more = len(told.errors) + told.errors_cut - 1
        text = ": ".join(part for part in (first.pointer, first.message or first.code) if part)
        return f"{text} (and {more} more)" if more else text

    def give(self, now: float, online: bool) -> None:
        """It is being given something."""
        self.since = self.asked_at = now
        self.seen_online = online

    def restart(self, now: float, online: bool) -> None:
        """Its time begins anew: it, or the broker, is back."""
        self.give(now, online)

    def wants_again(self, now: float, resend_s: float, *, online: bool) -> bool:
        """Whether it is online and has not spoken of it for so long that it may never have got it."""
        asked = Fate.SENT in (self.fate,) if self.way_back is WayBack.NONE else self.way_back is WayBack.SENT
        return asked and online and not self.works_on_it and now - self.asked_at >= resend_s

    def _about_us(self, report: Reported) -> bool:
        wanted = self.target.version + (self.way_back is not WayBack.NONE)
        return report.desired_version == wanted


def judge_forward(one: Standing, report: Reported) -> tuple[Fate, WayBack]:
    """What a report says of the way forward."""
    target, version = one.target, report.desired_version
    if version == target.version and report.desired_hash in ("", target.document):
        one.report = report
        if report.status.final:
            one.verdict = report
        return _FATES.get(report.status, one.fate), one.way_back
    if version > target.version + 1 or (version == target.version + 1 and one.way_back is WayBack.NONE):
        return Fate.OVERTAKEN, WayBack.OVERTAKEN if one.way_back is not WayBack.NONE else one.way_back
    return one.fate, one.way_back


def judge_back(one: Standing, report: Reported) -> WayBack:
    """What a report says of the way back."""
    if one.way_back in (WayBack.NONE, WayBack.OVERTAKEN) or report.desired_version != one.target.version + 1:
        return one.way_back
    one.report = report
    match report.status:
        case ApplyStatus.APPLIED | ApplyStatus.PARTIAL:
            return WayBack.BACK
        case ApplyStatus.REJECTED | ApplyStatus.ROLLED_BACK:
            return WayBack.FAILED
    return one.way_back
