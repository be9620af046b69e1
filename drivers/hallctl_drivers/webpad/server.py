"""One HTTP and WebSocket server an address, shared by the pads of this process that name the address.

The first pad that joins opens it, the last that leaves closes it. A task of its own, the keeper, holds the port:
whoever joins may be cancelled at any point, and whoever joins while the port is being closed waits for that.
"""

import asyncio
import contextlib
import errno
import logging
from collections.abc import AsyncIterator, Coroutine
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import Any, Protocol

from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from hallctl.errors import RemoteCodecError, TransportLost, TransportUnavailable
from hallctl_drivers.webpad import site
from hallctl_drivers.webpad.codec import LONGEST
from hallctl_drivers.webpad.config import host_and_port

PING_S = 9.0  # so often, and so long for an answer: with CLOSE_S a dead tablet is noticed within 20 s
CLOSE_S = 1.0  # what pages get to say good-bye
MOST_OPEN, MOST_OF_ONE = 512, 64  # connections to one server, and of those from one address
GOING = 1001
BAD = 1008
_REFUSED_BY_US = {1002: "no WebSocket frame", 1007: "no UTF-8", 1009: f"more than {LONGEST} bytes"}
_KEEPALIVE = 1011


class Guest(site.PadPage, Protocol):
    """What a pad is to the server that it joins."""

    async def visited(self, visit: "Visit") -> None: ...  # noqa: D102
    def send_visitors_away(self) -> None: ...  # noqa: D102


class Visit:
    """One page on one tablet, for as long as its socket is open."""

    def __init__(self, house: "House", connection: ServerConnection) -> None:
        self.peer = peer_of(connection)
        self.fell_silent = False
        self._house = house
        self._connection = connection
        connection.close_timeout = CLOSE_S  # the longer one before is for large pictures on slow networks

    def tell(self, text: str) -> None:
        """Say something; nobody waits for a slow tablet, and a dead one is found by its pings."""
        broadcast([self._connection], text)

    def send_away(self, code: int, reason: str) -> None:
        """Close the page's socket, in the background."""
        self._house.later(self.end(code, reason))

    async def end(self, code: int, reason: str) -> None:
        """Close the page's socket, and wait for that."""
        await self._connection.close(code, reason)

    async def messages(self) -> AsyncIterator[str | bytes]:
        """What the page says, until it has gone. Raises ``RemoteCodecError`` for what is no message at all."""
        try:
            async for message in self._connection:
                yield message
        except ConnectionClosed as exc:
            said = exc.sent.code if exc.sent is not None else None
            self.fell_silent = said == _KEEPALIVE and exc.rcvd is None
            if said in _REFUSED_BY_US:
                raise RemoteCodecError(_REFUSED_BY_US[said]) from exc


class House:
    """The server at one address while it is wanted. Made by ``join`` only."""

    def __init__(self, listen: str) -> None:
        loop = asyncio.get_running_loop()
        self.listen = listen
        self.closing = False
        self._pads: dict[str, Guest] = {}
        self._ready: asyncio.Future[None] = loop.create_future()
        self._lost: asyncio.Future[None] = loop.create_future()
        self._empty = asyncio.Event()
        self._connections: set[ServerConnection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        for future in (self._ready, self._lost):
            future.add_done_callback(_seen)
        self._server: Server | None = None
        self._keeper = loop.create_task(self._keep())

    async def ready(self) -> None:
        """Wait until the port is open. Raises ``TransportUnavailable``."""
        await asyncio.shield(self._ready)

    def check(self) -> None:
        """Raises ``TransportLost`` when nothing listens at the port any more."""
        server = self._server
        if server is None or not server.is_serving() or any(one.fileno() < 0 for one in server.sockets):
            raise self._gone()

    async def lost(self) -> None:
        """Wait for ever. Raises ``TransportLost`` when the port is gone although somebody wants it."""
        await asyncio.shield(self._lost)

    async def closed(self) -> None:
        """Wait until the port is free again."""
        await asyncio.wait({self._keeper})

    def admit(self, guest: Guest) -> None:
        """From now on the house has this pad; one of the same name before it (an older configuration's) has gone."""
        before = self._pads.get(guest.terminal)
        self._pads[guest.terminal] = guest
        if before is not None and before is not guest:
            before.send_visitors_away()

    def dismiss(self, guest: Guest) -> None:
        """The pad has gone; may be said more than once."""
        if self._pads.get(guest.terminal) is guest:
            del self._pads[guest.terminal]
        if not self._pads:
            self.closing = True
            self._empty.set()

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self) -> None:
        try:
            await asyncio.to_thread(site.files)
            await self._serve()
        except OSError as exc:
            self._fail(_unavailable(self.listen, exc))
        finally:
            self.closing = True
            self._fail(TransportUnavailable(f"{self.listen}: the pads' page could not be opened"))
            key = (asyncio.get_running_loop(), self.listen)
            if _HOUSES.get(key) is self:
                del _HOUSES[key]

    def _gone(self) -> TransportLost:
        return TransportLost(
            f"{self.listen}: the server of the pads' page has ended", hint="it is opened again by itself"
        )

    def _fail(self, why: TransportUnavailable) -> None:
        if not self._ready.done():
            self._ready.set_exception(why)

    async def _serve(self) -> None:
        server = self._server = await self._open()
        try:
            self._ready.set_result(None)
            gone = asyncio.ensure_future(server.wait_closed())
            empty = asyncio.ensure_future(self._empty.wait())
            await asyncio.wait({gone, empty}, return_when=asyncio.FIRST_COMPLETED)
            if not self._empty.is_set():
                self._lost.set_exception(self._gone())
            empty.cancel()
            gone.cancel()
        finally:
            await self._close(server)

    async def _open(self) -> Server:
        host, port = host_and_port(self.listen)
        return await serve(
            self._visited,
            host,
            port,
            process_request=self._respond,
            create_connection=_kept_in(self._connections),
            compression=None,
            server_header=None,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            max_size=LONGEST,
            max_queue=4,
            logger=_LOG,
        )

    async def _close(self, server: Server) -> None:
        """Say good-bye, then hang up on whoever has not gone."""
        server.close()
        closed = asyncio.ensure_future(server.wait_closed())
        await asyncio.wait({closed}, timeout=CLOSE_S)
        for connection in list(self._connections):
            connection.transport.abort()
        await asyncio.wait({closed}, timeout=CLOSE_S)
        closed.cancel()

    def _respond(self, connection: ServerConnection, request: Request) -> Response | None:
        with contextlib.suppress(LookupError):  # several Host or Origin headers: none counts
            get = site.Get(
                request.path,
                peer_of(connection),
                request.headers.get("Host", ""),
                request.headers.get("Origin"),
                getattr(request, "method", "GET"),  # before websockets 17 nothing but GET is read
            )
            answer = site.respond(get, self._pads)
            return None if isinstance(answer, str) else _response(answer)
        return _response(site.Answer(400, b""))

    async def _visited(self, connection: ServerConnection) -> None:
        terminal = connection.request.path.rpartition("/")[2] if connection.request else ""
        guest = self._pads.get(terminal)
        if guest is None:  # it has gone since the page was let in
            await connection.close(GOING)
            return
        await guest.visited(Visit(self, connection))


_LOG = logging.getLogger("hallctl_drivers.webpad")
_LOG.addFilter(lambda record: record.msg != "opening handshake failed")  # of any port scanner; before websockets 17

_HOUSES: dict[tuple[asyncio.AbstractEventLoop, str], House] = {}


async def join(listen: str, guest: Guest) -> House:
    """Bring a pad's page to an address: gives the server there, open. Raises ``TransportUnavailable``."""
    key = (asyncio.get_running_loop(), listen)
    while (house := _HOUSES.get(key)) is not None and house.closing:
        await house.closed()
    if house is None:
        house = _HOUSES[key] = House(listen)
    house.admit(guest)
    try:
        await house.ready()
    except BaseException:
        house.dismiss(guest)
        raise
    return house


def _kept_in(connections: set[ServerConnection]) -> type[ServerConnection]:
    """Connections that stand in the set while they are open, also before they have asked for anything.

    Whoever opens more than a hall's tablets need is hung up on, so that it can't keep the others out.
    """

    class Kept(ServerConnection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            peer = peer_of(self)
            if len(connections) >= MOST_OPEN or sum(peer_of(one) == peer for one in connections) >= MOST_OF_ONE:
                self.transport.abort()
                return
            connections.add(self)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.discard(self)
            super().connection_lost(exc)

    return Kept


def peer_of(connection: ServerConnection) -> str:
    """The other side's address; IPv4 as such also where the socket is an IPv6 one."""
    remote = connection.remote_address
    if not remote:
        return ""
    address = ip_address(remote[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _response(answer: site.Answer) -> Response:
    headers = Headers(answer.headers)
    headers["Connection"] = "close"
    headers["Content-Length"] = str(len(answer.body))
    return Response(answer.status, HTTPStatus(answer.status).phrase, headers, answer.body)


def _unavailable(listen: str, exc: OSError) -> TransportUnavailable:
    match exc.errno:
        case errno.EADDRINUSE:
            code, hint = (
                "port.busy",
                f"another program listens there (`ss -ltnp`), or another pad writes {listen} differently",
            )
        case errno.EADDRNOTAVAIL:
            code, hint = "port.absent", "write an address of this box (`ip address`), or 0.0.0.0 for all"
        case errno.EACCES | errno.EPERM:
            code, hint = "port.permission", "take a port above 1023"
        case _:
            code, hint = "port.unavailable", ""
    return TransportUnavailable(f"{listen}: {exc.strerror or exc}", code=code, hint=hint)


def _seen(future: asyncio.Future[None]) -> None:
    """An error that nobody waits for any more is no news."""
    if not future.cancelled():
        future.exception()
