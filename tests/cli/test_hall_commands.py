"""The commands that talk to a hall, over a real broker, against a small controller that speaks the contract."""

import asyncio
import base64
import getpass
import hashlib
import json
import os
import shutil
import signal
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from hallctl.cli.main import cli
from hallctl.link.configuration import ApplyStatus, Mistake, Reported, encode_reported
from hallctl.model import AlertState, Command, Reply, ReplyState

# One broker is enough here, whichever is installed: tests/link runs the contract over both.
BROKER = "mosquitto" if shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin") else "iotcore"
pytestmark = pytest.mark.parametrize("any_broker", [BROKER], indirect=True)


async def test_a_ticket_is_printed_with_its_fields(controller, hallctl) -> None:
    ran = await hallctl("ticket", "print", "number=A001", "service=户籍", "--printer", "printer-1")
    assert (ran.code, ran.out, ran.err) == (0, "done\n", "")
    command = controller.commands[0]
    assert command.name == "ticket.print"
    assert command.data == {"printer": "printer-1", "fields": {"number": "A001", "service": "户籍"}}
    assert timedelta(0) < command.expires - datetime.now(UTC) <= timedelta(seconds=30)


@pytest.mark.parametrize(
    ("state", "data", "out", "err"),
    [
        (ReplyState.SUCCEEDED, {"printer": "a", "confirmed_by": "gs_h"}, "on paper at a, confirmed by gs_h", ""),
        (ReplyState.SUCCEEDED, {"printer": "a", "confirmed_by": None}, "on paper at a, not confirmed", ""),
        (
            ReplyState.SUCCEEDED,
            {"printer": "b", "confirmed_by": "fence", "instead_of": "a", "because": "there is no paper"},
            "on paper at b, confirmed by fence",
            "instead of a: there is no paper",
        ),
        (ReplyState.UNKNOWN, {"printer": "b", "instead_of": "a", "because": "?"}, "", "printer: b\ninstead of a: ?"),
    ],
)
async def test_who_prints_a_ticket_is_told_to_which_printer_to_go_and_why(controller, hallctl, state, data, out, err):
    controller.answer = lambda command: [Reply(command.id, state, data=data)]
    ran = await hallctl("ticket", "print", "number=A001", "--printer", "a")
    assert out in ran.out
    assert err in ran.err
    assert bool(ran.err) == bool(err)


async def test_a_number_is_called_and_recalled(controller, hallctl) -> None:
    assert (await hallctl("call", "w1", "A001")).code == 0
    assert (await hallctl("call", "w1", "--recall")).code == 0
    assert [(command.name, command.data) for command in controller.commands] == [
        ("number.call", {"window": "w1", "ticket": "A001"}),
        ("number.recall", {"window": "w1"}),
    ]


@pytest.mark.rule("MQ-25")
@pytest.mark.parametrize(
    "arguments",
    [
        ("call", "w1", "A001"),
        ("rate", "w1"),
        ("display", "d1", "--on"),
        ("ticket", "print", "number=A001"),
        ("printer", "test", "printer-1"),
        ("duty", "set", "2026-03-02", "09:00-12:00"),
        ("camera", "accept", "camera-1"),
    ],
    ids=lambda arguments: arguments[0],
)
async def test_a_command_says_who_gives_it(controller, hallctl, arguments) -> None:
    await hallctl(*arguments, "--by", "王芳")
    await hallctl(*arguments)
    named, unnamed = controller.commands
    assert named.by == "王芳"
    assert unnamed.by == f"{getpass.getuser()}@{socket.gethostname()}"


async def test_progress_is_printed_before_the_outcome_as_json_lines(controller, hallctl) -> None:
    controller.answer = lambda command: [
        Reply(command.id, ReplyState.ACCEPTED),
        Reply(command.id, ReplyState.SUCCEEDED, data={"done": ["pad-1"]}),
    ]
    ran = await hallctl("rate", "w1", "--json")
    replies = [json.loads(line) for line in ran.out.splitlines()]
    assert [reply["state"] for reply in replies] == ["accepted", "succeeded"]
    assert replies[1]["data"] == {"done": ["pad-1"]}
    assert ran.code == 0


async def test_a_refusal_is_told_with_its_code_and_its_hint(controller, hallctl) -> None:
    controller.answer = lambda command: [
        Reply(command.id, ReplyState.REJECTED, "window.unknown", "there is no window 'w9'", "windows: w1, w2")
    ]
    ran = await hallctl("call", "w9", "A001")
    assert ran.code == 1
    assert ran.err == "error: refused: there is no window 'w9' [window.unknown]\nhint: windows: w1, w2\n"


async def test_a_terminal_that_did_not_do_its_part_is_a_warning(controller, hallctl) -> None:
    failed = {"board-1": {"code": "port.lost", "message": "the cable is out", "hint": ""}}
    controller.answer = lambda command: [Reply(command.id, ReplyState.SUCCEEDED, data={"failed": failed})]
    ran = await hallctl("call", "w1", "A001")
    assert (ran.code, ran.err) == (0, "warning: board-1: the cable is out\n")


async def test_status_shows_terminals_with_what_is_wrong_and_what_to_do(controller, hallctl) -> None:
    await controller.say_terminal("printer-1")
    await controller.say_terminal(
        "printer-2",
        "online",
        faults=[{"code": "paper.end", "severity": "error", "message": "the paper is out", "hint": "put in a new roll"}],
    )
    await controller.say_terminal("pad-1", "offline", reason="port.lost", message="线被拔出", hint="plug it in")
    ran = await hallctl("status")
    assert ran.code == 0
    head, columns, *rows = ran.out.splitlines()
    assert head.startswith("gulou/ctl-1 (鼓楼一号): online since ")
    assert columns.split()[:4] == ["terminal", "driver", "status", "since"]
    assert [row.split()[0] for row in rows] == ["pad-1", "printer-1", "printer-2"]
    assert "线被拔出" in rows[0]
    assert rows[0].endswith("plug it in")
    assert "the paper is out" in rows[2]
    assert rows[2].endswith("put in a new roll")


async def test_status_says_which_document_runs_and_what_became_of_the_newest(controller, hallctl) -> None:
    wrong = Mistake(
        pointer="/terminals/1", code="port.refused", message="p2: nothing listens", hint="look at the cable"
    )
    told = {"boot": 7, "at": datetime(2026, 3, 2, tzinfo=UTC), "desired_version": 6, "applied_version": 5}
    for status, errors in ((ApplyStatus.ROLLED_BACK, [wrong]), (ApplyStatus.APPLIED, [])):
        reported = Reported(status=status, errors=errors, **told)
        await controller.session.publish(controller.topics.reported, encode_reported(reported), retain=True)
        ran = await hallctl("status")
        lines = ran.out.splitlines()
        assert lines[1] == "runs version 5 of the centre"
        if errors:
            assert lines[2].startswith("version 6: rolled back, ")
            assert lines[3] == "  /terminals/1: p2: nothing listens (look at the cable)"
        else:
            assert len(lines) == 2
    shown = json.loads((await hallctl("status", "--json")).out)
    assert (shown["configuration"]["status"], shown["configuration"]["applied_version"]) == ("applied", 5)


async def test_status_tells_since_when_each_fault_has_been_there(controller, hallctl) -> None:
    at = (datetime(2026, 3, 2, hour, 30, tzinfo=UTC) for hour in (3, 4))
    faults = [
        {"code": code, "severity": "error", "message": code, "since": since.isoformat()}
        for code, since in zip(("paper.end", "cover.open"), at, strict=True)
    ]
    await controller.say_terminal("printer-1", faults=faults)
    rows = (await hallctl("status")).out.splitlines()[2:]
    for row, fault in zip(rows, faults, strict=True):
        moment = datetime.fromisoformat(fault["since"]).astimezone()
        assert f"{fault['code']} (since {moment:%Y-%m-%d %H:%M:%S})" in row


async def test_a_terminal_is_offline_when_its_controller_is(controller, hallctl) -> None:
    await controller.say_terminal("printer-1")
    await controller.say_state("offline")
    ran = await hallctl("status", "--json")
    found = json.loads(ran.out)
    assert ran.code == 1
    assert (found["status"], found["reason"]) == ("offline", "stopped")
    assert found["terminals"][0]["status"] == "offline"
    assert found["terminals"][0]["reason"] == "controller.offline"


async def test_a_lease_that_has_run_out_is_offline_without_any_will(controller, hallctl) -> None:
    await controller.say_state(lease_s=35, at=datetime.now(UTC) - timedelta(seconds=60))
    found = json.loads((await hallctl("status", "--json", target=False)).out)
    assert (found["status"], found["reason"]) == ("offline", "lease.expired")


async def test_an_unknown_controller_is_told_as_such(controller, hallctl) -> None:
    ran = await hallctl("status", "--site", "nowhere", target=False)
    assert ran.code == 1
    assert "no controller + of site nowhere is known" in ran.err


async def test_open_alerts_are_listed(controller, hallctl) -> None:
    assert (await hallctl("alerts")).out == "No alert is open.\n"
    await controller.say_alert("a-1")
    await controller.say_alert("a-2", AlertState.CLEARED)
    ran = await hallctl("alerts", "--json")
    assert [json.loads(line)["id"] for line in ran.out.splitlines()] == ["a-1"]
    assert "窗口1无人值守" in (await hallctl("alerts")).out


async def test_alerts_are_followed_until_a_signal(controller, start) -> None:
    process = await start("alerts", "--follow", "--json")
    await controller.say_alert("a-1")
    async with asyncio.timeout(20):
        first = json.loads(await process.stdout.readline())
        await controller.say_alert("a-1", AlertState.CLEARED)
        second = json.loads(await process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert (first["id"], first["state"]) == ("a-1", "raised")
    assert (second["id"], second["state"]) == ("a-1", "cleared")


async def test_an_alert_is_acknowledged_by_name(controller, hallctl) -> None:
    ran = await hallctl("alerts", "ack", "a-1", "--by", "李华")
    assert ran.code == 0
    assert controller.commands[0].name == "alert.acknowledge"
    assert controller.commands[0].data == {"alert": "a-1", "by": "李华"}


async def test_options_before_a_subcommand_are_not_ignored_silently(hallctl, start) -> None:
    process = await start("alerts", "--json", "ack", "a-1")
    _, err = await process.communicate()
    assert process.returncode == 2
    assert b"Write the options behind 'ack'" in err


def chunks(clip: bytes, sha256: str):
    def answer(command: Command) -> list[Reply]:
        offset = command.data["offset"]
        part = clip[offset : offset + 60_000]
        data = {
            "offset": offset,
            "size": len(clip),
            "sha256": sha256,
            "data": base64.b64encode(part).decode(),
            "last": offset + len(part) >= len(clip),
        }
        return [Reply(command.id, ReplyState.SUCCEEDED, data=data)]

    return answer


async def test_a_clip_is_fetched_in_chunks_and_its_sum_checked(controller, hallctl, tmp_path: Path) -> None:
    clip = bytes(range(256)) * 600
    controller.answer = chunks(clip, hashlib.sha256(clip).hexdigest())
    ran = await hallctl("alerts", "fetch", "a-1", "-o", str(tmp_path / "clip.mp4"))
    assert ran.code == 0, ran.err
    assert (tmp_path / "clip.mp4").read_bytes() == clip
    assert [command.data["offset"] for command in controller.commands] == [0, 60_000, 120_000]


async def test_a_clip_that_is_not_the_promised_one_is_not_kept(controller, hallctl, tmp_path: Path) -> None:
    controller.answer = chunks(b"something else", hashlib.sha256(b"the clip").hexdigest())
    ran = await hallctl("alerts", "fetch", "a-1", "-o", str(tmp_path / "clip.mp4"))
    assert ran.code == 1
    assert "sha256" in ran.err
    left = [name for name in os.listdir(tmp_path) if name.startswith("clip")]  # noqa: PTH208  # pathlib would block
    assert left == []


async def test_commands_read_the_broker_from_the_controllers_document(controller, any_broker, tmp_path: Path) -> None:
    path = tmp_path / "controller.yaml"
    path.write_text(f"site: gulou\ncontroller: ctl-1\nbroker: {{host: 127.0.0.1, port: {any_broker.port}}}\n")
    result = await asyncio.to_thread(CliRunner().invoke, cli, ["call", "w1", "A7", "--config", str(path)])
    assert result.exit_code == 0, result.output
    assert controller.commands[0].data == {"window": "w1", "ticket": "A7"}
