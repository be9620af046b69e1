"""``controller.yaml``: what is local to one box. The centre can't change it, so a bad push can't cut a box off."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from hallctl.config.base import Identifier, Section


class SecretRef(Section):
    """A secret by reference, never in the document: exactly one of ``file`` and ``env``."""

    file: Path | None = Field(
        default=None, description="file that holds the secret, mode 0600 or 0400; its last newline is cut"
    )
    env: str | None = Field(default=None, description="name of an environment variable that holds the secret")

    @model_validator(mode="after")
    def _is_one_reference(self) -> Self:
        if (self.file is None) == (self.env is None):
            raise ValueError("a secret is either in a file or in a variable | write exactly one of file and env")
        return self


class BrokerTls(Section):
    """TLS towards the broker."""

    ca_file: Path | None = Field(
        default=None, description="CA certificates that may sign the broker's; default: the system's"
    )
    cert_file: Path | None = Field(default=None, description="this controller's certificate, for mutual TLS")
    key_file: Path | None = Field(default=None, description="this controller's private key, for mutual TLS")
    identity: Path | None = Field(
        default=None,
        description="key and certificate in one file that `hallctl enroll` makes and the daemon renews, in place of "
        "cert_file and key_file; in a folder that the daemon may write: /var/lib/hallctl/identity.pem",
    )
    warn_days: float = Field(
        default=14, ge=0, le=365, description="an alert is raised when the certificate has less than this left, days"
    )

    @model_validator(mode="after")
    def _has_both_halves(self) -> Self:
        if self.identity is not None and self.cert_file is not None:
            raise ValueError("the certificate is named twice | give identity, or cert_file and key_file")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("mutual TLS needs cert_file and key_file | give both, or neither")
        return self


class Broker(Section):
    """The central MQTT broker."""

    host: str = Field(description="name or address of the broker")
    port: int = Field(default=1883, ge=1, le=65535, description="TCP port; 8883 is usual with TLS")
    protocol: Literal["5", "3.1.1"] = Field(default="5", description="MQTT version")
    username: str | None = Field(default=None, description="user name, where the broker wants one")
    password: SecretRef | None = Field(default=None, description="password, by reference")
    tls: BrokerTls | None = Field(default=None, description="turn TLS on (an empty map is enough)")
    keepalive_s: int = Field(
        default=30, ge=5, le=3600, description="MQTT keep-alive; a frozen broker is noticed after two"
    )
    max_in_flight: int = Field(default=20, ge=1, le=1000, description="publications without PUBACK at one time")


class Limits(Section):
    """Bounds of what one box keeps."""

    outbox_mib: int = Field(default=256, ge=8, description="disk for events that the centre has not recorded, MiB")
    outbox_high_mib: int = Field(default=64, ge=8, description="the same for alerts and ratings, MiB")
    outbox_days: int = Field(default=14, ge=1, description="events older than this are trimmed once they were sent")
    evidence_mib: int = Field(default=4096, ge=16, description="disk for clips and snapshots, MiB")
    evidence_free_mib: int = Field(
        default=256, ge=0, description="no clip is begun while the disk has less free than this, MiB"
    )
    evidence_days: int = Field(default=30, ge=1, description="evidence of cleared alerts older than this is deleted")
    commands_waiting: int = Field(
        default=16, ge=1, le=1000, description="commands queued for one terminal; more are rejected"
    )


class Metrics(Section):
    """Metrics for Prometheus, over HTTP and without a password: keep them on the box, or in a network of your own."""

    listen: str = Field(
        default="127.0.0.1:9109",
        pattern=r"^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$",
        description="HOST:PORT where http://HOST:PORT/metrics is served",
    )

    @model_validator(mode="after")
    def _has_a_port(self) -> Self:
        if self.port > 65535:
            raise ValueError(f"{self.port} is no port | write HOST:PORT, the port 0 to 65535")
        return self

    @property
    def host(self) -> str:
        """The address without its port."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port; 0: any that is free, which the log names."""
        return int(self.listen.rpartition(":")[2])


class ControllerConfig(Section):
    """The whole of controller.yaml."""

    site: Identifier = Field(description="id of the service hall")
    controller: Identifier = Field(description="id of this box; it never changes, its name may")
    name: str = Field(default="", description="what people call this box")
    groups: list[Identifier] = Field(
        default_factory=list, description="grid groups of the hall that this box serves; the centre selects by them"
    )
    tags: list[Identifier] = Field(
        default_factory=list, description="what operations call this box together with others: pilot, north ..."
    )
    broker: Broker | None = Field(
        default=None, description="the centre; without it the box works alone and keeps its events"
    )
    hall: Path = Field(default=Path("hall.yaml"), description="the hall document, relative to this file")
    state_dir: Path = Field(default=Path("/var/lib/hallctl"), description="outbox, evidence; relative to this file")
    model: Path | None = Field(
        default=None, description="detector model (ONNX); default: the one that the bundle brings"
    )
    heartbeat_s: float = Field(default=10.0, gt=0, le=300, description="how often `state` is published")
    lease_s: float = Field(
        default=35.0, gt=0, le=1200, description="the centre calls the box offline after this silence"
    )
    trust_clock: bool = Field(
        default=False, description="take wall time for right although the kernel says that it is not synchronised"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least level that is logged"
    )
    metrics: Metrics | None = Field(
        default=None, description="metrics for Prometheus; left out: none (an empty map is enough to turn them on)"
    )
    limits: Limits = Field(default_factory=Limits, description="bounds of what this box keeps")

    @model_validator(mode="after")
    def _outlives_its_heartbeat(self) -> Self:
        if self.lease_s <= self.heartbeat_s:
            hint = "three heartbeats and a little more are usual"
            raise ValueError(
                f"lease_s ({self.lease_s:g}) is not longer than heartbeat_s ({self.heartbeat_s:g}) | {hint}"
            )
        return self
