"""Which hall document a box runs, as its state directory says: its own hall.yaml, or one that the centre pushed."""

from dataclasses import dataclass
from typing import Any

from hallctl.cli.language import _
from hallctl.config import ControllerConfig
from hallctl.errors import TwinError
from hallctl.twin import TWIN_FOLDER, TwinStore


@dataclass(frozen=True, slots=True)
class Running:
    """``version`` 0: hall.yaml. ``problem``: why it can't be told."""

    version: int = 0
    hash: str = ""
    on_trial: bool = False
    problem: str = ""

    def words(self) -> str:
        """A line for a technician; empty where hall.yaml runs, as everybody expects."""
        if self.problem:
            return _("advice: which document runs can't be told: {problem}").format(problem=self.problem)
        if not self.version:
            return ""
        trial = _(", on trial") if self.on_trial else ""
        return _(
            "The daemon runs version {version} of the centre's document ({hash}{trial}), not hall.yaml: "
            "that is only what the box falls back to. docs/operations.md says how to leave it."
        ).format(version=self.version, hash=self.hash[:12], trial=trial)

    def values(self) -> dict[str, Any]:
        """The same for --json."""
        source = None if self.problem else "centre" if self.version else "hall.yaml"
        return {
            "source": source,
            "version": self.version,
            "hash": self.hash,
            "trial": self.on_trial,
            "problem": self.problem,
        }


def running_of(config: ControllerConfig) -> Running:
    """What the record of the twin says; nothing is changed by looking."""
    try:
        record = TwinStore(config.state_dir / TWIN_FOLDER).peek()
    except TwinError as exc:
        return Running(problem=exc.message)
    return Running(record.runs.version, record.runs.hash, record.trial is not None)
