"""The twin of a hall: takes what the centre wants, tries it, keeps it or goes back, and says what became of it.

validate -> stage -> swap -> apply -> watch -> keep, or go back. Each arrow that matters is one write of the record
(``store``), so that a daemon that is killed between any two of them comes up in a defined state (``beginning``).
One task, no timer and no thread of its own: a process may have thousands of twins.
"""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from hallctl.clock import Clock
from hallctl.config import LoadedHall
from hallctl.driver.terminal import Logger
from hallctl.errors import LinkError, TwinError
from hallctl.link.configuration import ApplyStatus, Desired, Mistake, Reported, read_desired
from hallctl.model import JsonObject
from hallctl.outbox import Outbox
from hallctl.twin.beginning import Beginning
from hallctl.twin.decisions import Decision, decide
from hallctl.twin.diff import difference
from hallctl.twin.documents import Judge, document_of, judge, mistake, mistakes_of, path_of
from hallctl.twin.floor import Changed, Floor
from hallctl.twin.health import Expected, online, quarantined, told_of, watch
from hallctl.twin.ledger import Ledger
from hallctl.twin.reading import chunk_of, claimed
from hallctl.twin.record import NONE, Ref, Trial
from hallctl.twin.store import APPLIED, BACK_APPLIED, Step, TwinStore

APPLY_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A desired document that was judged. ``hall`` is what of it can run; ``None``: nothing, for these ``errors``."""

    desired: Desired
    hall: LoadedHall | None
    errors: tuple[Mistake, ...] = ()

    @property
    def wanted(self) -> Ref:
        return Ref(self.desired.version, self.desired.hash)


class Twin:
    """``hall`` is what runs."""

    def __init__(
        self,
        store: TwinStore,
        beginning: Beginning,
        floor: Floor,
        outbox: Outbox,
        *,
        clock: Clock,
        log: Logger,
        publish: Callable[[Reported], None],
        judge: Judge = judge,
        executor: Executor | None = None,
    ) -> None:
        self.hall = beginning.hall
        self._ledger = Ledger(store, beginning, outbox, clock=clock, log=log, publish=publish, executor=executor)
        self._store = store
        self._own = beginning.own
        self._fallback = beginning.fallback
        self._floor = floor
        self._clock = clock
        self._log = log
        self._judge = judge
        self._waiting: _Prepared | None = None
        self._wake = asyncio.Event()
        self._taking = asyncio.Lock()
        self._deciding = asyncio.Lock()
        self._takes: set[asyncio.Task[None]] = set()

    @property
    def reported(self) -> Reported:
        """What became of the newest desired document; of a box that was never pushed to, what it runs."""
        return self._ledger.reported or self._as_it_is(NONE)

    @property
    def runs(self) -> Ref:
        """The document that runs; version 0: the box's own hall.yaml."""
        return self._ledger.record.runs

    @property
    def on_trial(self) -> bool:
        """Whether what runs has still to show that it does no harm."""
        return self._ledger.record.trial is not None

    async def take(self, payload: bytes) -> None:
        """A desired document came. When this returns it is staged, or refused and reported: acknowledge it now.

        Never raises for what stands in the message.
        """
        if not payload:  # the centre took it back: what runs goes on
            return
        # A session that is lost in the meantime cancels its reader, and must not cut a write of the record in two.
        task = asyncio.ensure_future(self._take(payload))
        self._takes.add(task)
        task.add_done_callback(self._takes.discard)
        await asyncio.shield(task)

    async def run(self) -> None:
        """Finish the trial that an earlier boot left, then try what comes, until cancelled.

        Raises ``TwinError`` when the disk refuses in the middle of a trial: the next boot knows what to do.
        """
        self._ledger.say(self.reported)
        async with self._deciding:
            await self._ledger.make_good()
            if (trial := self._ledger.record.trial) is not None:
                await self._resume(trial)
        while True:
            await self._wake.wait()
            self._wake.clear()
            async with self._deciding:
                prepared, self._waiting = self._waiting, None
                if prepared is not None:
                    await self._settle(prepared)

    async def chunk(self, offset: int) -> JsonObject:
        """A part of the document that runs, from a byte on; with version, hash, source and whether it is on trial."""
        runs = self.runs
        document = document_of(self._own)
        if runs != NONE:
            document = await self._ledger.in_thread(lambda: self._store.document(runs.hash))
        about = {"version": runs.version, "hash": runs.hash or self._ledger.own_hash}
        about |= {"source": "hall.yaml" if runs == NONE else "centre", "trial": self.on_trial}
        return {**chunk_of(document, offset), **about}

    # A desired document comes in.

    async def _take(self, payload: bytes) -> None:
        async with self._taking:
            try:
                desired = read_desired(payload)
            except (LinkError, RecursionError) as exc:
                why = exc if isinstance(exc, LinkError) else LinkError("the desired document is nested too deeply")
                await self._ledger.refuse(claimed(payload), mistake("desired.unreadable", why.message, why.hint))
                return
            await self._consider(desired)

    async def _consider(self, desired: Desired) -> None:
        wanted = Ref(desired.version, desired.hash)
        match decide(self._ledger.record, wanted, self._ledger.running_hash):
            case Decision.OLDER:
                self._ledger.ignore(wanted)
                self._say_again()
            case Decision.KNOWN:
                self._say_again()
            case Decision.REUSED:
                why = f"version {wanted.version} is another document already"
                await self._refuse(desired, mistake("version.reused", why, "push it under a higher version"))
            case Decision.SAME if self._is_idle:
                await self._decide_now(_Prepared(desired, self.hall))
            case _ if self._waiting is None or self._waiting.desired.version < wanted.version:
                await self._prepare(desired)

    def _say_again(self) -> None:
        """The broker may have lost it. Where a boot fell back to what is wanted now, that has no report yet."""
        told, known = self._ledger.record.reported, self._ledger.record.known
        about = told is not None and told.desired_version == known.version
        self._ledger.say(told if about and told is not None else self._as_it_is(known))

    async def _prepare(self, desired: Desired) -> None:
        try:
            prepared = await self._ledger.in_thread(lambda: self._judged_and_staged(desired))
        except TwinError as exc:
            await self._refuse(desired, mistake(exc.code, exc.message, exc.hint))
            return
        if prepared.hall is None and self._is_idle:
            await self._decide_now(prepared)
        else:
            self._waiting = prepared
            self._wake.set()

    def _judged_and_staged(self, desired: Desired) -> _Prepared:
        """Blocks. Raises ``TwinError`` when the disk refuses."""
        try:
            hall = self._judge(desired.document, path_of(self._own, Ref(desired.version)))
        except Exception as exc:  # noqa: BLE001  # checks of vendors' drivers may raise anything
            self._log.warning("a document can't be judged", version=desired.version, exc_info=True)
            hint = "the controller's log has the trace; tell the driver's vendor"
            return _Prepared(desired, None, (mistake("document.unjudged", repr(exc), hint),))
        if hall.fatal:
            return _Prepared(desired, None, tuple(mistakes_of(hall.problems)))
        self._store.save_document(desired.hash, desired.document)
        return _Prepared(desired, hall)

    async def _decide_now(self, prepared: _Prepared) -> None:
        async with self._deciding:
            await self._settle(prepared)

    async def _refuse(self, desired: Desired, why: Mistake) -> None:
        await self._ledger.refuse(Ref(desired.version, desired.hash), why, desired.rollout)

    @property
    def _is_idle(self) -> bool:
        """Nothing is being decided, on trial or waiting."""
        return not self._deciding.locked() and not self.on_trial and self._waiting is None

    # A decision is made. One at a time: ``_deciding`` is held.

    async def _settle(self, prepared: _Prepared) -> None:
        """What is known may have changed while it waited. What waits still may need its document."""
        try:
            await self._decide(prepared)
        except TwinError as exc:
            if self.on_trial:
                raise
            await self._refuse(prepared.desired, mistake(exc.code, exc.message, exc.hint))
        waiting = {self._waiting.desired.hash} if self._waiting is not None else set()
        await self._ledger.in_thread(lambda: self._store.remove_others(self._ledger.record.needs | waiting))

    async def _decide(self, prepared: _Prepared) -> None:
        ledger, desired, wanted = self._ledger, prepared.desired, prepared.wanted
        match decide(ledger.record, wanted, ledger.running_hash):
            case Decision.SAME:
                await ledger.in_thread(lambda: self._ensure_document(desired))
                told = self._as_it_is(wanted, good=wanted, rollout=desired.rollout)
                await ledger.decide(ledger.record.kept(wanted), told, Step.NOTE, desired.by)
            case Decision.NEW:
                if prepared.hall is not None:
                    await self._try(desired, prepared.hall)
                    return
                told = ledger.now(
                    ApplyStatus.REJECTED,
                    wanted,
                    errors=list(prepared.errors),
                    quarantined=self._quarantined(),
                    rollout=desired.rollout,
                )
                await ledger.decide(replace(ledger.record, known=wanted), told, Step.REJECT, desired.by)

    def _ensure_document(self, desired: Desired) -> None:
        if not self._store.has_document(desired.hash):
            self._store.save_document(desired.hash, desired.document)

    async def _try(self, desired: Desired, hall: LoadedHall) -> None:
        ledger, wanted, health = self._ledger, Ref(desired.version, desired.hash), desired.health
        before = online(self._floor.states())
        trial = Trial(wanted, health.window_s, health.max_lost, before, rollout=desired.rollout, by=desired.by)
        told = ledger.now(ApplyStatus.APPLYING, wanted, quarantined=self._quarantined(), rollout=desired.rollout)
        await ledger.in_thread(lambda: self._ensure_document(desired))
        await ledger.save(replace(ledger.record, trial=trial, known=wanted, reported=told), Step.SWAP)
        ledger.say(told)
        self._log.info("tries a document of the centre", version=wanted.version, hash=wanted.hash[:12], by=desired.by)
        self._fallback, self.hall = self.hall, hall
        try:
            changed = await self._apply(hall)
        except Exception as exc:  # noqa: BLE001  # whatever a document does to the floor, the hall has to go on
            self._log.warning("a document can't be applied", version=wanted.version, exc_info=True)
            why = mistake("apply.failed", str(exc) or repr(exc), "the controller's log has the trace")
            await self._go_back(trial, [why])
            return
        self._store.checkpoint(APPLIED)
        await self._watch(trial, changed)

    async def _resume(self, trial: Trial) -> None:
        """The daemon was started with a document on trial: watch anew, as if it had just been changed."""
        self._log.info("goes on trying a document of the centre", version=trial.document.version, boots=trial.boots)
        found = difference(self._fallback.document, self.hall.document)
        await self._watch(trial, Changed(found.started, found.restarted, found.stopped))

    async def _watch(self, trial: Trial, changed: Changed) -> None:
        expected = Expected.after(changed, trial.online, self.hall)
        states = await watch(self._floor, expected, trial.window_s, self._clock)
        touched, lost = changed.started | changed.restarted | changed.stopped, expected.lost(states)
        if len(lost) > trial.max_lost:
            await self._go_back(trial, told_of(lost, self.hall, states), len(touched))
            return
        told = self._as_it_is(
            trial.document,
            told_of(lost + expected.absent(states), self.hall, states),
            good=trial.document,
            restarted=len(touched),
            rollout=trial.rollout,
        )
        self._fallback = self.hall
        await self._ledger.decide(self._ledger.record.kept(trial.document), told, Step.KEEP, trial.by)

    async def _go_back(self, trial: Trial, errors: list[Mistake], touched: int = 0) -> None:
        """On disk first: a daemon that is killed on the way back comes up with the last good document."""
        ledger, self.hall = self._ledger, self._fallback
        told = ledger.now(
            ApplyStatus.ROLLED_BACK,
            trial.document,
            errors=errors,
            quarantined=sorted(self.hall.quarantined),
            restarted=touched,
            rollout=trial.rollout,
        )
        await ledger.save(replace(ledger.record, trial=None, reported=told), Step.BACK)
        await self._apply(self.hall)
        self._store.checkpoint(BACK_APPLIED)
        await ledger.announce(told, trial.by)

    async def _apply(self, hall: LoadedHall) -> Changed:
        async with self._clock.timeout(APPLY_LIMIT_S):
            return await self._floor.apply(hall)

    def _as_it_is(
        self,
        wanted: Ref,
        also: Iterable[Mistake] = (),
        *,
        good: Ref | None = None,
        restarted: int = 0,
        rollout: str = "",
    ) -> Reported:
        """What runs is what is wanted: applied, or partly where something of it can't run."""
        errors = [*mistakes_of(self.hall.problems), *also]
        return self._ledger.now(
            ApplyStatus.PARTIAL if errors else ApplyStatus.APPLIED,
            wanted,
            good=good,
            errors=errors,
            quarantined=self._quarantined(),
            restarted=restarted,
            rollout=rollout,
        )

    def _quarantined(self) -> list[str]:
        """By the document, and by drivers that can't be made."""
        return sorted({*self.hall.quarantined, *quarantined(self._floor.states())})
