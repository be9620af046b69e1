"""A rollout was interrupted, and the broker has lost part of its record meanwhile: it can still be ended."""

import asyncio
import contextlib

import pytest
from fleet.test_push import CLOCK, NEW, OWN, new_hall, push, request

from hallctl.errors import LinkError
from hallctl.fleet.desk import Desk
from hallctl.fleet.pushing import take_up
from hallctl.fleet.rollout_values import Send, WaveBegun, WaveSettled
from hallctl.link.rollouts import DOCUMENT_FILTER, HEAD_FILTER, RolloutPhase, document_topic, targets_topic

pytestmark = pytest.mark.rule("MQ-28")


async def interrupted(fleet, tmp_path, kind, **rules) -> None:
    """Four boxes, two of them in the first wave; the desk dies after the first notice of ``kind``."""
    await fleet.start(4)
    told: list[object] = []
    first = asyncio.create_task(
        push(fleet, request(new_hall(tmp_path), **{"first": 2, "observe_s": 30.0} | rules), told)
    )
    await fleet.until(lambda: any(isinstance(one, kind) for one in told))
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first


@contextlib.asynccontextmanager
async def desk_that_finds(fleet, *lost: str):
    """A new desk, after the broker has lost documents or targets; gives it with the rollout's head."""
    desk = Desk(fleet.settings, CLOCK, "wang@centre")
    async with desk.connected():
        await desk.subscribe(HEAD_FILTER, DOCUMENT_FILTER)
        await desk.settle()
        (head,) = desk.book.unfinished()
        if "documents" in lost:
            await desk.publish_all((document_topic(hash_), b"") for hash_ in desk.book.documents)
        if "targets" in lost:
            await desk.publish_all((targets_topic(head.id, part), b"") for part in range(head.parts))
        desk.book.documents.clear()
        yield desk, head


async def test_documents_that_boxes_run_are_asked_of_them_and_kept_again(fleet, tmp_path):
    await interrupted(fleet, tmp_path, WaveSettled, observe_s=1.0)
    async with desk_that_finds(fleet, "documents") as (desk, head):
        driver = await take_up(desk, head.id, print, take_over=True)
        other = Desk(fleet.settings, CLOCK)
        async with other.connected():
            await other.subscribe(DOCUMENT_FILTER)
            await other.settle()
        assert other.book.documents == desk.book.documents
        await driver.drive()
    assert (driver.rollout.phase, driver.rollout.counts) == (RolloutPhase.DONE, {"took": 4})
    assert fleet.running() == {NEW}


async def test_what_ran_before_is_asked_of_boxes_that_still_run_it(fleet, tmp_path):
    await interrupted(fleet, tmp_path, WaveSettled)
    async with desk_that_finds(fleet, "documents") as (desk, head):
        driver = await take_up(desk, head.id, print, take_over=True, back="wang said so")
        await driver.drive()
    assert driver.rollout.phase is RolloutPhase.ABORTED
    assert driver.rollout.counts == {"took": 2, "back.back": 2, "waiting": 2}
    assert fleet.running() == {OWN}


async def test_a_document_that_nobody_runs_can_only_be_pushed_again(fleet, tmp_path):
    await interrupted(fleet, tmp_path, WaveBegun)
    async with desk_that_finds(fleet, "documents") as (desk, head):
        with pytest.raises(LinkError, match="lost 1 documents") as caught:
            await take_up(desk, head.id, print, take_over=True)
    assert f"--go-back {head.id}" in caught.value.hint


async def test_who_runs_what_nobody_knows_the_former_document_of_is_named(fleet, tmp_path):
    await interrupted(fleet, tmp_path, WaveSettled, first=4)
    async with desk_that_finds(fleet, "documents") as (desk, head):
        driver = await take_up(desk, head.id, print, take_over=True, back="wang said so")
        await driver.drive()
    assert driver.rollout.phase is RolloutPhase.ABORTED
    assert driver.rollout.counts == {"took": 4, "back.failed": 4}
    assert all("nobody knows what it ran before" in one.message for one in driver.rollout.standings)


async def test_without_its_targets_it_can_only_be_ended_and_is_in_nobodys_way_then(fleet, tmp_path):
    await interrupted(fleet, tmp_path, WaveBegun)
    async with desk_that_finds(fleet, "targets") as (desk, head):
        with pytest.raises(LinkError, match="nobody knows its targets") as caught:
            await take_up(desk, head.id, print, take_over=True)
        assert caught.value.hint.startswith("push again")
        assert desk.book.unfinished()
        with pytest.raises(LinkError, match="it is ended, and nothing was taken back"):
            await take_up(desk, head.id, print, take_over=True, back="wang said so")
        await desk.settle()
        assert (desk.book.unfinished(), desk.book.heads[head.id].reason) == ([], "its targets are lost")
    assert (await push(fleet, request(new_hall(tmp_path)))).rollout.phase is RolloutPhase.DONE


async def test_what_is_taken_back_is_not_sent_once_more_before(fleet, tmp_path):
    """Two were given it, and have not been heard when the desk dies."""
    await interrupted(fleet, tmp_path, WaveBegun)
    async with desk_that_finds(fleet) as (desk, head):
        told: list[object] = []
        driver = await take_up(desk, head.id, told.append, take_over=True, back="wang said so")
        await driver.drive()
    assert not any(isinstance(one, Send) for one in told)
    assert driver.rollout.phase is RolloutPhase.ABORTED
    assert fleet.running() == {OWN}
