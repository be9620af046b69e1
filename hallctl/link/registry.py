"""How a reader folds what arrives into what is true now; pure. The centre's side and the tests use it."""

from datetime import datetime, timedelta
from typing import TypeVar

from pydantic import ValidationError

from hallctl.errors import LinkError
from hallctl.link.payloads import ControllerState, Payload, TerminalPayload

T = TypeVar("T", bound=Payload)


def fold_state(current: ControllerState | None, arrived: ControllerState) -> ControllerState:
    """What to believe of a controller: a death whose boot is not the current one is somebody's old will."""
    if current is None:
        return arrived
    if arrived.status == "offline":
        return arrived if arrived.boot == current.boot else current
    # A birth of a lower boot is an old message, unless it is newer: then the box has a fresh disk.
    older = arrived.boot < current.boot and (arrived.at is None or (current.at is not None and arrived.at < current.at))
    return current if older else arrived


def is_online(state: ControllerState | None, heard_at: datetime | None, now: datetime) -> bool:
    """Whether the lease holds, will or no will. ``heard_at``: when the last state arrived here."""
    if state is None or heard_at is None or state.status != "online":
        return False
    return now - heard_at < timedelta(seconds=state.lease_s)


def read_state(payload: bytes) -> ControllerState:
    """A controller's state as it arrived. Raises ``LinkError``."""
    return _read(ControllerState, payload)


def read_terminal(payload: bytes) -> TerminalPayload:
    """A terminal's state as it arrived. Raises ``LinkError``."""
    return _read(TerminalPayload, payload)


def _read(model: type[T], payload: bytes) -> T:
    try:
        return model.model_validate_json(payload)
    except ValidationError as exc:
        raise LinkError(f"a {model.__name__} can't be read: {exc.errors()[0]['msg']}", code="link.unreadable") from exc
