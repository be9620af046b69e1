"""Putting simulators on a pseudo-terminal, and unplugging it by name."""

import os
from pathlib import Path

import pytest

from hallctl.clock import SystemClock
from hallctl.driver import WireSimulator, on_pty
from hallctl.errors import TransportLost
from hallctl.transport import PortAddress, open_port


async def test_the_name_is_there_while_plugged_in_and_gone_afterwards(silent_device, tmp_path) -> None:
    link = tmp_path / "adapter"
    link.symlink_to("/dev/null")  # left behind by a run that was killed
    async with on_pty([silent_device], str(link)) as path:
        assert path == str(link)
        assert str(link.readlink()).startswith("/dev/pts/")
    assert not link.is_symlink()
    assert list(tmp_path.iterdir()) == []


async def test_a_device_plugged_in_under_the_name_of_another_keeps_the_name(silent_device, parrot, tmp_path) -> None:
    link = tmp_path / "adapter"
    async with on_pty([parrot], str(link)):
        async with on_pty([silent_device], str(link)):
            newer = link.readlink()
            link.unlink()
            link.symlink_to("/dev/pts/of-somebody-else")
        assert link.readlink() == Path("/dev/pts/of-somebody-else") != newer


async def test_several_devices_hear_every_byte_on_one_bus(silent_device, parrot, eventually) -> None:
    async with on_pty([silent_device, parrot]) as path:
        port = await open_port(PortAddress.parse(f"serial://{path}"), SystemClock())
        await port.write(b"all")
        await eventually(lambda: silent_device.heard == parrot.heard == b"all")
        await port.close()


async def test_an_unplugged_device_speaks_to_nobody_instead_of_into_a_strange_descriptor(silent_device) -> None:
    async with on_pty([silent_device]):
        pass
    reading, writing = os.pipe()  # takes the numbers that the pseudo-terminal had
    silent_device.emit(b"hello?")
    os.set_blocking(reading, False)
    with pytest.raises(BlockingIOError):
        os.read(reading, 10)
    os.close(reading)
    os.close(writing)


async def test_a_simulator_that_raises_fails_the_test_that_uses_it(eventually) -> None:
    class Broken(WireSimulator):
        heard = False

        def feed(self, data: bytes) -> bytes:
            self.heard = True
            raise ZeroDivisionError

    device = Broken()
    with pytest.raises(ZeroDivisionError):
        async with on_pty([device]) as path:
            port = await open_port(PortAddress.parse(f"serial://{path}"), SystemClock())
            await port.write(b"x")
            await eventually(lambda: device.heard)
            await port.close()


async def test_a_host_that_reads_nothing_does_not_stop_the_device(silent_device) -> None:
    async with on_pty([silent_device]) as path:
        port = await open_port(PortAddress.parse(f"serial://{path}"), SystemClock())
        for _ in range(300):
            silent_device.emit(bytes(1000))
        await port.close()
        with pytest.raises(TransportLost):
            await port.read()
