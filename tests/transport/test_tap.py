"""A tap on a port: what it keeps, what it counts, who hears it live."""

import asyncio

import pytest

from hallctl.clock import ManualClock
from hallctl.errors import TransportLost, TransportUnavailable
from hallctl.transport import Direction, PortAddress, Tap, TappedTransport, null_modem
from hallctl.transport.tap import KEEP_BYTES, KEEP_CHUNKS, PIECE_BYTES

PORT = PortAddress.parse("tcp://127.0.0.1:9100")


@pytest.fixture
def tap() -> Tap:
    return Tap("printer-1", ManualClock())


async def tapped(tap: Tap):
    near, far = null_modem()

    async def opener(_address, _clock):
        return near

    return await TappedTransport.open(opener, PORT, ManualClock(), tap), far


def passed(tap: Tap) -> list[tuple[Direction, bytes]]:
    return [(chunk.direction, chunk.data) for chunk in tap.ring() if chunk.data]


async def test_a_tap_keeps_what_passes_both_ways_in_order(tap) -> None:
    port, device = await tapped(tap)
    await port.write(b"how are you")
    await device.write(b"well")
    assert await port.read() == b"well"
    await device.write(b"by the way")
    assert await port.drain_input() == b"by the way"
    assert passed(tap) == [(Direction.OUT, b"how are you"), (Direction.IN, b"well"), (Direction.IN, b"by the way")]
    assert (tap.counters.bytes_out, tap.counters.bytes_in, tap.counters.openings) == (11, 14, 1)
    assert tap.ring()[0].note == f"opened {PORT}"


async def test_a_question_stands_before_its_answer_although_the_answer_is_read_by_another_task(tap) -> None:
    port, device = await tapped(tap)
    reading = asyncio.create_task(port.read())

    async def answer() -> None:
        assert await device.read() == b"?"
        await device.write(b"!")

    answering = asyncio.create_task(answer())
    await port.write(b"?")
    await asyncio.gather(reading, answering)
    assert passed(tap) == [(Direction.OUT, b"?"), (Direction.IN, b"!")]


async def test_a_read_that_is_cancelled_loses_nothing_and_notes_nothing(tap) -> None:
    port, device = await tapped(tap)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await port.read()
    await device.write(b"late")
    assert await port.read() == b"late"
    assert passed(tap) == [(Direction.IN, b"late")]


async def test_a_port_that_is_lost_is_noted_once(tap) -> None:
    port, device = await tapped(tap)
    await device.close()
    for _ in range(3):
        with pytest.raises(TransportLost):
            await port.read()
    assert tap.counters.errors == 1
    assert tap.ring()[-1].direction is Direction.NOTE
    assert "unplugged" in tap.ring()[-1].note


async def test_a_port_that_refuses_for_hours_does_not_push_out_what_was_said_before(tap) -> None:
    async def refuse(_address, _clock):
        raise TransportUnavailable("tcp://127.0.0.1:9100: Connection refused", code="port.refused")

    tap.received(b"the last word")
    for _ in range(KEEP_CHUNKS * 2):
        with pytest.raises(TransportUnavailable):
            await TappedTransport.open(refuse, PORT, ManualClock(), tap)
    assert passed(tap) == [(Direction.IN, b"the last word")]
    assert tap.counters.errors == KEEP_CHUNKS * 2


def test_the_ring_is_bounded_in_chunks_and_in_bytes_and_keeps_the_newest(tap) -> None:
    for number in range(KEEP_CHUNKS * 2):
        tap.sent(bytes([number % 256]))
    assert len(tap.ring()) == KEEP_CHUNKS
    assert tap.ring()[-1].data == bytes([(KEEP_CHUNKS * 2 - 1) % 256])
    picture = bytes(range(256)) * (KEEP_BYTES // 128)  # twice what a ring holds
    tap.sent(picture)
    kept = b"".join(chunk.data for chunk in tap.ring())
    assert len(kept) == KEEP_BYTES
    assert picture.endswith(kept)
    assert max(len(chunk.data) for chunk in tap.ring()) == PIECE_BYTES
    assert tap.counters.bytes_out == KEEP_CHUNKS * 2 + len(picture)


def test_chunks_are_numbered_so_that_a_gap_shows(tap) -> None:
    for _ in range(KEEP_CHUNKS + 10):
        tap.received(b"x")
    numbers = [chunk.number for chunk in tap.ring()]
    assert numbers == list(range(11, KEEP_CHUNKS + 11))
    assert [chunk.number for chunk in tap.ring(after=KEEP_CHUNKS + 8)] == [KEEP_CHUNKS + 9, KEEP_CHUNKS + 10]


async def test_everybody_who_waits_is_woken_by_what_passes_and_not_by_what_has_passed(tap) -> None:
    tap.sent(b"before")
    waiting = [asyncio.create_task(tap.newer(1)) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    tap.received(b"now")
    await asyncio.gather(*waiting)
    await tap.newer(1)
    assert [chunk.data for chunk in tap.ring(after=1)] == [b"now"]
