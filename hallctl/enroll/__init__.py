"""Certificates: made and renewed on the box, signed at the centre, exchanged as files or over MQTT."""

from hallctl.enroll.identity import Identity, Pair
from hallctl.enroll.names import Holder, Role, holder_of

__all__ = ["Holder", "Identity", "Pair", "Role", "holder_of"]
