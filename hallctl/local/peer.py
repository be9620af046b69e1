"""Who is at the other end of the socket, as the kernel says (SO_PEERCRED, unix(7))."""

import pwd
import socket
import struct
from asyncio.trsock import TransportSocket
from dataclasses import dataclass

OVERFLOW_UID = 65534  # who has no number in the daemon's user namespace (PrivateUsers= of the unit)
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
MAX_BY = 100  # CommandData.by


@dataclass(frozen=True, slots=True)
class Peer:
    """``name`` is empty where the kernel can't say it: from inside a user namespace others have no number."""

    pid: int
    uid: int
    name: str

    def by(self, claimed: str) -> str:
        """For the audit: the kernel's word, with what the person says of himself."""
        known = self.name or (f"uid {self.uid}" if self.uid != OVERFLOW_UID else "")
        if claimed and known:
            return f"{claimed[: MAX_BY - len(known) - 10]} ({known}, local)"[:MAX_BY]
        return f"{(claimed or known or 'somebody')[: MAX_BY - 8]} (local)"


def peer_of(connection: socket.socket | TransportSocket) -> Peer:
    """Raises ``OSError`` when the peer is gone already."""
    size = _CREDENTIALS.size
    pid, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return Peer(pid, uid, _name_of(uid))


def _name_of(uid: int) -> str:
    if uid == OVERFLOW_UID:
        return ""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""
