"""One server an address: opened by the first pad, closed by the last, whatever happens in between."""

import asyncio
import socket
import sys

import pytest
from hallctl_drivers.webpad import PLUGIN, server
from hallctl_drivers.webpad.config import WebPadOptions
from hallctl_drivers.webpad.sim import WebPadSimulator

from hallctl.errors import ConfigError, TransportLost, TransportUnavailable


def url(port: int, terminal: str) -> str:
    return f"http://127.0.0.1:{port}/pad/{terminal}"


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_pads_of_one_address_share_a_server_until_the_last_has_gone(desk, port, until) -> None:
    first, second, tablet = desk.pad(port, "pad-1"), desk.pad(port, "pad-2"), WebPadSimulator()
    await first.start(None)
    await second.start(None)
    async with tablet.visit(url(port, "pad-2")):
        await until(lambda: tablet.connected)
        await first.stop()
        assert tablet.connected
        assert (await second.poll()).info["visitors"] == 1
    await second.stop()
    assert not is_open(port)
    assert server._HOUSES == {}


async def test_a_pad_that_crashes_leaves_its_neighbours_page_alone(desk, port, until) -> None:
    crashing, other, tablet = desk.pad(port, "pad-1"), desk.pad(port, "pad-2"), WebPadSimulator()
    await crashing.start(None)
    await other.start(None)
    listening = asyncio.create_task(crashing.listen())
    async with tablet.visit(url(port, "pad-2")):
        await until(lambda: tablet.connected)
        listening.cancel()  # what a supervisor does with a driver that raised something; stop() is not called
        await asyncio.gather(listening, return_exceptions=True)
        assert tablet.connected
        await crashing.start(None)
        assert (await crashing.poll()).info["visitors"] == 0
        assert (tablet.connected, tablet.closed) == (True, [])
    await crashing.stop()
    await other.stop()
    assert server._HOUSES == {}


async def test_a_port_that_another_program_holds_is_said_with_a_hint(desk) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        pads = [desk.pad(holder.getsockname()[1], f"pad-{number}") for number in (1, 2)]
        refusals = await asyncio.gather(*(pad.start(None) for pad in pads), return_exceptions=True)
    for refusal in refusals:
        assert isinstance(refusal, TransportUnavailable)
        assert refusal.code == "port.busy"
        assert refusal.hint
    await asyncio.gather(*(pad.start(None) for pad in pads))
    for pad in pads:
        await pad.stop()


async def test_an_address_of_another_box_is_said_with_a_hint(desk, port) -> None:
    pad = desk.pad(port, listen=f"192.0.2.1:{port}")
    with pytest.raises(TransportUnavailable) as caught:
        await pad.start(None)
    assert caught.value.code == "port.absent"
    assert server._HOUSES == {}


async def test_a_start_may_be_cancelled_at_any_point(desk, port) -> None:
    for turns in range(40):
        pad = desk.pad(port)
        starting = asyncio.create_task(pad.start(None))
        for _ in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await pad.stop()
        again = desk.pad(port)
        await again.start(None)  # never port.busy: whoever closes is waited for
        await again.stop()
        assert server._HOUSES == {}


async def test_a_cancelled_start_takes_nothing_from_a_pad_that_starts_beside_it(desk, port) -> None:
    first, second = desk.pad(port, "pad-1"), desk.pad(port, "pad-2")
    starting = [asyncio.create_task(pad.start(None)) for pad in (first, second)]
    await asyncio.sleep(0)
    starting[0].cancel()
    await asyncio.gather(*starting, return_exceptions=True)
    assert is_open(port)
    await second.poll()
    await second.stop()


async def test_a_tablet_finds_the_pad_again_that_was_configured_anew(desk, port, until) -> None:
    """Its supervisor may have been cancelled where it could not say stop."""
    old, new, tablet = desk.pad(port, title="old"), desk.pad(port, title="new"), WebPadSimulator()
    await old.start(None)
    async with tablet.visit(url(port, "pad-1")):
        await until(lambda: tablet.connected)
        await new.start(None)
        await until(lambda: tablet.state.get("page", {}).get("title") == "new")
        await old.stop()
        assert (await new.poll()).info["visitors"] == 1
    await new.stop()


async def test_a_server_that_has_ended_is_lost_and_opened_again(desk, port) -> None:
    pad = desk.pad(port)
    await pad.start(None)
    pad._house._server.close()
    with pytest.raises(TransportLost):
        await pad.listen()
    with pytest.raises(TransportLost):
        await pad.poll()
    await pad.start(None)
    await pad.poll()
    await pad.stop()


async def test_a_listening_socket_that_is_gone_is_found_by_the_next_poll(desk, port) -> None:
    pad = desk.pad(port)
    await pad.start(None)
    pad._house._server.server.close()
    with pytest.raises(TransportLost):
        await pad.poll()
    await pad.stop()


async def test_peers_that_never_say_anything_do_not_hold_up_the_end(desk, port) -> None:
    pad = desk.pad(port)
    await pad.start(None)
    mute = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    mute[0][1].write(b"GET /pad/pad-1 HTT")
    async with asyncio.timeout(server.CLOSE_S + 2):
        await pad.stop()
    for reader, writer in mute:
        with pytest.raises(ConnectionError):
            if await reader.read() == b"":
                raise ConnectionResetError
        writer.close()


async def test_an_address_that_opens_too_many_connections_is_hung_up_on_and_others_still_come_in(
    desk, port, monkeypatch, until
) -> None:
    monkeypatch.setattr(server, "MOST_OF_ONE", 3)
    pad, tablet = desk.pad(port, listen=f"0.0.0.0:{port}"), WebPadSimulator()
    await pad.start(None)
    here = pad._house._connections
    held = [await asyncio.open_connection("127.0.0.2", port, local_addr=("127.0.0.2", 0)) for _ in range(3)]
    await until(lambda: len(here) == 3)
    reader, writer = await asyncio.open_connection("127.0.0.2", port, local_addr=("127.0.0.2", 0))
    with pytest.raises(ConnectionError):
        if await reader.read() == b"":
            raise ConnectionResetError
    writer.close()
    async with tablet.visit(url(port, "pad-1")):
        await until(lambda: tablet.connected)
    for _, one in held:
        one.close()
    await until(lambda: not here)
    await pad.stop()


async def test_without_websockets_the_pad_says_what_to_install(desk, monkeypatch) -> None:
    monkeypatch.delitem(sys.modules, "hallctl_drivers.webpad.driver")
    monkeypatch.delitem(sys.modules, "hallctl_drivers.webpad.server")
    for name in [name for name in sys.modules if name.partition(".")[0] == "websockets"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "websockets", None)
    with pytest.raises(ConfigError) as caught:
        PLUGIN.make(desk.context(), WebPadOptions())
    assert caught.value.hint.startswith("pip install 'hallctl[web]'")
    PLUGIN.simulate(None, None)  # listing the simulators does without it
