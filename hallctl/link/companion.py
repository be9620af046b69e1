"""Who else speaks over the uplink's session: one certificate is one connection, so nobody opens a second one."""

from typing import Protocol

from hallctl.errors import LinkError
from hallctl.link.broker import Message
from hallctl.link.session import Session


class Companion(Protocol):
    """A part that lives on the uplink's connection (``Uplink.join``)."""

    @property
    def topics(self) -> tuple[str, ...]:
        """What it wants to hear; subscribed on every connect."""
        ...

    async def connected(self, session: Session) -> None:
        """The session is up, everything is subscribed. Runs beside the rest and is cancelled when the session ends.

        It may publish and unsubscribe; receiving is the uplink's.
        """
        ...

    async def heard(self, message: Message) -> None:
        """One message of its topics; acknowledged when this returns."""
        ...

    def lost(self, why: LinkError) -> None:
        """A session ended, or did not come about."""
        ...
