"""Our simulator and our bytes against clients of other people: npm receiptio and receiptline, python-escpos."""

import asyncio
import socket
import subprocess

import pytest
from escpos.printer import Dummy
from hallctl_drivers.escpos import codec
from hallctl_drivers.escpos.sim import EscposSimulator

from hallctl.driver import on_tcp
from hallctl.ticket import QrCode, TextLine, Ticket


def port_is_free():
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 9100))
        except OSError:
            return False
    return True


@pytest.mark.parametrize(("fault", "code"), [(None, 0), ("paper_out", 102), ("cover_open", 101), ("cutter_jam", 103)])
async def test_receiptio_finds_the_same_state_as_the_simulator_is_in(npm_clients, tmp_path, fault, code):
    if not port_is_free():
        pytest.skip("port 9100 is in use: receiptio speaks to no other")
    simulator = EscposSimulator(fault)
    document = tmp_path / "ticket.receipt"
    document.write_text("A001 请到窗口\n", encoding="utf-8")
    async with on_tcp(simulator, "127.0.0.1", 9100):
        process = await asyncio.create_subprocess_exec(
            "node", str(npm_clients / "receiptio/bin/cli.js"), "-d", "127.0.0.1", "-p", "escpos", "-c", "32",
            "-l", "zh-Hans", str(document), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(30):
            output, _ = await process.communicate()
    assert process.returncode == code, output.decode()
    assert not simulator.refused


def test_our_chinese_bytes_are_those_of_receiptline(npm_clients):
    text = "请A001号，。：《》①㐀𠀀"
    script = (
        "const r=require(process.argv[1]);process.stdout.write(Buffer.from(r.transform(process.argv[2],"
        "{cpl:32,encoding:'gb18030',command:'escpos'}),'binary'))"
    )
    done = subprocess.run(
        ["node", "-e", script, str(npm_clients / "receiptline"), text + "\n"],
        capture_output=True,
        check=True,
        timeout=30,
    )
    ours = codec.encode_ticket(Ticket((TextLine(text),)), codec.Style(384))
    assert ours[: ours.index(b"\n") + 1] in done.stdout


def test_our_qr_bytes_are_those_of_python_escpos():
    dummy = Dummy(profile="TM-T88V")
    dummy.qr("https://example.invalid/t/A001", ec=1, size=6, native=True)
    ours = codec.encode_ticket(Ticket((QrCode("https://example.invalid/t/A001"),)), codec.Style())
    assert dummy.output[dummy.output.index(b"\x1d(k") :].rstrip(b"\n") in ours
