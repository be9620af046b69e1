"""What a rollout publishes for single controllers: what they shall run, what they ran, and how that is kept."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from hallctl.errors import LinkError
from hallctl.fleet.desk import Desk
from hallctl.fleet.documents import Document
from hallctl.fleet.fetching import fetch_documents
from hallctl.fleet.planning import running_document
from hallctl.fleet.rollout import Rollout
from hallctl.fleet.rollout_values import Effect
from hallctl.link.configuration import Desired, HealthRule
from hallctl.link.rollouts import Fate, RolloutHead, TargetRow, document_topic, encode_document

NOT_WATCHED = HealthRule(window_s=5.0, max_lost=100_000)  # the way back: what would a controller go back to from there?
NEVER_TOOK = (Fate.PENDING, Fate.REJECTED, Fate.ROLLED_BACK)


class Sender:
    """Publishes for one rollout. ``put`` gets what the engine answers to refusals of the broker."""

    def __init__(
        self, desk: Desk, rollout: Rollout, documents: dict[str, Document], put: Callable[[list[Effect]], None]
    ) -> None:
        self._desk = desk
        self._rollout = rollout
        self._documents = documents
        self._put = put

    async def prepare(self, targets: Sequence[TargetRow]) -> list[str]:
        """Keep at the broker what these run now; gives whose document can't be kept, and why. Raises ``LinkError``."""
        wanted = {target.previous: target for target in targets if target.previous not in ("", *self._documents)}
        missing = {hash_: target for hash_, target in wanted.items() if not self._found(hash_, target)}
        ask = [one.topics for one in missing.values() if self._desk.is_online(one.topics)]
        fetched = await fetch_documents(self._desk.calls, ask) if ask else {}
        for found in fetched.values():
            if found.document is not None and missing.pop(found.hash, None) is not None:
                self._documents[found.hash] = found.document
        kept = [(document_topic(h), encode_document(self._documents[h])) for h in wanted if h in self._documents]
        await self._desk.publish_all(kept)
        return [
            f"{one.site}/{one.controller}: what it runs can't be kept for the way back: "
            f"{fetched[one.topics].problem if one.topics in fetched else 'it is offline'}"
            for one in missing.values()
        ]

    async def send(self, targets: Sequence[TargetRow], head: RolloutHead) -> None:
        """Publish what these shall run. Raises ``LinkError`` when the link is lost."""
        await asyncio.gather(*(self._guarded(one, self._want_new(one, head)) for one in targets))

    async def take_back(self, targets: Sequence[TargetRow], head: RolloutHead) -> None:
        """Publish what these ran before. Raises ``LinkError`` when the link is lost."""
        await asyncio.gather(*(self._guarded(one, self._want_old(one, head)) for one in targets))

    def _found(self, hash_: str, target: TargetRow) -> bool:
        view = self._desk.reader.controllers.get(target.topics)
        document = running_document(view) if view else None
        if document is None or view is None or view.desired is None or view.desired.hash != hash_:
            return False
        self._documents[hash_] = document
        return True

    async def _guarded(self, target: TargetRow, work: Awaitable[None]) -> None:
        """What the broker refuses for one controller is that one's fate; a lost link ends the whole drive."""
        try:
            await work
        except LinkError as exc:
            if self._desk.lost:
                raise
            self._put(self._rollout.denied(target.topics, exc.message, self._desk.clock.monotonic()))

    async def _want_new(self, target: TargetRow, head: RolloutHead) -> None:
        await self._want(target, target.version, target.document, head, head.health)

    async def _want_old(self, target: TargetRow, head: RolloutHead) -> None:
        """Under the next version; where nobody knows what it ran and it never took ours, our wish is withdrawn."""
        if target.previous in self._documents:
            await self._want(target, target.version + 1, target.previous, head, NOT_WATCHED)
            return
        one = self._rollout.standing(target.topics)
        if one is None or one.runs_it:
            raise LinkError("nobody knows what it ran before: push the right document to it", code="document.unknown")
        await self._desk.publish(target.topics.desired, b"", retain=True)
        if one.fate not in NEVER_TOOK:
            raise LinkError(
                "our wish is withdrawn, but it may have taken it, and nobody knows what it ran before",
                code="document.unknown",
            )
        self._put(self._rollout.withdrawn(target.topics, self._desk.clock.monotonic()))

    async def _want(self, target: TargetRow, version: int, hash_: str, head: RolloutHead, health: HealthRule) -> None:
        desired = Desired(
            version=version,
            hash=hash_,
            document=self._documents[hash_],
            at=self._desk.clock.now(),
            by=head.by,
            rollout=head.id,
            health=health,
        )
        await self._desk.publish(target.topics.desired, desired.model_dump_json().encode(), retain=True)
