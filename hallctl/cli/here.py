"""What the daemon of this box would have retained at the broker, read over its socket: for a box without a broker."""

from hallctl.clock import SystemClock
from hallctl.fleet import ControllerView, HallBook
from hallctl.link import Message
from hallctl.local import LocalClient


async def read_here(client: LocalClient) -> list[ControllerView]:
    """The one controller that this box is."""
    book = HallBook(SystemClock())
    async for record in client.stream("retained", {}):
        book.take(Message(record["topic"], record["payload"].encode(), retain=False, qos=0, mid=0))
    return list(book.controllers.values())
