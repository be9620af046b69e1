"""Drives one rollout: carries out what the engine decides, keeps its record at the broker, outlives the broker.

Two desks never drive one rollout: the head names the desk and its epoch, each take-over has a higher one, and a desk
that reads a head that outranks its own stops at once (``TakenOver``).
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hallctl.errors import LinkError
from hallctl.fleet.book import in_parts, what_to_keep
from hallctl.fleet.desk import Desk
from hallctl.fleet.documents import Document
from hallctl.fleet.reader import Change, ReportChanged
from hallctl.fleet.rollout import Rollout
from hallctl.fleet.rollout_values import Effect, Finished, Prepare, Save, Send, TakeBack
from hallctl.fleet.sending import Sender
from hallctl.link.rollouts import (
    HEAD_FILTER,
    Fate,
    OutcomeRow,
    OutcomesPart,
    RolloutHead,
    TargetRow,
    WayBack,
    document_topic,
    head_topic,
    outcomes_topic,
)

TICK_S = 0.2
TICK_SHARE = 0.1
"""Most of the desk's time that looking at the clock may cost: with thousands of controllers a look lasts."""
FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S = 0.5, 10.0


class TakenOver(LinkError):
    """Another desk drives this rollout now."""

    code = "rollout.taken_over"


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that a person should know and that stops nothing."""

    message: str


@dataclass(frozen=True, slots=True)
class BrokerLost:
    """The broker is away; the rollout goes on when it is back."""

    message: str


@dataclass(frozen=True, slots=True)
class BrokerBack:
    """The broker is back; what it lost has been published again."""

    lost_record: bool


Notice = Effect | Warned | BrokerLost | BrokerBack
Tell = Callable[[Notice], None]


def outranks(other: RolloutHead, mine: RolloutHead) -> bool:
    """Whether another desk's head makes ours give way: a later epoch, or in the same one the smaller desk id."""
    return other.epoch > mine.epoch or (other.epoch == mine.epoch and other.desk < mine.desk)


class Driver:
    """One rollout and the desk that drives it; ``back``: why everything that got it shall go back."""

    def __init__(
        self,
        desk: Desk,
        rollout: Rollout,
        head: RolloutHead,
        documents: dict[str, Document],
        tell: Tell,
        back: str | None = None,
    ) -> None:
        self.rollout = rollout
        self.head = head
        self._desk = desk
        self._clock = desk.clock
        self._documents = documents
        self._tell = tell
        self._effects: asyncio.Queue[Effect] = asyncio.Queue()
        self._sender = Sender(desk, rollout, documents, self._put)
        self._kept: dict[int, bytes] = {}
        self._outranked: RolloutHead | None = None
        self._part_of = {t.topics: n for n, part in enumerate(in_parts(rollout.plan.targets)) for t in part}
        self._dirty = set(self._part_of.values()) if rollout.wave >= 0 else set()
        self._back = back

    async def begin(self) -> None:
        """Keep a new rollout at the broker; the head comes last, and from then on any desk can go on with it."""
        await self._desk.subscribe(HEAD_FILTER)
        await self._desk.publish_all(what_to_keep(self.head.id, self.rollout.plan.targets, self._documents))
        await self._publish_head()

    async def claim(self) -> None:
        """Say that this desk drives a rollout that is kept already; the other one stops when it reads that."""
        await self._desk.subscribe(HEAD_FILTER)
        await self._publish_head()

    async def drive(self) -> None:
        """Go on until it is over. Call it while the desk is connected; raises ``LinkError`` when that is lost."""
        self._effects = asyncio.Queue()
        self._desk.listeners.append(self._changed)
        self._desk.head_listeners.append(self._head_came)
        try:
            for topics in self._part_of:
                self._hear(topics)
            self._put(self.rollout.start(self._clock.monotonic(), back=self._back))
            async with asyncio.TaskGroup() as group:
                beat = group.create_task(self._beat())
                tick = group.create_task(self._tick())
                await self._carry_out()
                beat.cancel()
                tick.cancel()
        except* LinkError as errors:
            raise _first(errors) from None
        finally:
            self._desk.listeners.remove(self._changed)
            self._desk.head_listeners.remove(self._head_came)
        await self._tidy_up()

    async def drive_on(self, sites: Iterable[str]) -> None:
        """Connect again and again until it is over. Raises ``TakenOver``."""
        failures = 0
        while not self.rollout.phase.over or not self.head.phase.over:
            try:
                async with self._desk.connected():
                    lost = await self._come_back(tuple(sites))
                    self._tell(BrokerBack(lost))
                    failures = 0
                    await self.drive()
            except TakenOver:
                raise
            except LinkError as exc:
                self._tell(BrokerLost(str(exc)))
                failures += 1
                await self._clock.sleep(min(LONGEST_BACK_OFF_S, FIRST_BACK_OFF_S * 2**failures))

    async def _come_back(self, sites: tuple[str, ...]) -> bool:
        """Read again what is there; publish again what the broker lost (MQ-28)."""
        desk = self._desk
        desk.book.heads.pop(self.head.id, None)
        await desk.subscribe(HEAD_FILTER)
        await desk.read(sites, "config/reported")
        found = desk.book.heads.get(self.head.id)
        if found is not None and found.desk != desk.id and outranks(found, self.head):
            raise self._taken_over(found)
        if found is None:
            await desk.publish_all(what_to_keep(self.head.id, self.rollout.plan.targets, self._documents))
            self._kept.clear()
            self._dirty = set(self._part_of.values())
            await self._keep_outcomes()
        await self._publish_head()
        return found is None

    def _taken_over(self, by: RolloutHead) -> TakenOver:
        return TakenOver(
            f"another desk drives rollout {self.head.id} now (it says at {by.at:%H:%M:%S} UTC)",
            hint=f"look with: hallctl fleet history {self.head.id}",
        )

    def _head_came(self, rollout: str) -> None:
        found = self._desk.book.heads.get(rollout)
        if rollout == self.head.id and found is not None and found.desk != self._desk.id:
            self._outranked = found

    def _changed(self, change: Change) -> None:
        if isinstance(change, ReportChanged) and change.topics in self._part_of:
            self._hear(change.topics)

    def _hear(self, topics: object) -> None:
        view = self._desk.reader.controllers.get(topics)  # type: ignore[call-overload]  # a key of our own table
        if view is not None and view.reported is not None:
            self._put(self.rollout.heard(view.topics, view.reported, self._clock.monotonic()))

    def _put(self, effects: list[Effect]) -> None:
        for effect in effects:
            self._effects.put_nowait(effect)

    async def _tick(self) -> None:
        looked_s = 0.0
        while True:
            await self._clock.sleep(max(TICK_S, looked_s / TICK_SHARE))
            if (other := self._outranked) is not None:
                self._outranked = None
                if outranks(other, self.head):
                    raise self._taken_over(other)
                await self._publish_head()  # a desk of an earlier epoch did not know yet
            now = self._clock.monotonic()
            self._put(self.rollout.tick(now))
            looked_s = self._clock.monotonic() - now

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(self.head.beat_s)
            await self._keep_outcomes()
            self.head = self.head.model_copy(update={"beat": self.head.beat + 1})
            await self._publish_head()

    async def _carry_out(self) -> None:
        while True:
            effect = await self._effects.get()
            match effect:
                case Prepare(targets=targets):
                    for warning in await self._sender.prepare(targets):
                        self._tell(Warned(warning))
                case Save() as save:
                    await self._save(save)
                case Send(targets=targets):
                    await self._sender.send(targets, self.head)
                case TakeBack(targets=targets):
                    await self._sender.take_back(targets, self.head)
                case Finished():
                    self._tell(effect)
                    return
            self._note(effect)
            self._tell(effect)

    def _note(self, effect: Effect) -> None:
        standing = getattr(effect, "standing", None)
        if standing is not None:
            self._dirty.add(self._part_of[standing.topics])
        for target in getattr(effect, "targets", ()):
            self._dirty.add(self._part_of[target.topics])

    async def _save(self, save: Save) -> None:
        await self._keep_outcomes()
        ended = self._clock.now() if save.phase.over else None
        update = {
            "phase": save.phase,
            "wave": save.wave,
            "reason": save.reason,
            "ended_at": ended,
            "counts": self.rollout.counts,
        }
        head = self.head.model_copy(update=update)
        await self._desk.publish(
            head_topic(head.id), head.model_copy(update={"at": self._clock.now()}).encode(), retain=True
        )
        self.head = head

    async def _publish_head(self) -> None:
        head = self.head.model_copy(update={"at": self._clock.now(), "counts": self.rollout.counts})
        await self._desk.publish(head_topic(head.id), head.encode(), retain=True)

    async def _keep_outcomes(self) -> None:
        dirty, self._dirty = sorted(self._dirty), set()
        parts = in_parts(self.rollout.plan.targets)
        messages = []
        for number in dirty:
            payload = OutcomesPart(outcomes=[*self._rows(parts[number])]).encode(256 * 1024)
            if payload != self._kept.get(number):
                self._kept[number] = payload
                messages.append((outcomes_topic(self.head.id, number), payload))
        await self._desk.publish_all(messages)

    def _rows(self, part: tuple[TargetRow, ...]) -> Iterable[OutcomeRow]:
        for target in part:
            one = self.rollout.standing(target.topics)
            if one is not None and one.fate is not Fate.WAITING:
                row = {"site": target.site, "controller": target.controller, "fate": one.fate, "way_back": one.way_back}
                yield OutcomeRow.model_validate({**row, "message": _cut(one.why)})

    async def _tidy_up(self) -> None:
        """Documents are needed no more once nobody has to go on or back; old rollouts are forgotten."""
        if not any(head.id != self.head.id for head in self._desk.book.unfinished()):
            await self._desk.publish_all((document_topic(hash_), b"") for hash_ in self._documents)
        await self._desk.publish_all((topic, b"") for topic in self._desk.book.out_of_date())

    @property
    def unsettled(self) -> int:
        """How many controllers have not taken it, or not gone back, because they are offline."""
        return sum(
            one.way_back is WayBack.PENDING or (one.fate is Fate.PENDING and one.way_back is WayBack.NONE)
            for one in self.rollout.standings
        )


def _first(group: BaseExceptionGroup[LinkError]) -> LinkError:
    """The error that says most: that another desk has taken over, else any."""
    found = [_first(error) if isinstance(error, BaseExceptionGroup) else error for error in group.exceptions]
    return next((one for one in found if isinstance(one, TakenOver)), found[0])


def _cut(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:297]}..."
