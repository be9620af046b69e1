"""Which document runs when the daemon starts, with or without a broker.

A boot with a document on trial is counted on disk before anything is built of it, so that one that takes the daemon
down goes back by itself. What is damaged is set aside and told: then the last good one runs, then the box's own
hall.yaml.
"""

from dataclasses import dataclass, replace

from hallctl.clock import Clock
from hallctl.config import LoadedHall
from hallctl.errors import TwinError
from hallctl.link.configuration import ApplyStatus, Mistake, Reported
from hallctl.twin.documents import Judge, hash_of, judge, mistake, mistakes_of, path_of
from hallctl.twin.record import NONE, Record, Ref
from hallctl.twin.store import Step, TwinStore

TRIAL_BOOTS = 2
"""So often the daemon may start with a document on trial; the next start goes back."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """``hall`` runs. ``own``: the box's hall.yaml; ``fallback``: what a document on trial goes back to.

    ``troubles``: what was wrong with what was found on disk.
    """

    record: Record
    hall: LoadedHall
    own: LoadedHall
    fallback: LoadedHall
    troubles: tuple[Mistake, ...] = ()


def begin(store: TwinStore, own: LoadedHall, clock: Clock, judge: Judge = judge) -> Beginning:
    """Raises ``TwinError`` when the disk refuses. Nothing guarantees that the box's own hall.yaml can run."""
    return _Boot(store, own, clock, judge).begin()


class _Boot:
    """The steps of one start."""

    def __init__(self, store: TwinStore, own: LoadedHall, clock: Clock, judge: Judge) -> None:
        self._store = store
        self._own = own
        self._clock = clock
        self._judge = judge
        self._troubles: list[Mistake] = []

    def begin(self) -> Beginning:
        record, damage = self._store.load()
        if damage:
            self._troubles.append(mistake("record.damaged", damage))
        if damage and record.runs == NONE:
            record = self._gone_back(record, NONE, self._troubles)
        hall, record = self._usable(self._counted(record))
        fallback = hall
        if record.trial is not None:
            fallback, record = self._last_good(record)
        return Beginning(record, hall, self._own, fallback, tuple(self._troubles))

    def _counted(self, record: Record) -> Record:
        """One more boot of a document on trial; one too many ends the trial."""
        trial = record.trial
        if trial is None:
            return record
        if trial.boots < TRIAL_BOOTS:
            counted = replace(record, trial=replace(trial, boots=trial.boots + 1))
            self._store.save(counted, Step.COUNT)
            return counted
        message = f"the daemon ended {trial.boots + 1} times before this document had shown that it does no harm"
        why = [mistake("trial.crashed", message, "the controller's log says why: journalctl -u hallctl")]
        self._troubles += why
        return self._gone_back(replace(record, trial=None), trial.document, why, trial.rollout)

    def _usable(self, record: Record) -> tuple[LoadedHall, Record]:
        """The first document that can be read and can run: on trial, good, good before that, the box's own."""
        while (ref := record.runs) != NONE:
            rollout = record.trial.rollout if record.trial is not None else ""
            hall, why = self._look_at(ref)
            if hall is not None:
                return hall, record
            self._troubles += why
            record = self._gone_back(record.without(ref.hash), ref, why, rollout)
        return self._own, record

    def _last_good(self, record: Record) -> tuple[LoadedHall, Record]:
        """What the trial goes back to; what of it can't be used is forgotten with the next change."""
        for number, ref in enumerate(record.good):
            hall, why = self._look_at(ref)
            if hall is not None:
                return hall, replace(record, good=record.good[number:])
            self._troubles += why
        return self._own, replace(record, good=())

    def _look_at(self, ref: Ref) -> tuple[LoadedHall | None, list[Mistake]]:
        try:
            hall = self._judge(self._store.document(ref.hash), path_of(self._own, ref))
        except TwinError as exc:
            self._store.set_document_aside(ref.hash)
            return None, [mistake(exc.code, exc.message, exc.hint)]
        return (None, mistakes_of(hall.problems)) if hall.fatal else (hall, [])

    def _gone_back(self, record: Record, tried: Ref, why: list[Mistake], rollout: str = "") -> Record:
        """Keep, and later report, that another document runs than the one that should."""
        runs = record.last_good
        reported = Reported(
            boot=0,  # filled in when it is published
            at=self._clock.now(),
            status=ApplyStatus.ROLLED_BACK,
            desired_version=tried.version,
            desired_hash=tried.hash,
            applied_version=runs.version,
            applied_hash=runs.hash or hash_of(self._own),
            errors=why,
            rollout=rollout,
        )
        record = replace(record, reported=reported)
        self._store.save(record, Step.BACK)
        return record
