"""What was decided: kept on disk, then in the event log, then told to the centre; always in this order."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from typing import TypeVar

from hallctl.clock import Clock
from hallctl.driver.terminal import Logger
from hallctl.link.configuration import ApplyStatus, Mistake, Reported
from hallctl.outbox import Outbox
from hallctl.twin.beginning import Beginning
from hallctl.twin.documents import hash_of
from hallctl.twin.facts import event_of, told_key
from hallctl.twin.record import Record, Ref
from hallctl.twin.store import Step, TwinStore

T = TypeVar("T")
TOLD_KEY = "twin.told"


class Ledger:
    """``record`` is what is on disk, ``reported`` what the centre was told last."""

    def __init__(
        self,
        store: TwinStore,
        beginning: Beginning,
        outbox: Outbox,
        *,
        clock: Clock,
        log: Logger,
        publish: Callable[[Reported], None],
        executor: Executor | None,
    ) -> None:
        self.record = beginning.record
        self.own_hash = hash_of(beginning.own)
        self.reported = self._recalled()
        self.store = store
        self._outbox = outbox
        self._clock = clock
        self._log = log
        self._publish = publish
        self._executor = executor
        self._complained: object = None

    @property
    def running_hash(self) -> str:
        """Of the document that runs, the box's own included."""
        return self.record.runs.hash or self.own_hash

    def now(
        self,
        status: ApplyStatus,
        wanted: Ref,
        *,
        good: Ref | None = None,
        errors: list[Mistake] | None = None,
        quarantined: list[str] | None = None,
        restarted: int = 0,
        rollout: str = "",
    ) -> Reported:
        """What became of ``wanted``. ``good``: the document that is good now, where that changes with it."""
        runs = good or self.record.last_good
        return Reported(
            boot=0,  # filled in when it is published
            at=self._clock.now(),
            status=status,
            desired_version=wanted.version,
            desired_hash=wanted.hash,
            applied_version=runs.version,
            applied_hash=runs.hash or self.own_hash,
            errors=errors or [],
            quarantined=quarantined or [],
            restarted=restarted,
            rollout=rollout,
        )

    def say(self, told: Reported) -> None:
        """Publish it, and again whenever the broker may have lost it."""
        self.reported = told
        self._publish(told)

    async def save(self, record: Record, step: Step) -> None:
        """On disk when this returns. Raises ``TwinError``; then nothing has changed."""
        await self.in_thread(lambda: self.store.save(record, step))
        self.record = record

    async def decide(self, record: Record, told: Reported, step: Step, by: str) -> None:
        """A decision, all the way."""
        await self.save(replace(record, reported=told), step)
        await self.announce(told, by)

    async def announce(self, told: Reported, by: str) -> None:
        """A decision that is on disk already."""
        self._log.info(
            "configuration decided",
            status=told.status.value,
            wanted=told.desired_version,
            runs=told.applied_version,
            errors=[f"{one.pointer} {one.message}".strip() for one in told.errors[:3]],
        )
        await self._commit(told, by)
        self.say(told)

    async def make_good(self) -> None:
        """The event of a decision that an earlier boot kept and could not write into the log any more."""
        told = self.record.reported
        if told is not None and await self._outbox.load_state(TOLD_KEY) != told_key(told):
            await self._commit(told, "")

    async def refuse(self, wanted: Ref, why: Mistake, rollout: str = "") -> None:
        """Settles nothing: the same version may come again, put right. In the log once, reported every time."""
        told = self.now(ApplyStatus.REJECTED, wanted, errors=[why], rollout=rollout)
        if self._complained != (wanted, why):
            self._complained = (wanted, why)
            self._log.warning("a desired document is refused", version=wanted.version, why=why.message, hint=why.hint)
            if (event := event_of(told)) is not None:
                await self._outbox.append(event)
        self.say(told)

    def ignore(self, wanted: Ref) -> None:
        """An older document than what is known; said once."""
        if self._complained != wanted:
            self._complained = wanted
            self._log.info("an older document is ignored", version=wanted.version, known=self.record.known.version)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Blocking work of files and checks."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def _commit(self, told: Reported, by: str) -> None:
        event = event_of(told, by)
        if event is not None:
            await self._outbox.append(event)
            await self._outbox.save_state(TOLD_KEY, told_key(told))

    def _recalled(self) -> Reported | None:
        """What an earlier boot said, with what runs now: the box's own hall.yaml may be another one since."""
        told, runs = self.record.reported, self.record.last_good
        if told is None:
            return None
        return told.model_copy(update={"applied_version": runs.version, "applied_hash": runs.hash or self.own_hash})
