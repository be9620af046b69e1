"""What an operator types and reads: status, show, diff, dry run, history, command, logs, rebirth."""

import asyncio
import json

import pytest
import yaml
from fleet.cli import line_with, run_cli, start_cli

from hallctl.clock import SystemClock
from hallctl.fleet.desk import Desk
from hallctl.fleet.simulate import Pace
from hallctl.fleet.simulate.halls import hall_document
from hallctl.link.payloads import Envelope
from hallctl.model import Event, EventType

CLOCK = SystemClock()
CHATTY = Pace(heartbeat_s=0.3, lease_s=3.0, restart_s=0.2)


def write_hall(tmp_path, terminals=5, **more):
    path = tmp_path / "hall.yaml"
    path.write_text(yaml.safe_dump(hall_document(terminals, **more), allow_unicode=True), encoding="utf-8")
    return path


def objects(out: str) -> list[dict]:
    return [json.loads(line) for line in out.splitlines()]


async def test_status_begins_with_numbers_and_then_lists_only_what_is_wrong(fleet, tmp_path):
    await fleet.start(24, "roll_back=box-0007")
    path = write_hall(tmp_path)
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["terminals"][1]["address"] = 77
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    code, out, _ = await run_cli(
        fleet,
        "push",
        str(path),
        "--to",
        "all",
        "--first",
        "24",
        "--observe",
        "0",
        "--abort-at",
        "3",
        "--health-window",
        "1",
    )
    assert code == 1
    assert "1 tried it and went back" in out
    code, out, _ = await run_cli(fleet, "status")
    assert code == 1
    lines = out.splitlines()
    assert lines[0] == "24 controllers at 5 sites: 24 online"
    assert "23 applied" in lines[1]
    assert "1 rolled back" in lines[1]
    assert sum("/box-" in line for line in lines) == 1
    assert "hall-002/box-0007" in out
    assert "port is not there" in out


async def test_status_is_filtered_by_selector_driver_and_terminal_status(fleet):
    await fleet.start(10)
    _, out, _ = await run_cli(fleet, "status", "--to", "tag=north,site=hall-001", "--driver", "escpos", "--json")
    found = objects(out)
    assert [one["controller"] for one in found] == ["box-0001", "box-0003", "box-0005"]
    assert all([t["driver"] for t in one["terminals"]] == ["escpos"] for one in found)
    _, out, _ = await run_cli(fleet, "status", "--terminal-status", "offline", "--json")
    assert out == ""


async def test_show_tells_what_is_wanted_and_what_became_of_it(fleet, tmp_path):
    await fleet.start(2)
    await run_cli(
        fleet, "push", str(write_hall(tmp_path, 6)), "--to", "id=box-0001", "--observe", "0", "--by", "li@desk"
    )
    code, out, _ = await run_cli(fleet, "show", "box-0001", "--json")
    assert code == 0
    (found,) = objects(out)
    assert found["desired"]["by"] == "li@desk"
    assert found["reported"]["desired_version"] == found["desired"]["version"]
    assert found["reported"]["applied_hash"] == found["desired"]["hash"]
    assert len(found["terminals"]) == 6
    _, out, _ = await run_cli(fleet, "show", "hall-001/box-0001")
    assert "by li@desk" in out
    assert "display-2" in out


@pytest.mark.slow
async def test_diff_compares_controllers_and_files(fleet, tmp_path):
    await fleet.start(2)
    path = write_hall(tmp_path, 6)
    code, out, _ = await run_cli(fleet, "diff", "box-0001", str(path))
    assert code == 1
    assert "+ terminals/pad-2" in out
    await run_cli(fleet, "push", str(path), "--to", "id=box-0001", "--observe", "0")
    assert (await run_cli(fleet, "diff", "box-0001", str(path)))[0] == 0
    code, out, _ = await run_cli(fleet, "diff", "box-0001", "box-0002", "--json")
    assert code == 1
    (found,) = objects(out)
    assert {"sign": "-", "section": "terminals", "name": "pad-2", "changes": []} in found["differences"]


async def test_a_dry_run_says_what_would_change_and_changes_nothing(fleet, tmp_path):
    await fleet.start(7)
    path = write_hall(tmp_path, 6, texts={"welcome": "新年好"})
    code, out, _ = await run_cli(fleet, "push", str(path), "--to", "all", "--first", "2", "--dry-run")
    assert code == 0
    assert "7 controllers" in out
    assert "+ terminals/pad-2" in out
    assert "waves: 2, 5" in out
    assert fleet.running() == {"欢迎光临"}
    _, out, _ = await run_cli(fleet, "push", str(path), "--to", "id=box-0003", "--dry-run", "--json")
    (found,) = objects(out)
    assert (found["controller"], found["added"], found["removed"]) == ("box-0003", ["pad-2"], [])
    assert (await run_cli(fleet, "history"))[1] == "the broker knows of no rollout\n"


async def test_another_desk_sees_what_was_pushed_and_what_became_of_it(fleet, tmp_path):
    await fleet.start(5)
    path = write_hall(tmp_path, 6)
    await run_cli(fleet, "push", str(path), "--to", "tag=north", "--observe", "0", "--by", "li@desk")
    _, out, _ = await run_cli(fleet, "history", "--json")
    (head,) = objects(out)
    assert (head["by"], head["file"], head["selector"], head["phase"]) == (
        "li@desk",
        "hall.yaml",
        ["tag=north"],
        "done",
    )
    _, out, _ = await run_cli(fleet, "history", head["id"], "--all", "--json")
    assert {(row["controller"], row["fate"]) for row in objects(out)} == {(f"box-000{n}", "took") for n in (1, 3, 5)}


async def test_a_mistake_in_the_file_is_told_with_its_line_and_nothing_is_sent(fleet, tmp_path):
    await fleet.start(2)
    path = tmp_path / "hall.yaml"
    path.write_text("texts: {welcome: a}\nalertz: {}\n", encoding="utf-8")
    code, _, err = await run_cli(fleet, "push", str(path), "--to", "all")
    assert code == 78
    assert f"{path}:2" in err
    assert "alerts" in err


@pytest.mark.slow
async def test_pending_controllers_have_an_exit_code_of_their_own(fleet, tmp_path):
    await fleet.start(3)
    away = fleet.boxes["box-0002"]
    away.allowed.clear()
    away.crash()
    path = write_hall(tmp_path, 6)
    for _ in range(20):  # until its lease has run out at the desk, too
        _, out, _ = await run_cli(fleet, "status", "--to", "id=box-0002", "--json")
        if objects(out)[0]["status"] == "offline":
            break
    code, out, _ = await run_cli(fleet, "push", str(path), "--to", "all", "--observe", "0")
    assert code == 75
    assert "1 offline, take it when they are back" in out


async def test_a_command_goes_to_all_that_are_selected_and_names_who_sent_it(fleet):
    await fleet.start(30)
    args = (
        "command",
        "text.show",
        "display=display-1",
        "text=今日停电",
        "--to",
        "tag=north",
        "--by",
        "li@desk",
        "--json",
    )
    code, out, _ = await run_cli(fleet, *args)
    assert code == 0
    found = objects(out)
    assert len(found) == 15
    assert {one["result"] for one in found} == {"done"}
    sent = [command for box in fleet.boxes.values() for command in box.commands]
    assert len(sent) == 15
    assert {(c.name, c.by, c.data["text"]) for c in sent} == {("text.show", "li@desk", "今日停电")}


async def test_a_wrong_field_is_refused_before_anything_is_sent(fleet):
    await fleet.start(2)
    code, _, err = await run_cli(fleet, "command", "text.show", "display=d", "txt=x", "--to", "all")
    assert code == 1
    assert "txt" in err
    assert not any(box.commands for box in fleet.boxes.values())


async def test_logs_are_replayed_since_a_moment_and_filtered(fleet):
    await fleet.start(3)
    for number in range(450):
        await fleet.boxes["box-0001"].say(Event(EventType.KEY_PRESSED, {"n": number}))
    await fleet.boxes["box-0002"].say(Event(EventType.RATING_GIVEN, {"score": 5}))
    code, out, err = await run_cli(fleet, "logs", "--since", "1h", "--type", "key.*", "--type", "rating.*", "--json")
    assert (code, err) == (0, "")
    found = objects(out)
    assert sorted(one["data"]["n"] for one in found if "n" in one["data"]) == list(range(450))
    assert [one["time"] for one in found] == sorted(one["time"] for one in found)
    assert sum(one["type"] == "hallctl.event.rating.given" for one in found) == 1


@pytest.mark.rule("MQ-07")
async def test_a_gap_is_told_and_asked_for_again_while_logs_are_followed(fleet):
    await fleet.start(2, pace=CHATTY)
    box = fleet.boxes["box-0001"]
    process = await start_cli(fleet, "logs", "--follow", "--type", "key.pressed", "--to", "id=box-0001")
    try:
        await said_until(box, process, "n=0")
        newest = Envelope(
            id="x", source=box.topics.prefix, type="hallctl.event.key.pressed", time=CLOCK.now(), seq=4000
        )
        async with Desk(fleet.settings, CLOCK).connected() as other:
            await other.publish(box.topics.event("key.pressed"), newest.encode())
        told = (await process.stderr.readline()).decode()
        assert "to 3999 did not come; asked for again" in told
        assert box.topics.prefix in told
    finally:
        process.terminate()
        await process.communicate()


async def test_logs_go_on_when_the_broker_is_back_and_miss_nothing(fleet):
    await fleet.start(2, pace=CHATTY)
    box = fleet.boxes["box-0001"]
    process = await start_cli(fleet, "logs", "--follow", "--type", "key.pressed")
    try:
        await said_until(box, process, "n=0")
        fleet.broker.kill()
        await fleet.until(lambda: not box.connected)
        await box.say(Event(EventType.KEY_PRESSED, {"n": 77}))
        fleet.broker.start()
        assert "box-0001" in await line_with(process, "n=77")
    finally:
        process.terminate()
        await process.communicate()


async def said_until(box, process, text) -> None:
    """Something happens again and again, until the desk, which is still starting, has it."""

    async def say() -> None:
        while True:
            await box.say(Event(EventType.KEY_PRESSED, {"n": 0}))
            await asyncio.sleep(0.1)

    saying = asyncio.create_task(say())
    await line_with(process, text)
    saying.cancel()


async def test_rebirth_makes_controllers_publish_everything_again(fleet):
    await fleet.start(4)
    code, out, _ = await run_cli(fleet, "rebirth", "--to", "site=hall-001")
    assert code == 0
    assert out.startswith("4 controllers: 4 done")
