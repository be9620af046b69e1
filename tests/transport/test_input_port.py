"""Input devices, as far as that goes without one: the errors. scripts/usb-lab has a kernel for the rest."""

import asyncio
import errno
import fcntl
import os
from pathlib import Path

import pytest

from hallctl.clock import SystemClock
from hallctl.errors import ConfigError, TransportLost, TransportUnavailable
from hallctl.transport import PortAddress, is_plugged, open_port
from hallctl.transport.device import unavailable
from hallctl.transport.input import EVENT_SIZE, InputTransport


async def refusal(path, query=""):
    with pytest.raises(TransportUnavailable) as caught:
        await open_port(PortAddress.parse(f"input://{path}{query}"), SystemClock())
    return caught.value


async def test_a_keyboard_that_is_not_plugged_in_is_absent(tmp_path):
    address = PortAddress.parse(f"input://{tmp_path}/usb-nobody-event-kbd")
    assert is_plugged(address) is False
    error = await refusal(address.path)
    assert (error.code, "/dev/input/by-id" in error.hint) == ("port.absent", True)


async def test_what_is_no_input_device_is_unsupported(tmp_path):
    (tmp_path / "file").touch()
    error = await refusal(tmp_path / "file")
    assert (error.code, "-event-kbd" in error.hint) == ("port.unsupported", True)
    assert (await refusal("/dev/null")).code == "port.unsupported"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
async def test_a_keyboard_that_may_not_be_opened_says_which_group_may(tmp_path):
    (tmp_path / "event3").touch(mode=0)
    error = await refusal(tmp_path / "event3")
    assert (error.code, "group input" in error.hint) == ("port.permission", True)


async def test_an_option_is_refused_by_name():
    with pytest.raises(ConfigError, match="'baud'"):
        await open_port(PortAddress.parse("input:///dev/input/event3?baud=9600"), SystemClock())


async def test_nothing_stays_open_after_a_refusal(tmp_path):
    (tmp_path / "file").touch()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        await refusal(tmp_path / "file")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (errno.ENODEV, "port.absent", "/dev/input/by-id"),
        (errno.ENXIO, "port.absent", "/dev/input/by-id"),  # its node was left behind, as in a container without udev
        (errno.EACCES, "port.permission", "group input"),
        (errno.EBUSY, "port.busy", "another process"),
    ],
)
def test_what_the_kernel_says_of_a_keyboard_is_told_in_its_words(number, code, word):
    error = unavailable(PortAddress.parse("input:///dev/input/event9"), OSError(number, os.strerror(number)))
    assert (error.code, word in error.hint) == (code, True)


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.EBUSY, "port.busy"), (errno.ENODEV, "port.absent"), (errno.EINVAL, "port.unsupported")],
)
async def test_an_ioctl_that_is_refused_says_why_and_closes(tmp_path, monkeypatch, number, code):
    def refuse(*_arguments):
        raise OSError(number, os.strerror(number))

    (tmp_path / "event3").touch()
    monkeypatch.setattr(fcntl, "ioctl", refuse)
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert (await refusal(tmp_path / "event3")).code == code
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_a_keyboard_without_a_name_is_opened(tmp_path, monkeypatch):
    def answer(_descriptor, request, _argument):
        if request == 0x81004506:  # EVIOCGNAME
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        return 0

    (tmp_path / "event3").touch()
    monkeypatch.setattr(fcntl, "ioctl", answer)
    async with await open_port(PortAddress.parse(f"input://{tmp_path}/event3"), SystemClock()) as port:
        assert port.device_name == ""


@pytest.fixture
async def device():
    """An open port whose kernel is a pipe: it keeps whole events together as evdev does."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    port = InputTransport("input:///dev/input/event3", reader, "Pad")
    yield port, lambda count: os.write(writer, b"".join(bytes([n] * EVENT_SIZE) for n in range(count)))
    await port.close()
    os.close(writer)


async def test_whole_events_are_read_however_little_is_asked_for(device):
    port, say = device
    say(3)
    assert await port.read(1) == bytes([0] * EVENT_SIZE)
    assert await port.read(EVENT_SIZE * 2 - 1) == bytes([1] * EVENT_SIZE)
    assert await port.drain_input() == bytes([2] * EVENT_SIZE)
    assert await port.drain_input() == b""


async def test_a_cancelled_read_loses_no_event(device):
    port, say = device
    reading = asyncio.create_task(port.read())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    say(1)
    assert await port.read() == bytes(EVENT_SIZE)


async def test_who_waits_is_told_when_the_port_is_closed(device):
    port, _ = device
    reading = asyncio.create_task(port.read())
    await asyncio.sleep(0)
    await port.close()
    await port.close()
    with pytest.raises(TransportLost, match="closed"):
        await reading
    with pytest.raises(TransportLost):
        await port.drain_input()


async def test_a_keyboard_takes_nothing(device):
    port, _ = device
    with pytest.raises(TransportUnavailable, match="takes no bytes"):
        await port.write(b"x")
