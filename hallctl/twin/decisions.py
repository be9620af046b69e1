"""What to do with a desired document that arrived; pure (docs/mqtt-contract.md, Configuration)."""

from enum import StrEnum

from hallctl.twin.record import Record, Ref


class Decision(StrEnum):
    """What a desired document is to this box."""

    OLDER = "older"  # something newer was decided upon: ignored
    KNOWN = "known"  # decided upon already: what became of it is said again
    REUSED = "reused"  # its version belongs to another document: rejected
    SAME = "same"  # what runs already: its version is noted, no terminal is touched
    NEW = "new"  # to be judged and tried


def decide(record: Record, wanted: Ref, running: str) -> Decision:
    """``running``: the hash of the document that runs, the box's own hall.yaml included."""
    known = record.known
    if wanted.version < known.version:
        return Decision.OLDER
    if wanted.version == known.version:
        return Decision.KNOWN if wanted.hash == known.hash else Decision.REUSED
    if wanted.hash == running and record.trial is None:
        return Decision.SAME
    return Decision.NEW
