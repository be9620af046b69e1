"""Pushing to a simulated fleet on a real broker, through everything that goes wrong."""

import asyncio
import contextlib
from pathlib import Path

import pytest
import yaml

from hallctl.clock import SystemClock
from hallctl.errors import LinkError, RequestRefused
from hallctl.fleet.desk import Desk
from hallctl.fleet.documents import read_source
from hallctl.fleet.driving import BrokerLost, Driver, TakenOver
from hallctl.fleet.pushing import PushRequest, begin, finish, prepare, take_up
from hallctl.fleet.rollout_values import Aborted, WaveBegun
from hallctl.fleet.selector import read_selection
from hallctl.fleet.simulate.halls import hall_document
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
    async with asyncio.timeout(60), desk.connected():
        prepared = await prepare(desk, wanted)
        driver = await begin(desk, wanted, prepared, tell)
        await finish(driver, wanted.selection.sites, tell)
    return driver


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
