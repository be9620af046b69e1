"""Input devices, as far as that goes without one: the errors. scripts/usb-lab has a kernel for the rest."""

import os
from pathlib import Path

import pytest

from hallctl.clock import SystemClock
from hallctl.errors import ConfigError, TransportUnavailable
from hallctl.transport import PortAddress, is_plugged, open_port


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
