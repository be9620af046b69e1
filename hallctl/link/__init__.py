"""MQTT: topics and payloads (pure), session and uplink (IO)."""

from hallctl.link.commands import CommandIntake
from hallctl.link.session import BrokerSettings, Message, Session, Tls, Will
from hallctl.link.topics import Topics, read_topic
from hallctl.link.uplink import Lease, Uplink

__all__ = [
    "BrokerSettings",
    "CommandIntake",
    "Lease",
    "Message",
    "Session",
    "Tls",
    "Topics",
    "Uplink",
    "Will",
    "read_topic",
]
