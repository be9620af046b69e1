"""How much is logged, of everything or of one terminal; it goes back by itself, and the last lines are kept."""

import asyncio
import io
import json
import sys

import pytest
import structlog
from hallctl_drivers.escpos.sim import EscposSimulator
from local_box import Box

from hallctl import logs
from hallctl.clock import ManualClock
from hallctl.controller.loglevel import LogLevelDesk
from hallctl.driver import on_tcp
from hallctl.errors import RequestRefused
from hallctl.model import Command


@pytest.fixture
def log(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    before = structlog.get_config()
    logs.configure("info", json_lines=True)
    logs.RECENT._events.clear()
    yield lambda: [json.loads(line) for line in logs.RECENT.lines()]
    structlog.configure(**before)
    logs.LEVELS.reset("info")


class Desk:
    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.tasks: list[asyncio.Future] = []
        known = frozenset({"printer-1", "bar-3"})
        later = lambda work: self.tasks.append(asyncio.ensure_future(work))  # noqa: E731
        self._desk = LogLevelDesk(logs.LEVELS, lambda: known, later, clock, structlog.get_logger())

    async def set(self, **data):
        expires = self.clock.now()
        result = await self._desk.set(Command("c-1", "log.level", expires, data))
        await self.clock.settle()  # what waits for its end has begun to
        return result


@pytest.fixture
async def desk(log):
    desk = Desk(ManualClock())
    yield desk
    for task in desk.tasks:
        task.cancel()
    await asyncio.gather(*desk.tasks, return_exceptions=True)


def said() -> list[str]:
    """What of three debug lines is logged."""
    logger = structlog.get_logger()
    logger.debug("of nobody")
    logger.debug("of the printer", terminal="printer-1")
    logger.bind(terminal="bar-3").debug("of the bar")
    return [line["event"] for line in map(json.loads, list(logs.RECENT.lines())) if line["event"].startswith("of ")]


def test_debug_lines_are_not_logged_as_usual(log) -> None:
    assert said() == []


async def test_one_terminal_may_be_logged_in_full(desk) -> None:
    result = await desk.set(terminal="bar-3", level="debug", for_s=60)
    assert (result.terminal, result.level) == ("bar-3", "debug")
    assert said() == ["of the bar"]


async def test_everything_may_be_logged_in_full_but_one_terminal(desk) -> None:
    await desk.set(level="debug")
    await desk.set(terminal="printer-1", level="error")
    assert said() == ["of nobody", "of the bar"]


async def test_it_goes_back_by_itself(desk) -> None:
    await desk.set(level="debug", for_s=60)
    await desk.clock.advance(59)
    assert logs.LEVELS.level() == "debug"
    await desk.clock.advance(2)
    assert logs.LEVELS.level() == "info"


async def test_a_later_wish_is_not_ended_by_an_earlier_ones_time(desk) -> None:
    await desk.set(level="debug", for_s=60)
    await desk.set(level="warning", for_s=600)
    await desk.clock.advance(61)
    assert logs.LEVELS.level() == "warning"
    await desk.clock.advance(600)
    assert logs.LEVELS.level() == "info"


async def test_it_is_taken_back_at_once_when_no_level_is_named(desk) -> None:
    await desk.set(terminal="bar-3", level="debug")
    result = await desk.set(terminal="bar-3")
    assert (result.level, result.until) == ("info", None)
    assert said() == []


@pytest.mark.parametrize("data", [{"terminal": "nobody", "level": "debug"}, {"level": "loud"}, {"for_s": 0}])
async def test_what_makes_no_sense_is_refused(desk, data) -> None:
    with pytest.raises(RequestRefused):
        await desk.set(**data)


def test_the_last_lines_are_kept_with_their_exceptions_and_no_more_than_fit(log) -> None:
    logger = structlog.get_logger()
    recent = logs.Recent(limit=2)
    for number in range(3):
        recent(None, "info", {"event": number})
    assert [json.loads(line)["event"] for line in recent.lines()] == [1, 2]
    try:
        raise ValueError("a driver's mistake")
    except ValueError:
        logger.warning("driver raised what it should not", exc_info=True)
    assert "ValueError: a driver's mistake" in log()[-1]["exception"]


async def test_the_command_line_sets_it_at_the_running_daemon(log, tmp_path) -> None:
    async with on_tcp(EscposSimulator()) as url:
        box = Box(tmp_path)
        box.write(
            {"terminals": [{"id": "printer-1", "driver": "escpos", "port": url, "options": {"poll_every_s": 0.5}}]}
        )
        async with box.running():
            ran = await box.hallctl("log-level", "debug", "printer-1", "--for", "600")
            assert (ran.exit_code, ran.stderr) == (0, "")
            assert ran.stdout.startswith("printer-1 is logged from level debug on until")
            async with asyncio.timeout(30):
                while not any(line["event"] == "polled" and line["terminal"] == "printer-1" for line in log()):
                    await asyncio.sleep(0.05)
            assert (await box.hallctl("log-level", "usual", "printer-1")).exit_code == 0
            assert logs.LEVELS.level("printer-1") == "info"
