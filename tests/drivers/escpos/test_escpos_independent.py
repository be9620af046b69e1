"""Our simulator and our bytes against what other people wrote.

npm receiptio (a client) and receiptline (an encoder), python-escpos (an encoder), emupos and escpos-tools (decoders).
"""

import asyncio
import base64
import contextlib
import json
import os
import random
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from escpos.printer import Dummy
from hallctl_drivers.escpos import codec
from hallctl_drivers.escpos.config import EscposOptions
from hallctl_drivers.escpos.paper import PrintedRaster
from hallctl_drivers.escpos.sim import EscposSimulator
from hallctl_drivers.escpos.style import style_of
from PIL import Image

from hallctl.driver import on_tcp
from hallctl.ticket import Align, Columns, Picture, QrCode, TextLine, Ticket


def own_address():
    """An address of this machine on which port 9100, the only one that receiptio speaks to, is free."""
    for _ in range(50):
        address = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(2, 254)}"
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((address, 9100))
            return address
    pytest.skip("no address of the loopback network can be used: is this Linux?")


@pytest.mark.parametrize(("fault", "code"), [(None, 0), ("paper_out", 102), ("cover_open", 101), ("cutter_jam", 103)])
async def test_receiptio_finds_the_same_state_as_the_simulator_is_in(npm_clients, tmp_path, fault, code):
    simulator, address = EscposSimulator(fault), own_address()
    document = tmp_path / "ticket.receipt"
    document.write_text("A001 请到窗口\n", encoding="utf-8")
    async with on_tcp(simulator, address, 9100):
        process = await asyncio.create_subprocess_exec(
            "node", str(npm_clients / "receiptio/bin/cli.js"), "-d", address, "-p", "escpos", "-c", "32",
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


def test_our_picture_bytes_are_those_of_python_escpos():
    image = Image.frombytes("1", (64, 40), bytes(range(256)) + bytes(64))
    dummy = Dummy(profile="TM-T88V")
    dummy.image(image, impl="bitImageRaster", center=False)
    inverted = bytes(byte ^ 0xFF for byte in image.tobytes())  # 1 is white there and black here
    ours = codec.encode_ticket(Ticket((Picture(64, inverted, Align.LEFT),)), codec.Style())
    head, data = ours[2:10], ours[10 : 10 + len(inverted)]
    assert head == b"\x1dv0\x00\x08\x00\x28\x00"
    assert data == codec.without_real_time(inverted)
    theirs = dummy.output
    assert head + inverted in theirs


PARTS = (
    TextLine("政务服务中心", Align.CENTER, 2, 2, True),
    TextLine("A001", Align.CENTER, 3, 3),
    TextLine("请到㐀𠀀窗口，谢谢"),
    Columns("Service", "Waiting 5"),
    QrCode("https://example.invalid/t/A001"),
)


def understood(emupos, data):
    """The commands by name, the text in lines, what QR codes hold and the bytes of pictures, as emupos reads them."""
    decoder = emupos.Tokenizer()
    tokens = decoder.feed(data)
    assert decoder.close() is None, "a command is not complete"
    assert not [token.raw.hex(" ") for token in tokens if isinstance(token, emupos.Unknown)]
    text, names, codes, pictures = b"", [], [], []
    for token in tokens:
        if isinstance(token, emupos.Text):
            text += token.data
            continue
        names.append(token.name)
        text += b"\n" * (token.name == "LF")
        codes += [token.data[3:]] * (token.name == "GS ( k" and token.data.startswith(b"1P0"))
        pictures += [token.data] * (token.name == "GS v 0")
    return names, text.decode("gb18030").split("\n"), codes, pictures


@pytest.mark.parametrize("profile", ["generic", "clone", "no-chinese", "pos-58"])
def test_the_decoder_of_another_emulator_reads_in_our_stream_what_was_on_the_ticket(emupos, profile):
    style = style_of(EscposOptions(profile=profile).resolved)
    parts = PARTS if profile == "generic" else tuple(part for part in PARTS if part is not PARTS[2])
    data = codec.INIT + codec.ASB_ON + codec.encode_ticket(Ticket(parts), style)
    names, lines, codes, pictures = understood(emupos, data + codec.ask_when_printed(b"abcd") + codec.FENCE)
    assert names[:2] == ["ESC @", "GS a"]
    assert names[-3:] == ["GS (", "GS r", "GS r"]
    assert ("GS V" in names) == (style.cut != "none")
    assert codes == ([] if style.draw_code else [b"https://example.invalid/t/A001"])
    simulator = EscposSimulator(width=style.dots)
    simulator.feed(data)
    simulator.tear_off()
    (ticket,) = simulator.tickets
    assert tuple(line for line in lines if line) == ticket.lines
    assert pictures == [mark.data for mark in ticket.marks if isinstance(mark, PrintedRaster)]


def test_the_decoder_of_another_emulator_knows_every_question_that_we_ask(emupos):
    questions = codec.real_time_status(1, 2, 3, 4) + codec.CLEAR + codec.ask_code_size()
    names, _, codes, _ = understood(emupos, questions + codec.ask_identity(67))
    assert names == ["DLE EOT"] * 4 + ["DLE DC4", "GS ( k", "GS ( k", "GS I"]
    assert codes == [b"hallctl"]


@pytest.fixture
def escpos_tools(tmp_path):
    """mike42's parser, where somebody has checked it out; gives a function from bytes to its commands."""
    tools, library = os.environ.get("ESCPOS_TOOLS"), os.environ.get("ESCPOS_PHP")
    php = shutil.which("php")
    if not (tools and library and php):
        pytest.skip(
            "escpos-tools is in no registry: set ESCPOS_TOOLS and ESCPOS_PHP to checkouts, install php-cli and php-intl"
        )

    def take_apart(data):
        path = tmp_path / "stream.bin"
        path.write_bytes(re.sub(rb"\x1c(&|\.|!.)", b"", data, flags=re.DOTALL))  # it knows no FS commands
        script = Path(__file__).with_name("escpos_tools.php")
        done = subprocess.run([php, script, path, tools, library], capture_output=True, timeout=60, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    return take_apart


@pytest.mark.parametrize("profile", ["generic", "no-chinese", "pos-58"])
def test_escpos_tools_reads_in_our_stream_what_was_on_the_ticket(escpos_tools, profile):
    elements = (
        TextLine("政务服务中心", Align.CENTER, 2, 2, True),
        TextLine("A001", Align.CENTER, 3, 3),
        Columns("Service", "Waiting 5"),
        QrCode("https://example.invalid/t/A001"),
    )
    style = style_of(EscposOptions(profile=profile).resolved)
    data = codec.INIT + codec.encode_ticket(Ticket(elements), style)
    commands = escpos_tools(data + codec.ask_when_printed(b"abcd"))
    names = [command["name"] for command in commands]
    assert names[0] == "InitializeCmd"
    assert names[-1] == "RequestResponseTransmissionCmd"
    assert not [name for name in names if "Unknown" in name]
    texts = [bytes.fromhex(command["text"]) for command in commands if command.get("text")]
    assert b"A001" in texts
    assert ("FeedAndCutCmd" in names) == (style.cut != "none")
    assert ("Code2DDataCmd" in names) == (style.draw_code is None)
    simulator = EscposSimulator(width=style.dots)
    simulator.feed(data)
    simulator.tear_off()
    rasters = [mark for mark in simulator.tickets[0].marks if isinstance(mark, PrintedRaster)]
    pictures = [base64.b64decode(command["picture"]) for command in commands if "picture" in command]
    assert [picture[-len(mark.data) :] for picture, mark in zip(pictures, rasters, strict=True)] == [
        mark.data for mark in rasters
    ]
