"""What a rollout's engine is given and what it answers with: plan, progress, effects; frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hallctl.fleet.standing import Standing
from hallctl.link.configuration import HealthRule
from hallctl.link.rollouts import Fate, RolloutPhase, RolloutRules, TargetRow, WayBack
from hallctl.link.topics import Topics


@dataclass(frozen=True, slots=True)
class Plan:
    """What is fixed before the first message is sent. ``waves``: sizes, over the order of ``targets``."""

    targets: tuple[TargetRow, ...]
    waves: tuple[int, ...]
    rules: RolloutRules
    health: HealthRule = field(default_factory=HealthRule)

    def wave(self, index: int) -> tuple[TargetRow, ...]:
        """The targets of one wave."""
        begin = sum(self.waves[:index])
        return self.targets[begin : begin + self.waves[index]]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it was when it was saved."""

    phase: RolloutPhase = RolloutPhase.RUNNING
    wave: int = -1
    reason: str = ""
    fates: Mapping[Topics, tuple[Fate, WayBack]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prepare:
    """Keep what these run now, so that they can go back."""

    targets: tuple[TargetRow, ...]


@dataclass(frozen=True, slots=True)
class Save:
    """Keep how far it is; what follows is done only after that. The engine may be further on when it is carried out."""

    phase: RolloutPhase
    wave: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Send:
    """Publish what these shall run. ``again``: they have had it and did not speak of it."""

    targets: tuple[TargetRow, ...]
    again: bool = False


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Publish what these ran before, under the next version."""

    targets: tuple[TargetRow, ...]
    again: bool = False


@dataclass(frozen=True, slots=True)
class WaveBegun:
    """To be told."""

    index: int


@dataclass(frozen=True, slots=True)
class WaveSettled:
    """Everybody of the wave has been heard, or waited for long enough; it is observed now. To be told."""

    index: int


@dataclass(frozen=True, slots=True)
class Judged:
    """A controller's fate, or its way back, has changed. To be told."""

    standing: Standing


@dataclass(frozen=True, slots=True)
class Aborted:
    """It goes back from here on. To be told."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing more is to do."""

    phase: RolloutPhase


Effect = Prepare | Save | Send | TakeBack | WaveBegun | WaveSettled | Judged | Aborted | Finished


def wave_sizes(online: int, offline: int, first: int, grow: float) -> tuple[int, ...]:
    """Sizes of the waves: those online in growing steps, those offline in one last wave of their own."""
    sizes, size = [], float(first)
    while online > 0:
        sizes.append(min(int(size), online))
        online -= sizes[-1]
        size *= grow
    return (*sizes, offline) if offline else tuple(sizes)
