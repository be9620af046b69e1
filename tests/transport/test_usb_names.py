"""A USB printer is named by what never changes: what may be written, what is found, and what a technician is told."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hallctl.errors import ConfigError, TransportUnavailable
from hallctl.transport import PortAddress
from hallctl.transport.usb_names import UsbName, find_lp, find_usb, is_usb_plugged, usb_devices

_SPEC = importlib.util.spec_from_file_location("usb_backend", Path(__file__).with_name("usb_backend.py"))
usb_backend = sys.modules[_SPEC.name] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(usb_backend)


@pytest.fixture
def bench(tmp_path):
    return usb_backend.UsbBench(tmp_path)


@pytest.fixture
def plug(bench, silent_device) -> Callable:
    return lambda **what: bench.plug(silent_device, **what)


def absent(url: str, sysfs: Path) -> TransportUnavailable:
    with pytest.raises(TransportUnavailable) as caught:
        find_usb(PortAddress.parse(url), sysfs)
    assert caught.value.code == "port.absent"
    return caught.value


# What may be written


def test_vendor_product_and_serial_are_read_from_the_url() -> None:
    address = PortAddress.parse("usb://04b8:0e15?serial=X1")
    assert (address.scheme, address.host) == ("usb", "04b8:0e15")
    assert UsbName.from_address(address) == UsbName("04b8", "0e15", serial="X1")
    assert str(address) == "usb://04b8:0e15?serial=X1"


def test_large_hexadecimal_digits_mean_the_same_device_and_a_serial_keeps_its_letters() -> None:
    address = PortAddress.parse("USB://04B8:0E15?serial=aB")
    assert address == PortAddress.parse("usb://04b8:0e15?serial=aB")
    assert UsbName.from_address(address).serial == "aB"


@pytest.mark.parametrize("query", ["", "?serial=X1", "?socket=1-1.4", "?serial=X1&socket=2-1", "?serial=A%26B%20C"])
@pytest.mark.parametrize("scheme", ["usb", "usblp"])
def test_a_port_that_is_written_out_again_is_the_same_port(scheme, query) -> None:
    address = PortAddress.parse(f"{scheme}://04b8:0e15{query}")
    assert PortAddress.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "usb://",
        "usb://04b8",
        "usb://04b8:",
        "usb://04b8:e15",
        "usb://04b8:0e155",
        "usb://04b8:0e1g",
        "usb://0x04b8:0x0e15",
        "usb://04b8-0e15",
        "usb://04b8:0e15/1-1",
        "usb://root@04b8:0e15",
        "usb:///dev/usb/lp0",
        "usb:04b8:0e15",
        "usblp://lp0",
    ],
)
def test_what_is_no_usb_device_is_refused_with_an_example(text) -> None:
    with pytest.raises(ConfigError) as caught:
        PortAddress.parse(text)
    assert text in caught.value.message
    assert "VENDOR:PRODUCT" in caught.value.message
    assert "usb://VENDOR:PRODUCT?serial=NUMBER" in caught.value.hint


@pytest.mark.parametrize(
    ("query", "word"), [("seriel=X1", "seriel"), ("serial=", "serial is empty"), ("socket=&serial=X1", "socket")]
)
def test_a_wrong_option_is_refused_with_a_hint(bench, query, word) -> None:
    with pytest.raises(ConfigError, match=word) as caught:
        find_usb(PortAddress.parse(f"usb://04b8:0e15?{query}"), bench.sysfs)
    assert caught.value.hint


def test_two_printers_that_differ_in_their_serial_only_are_two_ports() -> None:
    first, second = (PortAddress.parse(f"usb://04b8:0e15?serial={serial}") for serial in ("X1", "X2"))
    assert first != second
    assert str(first) != str(second)


# What is found


def test_a_device_is_described_as_the_kernel_lists_it(bench, plug) -> None:
    printer = plug(serial="X1", socket="1-1.4")
    (found,) = usb_devices(bench.sysfs)
    assert (found.vendor, found.product, found.serial, found.socket) == ("04b8", "0e15", "X1", "1-1.4")
    assert (found.bus, found.number, found.maker, found.model) == (1, printer.number, "EPSON", "TM-T88V")
    assert str(found) == "usb://04b8:0e15?serial=X1"


def test_a_printer_is_found_by_its_serial(bench, plug) -> None:
    plug(serial="X1", socket="1-1")
    plug(serial="X2", socket="1-2")
    found = find_usb(PortAddress.parse("usb://04b8:0e15?serial=X2"), bench.sysfs)
    assert (found.serial, found.socket) == ("X2", "1-2")


def test_printers_without_serial_numbers_are_found_by_their_sockets(bench, plug) -> None:
    plug(serial="", socket="1-1")
    plug(serial="", socket="1-1.4")
    found = find_usb(PortAddress.parse("usb://04b8:0e15?socket=1-1.4"), bench.sysfs)
    assert found.socket == "1-1.4"
    assert str(found) == "usb://04b8:0e15?socket=1-1.4"


def test_the_only_printer_of_its_kind_needs_no_option(bench, plug) -> None:
    plug(serial="X1", socket="1-1")
    plug(serial="Y1", socket="1-2", vendor="0519", product="0003")
    assert find_usb(PortAddress.parse("usb://04b8:0e15"), bench.sysfs).serial == "X1"


def test_a_serial_that_is_right_in_the_wrong_socket_is_not_taken(bench, plug) -> None:
    plug(serial="X1", socket="1-1")
    assert "socket=1-1" in absent("usb://04b8:0e15?serial=X1&socket=1-2", bench.sysfs).hint


def test_two_printers_that_fit_are_ambiguous_and_both_are_named(bench, plug) -> None:
    plug(serial="X1", socket="1-1")
    plug(serial="", socket="1-2")
    with pytest.raises(TransportUnavailable) as caught:
        find_usb(PortAddress.parse("usb://04b8:0e15"), bench.sysfs)
    assert caught.value.code == "port.ambiguous"
    assert "serial=X1 socket=1-1" in caught.value.message
    assert "serial=(none) socket=1-2" in caught.value.message
    assert "serial" in caught.value.hint
    assert "socket" in caught.value.hint


def test_clones_that_share_one_serial_are_ambiguous_until_the_socket_is_written(bench, plug) -> None:
    plug(serial="0001", socket="1-1")
    plug(serial="0001", socket="1-2")
    with pytest.raises(TransportUnavailable) as caught:
        find_usb(PortAddress.parse("usb://04b8:0e15?serial=0001"), bench.sysfs)
    assert caught.value.code == "port.ambiguous"
    assert find_usb(PortAddress.parse("usb://04b8:0e15?serial=0001&socket=1-2"), bench.sysfs).socket == "1-2"


@pytest.mark.parametrize("serial", ["A B", "A+B", "A&B", "A%41", "柜台1"])
def test_a_device_is_found_by_the_name_that_is_shown_for_it(bench, plug, serial) -> None:
    plug(serial=serial)
    (shown,) = map(str, usb_devices(bench.sysfs))
    assert find_usb(PortAddress.parse(shown), bench.sysfs).serial == serial


# What a technician is told when it is not there


def test_an_absent_printer_is_told_with_the_other_of_its_kind(bench, plug) -> None:
    plug(serial="X2", socket="1-3")
    error = absent("usb://04b8:0e15?serial=X1", bench.sysfs)
    assert "usb://04b8:0e15?serial=X1" in error.message
    assert "serial=X2 socket=1-3" in error.hint


def test_an_absent_printer_is_told_with_the_printers_that_are_there(bench, plug) -> None:
    plug(serial="Y1", vendor="0519", product="0003", socket="1-1")
    plug(serial="K", vendor="046d", product="c31c", socket="1-2", interfaces=usb_backend.KEYBOARD)
    hint = absent("usb://04b8:0e15", bench.sysfs).hint
    assert "usb://0519:0003?serial=Y1" in hint
    assert "046d" not in hint


def test_where_nothing_is_plugged_the_hint_says_none(bench) -> None:
    assert "none" in absent("usb://04b8:0e15", bench.sysfs).hint


def test_a_system_without_usb_has_no_devices(tmp_path) -> None:
    assert list(usb_devices(tmp_path / "nowhere")) == []
    assert not is_usb_plugged(PortAddress.parse("usb://04b8:0e15"), tmp_path / "nowhere")
    absent("usb://04b8:0e15", tmp_path / "nowhere")


def test_root_hubs_and_interfaces_are_no_devices(bench, plug) -> None:
    plug(socket="1-1")
    (bench.sysfs / "1-1:1.0").symlink_to(bench.sysfs / "1-1" / "1-1:1.0")  # as the kernel lists it, too
    assert [device.socket for device in usb_devices(bench.sysfs)] == ["1-1"]


# The kernel's node, and whether it is there


def test_the_node_of_the_printer_that_is_meant_is_found(bench, plug) -> None:
    plug(serial="X1", socket="1-1")
    plug(serial="X2", socket="1-2")
    assert find_lp(PortAddress.parse("usblp://04b8:0e15?serial=X2"), bench.sysfs) == Path("/dev/usb/lp1")


def test_the_node_of_the_second_interface_counts(bench, plug) -> None:
    plug(interfaces=usb_backend.KEYBOARD_AND_PRINTER)
    assert find_lp(PortAddress.parse("usblp://04b8:0e15"), bench.sysfs) == Path("/dev/usb/lp0")


def test_a_printer_that_the_kernel_has_not_bound_has_no_node_and_the_hint_says_modprobe(bench, plug) -> None:
    bench.usblp_loaded = False
    plug()
    with pytest.raises(TransportUnavailable) as caught:
        find_lp(PortAddress.parse("usblp://04b8:0e15"), bench.sysfs)
    assert caught.value.code == "port.absent"
    assert "modprobe usblp" in caught.value.hint


def test_plugged_means_the_device_for_libusb_and_the_node_for_the_kernels_driver(bench, plug) -> None:
    usb, usblp = (PortAddress.parse(f"{scheme}://04b8:0e15?serial=X1") for scheme in ("usb", "usblp"))
    assert (is_usb_plugged(usb, bench.sysfs), is_usb_plugged(usblp, bench.sysfs)) == (False, False)
    printer = plug(serial="X1")
    assert (is_usb_plugged(usb, bench.sysfs), is_usb_plugged(usblp, bench.sysfs)) == (True, True)
    bench.unbind(printer, 0)
    assert (is_usb_plugged(usb, bench.sysfs), is_usb_plugged(usblp, bench.sysfs)) == (True, False)
    printer.unplug()
    assert (is_usb_plugged(usb, bench.sysfs), is_usb_plugged(usblp, bench.sysfs)) == (False, False)


def test_asking_whether_an_ambiguous_or_wrong_port_is_plugged_never_raises(bench, plug) -> None:
    plug(serial="X1", socket="1-1")
    plug(serial="X2", socket="1-2")
    assert not is_usb_plugged(PortAddress.parse("usb://04b8:0e15"), bench.sysfs)
    assert not is_usb_plugged(PortAddress.parse("usb://04b8:0e15?seriel=X1"), bench.sysfs)


# Plugs are pulled at any moment


def test_a_device_that_is_unplugged_while_the_list_is_read_is_left_out(bench, plug) -> None:
    plug(serial="X1", socket="1-1")
    second = plug(serial="X2", socket="1-2")
    plug(serial="X3", socket="1-3")
    listing = usb_devices(bench.sysfs)
    assert next(listing).serial == "X1"
    second.unplug()
    assert [device.serial for device in listing] == ["X3"]


def test_a_folder_that_is_half_gone_is_left_out(bench, plug) -> None:
    plug(serial="X1", socket="1-1")
    (bench.sysfs / "1-2").mkdir()
    for name in ("idVendor", "idProduct", "busnum", "devnum"):
        (bench.sysfs / "1-2" / name).write_text("")
    (bench.sysfs / "1-3").mkdir()
    assert [device.serial for device in usb_devices(bench.sysfs)] == ["X1"]


def test_a_device_that_is_gone_has_no_node(bench, plug) -> None:
    printer = plug()
    (found,) = usb_devices(bench.sysfs)
    printer.unplug()
    assert found.lp is None
