"""A trace of a printer that prints, over the box's own socket and by way of the centre's broker alike."""

import asyncio
import io
import json
import signal
import sys

import pytest
from hallctl_drivers.escpos.sim import EscposSimulator
from local_box import Box

from hallctl.driver import load_driver, on_tcp
from hallctl.link.result_data import TraceResult
from hallctl.local import LocalClient
from hallctl.trace import Decoder, TraceHeader, TraceWriter, read_trace

LAYOUT = {"id": "queue", "lines": [{"text": "{number}"}]}


@pytest.fixture
async def box(tmp_path):
    async with on_tcp(EscposSimulator()) as url:
        box = Box(tmp_path)
        printer = {"id": "printer-1", "driver": "escpos", "port": url, "options": {"poll_every_s": 60}}
        eye = {"id": "eye", "driver": "camera", "options": {"url": "rtsp://127.0.0.1:9/x"}}
        box.write({"terminals": [printer, eye], "tickets": [LAYOUT]})
        async with box.running() as controller:
            box.controller = controller
            yield box


async def test_a_ticket_is_seen_in_words_on_its_way_to_the_printer(box) -> None:
    assert (await box.hallctl("ticket", "print", "number=A015")).exit_code == 0
    ran = await box.hallctl("trace", "printer-1", "--for", "0")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert "-> text 'A015'" in ran.stdout
    assert "41 30 31 35" in ran.stdout
    assert "is on paper" in ran.stdout
    assert "-- opened tcp://" in ran.stdout


async def test_a_trace_taken_live_decodes_later_to_the_same_frames(box) -> None:
    live, file = Decoder(load_driver("escpos").explain), io.StringIO()
    writer = TraceWriter(file, TraceHeader(terminal="printer-1", driver="escpos"))
    seen, after = [], 0
    async with await LocalClient.connect(box.controller.local.path) as client:
        while not _printed(seen, "A016"):
            wanted = {"terminal": "printer-1", "after": after, "wait_s": 5}
            result = TraceResult.model_validate((await client.command("terminal.trace", wanted)).data)
            if not after:
                assert (await box.hallctl("ticket", "print", "number=A016")).exit_code == 0
            after = result.number
            for record in result.records:
                writer.write(record)
                seen += live.feed(record)
    seen += live.end()
    reading = read_trace(file.getvalue().splitlines())
    later = Decoder(load_driver("escpos").explain)
    assert [told for record in reading.records for told in later.feed(record)] + later.end() == seen


def _without_log(out: str) -> list[str]:
    """The daemon is in the same process, and logs between the lines."""
    return [line for line in out.splitlines() if "[info " not in line]


def _printed(seen: list, number: str) -> bool:
    """Whether the ticket has gone out, and the printer's own word for it has come behind it."""
    words = [told.text for told in seen]
    sent = f"text '{number}'"
    return sent in words and any("is on paper" in word for word in words[words.index(sent) :])


async def test_a_trace_in_a_file_shows_what_the_screen_showed(box, tmp_path) -> None:
    await box.hallctl("ticket", "print", "number=A017")
    file = tmp_path / "printer.trace"
    kept = await box.hallctl("trace", "printer-1", "--for", "0", "--to", str(file))
    assert (kept.exit_code, "records in" in kept.stderr) == (0, True)
    shown = await box.hallctl("trace", "printer-1", "--for", "0", "--json")
    later = await box.hallctl("trace", "decode", str(file), "--json", config=False)
    assert (later.exit_code, later.stderr) == (0, "")
    assert later.stdout == shown.stdout
    assert json.loads(file.read_text().splitlines()[0])["driver"] == "escpos"
    assert (await box.hallctl("trace", "printer-1", "--to", str(file), "--for", "0")).exit_code == 1


async def test_a_damaged_file_is_shown_as_far_as_it_can_be_read(box, tmp_path) -> None:
    file = tmp_path / "printer.trace"
    await box.hallctl("trace", "printer-1", "--for", "0", "--to", str(file))
    file.write_bytes(file.read_bytes()[:-30])
    later = await box.hallctl("trace", "decode", str(file), config=False)
    assert later.exit_code == 1
    assert "damaged or cut off" in later.stderr
    assert "initialise" in later.stdout


async def test_the_centre_sees_over_the_broker_what_the_box_shows(broker, tmp_path) -> None:
    async with on_tcp(EscposSimulator()) as url:
        box = Box(tmp_path)
        printer = {"id": "printer-1", "driver": "escpos", "port": url, "options": {"poll_every_s": 60}}
        box.write({"terminals": [printer]}, broker={"host": broker.host, "port": broker.port})
        async with box.running():
            here = await box.hallctl("trace", "printer-1", "--for", "0")
            centre = ("--broker", f"mqtt://{broker.host}:{broker.port}", "--site", "hall", "--controller", "box")
            there = await box.hallctl("trace", "printer-1", "--for", "0", *centre, config=False)
    assert (here.exit_code, there.exit_code, there.stderr) == (0, 0, "")
    assert _without_log(there.stdout) == _without_log(here.stdout)
    assert "initialise" in there.stdout


async def test_bytes_alone_are_shown_when_they_are_asked_for(box) -> None:
    ran = await box.hallctl("trace", "printer-1", "--for", "0", "--raw")
    assert "10 04" in ran.stdout
    assert "DLE EOT" not in ran.stdout


async def test_who_is_unknown_or_has_no_port_is_told_so_with_the_names_that_can_be_traced(box) -> None:
    ran = await box.hallctl("trace", "printer-9", "--for", "0")
    assert ran.exit_code == 1
    assert "no terminal or bus 'printer-9' runs here" in ran.stderr
    assert "known here: printer-1" in ran.stderr


async def test_a_camera_says_that_it_has_no_port_to_trace(box) -> None:
    ran = await box.hallctl("trace", "eye", "--for", "0")
    assert ran.exit_code == 1
    assert "eye has no port of its own to trace" in ran.stderr


@pytest.mark.slow
async def test_ctrl_c_ends_a_trace_and_its_file_is_whole(box, tmp_path) -> None:
    file = tmp_path / "printer.trace"
    arguments = ("trace", "printer-1", "--past", "--to", str(file), "--config", str(box.config))
    tracing = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hallctl.cli.main", *arguments, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(60):
            while not file.exists() or file.read_text().count("\n") < 3:
                await asyncio.sleep(0.05)
            tracing.send_signal(signal.SIGINT)
            _, told = await tracing.communicate()
    finally:
        if tracing.returncode is None:
            tracing.kill()
            await tracing.wait()
    assert tracing.returncode == 0, told
    assert b"records in" in told and b"Traceback" not in told
    assert read_trace(file.read_text().splitlines()).problems == ()
