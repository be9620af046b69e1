"""Desks with rights of their own at a guarded broker: an operator pushes, a supervisor looks and takes alerts."""

import asyncio
import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import structlog
from security.hall_pki import GuardedBroker, Pki

from hallctl.clock import SystemClock
from hallctl.fleet.simulate import Pace, SimulatedController, plan_fleet, read_faults
from hallctl.link import BrokerSettings

pytestmark = [pytest.mark.rule("MQ-26"), pytest.mark.rule("MQ-24")]

QUIET = structlog.wrap_logger(
    structlog.PrintLogger(), wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR)
)
PACE = Pace(heartbeat_s=0.5, lease_s=30.0, restart_s=0.1)


class Hall:
    """One simulated box with its certificate, and people who run commands with theirs."""

    def __init__(self, folder: Path, broker: GuardedBroker, pki: Pki) -> None:
        (plan,) = plan_fleet(1, 1)
        self.name = f"{plan.site}/{plan.controller}"
        self._broker = broker
        self._pki = pki
        self._executor = ThreadPoolExecutor(1)
        settings = BrokerSettings(broker.host, broker.machines, tls=pki.tls(self.name))
        clock = SystemClock(trust_wall_clock=True)
        faults = read_faults([]).for_box(plan.site, plan.controller)
        self.box = SimulatedController(
            plan, settings, folder, clock, faults=faults, pace=PACE, executor=self._executor, log=QUIET
        )

    async def __aenter__(self) -> "Hall":
        self._task = asyncio.create_task(self.box.run())
        async with asyncio.timeout(30):
            while not self.box.connected:
                await asyncio.sleep(0.02)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._executor.shutdown()

    async def ask(self, who: str, *args: str) -> tuple[int, str, str]:
        """Exit code, standard output and error of ``hallctl`` with this person's certificate."""
        variables = {
            "HALLCTL_BROKER": f"mqtts://localhost:{self._broker.desks}",
            "HALLCTL_CAFILE": str(self._pki.ca_file),
            "HALLCTL_CERT": str(self._pki.issue(who)),
            "HALLCTL_BY": who,
            "COLUMNS": "200",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "hallctl.cli.main",
            *args,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **variables},
        )
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()


@pytest.fixture
async def hall(tmp_path: Path, guarded: GuardedBroker, pki: Pki):
    async with Hall(tmp_path / "box", guarded, pki) as found:
        yield found


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "hall.yaml"
    path.write_text("texts: {welcome: 您好}\n")
    return path


def push(document: Path) -> list[str]:
    return ["fleet", "push", str(document), "--to", "all", "--observe", "0", "--health-window", "1"]


async def test_an_operator_pushes_and_the_box_takes_it(hall: Hall, document: Path) -> None:
    code, out, err = await hall.ask("operator:lina", *push(document))
    assert code == 0, out + err
    assert hall.box.twin.hall.document.texts.welcome == "您好"
    code, out, err = await hall.ask("operator:lina", "fleet", "history", "--json")
    assert code == 0, err
    assert "operator:lina" in out


@pytest.mark.parametrize("who", ["supervisor:wang", "recorder:centre", "bootstrap:new-boxes", "registrar:ca"])
async def test_nobody_else_pushes_and_is_told_why(hall: Hall, document: Path, who: str) -> None:
    before = hall.box.twin.hall.document.texts.welcome
    code, out, err = await hall.ask(who, *push(document))
    assert code == 1, out + err
    assert "access list" in err
    assert hall.box.twin.hall.document.texts.welcome == before


async def test_a_supervisor_sees_the_hall(hall: Hall) -> None:
    site, controller = hall.name.split("/")
    for command in (["fleet", "status"], ["status", "--site", site, "--controller", controller]):
        code, out, err = await hall.ask("supervisor:wang", *command)
        assert controller in out
        assert "online" in out
        assert code == 0, err


async def test_a_supervisor_takes_alerts_and_commands_nothing(hall: Hall) -> None:
    site, controller = hall.name.split("/")
    at = ["--site", site, "--controller", controller]
    code, _, err = await hall.ask("supervisor:wang", "call", "w1", "A001", *at)
    assert (code, "access list" in err) == (1, True)
    _, out, err = await hall.ask("supervisor:wang", "alerts", "ack", "a-1", *at)
    assert "access list" not in out + err  # it reached the box, which answers by itself
