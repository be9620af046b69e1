"""Rollouts as the desk keeps them at the broker: topics and payloads under ``hall-fleet/v1``; pure.

Everything that another desk needs to see a rollout, to go on with it or to take it back is retained here: the head
(small, published again with every heartbeat of the desk that drives it), its targets and outcomes in parts that fit
every broker's packets, and the documents.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from hallctl.link.configuration import HealthRule
from hallctl.link.payloads import Payload
from hallctl.link.topics import Topics

FLEET_ROOT = "hall-fleet/v1"
ROWS_A_PART = 400
MAX_PART_BYTES = 240 * 1024
_ROLLOUT = re.compile(rf"^{FLEET_ROOT}/rollout/(?P<id>[^/+#]+)(?:/(?P<kind>targets|outcomes)/(?P<part>[0-9]+))?$")
_DOCUMENT = re.compile(rf"^{FLEET_ROOT}/document/(?P<hash>[0-9a-f]{{64}})$")
ROLLOUT_FILTERS = (f"{FLEET_ROOT}/rollout/+", f"{FLEET_ROOT}/rollout/+/targets/+", f"{FLEET_ROOT}/rollout/+/outcomes/+")
HEAD_FILTER = ROLLOUT_FILTERS[0]
DOCUMENT_FILTER = f"{FLEET_ROOT}/document/+"


def head_topic(rollout: str) -> str:
    """A rollout's head; retained."""
    return f"{FLEET_ROOT}/rollout/{rollout}"


def targets_topic(rollout: str, part: int) -> str:
    """One part of its targets; retained, written once."""
    return f"{FLEET_ROOT}/rollout/{rollout}/targets/{part}"


def outcomes_topic(rollout: str, part: int) -> str:
    """What became of the same targets; retained."""
    return f"{FLEET_ROOT}/rollout/{rollout}/outcomes/{part}"


def document_topic(hash_: str) -> str:
    """A document that an unfinished rollout needs to go on or to go back; retained."""
    return f"{FLEET_ROOT}/document/{hash_}"


def desk_topic(desk: str) -> str:
    """Where a desk speaks to itself, to know that everything before has come; never retained."""
    return f"{FLEET_ROOT}/desk/{desk}"


@dataclass(frozen=True, slots=True)
class DeskPlace:
    """A desk's topic taken apart: ``kind`` is head, targets, outcomes or document; ``name`` a rollout or a hash."""

    kind: str
    name: str
    part: int = 0


def read_desk_topic(topic: str) -> DeskPlace | None:
    """Take a topic apart; ``None`` when it is none of the desk's."""
    if (found := _ROLLOUT.match(topic)) is not None:
        return DeskPlace(found["kind"] or "head", found["id"], int(found["part"] or 0))
    if (found := _DOCUMENT.match(topic)) is not None:
        return DeskPlace("document", found["hash"])
    return None


class RolloutPhase(StrEnum):
    """How far a rollout is."""

    RUNNING = "running"
    DONE = "done"
    ABORTING = "aborting"
    ABORTED = "aborted"

    @property
    def over(self) -> bool:
        """Whether nobody has to do anything more."""
        return self in (RolloutPhase.DONE, RolloutPhase.ABORTED)


class Fate(StrEnum):
    """What became of one controller on the way forward."""

    WAITING = "waiting"  # its wave has not come
    SENT = "sent"
    TOOK = "took"
    PARTIAL = "partial"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"
    SILENT = "silent"  # online, and no word about it in time
    LOST = "lost"  # online when it got it, then gone
    DENIED = "denied"  # the broker did not take it
    PENDING = "pending"  # offline: takes it when it is back
    OVERTAKEN = "overtaken"  # somebody has pushed something newer


class WayBack(StrEnum):
    """How far one controller is on the way back."""

    NONE = ""
    SENT = "sent"
    BACK = "back"
    PENDING = "pending"  # offline: goes back when it returns
    FAILED = "failed"
    OVERTAKEN = "overtaken"


class RolloutRules(Payload):
    """Waves, patience and what is too much."""

    first: int = Field(default=5, ge=1, description="controllers of the first wave")
    grow: float = Field(default=4.0, ge=1, le=100, description="each wave is so many times the one before")
    observe_s: float = Field(default=60.0, ge=0, description="least time between a wave's last report and the next")
    wait_s: float = Field(default=120.0, gt=0, description="how long a controller that is online may say nothing")
    resend_s: float = Field(default=10.0, gt=0, description="who has not spoken of it by then gets it again")
    abort_count: int | None = Field(default=None, ge=1, description="so many failures end it")
    abort_percent: float | None = Field(
        default=None, ge=0, le=100, description="failures in percent of those that got it"
    )
    accept_partial: bool = Field(default=False, description="partial is no failure")


class RolloutHead(Payload):
    """``rollout/{id}``: who drives it and how far it is."""

    id: str = Field(max_length=64)
    by: str = Field(default="", max_length=100, description="who pushed it")
    desk: str = Field(description="which desk drives it")
    epoch: int = Field(default=1, description="grows with every take-over: the higher one drives")
    beat: int = Field(default=0, description="grows while that desk lives")
    beat_s: float = Field(default=2.0, description="how often it does")
    at: datetime = Field(description="when this was said")
    started_at: datetime
    ended_at: datetime | None = None
    file: str = Field(default="", max_length=200, description="name of what was pushed")
    selector: list[str] = Field(default_factory=list)
    rules: RolloutRules = Field(default_factory=RolloutRules)
    health: HealthRule = Field(default_factory=HealthRule)
    phase: RolloutPhase = RolloutPhase.RUNNING
    reason: str = Field(default="", description="why it was aborted")
    wave: int = Field(default=-1, description="wave that runs, from 0; -1: none yet")
    waves: list[int] = Field(description="how many controllers each wave has, in the order of the targets")
    parts: int = Field(description="parts of targets, and of outcomes")
    counts: dict[str, int] = Field(default_factory=dict, description="how many met which fate")


class TargetRow(Payload):
    """One controller of a rollout."""

    site: str
    controller: str
    version: int = Field(description="version that it gets; the way back has the next one")
    document: str = Field(description="hash of the document that it gets")
    previous_version: int = Field(default=0, description="version that it ran; 0: its own hall.yaml")
    previous: str = Field(default="", description="hash of what it ran; empty: not known")

    @property
    def topics(self) -> Topics:
        """Its topics."""
        return Topics(self.site, self.controller)


class TargetsPart(Payload):
    """``rollout/{id}/targets/{n}``."""

    targets: list[TargetRow]


class OutcomeRow(Payload):
    """What became of one controller; those that still wait for their wave are left out."""

    site: str
    controller: str
    fate: Fate
    way_back: WayBack = WayBack.NONE
    message: str = Field(default="", max_length=300, description="why not, in short")


class OutcomesPart(Payload):
    """``rollout/{id}/outcomes/{n}``."""

    outcomes: list[OutcomeRow]


class KeptDocument(Payload):
    """``document/{hash}``."""

    document: dict[str, Any]


def encode_document(document: Mapping[str, Any]) -> bytes:
    """A document as it is kept for a rollout. Raises ``LinkError`` when it is too large for the contract."""
    return KeptDocument(document=dict(document)).encode(MAX_PART_BYTES + 1024)
