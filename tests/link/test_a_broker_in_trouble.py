"""A broker that can't take our session up again, or that goes silent in mid-birth: the box comes back all the same.

A clustered engine whose node died answers every connect that wants the old session with "unspecified error", for ever.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from link.test_uplink import Box, Desk

from hallctl.errors import BrokerUnable
from hallctl.link import BrokerSettings, Session, uplink
from hallctl.model import ReplyState

CLEAN = 0x02
NO = {"5": bytes([0x20, 3, 0, 0x88, 0]), "3.1.1": bytes([0x20, 2, 0, 3])}  # CONNACK: server unavailable


@dataclass
class Gate:
    """Stands before a broker, and lets a connection through when ``admits`` says so; ``clean`` of each connect."""

    host: str
    target: int
    protocol: str
    swallows: int = 0  # so many connections are connected, and then nothing passes any more
    admits_old: bool = True
    clean: list[bool] = field(default_factory=list)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connect = await reader.read(65536)
        clean = bool(connect[connect.index(b"MQTT") + 5] & CLEAN)
        self.clean.append(clean)
        self.admits_old = self.admits_old or clean
        if not self.admits_old:
            writer.write(NO[self.protocol])
            writer.close()
            return
        there_reads, there_writes = await asyncio.open_connection(self.host, self.target)
        there_writes.write(connect)
        writer.write(await there_reads.read(65536))
        if self.swallows:
            self.swallows -= 1
            await reader.read()  # until the box hangs up
        else:
            await asyncio.wait(
                [asyncio.ensure_future(_copy(reader, there_writes)), asyncio.ensure_future(_copy(there_reads, writer))],
                return_when=asyncio.FIRST_COMPLETED,
            )
        there_writes.close()
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@contextlib.asynccontextmanager
async def gate(broker, protocol: str, **how) -> AsyncIterator[Gate]:
    made = Gate(broker.host, broker.port, protocol, **how)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.host, made.port = "127.0.0.1", server.sockets[0].getsockname()[1]
    yield made
    server.close()


@pytest.mark.rule("MQ-28")
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_session_that_the_broker_cannot_take_up_is_given_up_after_two_tries(broker, tmp_path, protocol):
    async with gate(broker, protocol, admits_old=False) as door, Desk(broker) as desk, Box(tmp_path, door, protocol):
        await desk.until(lambda d: d.bodies("/state"))
        await desk.command("number.call", {})
        assert (await desk.reply()).state is ReplyState.SUCCEEDED
        assert door.clean == ([False, False, True] if protocol == "5" else [False, False, True, False])


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_broker_without_room_is_not_taken_for_a_wrong_password(broker, protocol):
    async with gate(broker, protocol, admits_old=False) as door:
        session = Session(BrokerSettings(door.host, door.port, client_id="box", protocol=protocol))
        with pytest.raises(BrokerUnable, match="can't serve us") as caught:
            await session.connect(clean=False)
        assert "password" not in caught.value.hint


@pytest.mark.rule("MQ-28")
async def test_a_broker_that_acknowledges_no_subscription_is_left_and_tried_again(broker, tmp_path, monkeypatch):
    monkeypatch.setattr(uplink, "BIRTH_TIMEOUT_S", 0.3)
    async with gate(broker, "5", swallows=1) as door, Desk(broker) as desk, Box(tmp_path, door):
        await desk.until(lambda d: any(body["status"] == "online" for body in d.bodies("/state")))
        assert len(door.clean) == 2
