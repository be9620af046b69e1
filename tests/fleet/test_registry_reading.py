"""Reading what a broker retains of many controllers, whatever its queue for one client is, and keeping it."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from fleet.cli import run_cli, start_cli

from hallctl.clock import ManualClock, SystemClock
from hallctl.fleet import ControllerView, HallReader
from hallctl.fleet.desk import Desk
from hallctl.fleet.logbook import Line, LogBook
from hallctl.fleet.planning import make_plan, next_version, running_document, selected
from hallctl.fleet.reading import FEW_MESSAGES, Slices
from hallctl.fleet.selector import read_selection
from hallctl.fleet.simulate import FaultKind, plan_fleet, read_faults
from hallctl.fleet.simulate.halls import hall_document
from hallctl.fleet.simulate.running import Share, shares
from hallctl.link import BrokerSettings, Message, Session, Topics
from hallctl.link.configuration import ApplyStatus, Desired, HealthRule, Reported, document_hash
from hallctl.link.payloads import ControllerState, Envelope, TerminalPayload
from hallctl.link.rollouts import RolloutRules

AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
TOPICS = Topics("gulou", "box-1")
DOCUMENT = hall_document(3)


@pytest.mark.rule("MQ-28")
async def test_a_short_queue_at_the_broker_hides_no_terminal(fleet):
    fleet.broker.stop()
    fleet.broker.extra = "allow_anonymous true\nmax_queued_messages 1000"
    fleet.broker.start()
    await fleet.start(150, plans=list(plan_fleet(150, 8)))
    desk = Desk(fleet.settings, SystemClock())

    async def read_all() -> int:
        async with desk.connected():
            await desk.read(("+",), "terminal/+/state")
        return sum(len(view.terminals) for view in desk.reader.controllers.values())

    async with asyncio.timeout(40):
        while await read_all() < 150 * 8:  # the boxes are still telling: what a queue drops never comes
            desk = Desk(fleet.settings, SystemClock())


def test_slices_shrink_when_much_comes_and_grow_when_little_does():
    slices = Slices()
    slices.learn(8, 8 * 1058, 10_000)
    assert slices.size == 1
    slices.learn(1, 30, 1000)
    assert slices.size == 4
    for _ in range(10):
        slices.learn(slices.size, slices.size * 10, 1000)
    assert FEW_MESSAGES // 20 <= slices.size <= FEW_MESSAGES // 10


def test_a_reader_keeps_one_view_of_a_controller_and_copies_nothing():
    reader = HallReader(Session(BrokerSettings("127.0.0.1")), ManualClock())
    for number in range(3):
        payload = TerminalPayload(terminal=f"t{number}", driver="escpos", status="online", since=AT, boot=1)
        reader.take(Message(TOPICS.terminal(f"t{number}"), payload.encode(), True, 1, 1))
    view = reader.controllers[TOPICS]
    terminals = view.terminals
    reader.take(Message(TOPICS.terminal("t9"), payload.encode(), True, 1, 1))
    assert reader.controllers[TOPICS] is view
    assert view.terminals is terminals
    assert len(terminals) == 4


def test_a_replayed_alert_that_is_long_cleared_is_not_open_again():
    reader = HallReader(Session(BrokerSettings("127.0.0.1")), ManualClock())
    for seq, state in ((5, "cleared"), (3, "raised")):
        envelope = Envelope(
            id=f"box-1:1:{seq}", source=TOPICS.prefix, type="hallctl.alert.x", time=AT, seq=seq, data={"state": state}
        )
        reader.take(Message(TOPICS.alert("a-1"), envelope.encode(), False, 1, 1))
    assert not reader.controllers[TOPICS].alerts


def view_of(
    controller: str, *, site: str = "gulou", desired: int = 0, reported: int = 0, document: dict | None = None
) -> ControllerView:
    found = ControllerView(Topics(site, controller))
    found.take_state(ControllerState(status="online", boot=1, since=AT, at=AT, lease_s=30), AT)
    hash_ = document_hash(document or {})
    if desired:
        found.desired = Desired(version=desired, hash=hash_, document=document or {})
    found.reported = Reported(
        boot=1,
        at=AT,
        status=ApplyStatus.APPLIED,
        desired_version=reported,
        applied_version=reported,
        applied_hash=hash_,
    )
    return found


@pytest.mark.rule("MQ-13")
def test_a_version_is_above_everything_that_was_said():
    assert next_version(view_of("box-1")) == 1
    assert next_version(view_of("box-1", desired=7, reported=3)) == 8
    assert next_version(view_of("box-1", desired=3, reported=7)) == 8
    assert next_version(view_of("box-1", desired=3, reported=7), named=20) == 21


def test_what_a_controller_runs_is_known_where_it_says_that_it_runs_what_was_wanted():
    assert running_document(view_of("box-1", desired=1, reported=1, document=DOCUMENT)) == DOCUMENT
    assert running_document(view_of("box-1", reported=1, document=DOCUMENT)) is None


def test_earlier_selectors_come_first_and_those_offline_last():
    views = [view_of(f"box-{number}") for number in range(1, 7)]
    chosen = selected(views, read_selection(["id=box-5", "all"]))
    from hallctl.fleet.documents import check_value  # noqa: PLC0415  # loads drivers

    checked = check_value(DOCUMENT, "x")
    wanted = {view.topics: checked for view in views}
    rules = RolloutRules(first=2, grow=2)
    planned = make_plan(chosen, wanted, rules, HealthRule(), lambda topics: topics.controller != "box-5")
    assert [row.controller for row in planned.plan.targets] == ["box-1", "box-2", "box-3", "box-4", "box-6", "box-5"]
    assert planned.plan.waves == (2, 3, 1)


def entry(seq: int, kind: str = "event.key.pressed") -> Message:
    envelope = Envelope(id=f"box-1:1:{seq}", source=TOPICS.prefix, type=f"hallctl.{kind}", time=AT, seq=seq)
    return Message(TOPICS.event("key.pressed"), envelope.encode(), False, 1, 1)


def test_a_log_gives_each_entry_once_and_knows_what_is_missing():
    book = LogBook(("key.*",))
    lines = [one for seq in (3, 4, 4, 7) for one in book.take(entry(seq)) if isinstance(one, Line)]
    assert [line.envelope.seq for line in lines] == [3, 4, 7]
    assert book.missing(TOPICS, 1, 9) == [(1, 2), (5, 6), (8, 9)]
    assert book.take(entry(5, "event.rating.given")) == []
    assert book.missing(TOPICS, 5, 6) == [(6, 6)]


def test_a_simulated_fleet_is_the_same_however_many_processes_it_has(tmp_path):
    whole = Share(BrokerSettings("127.0.0.1"), tmp_path, 1, 11)
    parts = shares(whole, 3)
    assert [(part.first, part.count) for part in parts] == [(1, 4), (5, 4), (9, 3)]
    assert len(shares(whole, 64)) == 11


def test_faults_are_given_by_name_and_pattern():
    faults = read_faults(["reject=box-7", "roll-back=gulou/*"])
    assert faults.for_box("gulou", "box-7") == {FaultKind.REJECT, FaultKind.ROLL_BACK}
    assert faults.for_box("xihu", "box-1") == frozenset()


async def test_a_simulated_fleet_in_two_processes_connects_and_takes_a_push(fleet, tmp_path):
    process = await start_cli(fleet, "simulate", "12", "--processes", "2", "--fault", "reject=box-0011", "--json")
    try:
        async with asyncio.timeout(60):
            while json.loads(await process.stdout.readline())["connected"] < 12:
                pass
        path = tmp_path / "hall.yaml"
        path.write_text(json.dumps(hall_document(4)), encoding="utf-8")
        code, out, _ = await run_cli(
            fleet, "push", str(path), "--to", "all", "--observe", "0", "--abort-at", "2", "--json"
        )
        assert code == 1
        last = json.loads(out.splitlines()[-1])
        assert last["counts"] == {"took": 11, "rejected": 1}
        refused = next(one for line in out.splitlines() if (one := json.loads(line)).get("fate") == "rejected")
        assert refused["errors"][0]["code"] == "unknown-key"
        assert refused["errors"][0]["pointer"] == "/part-of-a-newer-release"
    finally:
        process.terminate()
        await process.communicate()
