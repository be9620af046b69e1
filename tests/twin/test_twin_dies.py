"""A twin that ends at any step comes up in a defined state; one that can't go on goes back."""

import asyncio
import json
from hashlib import sha256

import pytest
from twin.world import OFFLINE, World, desired, document

from hallctl.link.configuration import ApplyStatus, document_hash

TWO, MOVED = document("a", "b"), document("a", "b", b=9101)
OLD_PORT, NEW_PORT = "tcp://127.0.0.1:9001", "tcp://127.0.0.1:9101"
WRITES = ("written", "synced", "renamed", "done")


class Died(BaseException):
    """kill -9, as far as this process goes: nothing behind it runs."""


def dying_at(step):
    def checkpoint(name):
        if name == step:
            raise Died(step)

    return checkpoint


async def die(world, step, version=2, wanted=MOVED, lost=()):
    """A boot that is pushed to and dies at a step."""
    world.start(dying_at(step))
    world.dead.update(dict.fromkeys(lost, OFFLINE))
    taking = asyncio.create_task(world.twin.take(desired(version, wanted)))

    def died():
        gone = [task for task in (taking, world.task) if task.done() and not task.cancelled()]
        return any(isinstance(task.exception(), Died) for task in gone)

    async with asyncio.timeout(20):
        while not died():
            await world.clock.advance(1)
            await asyncio.sleep(0.002)
    taking.cancel()
    world.task.cancel()
    await asyncio.gather(taking, world.task, return_exceptions=True)
    await world.outbox.close()
    world.dead.clear()


@pytest.fixture
async def box(tmp_path):
    """A box that has kept version 1 (which is what its hall.yaml says), and is off."""
    world = World(tmp_path)
    world.start()
    await world.push(1, TWO)
    await world.stop()
    yield world
    if not world.task.done():
        await world.stop()


BEFORE_SWAP = [f"stage.{what}" for what in WRITES] + ["swap.written", "swap.synced"]
ON_TRIAL = ["swap.renamed", "swap.done", "apply.done", "keep.written", "keep.synced"]
AFTER_KEEP = ["keep.renamed", "keep.done"]


@pytest.mark.rule("MQ-16")
@pytest.mark.parametrize("step", BEFORE_SWAP)
async def test_killed_before_the_swap_the_old_document_runs_and_the_new_one_is_tried_when_it_comes_again(box, step):
    await die(box, step)
    box.start()
    assert (box.twin.runs.version, box.running()["b"]) == (1, OLD_PORT)
    assert (await box.push(2, MOVED)).status is ApplyStatus.APPLIED


@pytest.mark.rule("MQ-16")
@pytest.mark.parametrize("step", ON_TRIAL)
async def test_killed_on_trial_the_new_document_runs_and_is_watched_anew(box, step):
    await die(box, step)
    box.start()
    assert (box.twin.on_trial, box.running()["b"], box.floor.applied) == (True, NEW_PORT, [])
    told = await box.report(2)
    assert (told.status, told.applied_version, told.restarted) == (ApplyStatus.APPLIED, 2, 1)
    await box.log_has(("config.applied", 1), ("config.applied", 2))


@pytest.mark.rule("MQ-16")
@pytest.mark.parametrize("step", ON_TRIAL)
async def test_killed_on_trial_and_a_terminal_does_not_come_back_the_old_document_runs_again(box, step):
    await die(box, step)
    box.dead["b"] = OFFLINE
    box.start()
    box.dead.clear()
    told = await box.in_time(2)
    assert (told.status, told.applied_version, box.running()["b"]) == (ApplyStatus.ROLLED_BACK, 1, OLD_PORT)
    assert told.errors[0].pointer == "/terminals/1"


@pytest.mark.rule("MQ-16")
@pytest.mark.parametrize("step", AFTER_KEEP)
async def test_killed_after_it_was_kept_the_new_document_runs_and_its_event_is_not_lost(box, step):
    await die(box, step)
    box.start()
    assert (box.twin.on_trial, box.running()["b"]) == (False, NEW_PORT)
    assert (await box.report(2)).status is ApplyStatus.APPLIED
    await box.until(lambda: box.published)
    await box.push(3, MOVED)
    await box.log_has(("config.applied", 1), ("config.applied", 2), ("config.applied", 3))


@pytest.mark.rule("MQ-16")
@pytest.mark.parametrize("step", ["back.written", "back.synced"])
async def test_killed_before_it_went_back_it_is_watched_anew_and_goes_back(box, step):
    await die(box, step, lost=["b"])
    box.dead["b"] = OFFLINE
    box.start()
    box.dead.clear()
    told = await box.in_time(2)
    assert (told.status, told.applied_version, box.running()["b"]) == (ApplyStatus.ROLLED_BACK, 1, OLD_PORT)


@pytest.mark.rule("MQ-16")
@pytest.mark.parametrize("step", ["back.renamed", "back.done", "back.applied"])
async def test_killed_while_it_goes_back_it_has_gone_back(box, step):
    await die(box, step, lost=["b"])
    box.start()
    assert (box.twin.on_trial, box.running()["b"]) == (False, OLD_PORT)
    told = await box.report(2)
    assert (told.status, told.applied_version) == (ApplyStatus.ROLLED_BACK, 1)
    assert told.errors[0].pointer == "/terminals/1"
    assert (await box.push(3, document("a"))).status is ApplyStatus.APPLIED
    await box.log_has(("config.applied", 1), ("config.rolled_back", 2), ("config.applied", 3))


@pytest.mark.rule("MQ-16")
@pytest.mark.parametrize("step", [f"{kind}.{what}" for kind in ("note", "reject") for what in WRITES])
async def test_killed_while_it_notes_or_refuses_a_document_the_old_one_runs_and_the_answer_is_the_same(box, step):
    wanted = TWO if step.startswith("note") else {"terminal": []}
    await die(box, step, wanted=wanted)
    box.start()
    told = await box.push(2, wanted)
    assert told.status is (ApplyStatus.APPLIED if wanted is TWO else ApplyStatus.REJECTED)
    assert box.running()["b"] == OLD_PORT
    await box.log_has(("config.applied", 1), ("config.applied" if wanted is TWO else "config.rejected", 2))


@pytest.mark.rule("MQ-16")
async def test_a_document_that_takes_the_daemon_down_goes_back_at_the_third_boot(box):
    await die(box, "apply.done")
    for _ in range(2):
        box.start()
        assert box.running()["b"] == NEW_PORT
        await box.stop()  # before anything could be decided
    box.start()
    assert (box.twin.on_trial, box.running()["b"]) == (False, OLD_PORT)
    told = await box.report(2)
    assert (told.status, told.errors[0].code, told.applied_version) == (ApplyStatus.ROLLED_BACK, "trial.crashed", 1)
    assert (await box.push(2, MOVED)).status is ApplyStatus.ROLLED_BACK
    await box.log_has(("config.applied", 1), ("config.rolled_back", 2))


@pytest.mark.rule("MQ-16")
@pytest.mark.parametrize("step", [f"count.{what}" for what in WRITES])
async def test_killed_while_a_boot_is_counted_the_trial_goes_on(box, step):
    await die(box, "apply.done")
    with pytest.raises(Died):
        box.start(dying_at(step))
    box.start()
    assert box.running()["b"] == NEW_PORT
    assert (await box.report(2)).status is ApplyStatus.APPLIED


@pytest.mark.rule("MQ-16")
async def test_killed_while_the_third_boot_goes_back_it_goes_back(box):
    await die(box, "apply.done")
    for _ in range(2):
        with pytest.raises(Died):
            box.start(dying_at("count.done"))
    for step in ("back.written", "back.renamed"):
        with pytest.raises(Died):
            box.start(dying_at(step))
    box.start()
    assert box.running()["b"] == OLD_PORT
    assert (await box.report(2)).errors[0].code == "trial.crashed"


async def test_a_damaged_document_falls_back_to_the_good_one_before_and_is_taken_again_when_it_comes(box):
    box.start()
    await box.push(2, MOVED)
    await box.stop()
    path = box.state / f"{document_hash(MOVED)}.json"
    path.write_bytes(path.read_bytes()[:-5])
    box.start()
    assert (box.twin.runs.version, box.running()["b"]) == (1, OLD_PORT)
    told = box.twin.reported
    assert (told.status, told.desired_version, told.errors[0].code) == (ApplyStatus.ROLLED_BACK, 2, "document.damaged")
    assert path.with_name(path.name + ".damaged-1").exists()
    await box.twin.take(desired(2, MOVED))
    await box.until(lambda: box.twin.reported.status is ApplyStatus.APPLIED)
    assert (box.twin.runs.version, box.running()["b"]) == (2, NEW_PORT)


@pytest.mark.rule("MQ-16")
async def test_a_record_whose_document_the_power_cut_took_goes_back_and_takes_it_again(box):
    """A file system that orders no renames may keep the record's and lose the document's."""
    await die(box, "apply.done")
    (box.state / f"{document_hash(MOVED)}.json").unlink()
    box.start()
    assert (box.twin.on_trial, box.twin.runs.version, box.running()["b"]) == (False, 1, OLD_PORT)
    assert box.twin.reported.errors[0].code == "document.damaged"
    await box.twin.take(desired(2, MOVED))
    await box.until(lambda: box.twin.reported.status is ApplyStatus.APPLIED)
    assert (box.twin.runs.version, box.running()["b"]) == (2, NEW_PORT)


async def test_when_every_document_is_damaged_the_boxs_own_runs(box):
    box.start()
    await box.push(2, MOVED)
    await box.stop()
    for hash_ in (document_hash(TWO), document_hash(MOVED)):
        (box.state / f"{hash_}.json").unlink()
    box.hall_yaml.write_text(json.dumps(document("own")))
    box.start()
    assert (box.twin.runs.version, sorted(box.running())) == (0, ["own"])
    assert box.twin.reported.status is ApplyStatus.ROLLED_BACK
    assert (await box.push(2, MOVED)).status is not None
    assert box.running()["b"] == NEW_PORT


async def test_a_damaged_record_is_told_and_the_one_before_it_is_taken(box):
    box.start()
    await box.push(2, MOVED)
    await box.stop()
    (box.state / "twin.json").write_bytes(b"{}")
    box.start()
    assert [one.code for one in box.beginning.troubles] == ["record.damaged"]
    assert box.running()["b"] == NEW_PORT
    assert (await box.report(2)).status is ApplyStatus.APPLIED


async def test_without_any_record_the_boxs_own_runs_and_that_is_reported(box):
    for name in ("twin.json", "twin.json.before"):
        (box.state / name).write_bytes(b"\0" * 40)
    box.start()
    assert box.twin.runs.version == 0
    told = box.twin.reported
    assert (told.status, [one.code for one in told.errors]) == (ApplyStatus.ROLLED_BACK, ["record.damaged"])
    assert (await box.push(1, TWO)).status is ApplyStatus.APPLIED


async def test_a_document_on_trial_whose_good_one_is_damaged_goes_back_to_the_boxs_own(box):
    await die(box, "apply.done")
    (box.state / f"{document_hash(TWO)}.json").unlink()
    box.dead["b"] = OFFLINE
    box.hall_yaml.write_text(json.dumps(document("b", b=9200)))
    box.start()
    box.dead.clear()
    told = await box.in_time(2)
    assert (told.status, told.applied_version, box.running()) == (
        ApplyStatus.ROLLED_BACK,
        0,
        {"b": "tcp://127.0.0.1:9200"},
    )


async def test_a_document_that_this_release_can_not_run_falls_back_and_says_why(box, monkeypatch):
    box.start()
    await box.push(2, MOVED)
    await box.stop()
    path = box.state / f"{document_hash(MOVED)}.json"
    newer = {**MOVED, "a_key_of_a_newer_release": 1}
    record = box.state / "twin.json"
    body = json.loads(json.loads(record.read_bytes())["record"])
    body["good"][0]["hash"] = body["known"]["hash"] = document_hash(newer)
    text = json.dumps(body)

    record.write_text(json.dumps({"record": text, "sha256": sha256(text.encode()).hexdigest()}))
    (box.state / f"{document_hash(newer)}.json").write_text(json.dumps(newer))
    assert path.exists()
    box.start()
    assert box.twin.runs.version == 1
    assert [(one.pointer, one.code) for one in box.twin.reported.errors] == [
        ("/a_key_of_a_newer_release", "unknown-key")
    ]


async def test_a_full_disk_refuses_a_document_and_the_hall_goes_on(box, monkeypatch):
    box.start()

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(box.store, "_replace", full)
    told = await box.push(2, MOVED)
    assert (told.status, told.errors[0].code) == (ApplyStatus.REJECTED, "twin.error")
    assert "No space left" in told.errors[0].message
    assert (box.running()["b"], box.task.done()) == (OLD_PORT, False)
    monkeypatch.undo()
    await box.twin.take(desired(2, MOVED))
    await box.until(lambda: box.twin.reported.status is ApplyStatus.APPLIED)
    assert box.running()["b"] == NEW_PORT
