"""What the twin remembers over restarts, as one small JSON file; pure.

``good`` are documents that were kept, the newest first: the first one runs, the second is what a damaged first one
falls back to. No good one at all: the box runs its own hall.yaml. A document on ``trial`` runs instead of them until it
is kept or given up, so giving up is nothing but forgetting the trial.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from pydantic import ValidationError

from hallctl.link.configuration import HealthRule, Reported

FORMAT = 1  # grows only with what an older hallctl could not read; keys that are added it passes over
GOOD_KEPT = 2


@dataclass(frozen=True, slots=True)
class Ref:
    """A document of the centre by version and hash. Version 0 with an empty hash: none."""

    version: int = 0
    hash: str = ""


NONE = Ref()


@dataclass(frozen=True, slots=True)
class Trial:
    """A document that runs and has not shown yet that it does no harm.

    ``boots``: how often the daemon was started with it; ``online``: terminals that were online before it.
    """

    document: Ref
    window_s: float
    max_lost: int
    online: frozenset[str] = frozenset()
    boots: int = 0
    rollout: str = ""
    by: str = ""

    @property
    def health(self) -> HealthRule:
        """When it is kept."""
        return HealthRule(window_s=self.window_s, max_lost=self.max_lost)


@dataclass(frozen=True, slots=True)
class Record:
    """``known``: the newest desired document that was decided upon, whatever became of it."""

    good: tuple[Ref, ...] = ()
    trial: Trial | None = None
    known: Ref = NONE
    reported: Reported | None = None

    @property
    def last_good(self) -> Ref:
        """What runs when nothing is on trial."""
        return self.good[0] if self.good else NONE

    @property
    def runs(self) -> Ref:
        """What runs; ``NONE``: the box's own hall.yaml."""
        return self.trial.document if self.trial is not None else self.last_good

    @property
    def needs(self) -> frozenset[str]:
        """Hashes of the documents that must not be removed."""
        kept = {ref.hash for ref in self.good}
        return frozenset(kept | {self.trial.document.hash} if self.trial is not None else kept)

    def kept(self, document: Ref) -> "Record":
        """The same with this document kept; one of the same hash only gets its new version."""
        rest = tuple(ref for ref in self.good if ref.hash != document.hash)
        return replace(self, good=(document, *rest)[:GOOD_KEPT], trial=None, known=document)

    def without(self, hash_: str) -> "Record":
        """The same without a document that can't be used; what is known is what is left, so that it may come again."""
        good = tuple(ref for ref in self.good if ref.hash != hash_)
        trial = None if self.trial is not None and self.trial.document.hash == hash_ else self.trial
        return replace(self, good=good, trial=trial, known=good[0] if good else NONE)


def encode(record: Record) -> bytes:
    """The file's content, with a checksum over what it says."""
    trial = record.trial
    body = {
        "format": FORMAT,
        "good": [asdict(ref) for ref in record.good],
        "trial": {**asdict(trial), "online": sorted(trial.online)} if trial is not None else None,
        "known": asdict(record.known),
        "reported": record.reported.model_dump(mode="json") if record.reported is not None else None,
    }
    text = json.dumps(body, ensure_ascii=False, sort_keys=True)
    return json.dumps({"sha256": _sum(text), "record": text}, ensure_ascii=False).encode()


def decode(data: bytes) -> Record:
    """Raises ``ValueError`` that says what is wrong with the file."""
    try:
        outer = json.loads(data)
        text = outer["record"]
        if _sum(text) != outer["sha256"]:
            raise ValueError("its checksum is wrong")
        body = json.loads(text)
        if body["format"] != FORMAT:
            raise ValueError(f"it has format {body['format']}, this hallctl knows {FORMAT}")
        return _record(body)
    except (KeyError, TypeError, AttributeError, ValidationError) as exc:
        raise ValueError(f"it is no record of a twin: {exc!r}") from exc


def _record(body: Mapping[str, Any]) -> Record:
    trial, reported = body["trial"], body["reported"]
    return Record(
        good=tuple(_ref(ref) for ref in body["good"]),
        trial=_trial(trial) if trial is not None else None,
        known=_ref(body["known"]),
        reported=Reported.model_validate(reported) if reported is not None else None,
    )


def _ref(body: Mapping[str, Any]) -> Ref:
    return Ref(**_known(body, Ref))


def _trial(body: Mapping[str, Any]) -> Trial:
    said = _known(body, Trial)
    return Trial(**{**said, "document": _ref(body["document"]), "online": frozenset(body["online"])})


def _known(body: Mapping[str, Any], kind: type[Ref | Trial]) -> dict[str, Any]:
    """What this release knows of it: a box that went back from a newer one has its record, with what that one added."""
    names = {one.name for one in fields(kind)}
    return {key: value for key, value in body.items() if key in names}


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
