"""Runs many simulated controllers in a few processes, and says how many of them are connected."""

import asyncio
import contextlib
import gc
import logging
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import structlog

from hallctl.clock import SystemClock
from hallctl.errors import HallctlError, TransportUnavailable
from hallctl.fleet.simulate.box import Pace, SimulatedController
from hallctl.fleet.simulate.faults import Faults
from hallctl.fleet.simulate.halls import plan_fleet
from hallctl.link import BrokerSettings

FILES_A_BOX = 6  # socket, database, its log and index, and room for a twin's write
LOOK_S = 0.1
COLLECT_EVERY = 200_000
"""New objects between two rounds of the collector; 700 unless told."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one process simulates: ``count`` controllers from number ``first`` on."""

    settings: BrokerSettings
    folder: Path
    first: int
    count: int
    terminals: int = 8
    faults: Faults = field(default_factory=Faults)
    pace: Pace = field(default_factory=Pace)


def shares(whole: Share, processes: int) -> list[Share]:
    """The same fleet cut into as many shares."""
    each, rest = divmod(whole.count, processes)
    found, first = [], whole.first
    for number in range(processes):
        count = each + (number < rest)
        if count:
            settings, folder, faults = whole.settings, whole.folder, whole.faults
            found.append(Share(settings, folder, first, count, whole.terminals, faults, whole.pace))
        first += count
    return found


def allow_files(boxes: int) -> None:
    """Raise the limit of open files for so many controllers. Raises ``TransportUnavailable`` where that can't be."""
    needed = boxes * FILES_A_BOX + 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed or soft == resource.RLIM_INFINITY:
        return
    try:
        allowed = needed if hard == resource.RLIM_INFINITY else max(hard, needed)
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed if needed <= hard else allowed, allowed))
    except (OSError, ValueError) as exc:
        hint = f"ulimit -n {needed} as root, or more --processes"
        message = f"{boxes} controllers in one process need {needed} open files, {hard} are allowed"
        raise TransportUnavailable(message, code="files.limit", hint=hint) from exc


def collect_rarely() -> None:
    """Let Python's collector look at the garbage of thousands of controllers seldom.

    Its full rounds walk over all of them: half of the processor's time of 2,500. A real box has one.
    """
    gc.set_threshold(COLLECT_EVERY, 20, 20)


async def run_share(share: Share, tell: Callable[[int], None], stop: asyncio.Event) -> None:
    """Run one share until ``stop`` is set; ``tell`` gets how many are connected whenever that changes."""
    allow_files(share.count)
    collect_rarely()
    clock = SystemClock(trust_wall_clock=True)
    executor = ThreadPoolExecutor(1, thread_name_prefix="outboxes")
    boxes = [
        SimulatedController(
            plan,
            share.settings,
            share.folder,
            clock,
            faults=share.faults.for_box(plan.site, plan.controller),
            pace=share.pace,
            executor=executor,
            log=quiet_log(),
        )
        for plan in plan_fleet(share.count, share.terminals, first=share.first)
    ]
    told = -1
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(box.run()) for box in boxes]
        parent = os.getppid()
        while not stop.is_set() and os.getppid() == parent:  # nobody is left who could stop us
            connected = sum(box.connected for box in boxes)
            if connected != told:
                told = connected
                tell(connected)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await stop.wait()
        for task in tasks:
            task.cancel()
    executor.shutdown()


def quiet_log() -> structlog.typing.FilteringBoundLogger:
    """A thousand controllers' lines help nobody: errors only."""
    wrapper = structlog.make_filtering_bound_logger(logging.ERROR)
    log: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(structlog.PrintLogger(), wrapper_class=wrapper)
    return log


class Processes:
    """The processes of one simulated fleet. Use it as a context manager: leaving it ends them."""

    def __init__(self, parts: Sequence[Share]) -> None:
        self.connected = [0] * len(parts)
        self._parts = parts
        self._pipes: list[Connection] = []
        self._processes: list[BaseProcess] = []

    def __enter__(self) -> "Processes":
        context = multiprocessing.get_context("spawn")
        for part in self._parts:
            here, there = context.Pipe(duplex=False)
            process = context.Process(target=_child, args=(part, there), daemon=True)
            process.start()
            there.close()
            self._pipes.append(here)
            self._processes.append(process)
        return self

    def __exit__(self, *_exc: object) -> None:
        for process in self._processes:
            process.terminate()
        deadline = time.monotonic() + 20
        for process in self._processes:
            process.join(max(0.1, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()

    def look(self, timeout_s: float) -> int:
        """How many are connected, after waiting for news. Raises ``HallctlError`` when a process has failed."""
        for pipe in wait(self._pipes, timeout_s):
            index = self._pipes.index(pipe)  # type: ignore[arg-type]  # one of ours
            try:
                self.connected[index] = self._pipes[index].recv()
            except EOFError as exc:
                raise HallctlError("a process of the simulated fleet has ended", hint="its error is above") from exc
        return sum(self.connected)


def _child(share: Share, pipe: Connection) -> None:
    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await run_share(share, pipe.send, stop)

    asyncio.run(run())
