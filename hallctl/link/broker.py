"""Where a broker is and what is said to it: values that sessions take and give."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tls:
    """Files for TLS; ``None``: the system's CAs, no client certificate."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Where the broker is and how to speak to it."""

    host: str
    port: int = 1883
    client_id: str = ""
    protocol: str = "5"  # "5" or "3.1.1"
    username: str | None = None
    password: str | None = None
    tls: Tls | None = None
    keepalive_s: int = 30
    max_in_flight: int = 20

    @property
    def is_v5(self) -> bool:
        """Whether MQTT 5 is spoken."""
        return self.protocol == "5"

    def __repr__(self) -> str:
        return f"BrokerSettings({self.host}:{self.port}, client_id={self.client_id!r}, MQTT {self.protocol})"


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says for us when we vanish; ``delay_s`` (MQTT 5) forgives a quick reconnect."""

    topic: str
    payload: bytes
    delay_s: int = 5


@dataclass(frozen=True, slots=True)
class Message:
    """A message that arrived; ``acknowledge`` it when it is safe."""

    topic: str
    payload: bytes
    retain: bool
    qos: int
    mid: int
