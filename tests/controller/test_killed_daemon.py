"""The real daemon, killed with SIGKILL at every step of a change of its document, comes up in a defined state."""

import asyncio
import contextlib

import pytest
from controller.pushed_hall import QUEUE, Hall, Printer, printer

from hallctl.driver import on_tcp
from hallctl.link.configuration import ApplyStatus, document_hash
from hallctl.twin.store import CHECKPOINTS, TwinStore

pytestmark = pytest.mark.slow  # a daemon is started and killed at every step: minutes

APPLIED, APPLYING, BACK, REJECTED = (
    ApplyStatus.APPLIED,
    ApplyStatus.APPLYING,
    ApplyStatus.ROLLED_BACK,
    ApplyStatus.REJECTED,
)
NOWHERE = "tcp://127.0.0.1:9"
KILLED = -9


def document(url, **more):
    return {"terminals": [printer("p1", url)], "tickets": [QUEUE], **more}


async def death_of(process):
    """The daemon dies of itself."""
    async with asyncio.timeout(60):
        await process.wait()


class World:
    """A hall with one printer at ``old``; the centre moves it to ``new``."""

    def __init__(self, hall, old, new):
        self.hall = hall
        (self.old, self.first), (self.new, self.second) = old, new
        hall.write(document(self.old))

    async def killed_at(self, step, wanted, **health):
        """A daemon is pushed to and dies at a step."""
        async with self.hall.daemon(KILLED, dies_at=step) as process:
            await self.hall.online("p1")
            await self.hall.send(wanted, **health)
            await death_of(process)
        self.hall.reports.clear()
        self.hall.states.clear()

    async def killed_at_boot(self, step):
        """A boot that dies at a step."""
        async with self.hall.daemon(KILLED, dies_at=step) as process:
            await death_of(process)
        self.hall.reports.clear()

    async def first_word(self):
        """What the daemon reports first after its start: what an earlier boot left."""
        reports = self.hall.reports
        await self.hall.until(lambda: [one for one in reports if one.boot > 1])
        return next(one for one in reports if one.boot > 1)


@pytest.fixture
async def world(broker, tmp_path):
    async with contextlib.AsyncExitStack() as stack:
        old, new = Printer(), Printer()
        urls = [await stack.enter_async_context(on_tcp(one)) for one in (old, new)]
        hall = await stack.enter_async_context(Hall(tmp_path, broker))
        yield World(hall, (urls[0], old), (urls[1], new))


BEFORE_SWAP = ["stage.written", "stage.synced", "stage.renamed", "stage.done", "swap.written", "swap.synced"]
ON_TRIAL = ["swap.renamed", "swap.done", "apply.done", "keep.written", "keep.synced"]
AFTER_KEEP = ["keep.renamed", "keep.done"]
BEFORE_BACK, AFTER_BACK = ["back.written", "back.synced"], ["back.renamed", "back.done", "back.applied"]
COUNTING = ["count.written", "count.synced", "count.renamed", "count.done"]
NOTING = ["note.written", "note.synced", "note.renamed", "note.done"]
REJECTING = ["reject.written", "reject.synced", "reject.renamed", "reject.done"]


def test_every_step_has_its_kill_test():
    tested = (*BEFORE_SWAP, *ON_TRIAL, *AFTER_KEEP, *BEFORE_BACK, *AFTER_BACK, *COUNTING, *NOTING, *REJECTING)
    assert sorted(tested) == sorted(CHECKPOINTS)


@pytest.mark.rule("MQ-16", "MQ-23")
@pytest.mark.parametrize("step", BEFORE_SWAP)
async def test_killed_before_the_swap_the_old_document_runs_and_the_new_one_comes_again(world, step):
    await world.killed_at(step, document(world.new))
    assert world.second.connections == 0
    async with world.hall.daemon():
        told = await world.first_word()
        assert (told.status, told.desired_version, told.applied_version) == (APPLIED, 0, 0)
        assert (await world.hall.decided(1)).status is APPLIED
    assert "runs the centre's document" not in world.hall.log
    assert world.second.connections == 1


@pytest.mark.rule("MQ-16")
@pytest.mark.parametrize("step", ON_TRIAL)
async def test_killed_on_trial_the_new_document_runs_and_is_kept_when_its_terminals_come_back(world, step):
    await world.killed_at(step, document(world.new))
    seen = world.first.connections
    async with world.hall.daemon():
        told = await world.first_word()
        assert (told.status, told.desired_version, told.applied_version) == (APPLYING, 1, 0)
        told = await world.hall.decided(1)
        assert (told.status, told.applied_version, told.applied_hash) == (
            APPLIED,
            1,
            document_hash(document(world.new)),
        )
    assert "runs the centre's document" in world.hall.log
    assert world.first.connections == seen


@pytest.mark.rule("MQ-16")
@pytest.mark.parametrize("step", AFTER_KEEP)
async def test_killed_after_it_was_kept_the_new_document_runs(world, step):
    await world.killed_at(step, document(world.new))
    async with world.hall.daemon():
        told = await world.first_word()
        assert (told.status, told.desired_version, told.applied_version) == (APPLIED, 1, 1)
        await world.hall.online("p1")
    assert world.second.connections == 2


@pytest.mark.rule("MQ-16")
@pytest.mark.parametrize("step", BEFORE_BACK)
async def test_killed_before_it_went_back_it_is_watched_anew_and_goes_back(world, step):
    await world.killed_at(step, document(NOWHERE), window_s=1)
    async with world.hall.daemon():
        assert (await world.first_word()).status is APPLYING
        told = await world.hall.decided(1)
        assert (told.status, told.applied_version) == (BACK, 0)
        assert [(one.pointer, one.code) for one in told.errors] == [("/terminals/0", "port.refused")]
        await world.hall.online("p1")


@pytest.mark.rule("MQ-16")
@pytest.mark.parametrize("step", AFTER_BACK)
async def test_killed_while_it_goes_back_it_has_gone_back(world, step):
    await world.killed_at(step, document(NOWHERE), window_s=1)
    async with world.hall.daemon():
        told = await world.first_word()
        assert (told.status, told.desired_version, told.applied_version) == (BACK, 1, 0)
        assert told.errors[0].pointer == "/terminals/0"
        await world.hall.online("p1")


@pytest.mark.rule("MQ-16")
@pytest.mark.parametrize("step", COUNTING)
async def test_killed_while_a_boot_is_counted_the_trial_goes_on(world, step):
    await world.killed_at("apply.done", document(world.new))
    await world.killed_at_boot(step)
    async with world.hall.daemon():
        told = await world.hall.decided(1)
        assert (told.status, told.applied_version) == (APPLIED, 1)


@pytest.mark.rule("MQ-14", "MQ-16")
@pytest.mark.parametrize("step", NOTING)
async def test_killed_while_a_version_is_noted_no_terminal_is_touched_for_it(world, step):
    await world.killed_at(step, document(world.old))
    seen = world.first.connections
    async with world.hall.daemon():
        told = await world.first_word()
        assert told.applied_version == (1 if step in ("note.renamed", "note.done") else 0)
        told = await world.hall.decided(1)
        assert (told.status, told.applied_version, told.restarted) == (APPLIED, 1, 0)
        await world.hall.online("p1")
    assert world.first.connections == seen + 1  # the boot's own


@pytest.mark.rule("MQ-16", "MQ-17")
@pytest.mark.parametrize("step", REJECTING)
async def test_killed_while_a_document_is_rejected_the_old_one_runs_and_it_is_rejected(world, step):
    await world.killed_at(step, document(world.new, wrong_key=1))
    async with world.hall.daemon():
        told = await world.hall.decided(1)
        assert (told.status, told.errors[0].pointer, told.applied_version) == (REJECTED, "/wrong_key", 0)
        await world.hall.online("p1")
    assert world.second.connections == 0


@pytest.mark.rule("MQ-16")
async def test_a_clean_stop_in_a_trial_is_no_reason_to_go_back(world):
    async with world.hall.daemon():
        await world.hall.online("p1")
        await world.hall.send(document(NOWHERE), window_s=60)
        await world.hall.until(lambda: world.hall.reports and world.hall.reports[-1].status is APPLYING)
    world.hall.reports.clear()
    async with world.hall.daemon():
        assert (await world.first_word()).status is APPLYING


FATAL = '''
"""A driver that takes the whole process down when it is made."""

import os

from hallctl.driver import Attachment, Capability, DriverOptions, DriverPlugin


def make(context, options):
    os.abort()


PLUGIN = DriverPlugin(
    name="acme-fatal", summary="ends the process", attachment=Attachment.NONE,
    capabilities=frozenset({Capability.DISPLAY}), options=DriverOptions, make=make,
    simulate=lambda fault, address: None, faults={},
)
'''


@pytest.mark.rule("MQ-16")
async def test_a_document_that_takes_the_daemon_down_goes_back_at_the_third_boot(world, tmp_path):
    vendor = tmp_path / "vendor"
    (vendor / "acme_fatal-1.0.dist-info").mkdir(parents=True)
    (vendor / "acme_fatal-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: acme-fatal\nVersion: 1.0\n"
    )
    (vendor / "acme_fatal-1.0.dist-info" / "entry_points.txt").write_text(
        "[hallctl.drivers]\nacme-fatal = acme_fatal:PLUGIN\n"
    )
    (vendor / "acme_fatal.py").write_text(FATAL)
    hall, aborted = world.hall, -6
    wanted = document(world.old)
    wanted["terminals"].append({"id": "killer", "driver": "acme-fatal"})
    async with hall.daemon(aborted, path=str(vendor)) as process:
        await hall.online("p1")
        await hall.send(wanted)
        await death_of(process)
    for boots in (1, 2):
        async with hall.daemon(aborted, path=str(vendor)) as process:
            await death_of(process)
        assert TwinStore(tmp_path / "state" / "twin").peek().trial.boots == boots
    hall.reports.clear()
    hall.states.clear()
    async with hall.daemon(path=str(vendor)):
        told = await hall.decided(1)
        assert (told.status, told.errors[0].code, told.applied_version) == (BACK, "trial.crashed", 0)
        await hall.online("p1")
        again = await hall.push(document(world.new))
        assert (again.status, again.applied_version) == (APPLIED, 2)


@pytest.mark.rule("MQ-17", "MQ-28")
async def test_a_report_is_published_again_after_a_restart_and_after_the_broker_lost_it(world):
    async with world.hall.daemon():
        await world.hall.online("p1")
        told = await world.hall.push(document(world.new))
    world.hall.broker.kill()  # what it retained is lost
    world.hall.broker.start()
    async with Hall(world.hall.folder, world.hall.broker) as later, later.daemon():
        await later.until(lambda: later.reports)
        assert later.reports[0] == told.model_copy(update={"boot": 2})


@pytest.mark.rule("MQ-17")
async def test_a_damaged_document_is_told_and_put_right_by_the_centre(world, tmp_path):
    wanted = document(world.new)
    async with world.hall.daemon():
        await world.hall.online("p1")
        await world.hall.push(wanted)
    path = tmp_path / "state" / "twin" / f"{document_hash(wanted)}.json"
    path.write_bytes(path.read_bytes()[:100])
    world.hall.reports.clear()
    async with world.hall.daemon():
        told = await world.first_word()
        assert (told.status, told.errors[0].code, told.applied_version) == (BACK, "document.damaged", 0)
        await world.hall.until(
            lambda: world.hall.reports[-1].status is APPLIED and world.hall.reports[-1].applied_version == 1
        )
    assert path.with_name(path.name + ".damaged-1").exists()
