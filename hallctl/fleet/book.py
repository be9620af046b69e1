"""The rollouts that the broker keeps, folded from retained messages; and what has to be retained of one. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from hallctl.fleet.documents import Document
from hallctl.fleet.rollout_values import Progress
from hallctl.link.broker import Message
from hallctl.link.rollouts import (
    ROWS_A_PART,
    Fate,
    KeptDocument,
    OutcomeRow,
    OutcomesPart,
    RolloutHead,
    TargetRow,
    TargetsPart,
    WayBack,
    document_topic,
    encode_document,
    head_topic,
    outcomes_topic,
    read_desk_topic,
    targets_topic,
)
from hallctl.link.topics import Topics

KEPT_ROLLOUTS = 20


@dataclass(slots=True)
class RolloutBook:
    """Everything that is known of rollouts; ``take`` each message of ``hall-fleet/v1``."""

    heads: dict[str, RolloutHead] = field(default_factory=dict)
    targets: dict[str, dict[int, TargetsPart]] = field(default_factory=dict)
    outcomes: dict[str, dict[int, OutcomesPart]] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)
    unreadable: int = 0

    def take(self, message: Message) -> str | None:
        """Fold one message in; gives the id of the rollout whose head it was."""
        place = read_desk_topic(message.topic)
        if place is None:
            return None
        try:
            match place.kind:
                case "head":
                    self._take_head(place.name, message.payload)
                    return place.name
                case "targets" if message.payload:
                    part = TargetsPart.model_validate_json(message.payload)
                    self.targets.setdefault(place.name, {})[place.part] = part
                case "outcomes" if message.payload:
                    outcomes = OutcomesPart.model_validate_json(message.payload)
                    self.outcomes.setdefault(place.name, {})[place.part] = outcomes
                case "document" if message.payload:
                    self.documents[place.name] = KeptDocument.model_validate_json(message.payload).document
        except ValidationError:
            self.unreadable += 1
        return None

    def newest_first(self) -> list[RolloutHead]:
        """All heads."""
        return sorted(self.heads.values(), key=lambda head: head.started_at, reverse=True)

    def unfinished(self) -> list[RolloutHead]:
        """Heads of rollouts that somebody has to go on with."""
        return [head for head in self.newest_first() if not head.phase.over]

    def rows(self, rollout: str) -> list[TargetRow] | None:
        """A rollout's targets in their order; ``None`` when a part is missing."""
        head, parts = self.heads.get(rollout), self.targets.get(rollout, {})
        if head is None or any(n not in parts for n in range(head.parts)):
            return None
        return [row for n in range(head.parts) for row in parts[n].targets]

    def outcome_rows(self, rollout: str) -> dict[Topics, OutcomeRow]:
        """What became of a rollout's controllers, as far as it was kept."""
        parts = self.outcomes.get(rollout, {}).values()
        return {Topics(row.site, row.controller): row for part in parts for row in part.outcomes}

    def progress(self, rollout: str) -> Progress:
        """How far a rollout is."""
        head = self.heads[rollout]
        fates: Mapping[Topics, tuple[Fate, WayBack]] = {
            topics: (row.fate, row.way_back) for topics, row in self.outcome_rows(rollout).items()
        }
        return Progress(head.phase, head.wave, head.reason, fates)

    def out_of_date(self, keep: int = KEPT_ROLLOUTS) -> Iterator[str]:
        """Topics of old rollouts that are over: to be emptied."""
        over = [head for head in self.newest_first() if head.phase.over]
        for head in over[keep:]:
            for part in range(head.parts):
                yield targets_topic(head.id, part)
                yield outcomes_topic(head.id, part)
            yield head_topic(head.id)

    def _take_head(self, rollout: str, payload: bytes) -> None:
        if payload:
            self.heads[rollout] = RolloutHead.model_validate_json(payload)
        else:
            self.heads.pop(rollout, None)


def in_parts(targets: tuple[TargetRow, ...]) -> list[tuple[TargetRow, ...]]:
    """Targets cut into parts that fit every broker's packets."""
    return [targets[at : at + ROWS_A_PART] for at in range(0, len(targets), ROWS_A_PART)]


def what_to_keep(
    rollout: str, targets: tuple[TargetRow, ...], documents: Mapping[str, Document]
) -> Iterator[tuple[str, bytes]]:
    """Topics and payloads that have to be at the broker before a rollout's head is."""
    for hash_, document in documents.items():
        yield document_topic(hash_), encode_document(document)
    for number, part in enumerate(in_parts(targets)):
        yield targets_topic(rollout, number), TargetsPart(targets=list(part)).encode(256 * 1024)
