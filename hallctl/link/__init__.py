"""MQTT: topics and payloads (pure), session and uplink (IO)."""

from hallctl.link.broker import BrokerSettings, Message, Tls, Will
from hallctl.link.commands import CommandIntake, Progress
from hallctl.link.companion import Companion
from hallctl.link.echo import Echo
from hallctl.link.session import Session
from hallctl.link.topics import Topics, read_topic
from hallctl.link.uplink import Lease, Uplink

__all__ = [
    "BrokerSettings",
    "CommandIntake",
    "Companion",
    "Echo",
    "Lease",
    "Message",
    "Progress",
    "Session",
    "Tls",
    "Topics",
    "Uplink",
    "Will",
    "read_topic",
]
