"""USB printers through a strict libusb: bytes, the kernel's driver, plugs that are pulled, and printers that stall.

The bench (usb_backend.py) refuses what Linux refuses; every test ends with a look whether anything was done that the
real libusb would not have survived.
"""

import asyncio
import errno
import importlib.util
import itertools
import sys
from pathlib import Path

import pytest
from hallctl_drivers.escpos.config import EscposOptions
from hallctl_drivers.escpos.driver import EscposPrinter
from hallctl_drivers.escpos.sim import EscposSimulator

from hallctl.clock import ManualClock, SystemClock
from hallctl.driver import PrintJob, PrintState, TerminalContext
from hallctl.errors import ConfigError, TransportLost, TransportUnavailable
from hallctl.ticket import QrCode, TextLine, Ticket
from hallctl.transport import PortAddress
from hallctl.transport.usb import CLOSE_TIMEOUT_S, INPUT_LIMIT, OPEN_TIMEOUT_S, open_usb

_SPEC = importlib.util.spec_from_file_location("usb_backend", Path(__file__).with_name("usb_backend.py"))
usb_backend = sys.modules[_SPEC.name] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(usb_backend)

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
PATIENCE_S = 10.0


@pytest.fixture
def bench(tmp_path):
    bench = usb_backend.UsbBench(tmp_path)
    yield bench
    assert bench.misuse == []


@pytest.fixture
async def opened(bench):
    """Opens a device of the bench; what a test leaves open is closed behind it."""
    ports = []

    async def opened(url):
        port = await open_usb(PortAddress.parse(url), SystemClock(), backend=bench.backend, sysfs=bench.sysfs)
        ports.append(port)
        return port

    yield opened
    await asyncio.gather(*(port.close() for port in ports))


async def refused(opened, url) -> TransportUnavailable:
    with pytest.raises(TransportUnavailable) as caught:
        await opened(url)
    assert url in caught.value.message
    assert caught.value.hint
    return caught.value


async def received(port, count: int) -> bytes:
    data = b""
    async with asyncio.timeout(PATIENCE_S):
        while len(data) < count:
            data += await port.read()
    return data


async def sent(port, data: bytes) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await port.write(data)


async def is_lost(work) -> str:
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(TransportLost) as caught:
            await work
    return caught.value.message


# Bytes


@pytest.mark.parametrize("interfaces", ["TWO_WAY", "FAST", "VENDOR"])
async def test_bytes_go_there_and_back(bench, opened, parrot, interfaces) -> None:
    printer = bench.plug(parrot, interfaces=getattr(usb_backend, interfaces))
    data = bytes(range(256)) * 200
    port = await opened(printer.url)
    await sent(port, data)
    assert await received(port, len(data)) == data
    assert bytes(parrot.heard) == data


async def test_a_port_is_named_by_its_whole_address(bench, opened, parrot) -> None:
    printer = bench.plug(parrot, serial="X1")
    assert (await opened(printer.url)).name == "usb://04b8:0e15?serial=X1"


async def test_two_printers_of_one_kind_are_kept_apart(bench, opened, silent_device) -> None:
    first, second = bench.plug(silent_device, serial="X1"), bench.plug(silent_device, serial="X2", socket="1-2")
    one, two = await opened(first.url), await opened(second.url)
    await sent(two, b"second")
    await sent(one, b"first")
    assert (bytes(first.taken), bytes(second.taken)) == (b"first", b"second")


async def test_the_setting_with_a_way_back_is_chosen(bench, opened, parrot) -> None:
    printer = bench.plug(parrot, interfaces=usb_backend.ALTERNATES)
    port = await opened(printer.url)
    await sent(port, b"x")
    assert await received(port, 1) == b"x"
    assert printer.settings == {0: 1}


async def test_the_printer_among_several_interfaces_is_chosen(bench, opened, parrot) -> None:
    printer = bench.plug(parrot, interfaces=usb_backend.KEYBOARD_AND_PRINTER)
    port = await opened(printer.url)
    await sent(port, b"x")
    assert await received(port, 1) == b"x"
    assert list(printer.claims) == [1]


async def test_a_read_gives_no_more_than_was_asked_for(bench, opened, silent_device) -> None:
    printer = bench.plug(silent_device)
    port = await opened(printer.url)
    printer.say(b"abcdef")
    async with asyncio.timeout(PATIENCE_S):
        assert await port.read(4) == b"abcd"
        assert await port.read(4) == b"ef"


async def test_cancelled_reads_lose_no_byte(bench, opened, silent_device) -> None:
    printer = bench.plug(silent_device)
    port = await opened(printer.url)
    sent, heard = bytes(range(256)), bytearray()
    for start in range(0, 256, 8):
        reading = asyncio.create_task(port.read(3))
        await asyncio.sleep(0)
        printer.say(sent[start : start + 8])
        await asyncio.sleep(0)
        reading.cancel()
        (result,) = await asyncio.gather(reading, return_exceptions=True)
        heard += result if isinstance(result, bytes) else b""
    heard += await received(port, len(sent) - len(heard))
    assert bytes(heard) == sent


async def test_what_was_said_before_a_question_can_be_thrown_away(bench, opened, parrot, eventually) -> None:
    printer = bench.plug(parrot)
    port = await opened(printer.url)
    printer.say(b"old")
    await eventually(lambda: not printer.said)
    heard = b""
    async with asyncio.timeout(PATIENCE_S):
        while len(heard) < 3:
            heard += await port.drain_input()
            await asyncio.sleep(0)
    assert heard == b"old"
    await sent(port, b"new")
    assert await received(port, 3) == b"new"


async def test_a_printer_that_nobody_reads_fills_no_memory_and_keeps_its_newest_words(
    bench, opened, silent_device, eventually
) -> None:
    printer = bench.plug(silent_device, interfaces=usb_backend.FAST)
    port = await opened(printer.url)
    printer.say(bytes(INPUT_LIMIT) + b"newest")
    reads = printer.reads
    await eventually(lambda: not printer.said and printer.reads > reads)
    printer.say(b"!")
    reads = printer.reads
    await eventually(lambda: not printer.said and printer.reads > reads)
    data = await port.read(2 * INPUT_LIMIT)
    assert len(data) == INPUT_LIMIT
    assert data.endswith(b"newest!")


async def test_an_empty_write_is_done_at_once(bench, opened, silent_device) -> None:
    port = await opened(bench.plug(silent_device).url)
    await sent(port, b"")


# The kernel's driver


async def test_usblp_is_put_aside_while_the_port_is_open_and_bound_again_afterwards(bench, opened, parrot) -> None:
    printer = bench.plug(parrot)
    assert printer.lp == {0: 0}
    port = await opened(printer.url)
    assert printer.lp == {}
    assert not list(printer.folder.glob("*/usbmisc/lp*"))
    await port.close()
    assert printer.lp == {0: 0}
    assert printer.free


async def test_usblp_is_bound_again_also_when_a_killed_process_had_left_it_detached(bench, opened, parrot) -> None:
    printer = bench.plug(parrot)
    bench.unbind(printer, 0)
    port = await opened(printer.url)
    await sent(port, b"x")
    await port.close()
    assert printer.lp == {0: 0}


async def test_a_system_without_usblp_needs_none(bench, opened, parrot) -> None:
    bench.usblp_loaded = False
    printer = bench.plug(parrot)
    port = await opened(printer.url)
    await sent(port, b"x")
    await port.close()
    assert printer.free
    assert printer.lp == {}


async def test_a_closed_port_can_be_opened_again(bench, opened, parrot) -> None:
    printer = bench.plug(parrot)
    for word in (b"one", b"two"):
        port = await opened(printer.url)
        await sent(port, word)
        assert await received(port, 3) == word
        await port.close()


# Ports that can't be opened


async def test_a_second_opener_is_told_that_the_port_is_busy_and_disturbs_nobody(bench, opened, parrot) -> None:
    printer = bench.plug(parrot)
    port = await opened(printer.url)
    assert (await refused(opened, printer.url)).code == "port.busy"
    assert printer.lp == {}
    assert len(printer.handles) == 1
    await sent(port, b"still mine")
    assert await received(port, 10) == b"still mine"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
async def test_a_port_without_permission_says_so_and_leaves_usblp_alone(bench, opened, parrot, number) -> None:
    printer = bench.plug(parrot)
    printer.refusal = number
    error = await refused(opened, printer.url)
    assert error.code == "port.permission"
    assert "udev" in error.hint
    assert printer.lp == {0: 0}


async def test_a_device_that_is_no_printer_is_unsupported_and_not_kept_open(bench, opened, silent_device) -> None:
    keyboard = bench.plug(silent_device, interfaces=usb_backend.KEYBOARD)
    error = await refused(opened, keyboard.url)
    assert error.code == "port.unsupported"
    assert "printer" in error.hint
    assert keyboard.free


async def test_an_absent_printer_is_absent(bench, opened) -> None:
    assert (await refused(opened, "usb://04b8:0e15?serial=X1")).code == "port.absent"


async def test_two_printers_that_fit_are_ambiguous(bench, opened, silent_device) -> None:
    bench.plug(silent_device, serial="X1")
    bench.plug(silent_device, serial="X2", socket="1-2")
    assert (await refused(opened, "usb://04b8:0e15")).code == "port.ambiguous"


@pytest.mark.parametrize("number", [errno.ENODEV, errno.ENOENT, errno.EIO])
async def test_a_printer_that_goes_while_it_is_opened_is_absent(bench, opened, silent_device, number) -> None:
    printer = bench.plug(silent_device)
    printer.refusal = number
    assert (await refused(opened, printer.url)).code == "port.absent"


async def test_a_printer_that_the_kernel_still_lists_and_libusb_does_not_is_absent(
    bench, opened, silent_device
) -> None:
    printer = bench.plug(silent_device)
    bench.devices.remove(printer)
    assert (await refused(opened, printer.url)).code == "port.absent"


async def test_an_error_that_nobody_foresaw_has_a_code_and_a_hint(bench, opened, silent_device) -> None:
    printer = bench.plug(silent_device)
    printer.refusal = errno.EOVERFLOW
    assert (await refused(opened, printer.url)).code == "port.unavailable"


async def test_a_wrong_option_is_an_error_of_the_configuration(bench, opened, silent_device) -> None:
    bench.plug(silent_device)
    with pytest.raises(ConfigError, match="baud"):
        await opened("usb://04b8:0e15?baud=9600")


async def test_without_libusb_the_port_is_unsupported(bench, silent_device, monkeypatch) -> None:
    for name in ("libusb1", "libusb0", "openusb"):
        monkeypatch.setattr(f"usb.backend.{name}.get_backend", lambda *_args, **_named: None)
    monkeypatch.setitem(sys.modules, "libusb_package", None)
    printer = bench.plug(silent_device)
    with pytest.raises(TransportUnavailable, match="libusb") as caught:
        await open_usb(PortAddress.parse(printer.url), SystemClock(), sysfs=bench.sysfs)
    assert caught.value.code == "port.unsupported"
    assert "hallctl[usb]" in caught.value.hint


async def test_without_pyusb_the_port_is_unsupported(bench, opened, silent_device, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "usb.core", None)
    printer = bench.plug(silent_device)
    with pytest.raises(TransportUnavailable, match="pyusb") as caught:
        await opened(printer.url)
    assert caught.value.code == "port.unsupported"
    assert "hallctl[usb]" in caught.value.hint


async def test_an_opening_that_is_given_up_gives_the_printer_back_when_it_ends(
    bench, opened, silent_device, eventually
) -> None:
    printer = bench.plug(silent_device)
    bench.opening.clear()
    opening = asyncio.create_task(opened(printer.url))
    await asyncio.sleep(0.05)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    assert opening.cancelled()
    bench.opening.set()
    await eventually(lambda: bench.opened == 1 and printer.free)
    assert printer.lp == {0: 0}


async def test_a_hub_that_hangs_delays_the_opening_only_so_long(bench, silent_device, eventually) -> None:
    printer, clock = bench.plug(silent_device), ManualClock()
    bench.opening.clear()
    address = PortAddress.parse(printer.url)
    opening = asyncio.create_task(open_usb(address, clock, backend=bench.backend, sysfs=bench.sysfs))
    await asyncio.sleep(0.01)
    await clock.advance(OPEN_TIMEOUT_S + 1)
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(TransportUnavailable, match="can't be opened") as caught:
            await opening
    assert "hub" in caught.value.hint
    bench.opening.set()
    await eventually(lambda: bench.opened == 1 and printer.free)
    assert printer.lp == {0: 0}


# Plugs that are pulled


async def test_pulling_the_plug_ends_a_read_and_every_later_call(bench, opened, silent_device) -> None:
    printer = bench.plug(silent_device)
    port = await opened(printer.url)
    reading = asyncio.create_task(port.read())
    await asyncio.sleep(0)
    printer.unplug()
    assert "usb://04b8:0e15?serial=X1" in await is_lost(reading)
    for _ in range(2):
        await is_lost(port.read())
        await is_lost(port.write(b"x"))
    await port.close()
    assert printer.free


async def test_what_was_said_before_the_plug_was_pulled_is_still_delivered(
    bench, opened, silent_device, eventually
) -> None:
    printer = bench.plug(silent_device)
    port = await opened(printer.url)
    printer.say(b"paper end")
    await eventually(lambda: not printer.said)
    printer.unplug()
    assert await received(port, 9) == b"paper end"
    await is_lost(port.read())


async def test_pulling_the_plug_ends_a_write(bench, opened, silent_device, eventually) -> None:
    printer = bench.plug(silent_device)
    port = await opened(printer.url)
    printer.stall(after=2)
    writing = asyncio.create_task(port.write(b"ticket"))
    await eventually(lambda: bytes(printer.taken) == b"ti")
    printer.unplug()
    await is_lost(writing)
    await is_lost(port.write(b"x"))
    await port.close()
    assert printer.free


async def test_a_printer_that_is_plugged_in_again_elsewhere_is_opened_again(bench, opened, parrot) -> None:
    printer = bench.plug(parrot, socket="1-1")
    port = await opened(printer.url)
    printer.unplug()
    await is_lost(port.read())
    again = bench.plug(parrot, socket="1-4")
    second = await opened(again.url)
    await sent(second, b"x")
    assert await received(second, 1) == b"x"


# Printers that stall


async def test_a_stalled_printer_gets_exactly_the_rest_later(bench, opened, silent_device, eventually) -> None:
    printer = bench.plug(silent_device)
    port = await opened(printer.url)
    data = b"".join(number.to_bytes(4, "big") for number in range(12_000))
    printer.stall(after=20_001)
    writing = asyncio.create_task(port.write(data))
    await eventually(lambda: len(printer.taken) == 20_001)
    first = printer.offered
    await eventually(lambda: printer.offered != first)  # libusb has given up once, and been asked again
    assert not writing.done()
    printer.go_on()
    async with asyncio.timeout(PATIENCE_S):
        await writing
    assert bytes(printer.taken) == data


async def test_a_printer_that_takes_little_by_little_gets_every_byte_once(
    bench, opened, silent_device, eventually
) -> None:
    printer = bench.plug(silent_device)
    port = await opened(printer.url)
    data = bytes(range(256)) * 8
    printer.stall()
    writing = asyncio.create_task(port.write(data))
    for end in itertools.chain(range(300, len(data), 300), [len(data)]):
        printer.take_more(end - len(printer.taken))
        await eventually(lambda end=end: len(printer.taken) == end)
    async with asyncio.timeout(PATIENCE_S):
        await writing
    assert bytes(printer.taken) == data


async def test_a_stalled_printer_can_still_speak(bench, opened, silent_device, eventually) -> None:
    printer = bench.plug(silent_device)
    port = await opened(printer.url)
    printer.stall()
    writing = asyncio.create_task(port.write(b"ticket"))
    await eventually(lambda: printer.offered == b"ticket")
    printer.say(b"paper end")
    assert await received(port, 9) == b"paper end"
    assert not writing.done()
    writing.cancel()


async def test_closing_while_a_write_is_stalled_frees_the_printer_in_time(
    bench, opened, silent_device, eventually
) -> None:
    printer = bench.plug(silent_device)
    port = await opened(printer.url)
    printer.stall()
    writing = asyncio.create_task(port.write(b"ticket"))
    await eventually(lambda: printer.offered == b"ticket")
    async with asyncio.timeout(CLOSE_TIMEOUT_S):
        await port.close()
    assert printer.free
    assert printer.lp == {0: 0}
    await is_lost(writing)
    await port.close()


async def test_a_read_that_waits_is_told_when_the_port_is_closed(bench, opened, silent_device) -> None:
    port = await opened(bench.plug(silent_device).url)
    reading = asyncio.create_task(port.read())
    await asyncio.sleep(0)
    await port.close()
    await is_lost(reading)


async def test_a_cancelled_write_of_which_nothing_was_taken_sends_nothing(
    bench, opened, silent_device, eventually
) -> None:
    printer = bench.plug(silent_device)
    port = await opened(printer.url)
    printer.stall()
    writing = asyncio.create_task(port.write(b"cancelled"))
    await eventually(lambda: printer.offered == b"cancelled")
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    following = asyncio.create_task(port.write(b"next"))
    await eventually(lambda: printer.offered == b"next")
    printer.go_on()
    async with asyncio.timeout(PATIENCE_S):
        await following
    assert bytes(printer.taken) == b"next"


async def test_a_cancelled_write_that_had_begun_is_finished_and_one_behind_it_that_had_not_is_not(
    bench, opened, silent_device, eventually
) -> None:
    printer = bench.plug(silent_device)
    port = await opened(printer.url)
    printer.stall(after=3)
    begun = asyncio.create_task(port.write(b"begun."))
    await eventually(lambda: printer.offered == b"un.")
    begun.cancel()
    await asyncio.gather(begun, return_exceptions=True)
    printer.take_more(1)
    await eventually(lambda: printer.offered == b"n.")  # asked again after it was cancelled
    waiting = asyncio.create_task(port.write(b"waiting."))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    printer.go_on()
    await sent(port, b"last.")
    assert bytes(printer.taken) == b"begun.last."


# Printers with habits


async def test_a_printer_that_answers_with_empty_packets_all_the_time_does_not_spin(bench, opened, parrot) -> None:
    printer = bench.plug(parrot)
    printer.chatters = True
    port = await opened(printer.url)
    before = printer.reads
    await asyncio.sleep(0.2)
    assert printer.reads - before <= 20
    await sent(port, b"x")
    assert await received(port, 1) == b"x"


async def test_a_printer_without_a_way_back_can_be_written_and_a_read_waits_until_it_is_lost(
    bench, opened, silent_device
) -> None:
    printer = bench.plug(silent_device, interfaces=usb_backend.ONE_WAY)
    port = await opened(printer.url)
    reading = asyncio.create_task(port.read())
    await sent(port, b"ticket")
    assert bytes(printer.taken) == b"ticket"
    assert printer.reads == 0
    assert not reading.done()
    printer.unplug()
    await is_lost(reading)
    await is_lost(port.write(b"ticket"))
    await port.close()
    assert printer.free


# A driver over it


class Log:
    """Keeps nothing."""

    def debug(self, event: str, **fields: object) -> None: ...

    def info(self, event: str, **fields: object) -> None: ...

    def warning(self, event: str, **fields: object) -> None: ...


async def nobody(_signal: object) -> None: ...


async def test_a_ticket_is_printed_and_confirmed_over_usb(bench, opened) -> None:
    simulator = EscposSimulator()
    device = bench.plug(simulator)
    job = PrintJob("job-1", Ticket((TextLine("A001"), QrCode("https://example.invalid/t/A001"))))
    driver = EscposPrinter(TerminalContext("printer-1", SystemClock(), Log(), nobody), EscposOptions())
    port = await opened(device.url)
    async with asyncio.timeout(PATIENCE_S):
        await driver.start(port)
        outcome = await driver.print_ticket(job)
    assert (outcome.state, outcome.confirmed_by) == (PrintState.PRINTED, "gs_h")
    assert [ticket.codes for ticket in simulator.tickets] == [(b"https://example.invalid/t/A001",)]
    assert simulator.refused == []
