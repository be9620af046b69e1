"""`hallctl discover` as a technician meets it: what answers is found, what can't be asked is said."""

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from hallctl_drivers.escpos.sim import EscposSimulator
from hallctl_drivers.ff68 import codec as ff68
from hallctl_drivers.ff68.sim import Ff68KeypadSimulator, Ff68PadSimulator
from hallctl_drivers.onbon_bx.sim import OnbonSimulator
from hallctl_drivers.pinganlihe.sim import PingAnLiHeSimulator

from hallctl.cli.main import cli
from hallctl.clock import SystemClock
from hallctl.config import load_hall
from hallctl.controller.discover import Answered, Draft, Heard, LocalPort, NetworkFind, hosts_of, listen_on_bus
from hallctl.controller.discover.local import local_ports
from hallctl.driver import load_driver, on_pty, on_tcp
from hallctl.driver.hallcheck import check_hall
from hallctl.errors import ConfigError
from hallctl.transport import PortAddress, null_modem


def discover(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hallctl.cli.main", "discover", *args]
    return subprocess.run(command, capture_output=True, check=False, timeout=90, text=True)


@contextlib.contextmanager
def devices(work) -> Iterator[object]:
    """Run an async context manager's devices in a loop of their own, beside the process under test."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    stack = contextlib.AsyncExitStack()
    try:
        yield asyncio.run_coroutine_threadsafe(stack.enter_async_context(work()), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def judged(tmp_path: Path, text: str):
    (tmp_path / "hall.yaml").write_text(text, encoding="utf-8")
    return check_hall(load_hall(tmp_path / "hall.yaml"))


def test_who_answers_on_a_bus_is_found_at_its_address_and_the_document_is_right(tmp_path):
    bars = [PingAnLiHeSimulator(address=2), PingAnLiHeSimulator(address=5), Ff68PadSimulator(address=3)]
    link = str(tmp_path / "line")
    with devices(lambda: on_pty(bars, link)):
        done = discover("--bus", f"serial://{link}?baud=9600", "--driver", "pinganlihe", "--addresses", "1-6")
    assert done.returncode == 0, done.stderr
    hall = judged(tmp_path, done.stdout)
    assert hall.problems == ()
    found = [(one.id, one.driver, one.bus, one.address) for one in hall.document.terminals if one.bus]
    assert found == [("display-1", "pinganlihe", "bus-1", 2), ("display-2", "pinganlihe", "bus-1", 5)]
    assert bars[0].shown == PingAnLiHeSimulator(address=2).shown  # asking has changed nothing on the display


def test_a_find_that_may_be_another_device_of_its_family_says_so(tmp_path):
    draft = Draft({name: load_driver(name) for name in ("pinganlihe", "pinganlihe-board", "xinrui")})
    draft.answered("serial:///dev/ttyS1?baud=9600", Answered("pinganlihe", 9))
    assert "driver: pinganlihe, bus: bus-1, address: 9}    # or: pinganlihe-board\n" in draft.yaml()
    assert judged(tmp_path, draft.yaml()).problems == ()


def test_devices_that_answer_nothing_are_found_by_their_key_presses(tmp_path):
    keypad, pad = Ff68KeypadSimulator(address=7, repeat_s=0.2), Ff68PadSimulator(address=0x87, repeat_s=0.2)
    link = str(tmp_path / "line")
    pressing = threading.Event()

    @contextlib.asynccontextmanager
    async def staff():
        async with on_pty([keypad, pad], link):

            async def press():
                while not pressing.is_set():
                    keypad.press_key(ff68.KEY_CALL)
                    pad.evaluating = True
                    pad.press(2)
                    await asyncio.sleep(0.1)

            task = asyncio.create_task(press())
            yield
            pressing.set()
            await task

    with devices(staff):
        options = ("--driver", "ff68-pad", "--driver", "ff68-keypad", "--listen", "2", "--json")
        done = discover("--bus", f"serial://{link}?baud=9600", *options)
    assert done.returncode == 0, done.stderr
    finds = [json.loads(line) for line in done.stdout.splitlines()]
    heard = {find["address"]: find["drivers"] for find in finds if find["find"] == "Heard"}
    assert heard == {7: ["ff68-pad", "ff68-keypad"], 0x87: ["ff68-pad", "ff68-keypad"]}


async def test_noise_that_begins_like_a_frame_does_not_swallow_the_key_press_behind_it():
    near, far = null_modem()

    async def open_port(_address, _clock):
        return near

    await far.write(bytes.fromhex("FF 68 20 20 68") + ff68.key_press(7, "", ff68.KEY_CALL).to_bytes())
    finds = listen_on_bus(
        PortAddress.parse("tcp://line:4001"), [load_driver("ff68-keypad")], SystemClock(), 60, open_port
    )
    assert await anext(finds) == Heard(("ff68-keypad",), 7)
    await finds.aclose()


@pytest.mark.slow
def test_network_devices_are_found_by_what_they_answer_and_not_by_an_open_port(tmp_path):
    printer, board, stranger = EscposSimulator(), OnbonSimulator(), EscposSimulator("mute")

    @contextlib.asynccontextmanager
    async def network():
        async with on_tcp(printer) as one, on_tcp(board) as two, on_tcp(stranger) as three:
            yield [address.rsplit(":", 1)[1] for address in (one, two, three)]

    with devices(network) as ports:
        options = [option for port in ports for option in ("--port", port)]
        done = discover("--net", "127.0.0.1", *options, "--driver", "escpos", "--driver", "onbon-bx")
    assert done.returncode == 0, done.stderr
    hall = judged(tmp_path, done.stdout)
    assert hall.problems == ()
    found = {one.port: one.driver for one in hall.document.terminals}
    assert found[f"tcp://127.0.0.1:{ports[0]}"] == "escpos"
    assert found[f"tcp://127.0.0.1:{ports[1]}"] == "onbon-bx"
    assert f"# tcp://127.0.0.1:{ports[2]} is open, but driver" in done.stdout
    assert not printer.tickets


def test_a_port_that_can_not_be_asked_is_said_and_stops_nothing_else(tmp_path):
    bar, link = PingAnLiHeSimulator(address=1), str(tmp_path / "line")
    with devices(lambda: on_pty([bar], link)):
        absent = f"serial://{tmp_path}/nobody?baud=9600"
        options = ("--driver", "pinganlihe", "--addresses", "1-2")
        done = discover("--bus", absent, "--bus", f"serial://{link}?baud=9600", *options)
    assert done.returncode == 1
    assert "is the adapter plugged in?" in done.stderr
    assert "address: 1" in done.stdout


@pytest.mark.parametrize(
    ("text", "count", "last"),
    [
        ("10.8.1.0/24", 254, "10.8.1.254"),
        ("10.8.1.20-40", 21, "10.8.1.40"),
        ("10.8.1.250-10.8.2.5", 12, "10.8.2.5"),
        ("10.8.1.7", 1, "10.8.1.7"),
        ("fd00::1-fd00::3", 3, "fd00::3"),
    ],
)
def test_a_range_of_hosts_may_be_written_in_several_ways(text, count, last):
    hosts = hosts_of(text)
    assert (len(hosts), hosts[-1]) == (count, last)


@pytest.mark.parametrize("text", ["10.8.1", "10.8.1.40-20", "10.0.0.0/8", "10.8.1.1-fd00::1", "10.0.0.1-10.1.0.1", "-"])
def test_a_range_that_makes_no_sense_or_is_too_large_is_refused(text):
    with pytest.raises(ConfigError) as caught:
        hosts_of(text)
    assert caught.value.hint


def test_local_ports_have_names_that_stay(tmp_path):
    dev, sysfs = tmp_path / "dev", tmp_path / "sys"
    for folder, name, node in (
        ("serial/by-id", "usb-FTDI_A1-if00", "ttyUSB1"),
        ("serial/by-path", "pci-0-usb-0:1:1.0", "ttyUSB1"),
        ("serial/by-path", "pci-0-usb-0:2:1.0", "ttyUSB0"),
        ("input/by-id", "usb-Pad-event-kbd", "event3"),
        ("input/by-id", "usb-Pad-event-mouse", "event4"),
        ("input/by-path", "pci-0-usb-0:3:1.0-event-kbd", "event3"),
        ("input/by-path", "pci-0-usb-0:4:1.0-event-kbd", "event5"),  # its twin has the name under by-id
        ("input/by-id", "usb-Five_Keys-event-if00", "event6"),
        ("input/by-id", "usb-Volume-event-if01", "event7"),
    ):
        (dev / folder).mkdir(parents=True, exist_ok=True)
        (dev / node).touch()
        (dev / folder / name).symlink_to(dev / node)
    inputs = tmp_path / "inputs"
    for event, keys in (("event6", "7c"), ("event7", "3e000 0 0 0")):  # 1 to 5, and keys of a headset
        (inputs / event / "device/capabilities").mkdir(parents=True)
        (inputs / event / "device/capabilities/key").write_text(f"{keys}\n")
    for socket, serial in (("1-1", "A1"), ("1-2", ""), ("1-3", "TWIN"), ("1-4", "TWIN")):
        folder = sysfs / socket
        (folder / f"{socket}:1.0").mkdir(parents=True)
        (folder / f"{socket}:1.0" / "bInterfaceClass").write_text("07\n")
        values = {"idVendor": "0483", "idProduct": "5743", "busnum": "1", "devnum": "2", "serial": serial}
        for name, value in values.items():
            (folder / name).write_text(f"{value}\n")
    ports = local_ports(dev, sysfs, inputs)
    assert [(port.kind, port.port) for port in ports] == [
        ("serial", f"serial://{dev}/serial/by-id/usb-FTDI_A1-if00?baud=9600"),
        ("serial", f"serial://{dev}/serial/by-path/pci-0-usb-0:2:1.0?baud=9600"),
        ("printer", "usb://0483:5743?serial=A1"),
        ("printer", "usb://0483:5743?socket=1-2"),
        ("printer", "usb://0483:5743?socket=1-3"),
        ("printer", "usb://0483:5743?socket=1-4"),
        ("keyboard", f"input://{dev}/input/by-id/usb-Five_Keys-event-if00"),
        ("keyboard", f"input://{dev}/input/by-id/usb-Pad-event-kbd"),
        ("keyboard", f"input://{dev}/input/by-path/pci-0-usb-0:4:1.0-event-kbd"),
    ]


def test_a_draft_of_everything_is_a_document_that_check_takes(tmp_path):
    draft = Draft({name: load_driver(name) for name in ("escpos", "onbon-bx")})
    draft.local(LocalPort("serial", "serial:///dev/serial/by-id/usb-a?baud=9600", "FT232R, now /dev/ttyUSB0"))
    draft.local(LocalPort("printer", "usb://0483:5743?serial=A1", "0483:5743 POS58", "a note"))
    draft.local(LocalPort("keyboard", "input:///dev/input/by-id/usb-k-event-kbd", "now /dev/input/event3"))
    draft.network(NetworkFind("10.0.0.9", 5005, "onbon-bx", True))
    draft.network(NetworkFind("10.0.0.8", 9100, "escpos", False, "no answer"))
    hall = judged(tmp_path, draft.yaml())
    assert hall.problems == ()
    assert [one.id for one in hall.document.terminals] == ["printer-1", "display-1"]
    nothing = judged(tmp_path, Draft({}).yaml())
    assert (nothing.problems, nothing.document.terminals) == ((), [])


@pytest.mark.parametrize(
    "args", [("--addresses", "1-3"), ("--listen", "3"), ("--port", "9100"), ("--bus", "x", "--addresses", "9-1")]
)
def test_wrong_usage_is_told(args):
    assert CliRunner().invoke(cli, ["discover", *args]).exit_code == 2


@pytest.mark.parametrize("args", [(), ("--text", "a", "--clear"), ("--on", "--text", "a"), ("--brightness", "0")])
def test_a_display_is_asked_for_one_thing_at_a_time(args):
    assert CliRunner().invoke(cli, ["display", "bar-1", *args]).exit_code == 2
