"""Why a broker can't be used, in a technician's words, each with what to do."""

import socket
import ssl

from paho.mqtt.reasoncodes import ReasonCode

from hallctl.errors import BrokerUnable, LinkError
from hallctl.link.tls import closed_unanswered, handshake_failed, untrusted

_UNSPECIFIED = 0x80
_BROKERS_OWN_TROUBLE = frozenset({0x83, 0x88, 0x89, 0x97, 0x9F})
"""Of its implementation, unavailable, busy, over quota, too many connects (MQTT 5, 3.2.2.2)."""


def connect_error(where: str, exc: Exception) -> LinkError:
    """Why no connection came about."""
    match exc:
        case ssl.SSLCertVerificationError():
            return untrusted(where, exc)
        case ssl.SSLError():
            return handshake_failed(where, exc)
        case ConnectionResetError():
            return closed_unanswered(where, secure=True)  # without TLS paho would have told it later
        case socket.gaierror():
            hint = "check broker.host, or write its IP address"
            return LinkError(f"the broker's name in {where} can't be resolved", code="link.unresolved", hint=hint)
        case ConnectionRefusedError():
            hint = "start the broker, or check broker.host and broker.port"
            return LinkError(f"nothing listens at {where}", code="link.refused", hint=hint)
    return LinkError(f"the broker {where} can't be reached: {exc}", code="link.unreachable", hint="check the network")


def refused(where: str, reason: ReasonCode) -> LinkError:
    """The broker's own no (CONNACK). "Unspecified": a failing broker, or mosquitto that sees a foreign client id."""
    if reason.value == _UNSPECIFIED:
        return BrokerUnable(
            f"the broker {where} refuses us: {reason}",
            hint="its own log says why: may this name connect with this client id? is something wrong with the broker?",
        )
    if reason.value in _BROKERS_OWN_TROUBLE:
        return BrokerUnable(
            f"the broker {where} can't serve us: {reason}", hint="look at the broker's own log, disk and limits"
        )
    return LinkError(
        f"the broker {where} refuses us: {reason}",
        code="link.denied",
        hint="check broker.username and broker.password, and the broker's list of clients",
    )
