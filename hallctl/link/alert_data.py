"""What stands in the ``data`` of each kind of alert, and in the body around it: for readers and published schemas.

As with events (``event_data``): tests hold what is really raised against these.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from hallctl.link.payloads import Payload
from hallctl.model import AlertKind, AlertState, Severity


class AlertData(Payload):
    """What every alert has."""

    code: str = Field(description="which of several troubles of one subject; empty where there is but one")
    since: datetime = Field(description="since when the trouble is there")
    acknowledged_by: str = Field("", description="who takes care of it")
    acknowledged_at: datetime | None = None


class PostEmpty(AlertData):
    """Nobody is at a post in duty hours. The subject is the window."""

    cameras: list[str]
    last_seen: datetime | None
    scores: list[float] = Field(description="of the detector, newest last")
    grace_s: float
    pause_overrun: bool = Field(description="a pause that was too long")
    escalated_at: datetime | None = Field(None, description="nobody had acknowledged it in time")
    no_clip: str = Field("", description="why there is no clip")
    absent_s: float | None = Field(None, description="when cleared: how long")
    over: str = Field("", description="when cleared: returned, paused, off_duty, removed")


class CameraBlind(AlertData):
    """A camera can't tell what it should. The subject is the camera."""

    camera: str
    windows: list[str] = Field(description="whose posts it watches")
    reason: str = Field(description="unplugged, dark, covered, frozen, moved, or the terminal's reason")
    cause: str = Field(description="the terminal's reason")
    blind_s: float | None = Field(None, description="when cleared: how long")
    over: str = Field("", description="when cleared: removed, where the camera is not part of the hall any more")


class TerminalFault(AlertData):
    """A device that answers has a fault; code names it. The subject is the terminal."""

    hint: str = Field(description="what a technician can do")
    over: str = Field("", description="when cleared: removed, where the terminal is not part of the hall any more")


class TerminalOffline(AlertData):
    """A terminal has been offline for too long. The subject is the terminal."""

    reason: str | None = Field(description="stable code, as in the terminal's state")
    hint: str = Field(description="what a technician can do")
    over: str = Field("", description="when cleared: removed, where the terminal is not part of the hall any more")


class CertificateExpiring(AlertData):
    """The box's certificate ends soon, or has ended. The subject is the controller."""

    expires_at: datetime


class EvidencePayload(Payload):
    """A file on the box that proves an alert; ``evidence.fetch`` brings it."""

    kind: str = Field(description="clip, snapshot, clip-2 ...")
    name: str
    size: int = Field(description="bytes")
    sha256: str
    media_type: str
    covers: Annotated[list[datetime], Field(min_length=2, max_length=2)] | None = Field(
        None, description="what a clip truly shows: from and to"
    )


class AlertBody(Payload):
    """``data`` of an alert's envelope."""

    id: str
    kind: AlertKind
    subject: str = Field(description="the terminal, camera, window or controller that it is about")
    state: AlertState
    severity: Severity
    raised_at: datetime
    cleared_at: datetime | None
    message: str
    data: AlertData
    evidence: list[EvidencePayload]


class PostEmptyBody(AlertBody):
    """Nobody is at a post in duty hours."""

    kind: Literal[AlertKind.POST_EMPTY]
    data: PostEmpty


class CameraBlindBody(AlertBody):
    """A camera can't tell what it should."""

    kind: Literal[AlertKind.CAMERA_BLIND]
    data: CameraBlind


class TerminalFaultBody(AlertBody):
    """A device that answers has a fault."""

    kind: Literal[AlertKind.TERMINAL_FAULT]
    data: TerminalFault


class TerminalOfflineBody(AlertBody):
    """A terminal has been offline for too long."""

    kind: Literal[AlertKind.TERMINAL_OFFLINE]
    data: TerminalOffline


class CertificateExpiringBody(AlertBody):
    """The box's certificate ends soon, or has ended."""

    kind: Literal[AlertKind.CERTIFICATE_EXPIRING]
    data: CertificateExpiring


ALERTS: Mapping[AlertKind, type[AlertBody]] = {
    AlertKind.POST_EMPTY: PostEmptyBody,
    AlertKind.CAMERA_BLIND: CameraBlindBody,
    AlertKind.TERMINAL_FAULT: TerminalFaultBody,
    AlertKind.TERMINAL_OFFLINE: TerminalOfflineBody,
    AlertKind.CERTIFICATE_EXPIRING: CertificateExpiringBody,
}
"""Data of every kind of alert's envelope."""
