"""Device files, pipes and plain files."""

import asyncio
import contextlib
import os
import pty
import tty

import pytest

from hallctl.clock import SystemClock
from hallctl.errors import ConfigError, TransportLost, TransportUnavailable
from hallctl.transport import PortAddress, Transport, open_port


async def opened(path: object, query: str = "") -> Transport:
    return await open_port(PortAddress.parse(f"file://{path}{query}"), SystemClock())


async def test_a_plain_file_collects_what_is_written(tmp_path) -> None:
    paper = tmp_path / "paper"
    paper.write_bytes(b"old ")
    async with await opened(paper) as port:
        await port.write(b"ticket ")
        await port.write(b"A001")
    assert paper.read_bytes() == b"old ticket A001"


async def test_reading_a_plain_file_waits_until_it_is_closed_instead_of_spinning(tmp_path) -> None:
    paper = tmp_path / "paper"
    paper.write_bytes(b"content that is no answer")
    port = await opened(paper)
    reading = asyncio.create_task(port.read())
    for _ in range(50):
        await asyncio.sleep(0)
    assert not reading.done()
    await port.close()
    async with asyncio.timeout(10):
        with pytest.raises(TransportLost):
            await reading


async def test_a_file_that_is_absent_is_not_made(tmp_path) -> None:
    with pytest.raises(TransportUnavailable) as caught:
        await opened(tmp_path / "lp0")
    assert caught.value.code == "port.absent"
    assert not (tmp_path / "lp0").exists()


async def test_a_folder_is_no_device(tmp_path) -> None:
    with pytest.raises(TransportUnavailable) as caught:
        await opened(tmp_path)
    assert caught.value.code == "port.unsupported"


async def test_a_file_has_one_owner(tmp_path) -> None:
    paper = tmp_path / "paper"
    paper.write_bytes(b"")
    async with await opened(paper):
        with pytest.raises(TransportUnavailable) as caught:
            await opened(paper)
    assert caught.value.code == "port.busy"


async def test_a_file_port_has_no_options(tmp_path) -> None:
    with pytest.raises(ConfigError, match="baud"):
        await opened(tmp_path / "x", "?baud=9600")


async def test_a_pipe_that_nobody_reads_says_so(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TransportUnavailable) as caught:
        await opened(tmp_path / "pipe")
    assert caught.value.code == "port.unconnected"


async def test_a_full_pipe_delays_the_writer_and_nobody_else(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    far = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    data = bytes(range(256)) * 2000
    async with await opened(tmp_path / "pipe") as port:
        writing = asyncio.create_task(port.write(data))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not writing.done()
        received = b""
        async with asyncio.timeout(10):
            while len(received) < len(data):
                with contextlib.suppress(BlockingIOError):
                    received += os.read(far, 65536)
                await asyncio.sleep(0)
            await writing
    os.close(far)
    assert received == data


async def test_a_pipe_whose_reader_went_away_is_lost_to_reader_and_writer(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    far = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    port = await opened(tmp_path / "pipe")
    reading = asyncio.create_task(port.read())
    await asyncio.sleep(0)
    os.close(far)
    async with asyncio.timeout(10):
        with pytest.raises(TransportLost):
            await reading
    with pytest.raises(TransportLost):
        await port.write(b"x")
    await port.close()


async def test_a_character_device_speaks_and_listens_and_its_loss_is_noticed() -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    port = await opened(os.ttyname(slave))
    try:
        await port.write(b"\x10\x04\x02")
        assert os.read(master, 10) == b"\x10\x04\x02"
        reading = asyncio.create_task(port.read())
        await asyncio.sleep(0)
        os.write(master, b"\x12")
        async with asyncio.timeout(10):
            assert await reading == b"\x12"
            reading = asyncio.create_task(port.read())
            await asyncio.sleep(0)
            os.close(master)
            with pytest.raises(TransportLost):
                await reading
    finally:
        await port.close()
        os.close(slave)


async def test_a_write_that_waits_is_told_when_the_port_is_closed() -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    port = await opened(os.ttyname(slave))
    writing = asyncio.create_task(port.write(bytes(1_000_000)))
    await asyncio.sleep(0)
    await port.close()
    async with asyncio.timeout(10):
        with pytest.raises(TransportLost):
            await writing
    os.close(master)
    os.close(slave)


async def test_cancelled_reads_of_a_device_lose_no_byte() -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    sent, received = bytes(range(256)), bytearray()
    async with await opened(os.ttyname(slave)) as port:
        for start in range(0, 256, 8):
            reading = asyncio.create_task(port.read(3))
            await asyncio.sleep(0)
            os.write(master, sent[start : start + 8])
            await asyncio.sleep(0)
            reading.cancel()
            (result,) = await asyncio.gather(reading, return_exceptions=True)
            received += result if isinstance(result, bytes) else b""
        async with asyncio.timeout(10):
            while len(received) < len(sent):
                received += await port.read()
    os.close(master)
    os.close(slave)
    assert bytes(received) == sent
