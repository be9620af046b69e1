"""``controller.yaml``: what is local to one box. The centre can't change it, so a bad push can't cut a box off."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from hallctl.config.base import Identifier, Section


class SecretRef(Section):
    """A secret by reference, never in the document: exactly one of ``file`` and ``env``."""

    file: Path | None = Field(None, description="file that holds the secret, mode 0600 or 0400; its last newline is cut")
    env: str | None = Field(None, description="name of an environment variable that holds the secret")


class BrokerTls(Section):
    """TLS towards the broker."""

    ca_file: Path | None = Field(None, description="CA certificates that may sign the broker's; default: the system's")
    cert_file: Path | None = Field(None, description="this controller's certificate, for mutual TLS")
    key_file: Path | None = Field(None, description="this controller's private key, for mutual TLS")


class Broker(Section):
    """The central MQTT broker."""

    host: str = Field(description="name or address of the broker")
    port: int = Field(1883, ge=1, le=65535, description="TCP port; 8883 is usual with TLS")
    protocol: Literal["5", "3.1.1"] = Field("5", description="MQTT version")
    username: str | None = Field(None, description="user name, where the broker wants one")
    password: SecretRef | None = Field(None, description="password, by reference")
    tls: BrokerTls | None = Field(None, description="turn TLS on (an empty map is enough)")
    keepalive_s: int = Field(30, ge=5, le=3600, description="MQTT keep-alive; a frozen broker is noticed after two")
    max_in_flight: int = Field(20, ge=1, le=1000, description="publications without PUBACK at one time")


class Limits(Section):
    """Bounds of what one box keeps."""

    outbox_mib: int = Field(256, ge=8, description="disk for events that the centre has not recorded, MiB")
    outbox_high_mib: int = Field(64, ge=8, description="the same for alerts and ratings, MiB")
    outbox_days: int = Field(14, ge=1, description="events older than this are trimmed once they were sent")
    evidence_mib: int = Field(4096, ge=16, description="disk for clips and snapshots, MiB")
    evidence_days: int = Field(30, ge=1, description="evidence of cleared alerts older than this is deleted")
    commands_waiting: int = Field(16, ge=1, le=1000, description="commands queued for one terminal; more are rejected")


class ControllerConfig(Section):
    """The whole of controller.yaml."""

    site: Identifier = Field(description="id of the service hall")
    controller: Identifier = Field(description="id of this box; it never changes, its name may")
    name: str = Field("", description="what people call this box")
    broker: Broker | None = Field(None, description="the centre; without it the box works alone and keeps its events")
    hall: Path = Field(Path("hall.yaml"), description="the hall document, relative to this file")
    state_dir: Path = Field(Path("/var/lib/hallctl"), description="outbox, evidence; relative to this file")
    model: Path | None = Field(None, description="detector model (ONNX); default: the one that the bundle brings")
    heartbeat_s: float = Field(10.0, gt=0, le=300, description="how often `state` is published")
    lease_s: float = Field(35.0, gt=0, le=1200, description="the centre calls the box offline after this silence")
    trust_clock: bool = Field(
        False, description="take wall time for right although the kernel says that it is not synchronised"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level that is logged")
    limits: Limits = Field(default_factory=Limits, description="bounds of what this box keeps")
