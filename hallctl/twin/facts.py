"""What became of a desired document, as an event of the log; pure."""

from hallctl.link.configuration import ApplyStatus, Reported
from hallctl.model import Event, EventType

TOLD_IN_EVENT = 5  # mistakes; the report has more of them

_EVENTS = {
    ApplyStatus.APPLIED: EventType.CONFIG_APPLIED,
    ApplyStatus.PARTIAL: EventType.CONFIG_APPLIED,
    ApplyStatus.REJECTED: EventType.CONFIG_REJECTED,
    ApplyStatus.ROLLED_BACK: EventType.CONFIG_ROLLED_BACK,
}


def event_of(reported: Reported, by: str = "") -> Event | None:
    """The fact for the log; ``None`` while nothing is decided."""
    kind = _EVENTS.get(reported.status)
    if kind is None:
        return None
    data = {
        "version": reported.desired_version,
        "hash": reported.desired_hash,
        "status": reported.status.value,
        "runs_version": reported.applied_version,
        "restarted": reported.restarted,
        "quarantined": len(reported.quarantined) + reported.quarantined_cut,
        "errors": [one.model_dump() for one in reported.errors[:TOLD_IN_EVENT]],
        "errors_more": max(0, len(reported.errors) + reported.errors_cut - TOLD_IN_EVENT),
        "rollout": reported.rollout,
        "by": by,
    }
    return Event(kind, data)


def told_key(reported: Reported) -> list[object]:
    """Names one decision: whose event the log has already."""
    at = reported.at.isoformat()
    return [reported.desired_version, reported.desired_hash, reported.status.value, at]
