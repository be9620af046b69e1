"""The serial transport on real pseudo-terminals."""

import asyncio
import fcntl
import os
import pty
import termios
import threading
import tty
from pathlib import Path

import pytest

from hallctl.clock import SystemClock
from hallctl.driver import on_pty
from hallctl.errors import ConfigError, TransportLost, TransportUnavailable
from hallctl.transport import PortAddress, Transport, open_port

CLOCK = SystemClock()


async def opened(path: str, query: str = "") -> Transport:
    return await open_port(PortAddress.parse(f"serial://{path}{query}"), CLOCK)


def port_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("serial ")]


async def read_exactly(port: Transport, size: int) -> bytes:
    data = b""
    async with asyncio.timeout(10):
        while len(data) < size:
            data += await port.read()
    return data


async def test_what_is_written_arrives_and_what_comes_back_is_read(parrot) -> None:
    async with on_pty([parrot]) as path, await opened(path) as port:
        await port.write(b"\x00\x11\x13\xffhello\r\n")
        assert await read_exactly(port, 11) == b"\x00\x11\x13\xffhello\r\n"


async def test_a_long_write_arrives_whole_and_in_order(silent_device, eventually) -> None:
    data = bytes(range(256)) * 200
    async with on_pty([silent_device]) as path, await opened(path) as port:
        await port.write(data)
        await eventually(lambda: len(silent_device.heard) == len(data))
        assert bytes(silent_device.heard) == data


async def test_cancelled_reads_lose_no_byte(silent_device) -> None:
    sent = bytes(range(256)) * 4
    received = bytearray()
    async with on_pty([silent_device]) as path, await opened(path) as port:
        for start in range(0, len(sent), 16):
            reading = asyncio.create_task(port.read(5))
            await asyncio.sleep(0)
            silent_device.emit(sent[start : start + 16])
            await asyncio.sleep(0)
            reading.cancel()
            (result,) = await asyncio.gather(reading, return_exceptions=True)
            received += result if isinstance(result, bytes) else b""
        received += await read_exactly(port, len(sent) - len(received))
    assert bytes(received) == sent


async def test_unplugging_is_told_to_a_waiting_reader_and_to_every_later_call(silent_device) -> None:
    async with on_pty([silent_device]) as path:
        port = await opened(path)
        reading = asyncio.create_task(port.read())
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        with pytest.raises(TransportLost):
            await reading
    with pytest.raises(TransportLost):
        await port.write(b"x")
    with pytest.raises(TransportLost):
        await port.read()
    await port.close()


async def test_bytes_that_arrived_before_the_loss_are_still_read(silent_device) -> None:
    async with on_pty([silent_device]) as path:
        port = await opened(path)
        silent_device.emit(b"last words")
        async with asyncio.timeout(10):
            assert await port.read(4) == b"last"
    async with asyncio.timeout(10):
        assert await port.read() == b" words"
        with pytest.raises(TransportLost):
            await port.read()
    await port.close()


async def test_the_descriptor_is_closed_at_once_when_the_port_is_lost(silent_device, eventually) -> None:
    async with on_pty([silent_device]) as path:
        port = await opened(path)
        assert path in held_files()
    await eventually(lambda: not port_threads())
    assert not [name for name in held_files() if name.startswith(path)]
    await port.close()


def held_files() -> list[str]:
    names = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            names.append(str(entry.readlink()))
        except OSError:
            continue
    return names


async def test_a_replugged_device_of_the_same_name_can_be_opened_again(parrot, tmp_path) -> None:
    link = str(tmp_path / "usb-adapter")
    for _ in range(3):
        async with on_pty([parrot], link):
            port = await opened(link)
            await port.write(b"ping")
            assert await read_exactly(port, 4) == b"ping"
        with pytest.raises(TransportLost):
            async with asyncio.timeout(10):
                await port.read()
        with pytest.raises(TransportUnavailable) as caught:
            await opened(link)
        assert caught.value.code == "port.absent"


async def test_close_is_prompt_while_the_thread_waits_for_a_device_that_takes_nothing() -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    try:
        port = await opened(os.ttyname(slave))
        writing = asyncio.create_task(port.write(bytes(1_000_000)))
        reading = asyncio.create_task(port.read())
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await port.close()
            results = await asyncio.gather(writing, reading, return_exceptions=True)
        assert [type(result) for result in results] == [TransportLost, TransportLost]
        assert port_threads() == []
    finally:
        os.close(master)
        os.close(slave)


async def test_no_thread_and_no_descriptor_is_left_after_many_openings(silent_device) -> None:
    async with on_pty([silent_device]) as path:
        before = len(held_files())
        for _ in range(20):
            port = await opened(path)
            await port.close()
            await port.close()
        assert port_threads() == []
        assert len(held_files()) == before


async def test_an_opening_that_is_cancelled_leaves_nothing_behind(silent_device, eventually) -> None:
    async with on_pty([silent_device]) as path:
        opening = asyncio.create_task(opened(path))
        await asyncio.sleep(0)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await eventually(lambda: not port_threads())
        async with await opened(path) as port:
            await port.write(b"still usable")


async def test_a_port_has_one_owner(silent_device) -> None:
    async with on_pty([silent_device]) as path, await opened(path):
        with pytest.raises(TransportUnavailable) as caught:
            await opened(path)
    assert caught.value.code == "port.busy"
    assert caught.value.hint


async def test_others_are_kept_out_by_tiocexcl_while_the_port_is_open_and_let_in_afterwards(silent_device) -> None:
    async with on_pty([silent_device]) as path:
        port = await opened(path)
        assert exclusive(path)
        await port.close()
        assert not exclusive(path)


def exclusive(path: str) -> bool:
    """Root may open an exclusive tty, so ask the tty itself (TIOCGEXCL, asm-generic/ioctls.h)."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        return bool(int.from_bytes(fcntl.ioctl(descriptor, 0x80045440, bytes(4)), "little"))
    finally:
        os.close(descriptor)


async def test_rs485_is_asked_for_and_an_adapter_without_it_is_tolerated(parrot) -> None:
    async with on_pty([parrot]) as path, await opened(path, "?rs485=1") as port:
        await port.write(b"ok")
        assert await read_exactly(port, 2) == b"ok"


async def test_the_line_settings_reach_the_tty(silent_device) -> None:
    async with on_pty([silent_device]) as path, await opened(path, "?baud=19200&parity=odd&stopbits=2"):
        descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        attributes = termios.tcgetattr(descriptor)
        os.close(descriptor)
    assert attributes[5] == termios.B19200
    assert attributes[2] & termios.CSTOPB
    assert attributes[2] & termios.PARODD  # a pty clears PARENB by itself


async def test_an_absent_port_says_where_to_look(tmp_path) -> None:
    with pytest.raises(TransportUnavailable) as caught:
        await opened(str(tmp_path / "ttyUSB7"))
    assert caught.value.code == "port.absent"
    assert "/dev/serial/by-id" in caught.value.hint


async def test_a_plain_file_is_no_serial_port(tmp_path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    with pytest.raises(TransportUnavailable) as caught:
        await opened(str(plain))
    assert caught.value.code == "port.unsupported"
    assert port_threads() == []


async def test_a_wrong_option_is_a_configuration_error(tmp_path) -> None:
    with pytest.raises(ConfigError, match="bauds"):
        await opened(str(tmp_path / "x"), "?bauds=9600")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
async def test_a_port_without_permission_names_the_group(tmp_path) -> None:
    locked = tmp_path / "locked"
    locked.write_bytes(b"")
    locked.chmod(0)
    with pytest.raises(TransportUnavailable) as caught:
        await opened(str(locked))
    assert caught.value.code == "port.permission"
