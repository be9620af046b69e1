"""What becomes of a desired document: every decision, over real files and a real event log."""

import asyncio
import base64
import json

import pytest
from twin.world import OFFLINE, ONLINE, desired, document

from hallctl.errors import HallctlError
from hallctl.link.configuration import MAX_DESIRED_BYTES, ApplyStatus, document_hash
from hallctl.model import TerminalStatus

TWO = document("a", "b")
MOVED = document("a", "b", b=9101)  # b has another port
APPLIED, PARTIAL, REJECTED, BACK = (
    ApplyStatus.APPLIED,
    ApplyStatus.PARTIAL,
    ApplyStatus.REJECTED,
    ApplyStatus.ROLLED_BACK,
)


async def trying(world, version, wanted, **more):
    """A document is on trial and stays there: time stands still."""
    await world.twin.take(desired(version, wanted, **more))
    await world.until(lambda: world.twin.on_trial and world.floor.applied)


async def test_a_box_without_a_pushed_document_runs_its_own_and_says_so(world):
    await world.until(lambda: world.published)
    told = world.published[0]
    assert (told.status, told.desired_version, told.applied_version) == (APPLIED, 0, 0)
    assert told.applied_hash == document_hash(TWO)
    assert not world.state.exists()


@pytest.mark.rule("MQ-15", "MQ-16")
async def test_a_document_is_applied_kept_and_touches_only_what_changed(world):
    told = await world.push(5, MOVED, by="li", rollout="r-1")
    assert (told.status, told.applied_version, told.applied_hash) == (APPLIED, 5, document_hash(MOVED))
    assert (told.errors, told.quarantined, told.restarted, told.rollout) == ([], [], 1, "r-1")
    assert world.floor.touched == ["b"]
    assert await world.facts() == [("config.applied", 5)]
    assert [one.status for one in world.published] == [APPLIED, ApplyStatus.APPLYING, APPLIED]


@pytest.mark.rule("MQ-13")
async def test_an_older_version_is_ignored_and_changes_nothing(world):
    told = await world.push(5, MOVED)
    for _ in range(2):
        await world.twin.take(desired(4, document("a")))
        assert world.published[-1] == told  # whoever pushed it sees what is newer
    assert (world.twin.runs.version, world.floor.touched) == (5, ["b"])
    assert await world.facts() == [("config.applied", 5)]
    assert (await world.push(6, TWO)).status is APPLIED


@pytest.mark.rule("MQ-14")
async def test_an_equal_hash_under_a_newer_version_touches_no_terminal(world):
    await world.push(5, MOVED)
    told = await world.push(6, MOVED)
    assert (told.status, told.applied_version, told.restarted) == (APPLIED, 6, 0)
    assert (len(world.floor.applied), world.twin.runs.version) == (1, 6)
    assert await world.facts() == [("config.applied", 5), ("config.applied", 6)]


@pytest.mark.rule("MQ-14")
async def test_the_boxs_own_document_pushed_by_the_centre_touches_no_terminal_and_is_the_centres_then(world):
    told = await world.push(1, TWO)
    assert (told.status, told.applied_version, world.floor.applied) == (APPLIED, 1, [])
    world.hall_yaml.write_text("terminals: []\n")
    await world.restart()
    assert sorted(world.running()) == ["a", "b"]


async def test_the_same_message_again_is_answered_with_the_same_report_and_nothing_else(world):
    told = await world.push(5, MOVED)
    await world.twin.take(desired(5, MOVED))
    assert world.published[-1] == told
    assert (len(world.floor.applied), len(await world.facts())) == (1, 1)


@pytest.mark.rule("MQ-13", "MQ-17")
async def test_a_version_that_is_used_for_another_document_is_rejected_and_the_first_one_stays(world):
    await world.push(5, MOVED)
    for _ in range(2):
        told = await world.push(5, document("a"))
        assert (told.status, told.errors[0].code) == (REJECTED, "version.reused")
        assert (told.desired_hash, told.applied_hash) == (document_hash(document("a")), document_hash(MOVED))
    assert world.twin.runs.version == 5
    assert await world.facts() == [("config.applied", 5), ("config.rejected", 5)]
    assert (await world.push(5, MOVED)).status is APPLIED


@pytest.mark.rule("MQ-17")
async def test_a_document_that_can_not_run_is_rejected_with_every_mistake_and_its_pointer(world):
    told = await world.push(5, {"terminal": [], "texts": {"wellcome": "x"}})
    assert told.status is REJECTED
    assert {(one.pointer, one.code) for one in told.errors} == {
        ("/terminal", "unknown-key"),
        ("/texts/wellcome", "unknown-key"),
    }
    assert any("welcome" in one.message + one.hint for one in told.errors)
    assert (told.applied_version, world.floor.applied, world.names()) == (0, [], ["twin.json"])
    assert await world.facts() == [("config.rejected", 5)]


async def test_a_rejected_document_is_not_judged_again_under_the_same_version(world):
    told = await world.push(5, {"terminal": []})
    await world.restart()
    await world.push(5, {"terminal": []})
    assert world.published[-1] == told
    assert await world.facts() == [("config.rejected", 5)]


@pytest.mark.rule("MQ-17")
async def test_one_bad_terminal_is_quarantined_while_the_others_run(world):
    wanted = document("a", "b", "c")
    wanted["terminals"][1]["options"] = {"paper_with": 58}
    told = await world.push(5, wanted)
    assert (told.status, told.quarantined) == (PARTIAL, ["b"])
    assert [(one.pointer, one.code) for one in told.errors] == [("/terminals/1/options/paper_with", "unknown-key")]
    assert sorted(world.running()) == ["a", "c"]
    assert await world.facts() == [("config.applied", 5)]


@pytest.mark.rule("MQ-16")
async def test_a_changed_terminal_that_does_not_come_back_takes_the_document_back(world):
    world.dead["b"] = OFFLINE
    await trying(world, 5, MOVED)
    world.dead.clear()
    await world.clock.advance(31)
    told = await world.report(5)
    assert (told.status, told.applied_version) == (BACK, 0)
    (why,) = told.errors
    assert (why.pointer, why.code, why.hint) == ("/terminals/1", "port.refused", "look at the cable")
    assert "nothing listens" in why.message
    assert world.running() == {"a": "tcp://127.0.0.1:9000", "b": "tcp://127.0.0.1:9001"}
    assert world.floor.states()["b"].status is ONLINE
    assert await world.facts() == [("config.rolled_back", 5)]


async def test_a_document_that_was_taken_back_is_not_tried_again_under_its_version_but_under_a_newer_one(world):
    world.dead["b"] = OFFLINE
    await trying(world, 5, MOVED)
    world.dead.clear()
    await world.clock.advance(31)
    await world.report(5)
    applied = len(world.floor.applied)
    await world.push(5, MOVED)
    await world.restart()
    assert (await world.push(5, MOVED)).status is BACK
    assert (applied, world.floor.applied) == (2, [])
    assert (await world.push(6, MOVED)).status is APPLIED


async def test_so_many_terminals_may_be_lost_as_the_centre_allows_and_they_are_named(world):
    world.dead["b"] = OFFLINE
    await trying(world, 5, MOVED, health={"window_s": 10, "max_lost": 1})
    await world.clock.advance(11)
    told = await world.report(5)
    assert (told.status, [one.pointer for one in told.errors]) == (PARTIAL, ["/terminals/1"])


async def test_a_terminal_that_comes_back_within_the_window_ends_it_early(world):
    world.dead["b"] = OFFLINE
    await trying(world, 5, MOVED)
    world.dead.clear()
    await world.clock.advance(3)
    assert world.twin.on_trial
    world.floor.refresh("b")
    await world.clock.advance(1)
    assert (await world.report(5)).status is APPLIED
    assert world.clock.monotonic() == 4


async def test_a_terminal_that_was_offline_before_proves_nothing_against_a_document(world):
    world.dead["b"] = OFFLINE
    world.floor.refresh("b")
    assert (await world.push(5, MOVED)).status is APPLIED


async def test_a_terminal_that_is_no_longer_wanted_is_not_lost(world):
    told = await world.push(5, document("a"))
    assert (told.status, told.restarted, world.floor.touched) == (APPLIED, 1, ["b"])


async def test_a_new_terminal_that_is_not_online_makes_it_partial_and_takes_nothing_back(world):
    world.dead["c"] = OFFLINE
    told = await world.push(5, document("a", "b", "c"))
    assert (told.status, [(one.pointer, one.code) for one in told.errors]) == (
        PARTIAL,
        [("/terminals/2", "port.refused")],
    )
    assert told.applied_version == 5


async def test_a_new_terminal_gets_time_for_its_first_answer(world):
    world.dead["c"] = TerminalStatus.STARTING
    await trying(world, 5, document("a", "b", "c"))
    await world.clock.advance(2)
    assert world.twin.on_trial
    del world.dead["c"]
    world.floor.refresh("c")
    await world.clock.advance(1)
    assert (await world.report(5)).status is APPLIED


async def test_a_terminal_whose_driver_can_not_be_made_is_quarantined_not_lost(world):
    world.dead["b"] = TerminalStatus.QUARANTINED
    told = await world.push(5, MOVED)
    assert (told.status, told.quarantined, told.errors[0].pointer) == (PARTIAL, ["b"], "/terminals/1")


@pytest.mark.parametrize("error", [HallctlError("the floor gave way"), RuntimeError(), TimeoutError()])
async def test_a_floor_that_fails_takes_the_document_back(world, error):
    world.floor.error = error
    told = await world.push(5, MOVED)
    assert (told.status, told.errors[0].code, told.applied_version) == (BACK, "apply.failed", 0)
    assert world.running()["b"] == "tcp://127.0.0.1:9001"


@pytest.mark.rule("MQ-13")
async def test_of_several_documents_that_come_during_a_trial_the_newest_is_tried_next(world):
    world.dead["b"] = OFFLINE
    await trying(world, 5, MOVED)
    for version in (6, 8, 7):
        await world.twin.take(desired(version, document("a", "b", "c", c=9100 + version)))
    assert world.twin.runs.version == 5
    world.dead.clear()
    world.floor.refresh("b")
    await world.clock.advance(1)
    told = await world.report(8)
    assert (told.status, world.running()["c"]) == (APPLIED, "tcp://127.0.0.1:9108")
    assert await world.facts() == [("config.applied", 5), ("config.applied", 8)]
    assert sorted(world.names()) == sorted(
        ["twin.json", "twin.json.before", f"{world.twin.runs.hash}.json", f"{document_hash(MOVED)}.json"]
    )


async def test_a_wrong_document_that_comes_during_a_trial_is_rejected_after_it(world):
    world.dead["b"] = OFFLINE
    await trying(world, 5, MOVED)
    await world.twin.take(desired(6, {"terminal": []}))
    assert world.twin.reported.status is ApplyStatus.APPLYING
    world.dead.clear()
    world.floor.refresh("b")
    await world.clock.advance(1)
    told = await world.report(6)
    assert (told.status, told.applied_version) == (REJECTED, 5)


async def test_a_document_equal_to_the_one_on_trial_waits_for_its_end_and_touches_nothing(world):
    world.dead["b"] = OFFLINE
    await trying(world, 5, MOVED)
    await world.twin.take(desired(6, MOVED))
    world.dead.clear()
    world.floor.refresh("b")
    await world.clock.advance(1)
    told = await world.report(6)
    assert (told.status, told.applied_version, len(world.floor.applied)) == (APPLIED, 6, 1)


UNREADABLE = {
    "no JSON": b"{",
    "a list": b"[]",
    "bytes": b"\xff\xfe\x00",
    "no version": json.dumps({"hash": "0" * 64, "document": {}}).encode(),
    "another hash": json.dumps({"version": 9, "hash": "0" * 64, "document": {}}).encode(),
    "too long": b"x" * (MAX_DESIRED_BYTES + 1),
    "too deep": b'{"version":9,"hash":"' + b"0" * 64 + b'","document":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001,
    "a name with a path": json.dumps({"version": 9, "hash": "../" * 20, "document": {}}).encode(),
}


@pytest.mark.rule("MQ-17")
@pytest.mark.parametrize("payload", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_a_message_that_can_not_be_read_is_reported_and_the_next_one_is_taken(world, payload):
    await world.twin.take(payload)
    await world.twin.take(payload)
    told = world.twin.reported
    assert (told.status, [one.code for one in told.errors]) == (REJECTED, ["desired.unreadable"])
    assert told.errors[0].message
    assert told.desired_version in (0, 9)
    assert len(await world.facts()) == 1
    assert (await world.push(9, MOVED)).status is APPLIED


async def test_an_emptied_topic_changes_nothing(world):
    told = await world.push(5, MOVED)
    await world.twin.take(b"")
    assert (world.twin.reported, world.twin.runs.version) == (told, 5)


@pytest.mark.rule("MQ-17")
async def test_a_report_survives_a_restart(world):
    told = await world.push(5, MOVED, rollout="r-9")
    world.published.clear()
    await world.restart()
    await world.until(lambda: world.published)
    assert world.published[0] == told
    assert await world.facts() == [("config.applied", 5)]


async def test_the_pushed_document_runs_after_a_restart_whatever_becomes_of_hall_yaml(world):
    await world.push(5, MOVED)
    world.hall_yaml.write_text("terminals: [")
    await world.restart()
    assert world.running()["b"] == "tcp://127.0.0.1:9101"
    assert (await world.push(6, TWO)).status is APPLIED


async def test_files_beside_hall_yaml_are_beside_the_pushed_document_too(world):
    await world.push(5, MOVED)
    assert world.hall_yaml.parent == type(world.hall_yaml)(world.floor.hall.path).parent


async def test_a_take_whose_reader_is_gone_is_finished_all_the_same(world):
    task = asyncio.create_task(world.twin.take(desired(5, {"terminal": []})))
    await asyncio.sleep(0)
    task.cancel()
    assert (await world.report(5)).status is REJECTED


async def test_a_vendors_check_that_raises_rejects_the_document(world, monkeypatch):
    def broken(*_arguments):
        raise ZeroDivisionError("in a validator")

    monkeypatch.setattr(world.twin, "_judge", broken)
    told = await world.push(5, MOVED)
    assert (told.status, told.errors[0].code) == (REJECTED, "document.unjudged")


async def test_the_document_that_runs_is_given_in_chunks(world):
    own = await world.twin.chunk(0)
    assert (own["version"], own["source"], own["hash"], own["last"]) == (0, "hall.yaml", document_hash(TWO), True)
    wanted = {**MOVED, "texts": {"welcome": "欢" * 30_000}}
    await world.push(5, wanted)
    data, chunk = b"", {"last": False}
    while not chunk["last"]:
        chunk = await world.twin.chunk(len(data))
        data += base64.b64decode(chunk["data"])
    assert (json.loads(data), chunk["size"]) == (wanted, len(data))
    assert (chunk["version"], chunk["source"], chunk["trial"]) == (5, "centre", False)
    beyond = await world.twin.chunk(10**9)
    assert (beyond["data"], beyond["last"]) == ("", True)


async def test_an_idle_twin_has_one_task_and_no_timer(world):
    await world.push(5, MOVED)
    await world.clock.advance(86400)
    assert world.clock._wakers == []
    assert [task for task in asyncio.all_tasks() if "Twin" in repr(task)] == [world.task]
