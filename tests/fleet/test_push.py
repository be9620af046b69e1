"""Pushing to a simulated fleet on a real broker, through everything that goes wrong."""

import asyncio
import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from fleet.cli import desk_process, line_with, run_cli

from hallctl.clock import SystemClock
from hallctl.errors import RequestRefused
from hallctl.fleet.desk import Desk
from hallctl.fleet.documents import read_source
from hallctl.fleet.driving import BrokerLost, Driver, TakenOver
from hallctl.fleet.pushing import PushRequest, begin, prepare, see_through, take_up
from hallctl.fleet.rollout_values import Aborted, WaveBegun
from hallctl.fleet.selector import read_selection
from hallctl.fleet.simulate.halls import hall_document, plan_fleet
from hallctl.link.configuration import HealthRule
from hallctl.link.rollouts import Fate, RolloutPhase, RolloutRules, WayBack

OWN, NEW = "欢迎光临", "新年好"
CLOCK = SystemClock(trust_wall_clock=True)
QUICK = {"first": 5, "grow": 3, "observe_s": 0.3, "wait_s": 8, "resend_s": 2, "abort_count": 1}


def new_hall(folder: Path, **more) -> Path:
    path = folder / "hall.yaml"
    document = hall_document(5, texts={"welcome": NEW}, **more)
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    return path


def waits_of(box) -> float:
    return box.twin.hall.document.printing.wait_s if box.twin else -1.0


def request(path: Path, *to: str, merge: bool = False, **rules) -> PushRequest:
    return PushRequest(
        read_source(path, merge=merge),
        read_selection(to or ("all",)),
        RolloutRules.model_validate(QUICK | rules),
        HealthRule(window_s=1.0),
        beat_s=0.3,
    )


async def push(fleet, wanted: PushRequest, told=None) -> Driver:
    desk = Desk(fleet.settings, CLOCK, "li@centre")
    tell = told.append if told is not None else lambda _notice: None

    async def start() -> Driver:
        return await begin(desk, wanted, await prepare(desk, wanted), tell)

    async with asyncio.timeout(60):
        return await see_through(desk, start, tell)


async def seen_offline(fleet, topics) -> None:
    """A desk sees that it is gone: its will, or the end of its lease."""
    desk = Desk(fleet.settings, CLOCK)
    async with desk.connected():
        await desk.read(("+",))
        await fleet.until(lambda: not desk.is_online(topics))


@pytest.mark.rule("MQ-27")
async def test_thirty_controllers_take_it_wave_by_wave(fleet, tmp_path):
    await fleet.start(30)
    told = []
    driver = await push(fleet, request(new_hall(tmp_path)), told)
    assert driver.rollout.phase is RolloutPhase.DONE
    assert driver.rollout.counts == {"took": 30}
    assert [one.index for one in told if isinstance(one, WaveBegun)] == [0, 1, 2]
    assert fleet.running() == {NEW}


@pytest.mark.rule("MQ-27")
async def test_a_bad_one_in_the_second_wave_sends_everybody_back(fleet, tmp_path):
    await fleet.start(30, "roll_back=box-0009")
    path = new_hall(tmp_path)
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["terminals"][1]["address"] = 77  # a terminal restarts, and on that box it does not come back
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    told = []
    driver = await push(fleet, request(path), told)
    assert driver.rollout.phase is RolloutPhase.ABORTED
    assert [one.index for one in told if isinstance(one, WaveBegun)] == [0, 1]
    assert any(isinstance(one, Aborted) for one in told)
    assert fleet.running() == {OWN}
    bad = next(one for one in driver.rollout.standings if one.target.controller == "box-0009")
    assert bad.fate is Fate.ROLLED_BACK
    assert all(one.way_back is WayBack.BACK for one in driver.rollout.standings if one.fate is not Fate.WAITING)


@pytest.mark.slow
async def test_those_that_are_offline_take_it_when_they_are_back(fleet, tmp_path):
    await fleet.start(6)
    await push(fleet, request(new_hall(tmp_path, printing={"wait_s": 3})))
    away = fleet.boxes["box-0004"]
    away.allowed.clear()
    away.crash()
    await fleet.until(lambda: not away.connected)
    await seen_offline(fleet, away.topics)
    driver = await push(fleet, request(new_hall(tmp_path)))
    assert driver.rollout.counts == {"took": 5, "pending": 1}
    away.allowed.set()
    await fleet.until(lambda: waits_of(away) == 15.0)


async def test_partial_is_a_failure_that_can_be_accepted(fleet, tmp_path):
    await fleet.start(4, "partial=box-0002")
    path = tmp_path / "hall.yaml"
    path.write_text(yaml.safe_dump(hall_document(6), allow_unicode=True), encoding="utf-8")
    accepted = await push(fleet, request(path, accept_partial=True))
    assert accepted.rollout.phase is RolloutPhase.DONE
    assert accepted.rollout.counts == {"took": 3, "partial": 1}


async def test_one_that_says_nothing_is_a_failure_when_its_time_is_over(fleet, tmp_path):
    await fleet.start(4, "mute=box-0003")
    driver = await push(fleet, request(new_hall(tmp_path), wait_s=2, resend_s=0.5))
    assert driver.rollout.phase is RolloutPhase.ABORTED
    silent = next(one for one in driver.rollout.standings if one.target.controller == "box-0003")
    assert (silent.fate, silent.way_back) == (Fate.SILENT, WayBack.FAILED)
    assert fleet.running("box-000[124]") == {OWN}


async def test_a_daemon_that_dies_of_it_comes_back_with_what_it_ran_before(fleet, tmp_path):
    await fleet.start(3, "crash=box-0002")
    path = new_hall(tmp_path)
    driver = await push(fleet, request(path, wait_s=15))
    assert driver.rollout.phase is RolloutPhase.ABORTED
    await fleet.until(lambda: fleet.running() == {OWN})
    assert fleet.boxes["box-0002"].boots > 1


@pytest.mark.rule("MQ-28")
@pytest.mark.slow
async def test_a_broker_that_is_killed_in_mid_push_and_has_lost_everything_costs_nothing(fleet, tmp_path):
    await fleet.start(20)
    told = []
    wanted = request(new_hall(tmp_path), first=4, observe_s=1.0, wait_s=30)
    pushing = asyncio.create_task(push(fleet, wanted, told))
    await fleet.until(lambda: any(isinstance(one, WaveBegun) and one.index == 1 for one in told))
    fleet.broker.kill()
    await fleet.until(lambda: any(isinstance(one, BrokerLost) for one in told))
    fleet.broker.start()
    driver = await pushing
    assert driver.rollout.counts == {"took": 20}
    assert fleet.running() == {NEW}


@pytest.mark.slow
async def test_an_interrupted_push_is_gone_on_with_by_another_desk(fleet, tmp_path):
    await fleet.start(20)
    first = await desk_process(fleet, new_hall(tmp_path), "--to", "all", "--first", "4", "--observe", "3", "--json")
    await line_with(first, '"wave_settled"')
    first.kill()
    await first.wait()
    assert fleet.running() == {NEW, OWN}
    code, out, err = await run_cli(fleet, "push", "--resume", "--json")
    assert (code, err) == (0, "")
    last = json.loads(out.splitlines()[-1])
    assert (last["what"], last["counts"]) == ("finished", {"took": 20})
    assert fleet.running() == {NEW}


@pytest.mark.slow
async def test_an_interrupted_push_is_taken_back_by_another_desk(fleet, tmp_path):
    await fleet.start(12)
    first = await desk_process(fleet, new_hall(tmp_path), "--to", "all", "--first", "4", "--observe", "30", "--json")
    begun = json.loads(await line_with(first, '"begun"'))
    await line_with(first, '"wave_settled"')
    first.kill()
    await first.wait()
    code, out, _ = await run_cli(fleet, "push", "--go-back", begun["rollout"])
    assert code == 1
    assert "4 run again what they ran before" in out
    assert fleet.running() == {OWN}
    _, out, _ = await run_cli(fleet, "history", begun["rollout"])
    assert "aborted" in out
    assert out.count("run again what they ran before") == 4


async def test_a_desk_that_is_alive_is_not_disturbed_unless_somebody_insists(fleet, tmp_path):
    await fleet.start(8)
    wanted = request(new_hall(tmp_path), first=2, observe_s=20.0)
    told = []
    first = asyncio.create_task(push(fleet, wanted, told))
    await fleet.until(lambda: any(isinstance(one, WaveBegun) for one in told))
    desk = Desk(fleet.settings, CLOCK, "wang@centre")
    async with desk.connected():
        with pytest.raises(RequestRefused, match="is being driven") as caught:
            await take_up(desk, None, told.append, take_over=False)
        assert "--take-over" in caught.value.hint
        driver = await take_up(desk, None, told.append, take_over=True, back="wang said so")
        with pytest.raises(TakenOver):
            await first
        await driver.drive()
    assert driver.rollout.phase is RolloutPhase.ABORTED
    assert fleet.running() == {OWN}


async def test_two_rollouts_do_not_pull_at_one_controller(fleet, tmp_path):
    await fleet.start(6)
    told = []
    first = asyncio.create_task(push(fleet, request(new_hall(tmp_path), first=2, observe_s=20.0), told))
    await fleet.until(lambda: any(isinstance(one, WaveBegun) for one in told))
    with pytest.raises(RequestRefused, match="is not finished") as caught:
        await push(fleet, request(new_hall(tmp_path), "id=box-0006"))
    assert "--resume" in caught.value.hint
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first


async def test_a_patch_changes_each_ones_own_document(fleet, tmp_path):
    plans = list(plan_fleet(4, 5))
    plans = [replace(p, document={**p.document, "texts": {"welcome": p.controller}}) for p in plans]
    await fleet.start(4, plans=plans)
    patch = tmp_path / "patch.yaml"
    patch.write_text("printing: {wait_s: 3}\n", encoding="utf-8")
    driver = await push(fleet, request(patch, merge=True))
    assert driver.rollout.counts == {"took": 4}
    assert fleet.running() == {"box-0001", "box-0002", "box-0003", "box-0004"}
    assert {waits_of(box) for box in fleet.boxes.values()} == {3.0}


async def test_who_runs_it_already_is_left_alone(fleet, tmp_path):
    await fleet.start(6)
    await push(fleet, request(new_hall(tmp_path), "id=box-000[1-3]"))
    desk = Desk(fleet.settings, CLOCK)
    async with desk.connected():
        prepared = await prepare(desk, request(new_hall(tmp_path)))
    assert [t.controller for t in prepared.planned.unchanged] == ["box-0001", "box-0002", "box-0003"]
    assert len(prepared.planned.plan.targets) == 3


async def test_when_not_every_expected_controller_is_seen_nothing_is_sent(fleet, tmp_path):
    await fleet.start(3)
    with pytest.raises(RequestRefused, match="3 controllers fit, 4 were expected"):
        await push(fleet, replace(request(new_hall(tmp_path)), expect=4))


async def test_a_selector_that_means_nobody_is_an_error_and_not_a_success(fleet, tmp_path):
    await fleet.start(2)
    with pytest.raises(RequestRefused, match="tag=pilto"):
        await push(fleet, request(new_hall(tmp_path), "tag=pilto"))


async def test_the_brokers_memory_is_tidy_afterwards(fleet, tmp_path):
    await fleet.start(3)
    driver = await push(fleet, request(new_hall(tmp_path)))
    desk = Desk(fleet.settings, CLOCK)
    async with desk.connected():
        await desk.subscribe("hall-fleet/v1/#")
        await desk.settle()
    assert desk.book.documents == {}
    assert list(desk.book.heads) == [driver.head.id]
    assert {row.fate for row in desk.book.outcome_rows(driver.head.id).values()} == {Fate.TOOK}


@pytest.mark.rule("MQ-28")
@pytest.mark.slow
async def test_what_a_pending_controller_should_get_is_published_again_when_the_broker_lost_it(fleet, tmp_path):
    await fleet.start(4, "offline=box-0002")
    away = fleet.boxes["box-0002"]
    away.allowed.set()
    await fleet.until(lambda: away.connected)
    away.allowed.clear()
    away.crash()
    await seen_offline(fleet, away.topics)
    told = []
    pushing = asyncio.create_task(push(fleet, request(new_hall(tmp_path), first=2, observe_s=4.0), told))
    await fleet.until(lambda: any(isinstance(one, WaveBegun) and one.index == 1 for one in told))
    fleet.broker.kill()  # with everything that it retained, the desired document of the one that is away too
    await fleet.until(lambda: any(isinstance(one, BrokerLost) for one in told))
    fleet.broker.start()
    driver = await pushing
    assert driver.rollout.counts == {"took": 3, "pending": 1}
    away.allowed.set()
    await fleet.until(lambda: fleet.running() == {NEW})


async def test_one_that_refuses_it_names_what_is_wrong(fleet, tmp_path):
    await fleet.start(3, "reject=box-0002")
    driver = await push(fleet, request(new_hall(tmp_path)))
    assert driver.rollout.phase is RolloutPhase.ABORTED
    refused = next(one for one in driver.rollout.standings if one.target.controller == "box-0002")
    assert refused.fate is Fate.REJECTED
    assert refused.why.startswith("/part-of-a-newer-release: ")
    assert fleet.running() == {OWN}


@pytest.mark.slow
async def test_one_that_vanishes_with_it_goes_back_when_it_returns(fleet, tmp_path):
    await fleet.start(4, "vanish=box-0003")
    driver = await push(fleet, request(new_hall(tmp_path), wait_s=4))
    assert driver.rollout.phase is RolloutPhase.ABORTED
    lost = next(one for one in driver.rollout.standings if one.target.controller == "box-0003")
    assert (lost.fate, lost.way_back) == (Fate.LOST, WayBack.PENDING)
    fleet.boxes["box-0003"].allowed.set()
    await fleet.until(lambda: fleet.running() == {OWN})
