"""How requests reach a card: through a port of its own, or through its share of a bus."""

from abc import ABC, abstractmethod

from hallctl.clock import Clock
from hallctl.driver import BusLine
from hallctl.errors import Mismatch, RemoteCodecError, TransportTimeout
from hallctl.transport import Transport
from hallctl_drivers.onbon_bx import codec
from hallctl_drivers.onbon_bx.codec import Command, Reply, Request
from hallctl_drivers.onbon_bx.frame import (
    CLIENT_ADDRESS,
    WILDCARD_ADDRESS,
    Packet,
    PacketDecoder,
    encode_packet,
    parse_packet,
    unescape,
)

_SYNC = b"\xa5"


class CardWire(ABC):
    """One request at a time."""

    address: int

    @abstractmethod
    async def exchange(self, request: Request, *, urgent: bool) -> Reply:
        """Send and wait for ACK or NAK. Raises ``TransportError`` and ``RemoteCodecError``."""

    def packet(self, request: Request) -> bytes:
        """The request as it goes out to this card."""
        return encode_packet(Packet(self.address, CLIENT_ADDRESS, codec.encode_request(request)))


class PortWire(CardWire):
    """A card on TCP or on a serial line of its own. What arrived before a request is thrown away."""

    def __init__(self, transport: Transport, address: int, clock: Clock, timeout_s: float) -> None:
        self.address = address
        self._transport = transport
        self._clock = clock
        self._timeout_s = timeout_s
        self._decoder = PacketDecoder()

    async def exchange(self, request: Request, *, urgent: bool) -> Reply:  # noqa: ARG002  # nobody shares this port
        """Send and wait; answers carry no number, so the input is emptied before."""
        await self._transport.drain_input()
        self._decoder.reset()
        await self._transport.write(self.packet(request))
        try:
            async with self._clock.timeout(self._timeout_s):
                return await self._answer()
        except TimeoutError as exc:
            raise TransportTimeout(
                f"{self._transport.name}: the card did not answer within {self._timeout_s:g} s",
                hint="check the panel's power, and that device_address is the card's screen number",
            ) from exc

    async def _answer(self) -> Reply:
        """The next ACK or NAK to us; heartbeats and other clients' answers are passed over."""
        while True:
            packet = self._decoder.next()
            if packet is None:
                self._decoder.feed(await self._transport.read())
            elif (reply := reply_in(packet)) is not None:
                self._check_source(packet)
                return reply

    def _check_source(self, packet: Packet) -> None:
        if self.address not in (WILDCARD_ADDRESS, packet.source):
            raise Mismatch(
                f"the card that answers has address {packet.source}, not {self.address}",
                hint="set device_address to the card's screen number, or leave it out where one card is on the port",
            )


class BusWire(CardWire):
    """A card among others on RS-485: the bus finds the frames and waits for its turn."""

    def __init__(self, line: BusLine, timeout_s: float) -> None:
        self.address = line.address
        self._line = line
        self._timeout_s = timeout_s

    async def exchange(self, request: Request, *, urgent: bool) -> Reply:
        """Send and wait for this card's answer; our own frame, heard back from a two-wire adapter, is none."""
        raw = await self._line.exchange(self.packet(request), _answers, timeout_s=self._timeout_s, urgent=urgent)
        reply = reply_in(_packet_of(raw))
        if reply is None:
            raise RemoteCodecError(f"no answer: {raw.hex(' ')}")
        return reply


def reply_in(packet: Packet) -> Reply | None:
    """The ACK or NAK in a packet to client software. Raises ``RemoteCodecError`` for an ACK with an error number."""
    if packet.destination != CLIENT_ADDRESS:
        return None
    reply = codec.decode_reply(packet.data)
    if reply.is_ack and reply.error:
        raise RemoteCodecError(f"the card acknowledges with error {reply.error}")
    return reply if reply.command in (Command.ACK, Command.NAK) else None


def _answers(raw: bytes) -> bool:
    try:
        return reply_in(_packet_of(raw)) is not None
    except RemoteCodecError:
        return True  # it is the card's word, and wrong: the request ends here


def _packet_of(raw: bytes) -> Packet:
    return parse_packet(unescape(raw.lstrip(_SYNC)[:-1]))
