"""What the centre wants and what became of it: the payloads of ``config/desired`` and ``config/reported``; pure.

Both are retained. The hash is that of the document alone, so that the same document under a new version is known to be
the same (docs/mqtt-contract.md).
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field, ValidationError

from hallctl.errors import LinkError
from hallctl.link.payloads import MAX_BYTES, Payload

MAX_DESIRED_BYTES = 240 * 1024  # a hall of 1058 terminals is 131 KiB; brokers are set to take 256 KiB


class ApplyStatus(StrEnum):
    """What became of a desired document."""

    APPLYING = "applying"
    APPLIED = "applied"
    PARTIAL = "partial"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"

    @property
    def final(self) -> bool:
        """Whether the controller has decided."""
        return self is not ApplyStatus.APPLYING


class HealthRule(Payload):
    """When a new document is kept: how long its terminals are watched, and how many may be lost by it."""

    window_s: float = Field(
        default=30.0, ge=0, le=3600, description="how long terminals that it restarts have to come back"
    )
    max_lost: int = Field(default=0, ge=0, description="so many of them may stay away before the controller goes back")


class Desired(Payload):
    """``config/desired``: the hall document that the centre wants, whole."""

    version: int = Field(ge=1, description="grows with every push to this controller; an older one is ignored")
    hash: str = Field(pattern="^[0-9a-f]{64}$", description="sha256 of the document (hallctl.link.configuration)")
    document: dict[str, Any] = Field(description="hall.yaml as JSON")
    at: datetime | None = Field(default=None, description="when it was pushed")
    by: str = Field(default="", max_length=100, description="who pushed it")
    rollout: str = Field(default="", max_length=64, description="id of the rollout that it belongs to")
    health: HealthRule = Field(default_factory=HealthRule, description="when it is kept")


class Mistake(Payload):
    """One thing that is wrong with a document, or that went wrong with it."""

    pointer: str = Field(default="", description="JSON pointer (RFC 6901) into the document; empty: the whole of it")
    code: str = Field(description="stable: missing, unknown-key, reference, terminal.offline ...")
    message: str = ""
    hint: str = ""


class Reported(Payload):
    """``config/reported``: what the controller did with the desired document, and what it runs."""

    boot: int
    at: datetime
    status: ApplyStatus
    desired_version: int = Field(
        default=0, description="version that this is about; 0: the centre has not wanted any yet"
    )
    desired_hash: str = ""
    applied_version: int = Field(default=0, description="version that runs; 0: the box's own hall.yaml")
    applied_hash: str = Field(default="", description="hash of the document that runs")
    errors: list[Mistake] = Field(default_factory=list)
    errors_cut: int = Field(default=0, description="so many more did not fit into the message")
    quarantined: list[str] = Field(default_factory=list, description="terminals that can't run as configured")
    quarantined_cut: int = Field(default=0, description="so many more did not fit into the message")
    restarted: int = Field(default=0, description="how many terminals were started, restarted or stopped for it")
    rollout: str = Field(default="", description="id of the rollout that asked for it")


def canonical(document: Mapping[str, Any]) -> bytes:
    """A document's one way of being written: keys sorted, no spaces, UTF-8; its own ``version`` does not count.

    Raises ``ValueError`` for what JSON can't hold (not a number, infinity).
    """
    content = {key: value for key, value in document.items() if key != "version"}
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "surrogatepass")


def document_hash(document: Mapping[str, Any]) -> str:
    """Lower-case hex sha256 of the canonical form."""
    return hashlib.sha256(canonical(document)).hexdigest()


def read_desired(payload: bytes) -> Desired:
    """A desired document that arrived. Raises ``LinkError`` that says what is wrong with it."""
    if len(payload) > MAX_DESIRED_BYTES:
        raise LinkError(
            f"a desired document of {len(payload)} bytes is over the contract's {MAX_DESIRED_BYTES}", code="link.size"
        )
    try:
        desired = Desired.model_validate_json(payload)
        found = document_hash(desired.document)
    except ValidationError as exc:
        wrong = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors())
        raise LinkError(f"the desired document can't be read: {wrong}", code="link.unreadable") from exc
    except ValueError as exc:
        raise LinkError(f"the desired document is no JSON: {exc}", code="link.unreadable") from exc
    if found != desired.hash:
        raise LinkError(
            f"the desired document of version {desired.version} is not the one whose hash it names",
            code="link.unreadable",
            hint="push it again; hashes are made by hallctl.link.configuration.document_hash",
        )
    return desired


def encode_reported(reported: Reported) -> bytes:
    """JSON that fits the contract: where there is too much, the last mistakes and names are left out, and counted."""
    errors, names = list(reported.errors), list(reported.quarantined)
    while True:
        update = {
            "errors": errors,
            "errors_cut": reported.errors_cut + len(reported.errors) - len(errors),
            "quarantined": names,
            "quarantined_cut": reported.quarantined_cut + len(reported.quarantined) - len(names),
        }
        data = reported.model_copy(update=update).model_dump_json().encode()
        if len(data) <= MAX_BYTES or not (errors or names):
            return data
        if len(errors) * 8 > len(names):  # a mistake takes about as much room as eight names
            errors = errors[: len(errors) * 3 // 4]
        else:
            names = names[: len(names) * 3 // 4]
