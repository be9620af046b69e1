"""One supervisor a terminal: open -> start -> run -> fault -> back off with jitter -> open.

Whatever a driver does, its neighbours don't notice: this is the one place that catches every exception.
The supervisor also serialises what is asked of the driver, so that a driver needs no lock.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, TypeVar

from hallctl.clock import Clock
from hallctl.driver import BusLine, Connection, Health, TerminalDriver
from hallctl.driver.terminal import Logger
from hallctl.errors import (
    CodecError,
    DriverBug,
    HallctlError,
    LocalCodecError,
    NothingDone,
    TerminalBusy,
    TerminalError,
    TerminalOffline,
    TransportError,
    TransportTimeout,
    Withdrawn,
)
from hallctl.model import FaultReport, TerminalState, TerminalStatus
from hallctl.tasks import first_to_fail
from hallctl.terminal.backoff import BackOff, rest

T = TypeVar("T")
Connect = Callable[[], AbstractAsyncContextManager[Connection]]
OnState = Callable[[TerminalState, TerminalState], Awaitable[None]]

START_TIMEOUT_S = 20.0
POLL_TIMEOUT_S = 20.0
STABLE_AFTER_S = 30.0
ATTENTION_S = 0.1  # from a driver's wish to be polled to the poll


class TerminalSupervisor:
    """Runs one driver for as long as its configuration lives. ``state`` always says how the terminal is, and why."""

    def __init__(
        self,
        terminal: str,
        driver_name: str,
        driver: TerminalDriver,
        connect: Connect,
        *,
        clock: Clock,
        log: Logger,
        on_state: OnState,
        waiting_limit: int = 16,
        back_off: BackOff | None = None,
        plugged: Callable[[], bool | None] = lambda: None,
    ) -> None:
        self.driver = driver
        self.state = TerminalState(terminal, driver_name, TerminalStatus.STARTING, since=clock.now())
        self._connect = connect
        self._clock = clock
        self._log = log
        self._on_state = on_state
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._limit = waiting_limit
        self._back_off = back_off or BackOff()
        self._plugged = plugged
        self._broken: asyncio.Future[None] | None = None
        self._line: BusLine | None = None
        self._polled: BusLine | None = None  # while a poll is on its way
        self._retired = False
        self._calm = asyncio.Event()  # no action is being carried out
        self._calm.set()
        self._told = asyncio.Event()  # whoever has to hear of the last change has heard of it
        self._told.set()
        self.first_pass = asyncio.Event()

    async def run(self) -> None:
        """Supervise until cancelled."""
        failures = 0
        while True:
            started = self._clock.monotonic()
            try:
                await self._session()
            except HallctlError as exc:
                await self._offline(_code_of(exc), exc.message, exc.hint)
            except Exception as exc:  # noqa: BLE001  # a driver may raise anything; its neighbours must not notice
                self._log.warning("driver raised what it should not", terminal=self.state.terminal, exc_info=True)
                await self._offline("driver.bug", repr(exc), "tell the driver's vendor; the log has the trace")
            stable = self._clock.monotonic() - started >= STABLE_AFTER_S
            failures = 1 if stable else failures + 1
            if await rest(self._clock, self._back_off.wait_s(failures), self._plugged):
                failures = 0

    async def act(self, action: Callable[[Any], Awaitable[T]], *, timeout_s: float = 15.0) -> T:
        """Run ``action(driver)`` in its turn.

        Raises ``TerminalOffline`` when the terminal is not online, ``TerminalBusy`` when too many wait (both:
        nothing was done), ``TransportTimeout`` when it lasts longer than ``timeout_s``, and what the action raises.
        """
        self._require_online()
        if self._waiting >= self._limit:
            raise TerminalBusy(f"{self.state.terminal}: {self._waiting} commands wait already", hint="try again later")
        self._waiting += 1
        if self._polled is not None:
            self._polled.withdraw()  # its own poll must not hold up a call
        try:
            async with self._turn:
                self._require_online()
                self._calm.clear()
                began = self._clock.monotonic()
                try:
                    return await self._bounded(action(self.driver), timeout_s)
                finally:
                    self._calm.set()
                    self._log.debug("acted", terminal=self.state.terminal, seconds=self._clock.monotonic() - began)
        finally:
            self._waiting -= 1

    @property
    def waiting(self) -> int:
        """How many commands wait for their turn, or have it."""
        return self._waiting

    async def ask(self, timeout_s: float) -> Health:
        """Poll the device now, in its turn; its state follows. Raises what ``act`` raises."""

        async def poll(driver: TerminalDriver) -> Health:
            return await driver.poll()

        health = await self.act(poll, timeout_s=timeout_s)
        await self._online(health)
        return health

    async def told(self) -> None:
        """Return when nobody is being told of a change: ``run`` may be cancelled now, and no alert is lost by it."""
        while not self._told.is_set():
            await self._told.wait()

    async def retire(self, finish_s: float) -> None:
        """Take no more work, and return when what is being done is finished (at most ``finish_s``); then cancel it."""
        self._retired = True
        with contextlib.suppress(TimeoutError):
            async with self._clock.timeout(finish_s):
                await self._calm.wait()

    async def count(self, name: str, by: int = 1) -> None:
        """Add to one of the terminal's counters and publish the state."""
        counters = {**self.state.counters, name: self.state.counters.get(name, 0) + by}
        await self._change(replace(self.state, counters=counters))

    async def _bounded(self, work: Awaitable[T], timeout_s: float) -> T:
        try:
            async with self._clock.timeout(timeout_s):
                return await work
        except TimeoutError as exc:
            late = TransportTimeout(f"{self.state.terminal}: not done within {timeout_s:g} s")
            self._break_session(late)
            raise late from exc
        except LocalCodecError:
            raise
        except (TransportError, CodecError, NothingDone) as exc:
            self._break_session(exc)
            raise
        except HallctlError:
            raise
        except Exception as exc:
            self._log.warning("driver raised what it should not", terminal=self.state.terminal, exc_info=True)
            bug = DriverBug(repr(exc), hint="tell the driver's vendor; the log has the trace")
            self._break_session(bug)
            raise bug from exc

    def _break_session(self, exc: HallctlError) -> None:
        if self._broken is not None and not self._broken.done():
            self._broken.set_exception(exc)

    def _require_online(self) -> None:
        if self._retired:
            hint = "try again in some seconds"
            raise TerminalOffline(f"{self.state.terminal} is being configured anew", code="terminal.retired", hint=hint)
        if self.state.status is not TerminalStatus.ONLINE:
            raise TerminalOffline(
                f"{self.state.terminal} is {self.state.status}: {self.state.message or 'not started yet'}",
                code=self.state.reason or "terminal.offline",
                hint=self.state.hint,
            )

    async def _session(self) -> None:
        self._broken = asyncio.get_running_loop().create_future()
        try:
            async with self._connect() as connection:
                self._line = connection if isinstance(connection, BusLine) else None
                async with self._turn:
                    health = await self._start(connection)
                try:
                    await self._online(health)
                    await first_to_fail(
                        self._poll_for_ever(), self.driver.listen(), self._until_broken(), self._until_lost()
                    )
                except asyncio.CancelledError:
                    await self._stop()
                    raise
        finally:
            self._broken.cancel()
            self._broken = None

    async def _start(self, connection: Connection) -> Health:
        try:
            async with self._clock.timeout(START_TIMEOUT_S):
                await self.driver.start(connection)
                return await self.driver.poll()
        except TimeoutError as exc:
            raise TransportTimeout(f"no sign of life within {START_TIMEOUT_S:g} s") from exc

    async def _stop(self) -> None:
        with contextlib.suppress(HallctlError, TimeoutError):
            async with asyncio.timeout(2.0):
                await self.driver.stop()

    async def _poll_for_ever(self) -> None:
        while True:
            await self._until_poll()
            async with self._turn:
                health = await self._poll()
            if health is not None:
                self._log.debug("polled", terminal=self.state.terminal, faults=[one.code for one in health.faults])
                await self._online(health)

    async def _poll(self) -> Health | None:
        """``None``: on a busy bus a call to this terminal came first; its answer tells as much as a poll's."""
        self._polled = self._line
        try:
            return await self._bounded(self.driver.poll(), POLL_TIMEOUT_S)
        except Withdrawn:
            return None
        finally:
            self._polled = None

    async def _until_poll(self) -> None:
        """Wait for the next poll, or for a driver that asks for one sooner."""
        attention = self.driver.attention
        if attention is None:
            await self._clock.sleep(self.driver.poll_every_s)
            return
        with contextlib.suppress(TimeoutError):
            async with self._clock.timeout(self.driver.poll_every_s):
                await attention.wait()
            await self._clock.sleep(ATTENTION_S)  # changes come in groups, and a loose sensor never ends
        attention.clear()

    async def _until_broken(self) -> None:
        if self._broken is not None:
            await asyncio.shield(self._broken)

    async def _until_lost(self) -> None:
        if self._line is not None:
            await self._line.lost()

    async def _online(self, health: Health) -> None:
        now = self._clock.now()
        was_online = self.state.status is TerminalStatus.ONLINE
        known = {fault.code: fault.since for fault in self.state.faults}
        faults = tuple(replace(fault, since=known.get(fault.code) or now) for fault in health.faults)
        await self._change(
            replace(
                self.state,
                status=TerminalStatus.ONLINE,
                since=self.state.since if was_online else now,
                reason=None,
                message="",
                hint="",
                faults=_sorted(faults),
                info=dict(health.info),
            )
        )

    async def _offline(self, code: str, message: str, hint: str) -> None:
        same = self.state.status is TerminalStatus.OFFLINE
        since = self.state.since if same else self._clock.now()
        offline = replace(
            self.state, status=TerminalStatus.OFFLINE, since=since, reason=code, message=message, hint=hint
        )
        await self._change(offline)

    async def _change(self, new: TerminalState) -> None:
        old, self.state = self.state, new
        if new.status is not TerminalStatus.STARTING:
            self.first_pass.set()
        if old == new:
            return
        self._log_change(old, new)
        self._told.clear()
        try:
            await self._on_state(old, new)
        finally:
            self._told.set()

    def _log_change(self, old: TerminalState, new: TerminalState) -> None:
        if old.status == new.status:
            return
        if new.status is TerminalStatus.ONLINE:
            self._log.info("terminal online", terminal=new.terminal, driver=new.driver)
        else:
            self._log.warning(
                "terminal lost", terminal=new.terminal, driver=new.driver, code=new.reason, message=new.message
            )


def _sorted(faults: tuple[FaultReport, ...]) -> tuple[FaultReport, ...]:
    return tuple(sorted(faults, key=lambda fault: fault.code))


def _code_of(exc: HallctlError) -> str:
    match exc:
        case TransportError() | CodecError() | TerminalError() | DriverBug():
            return exc.code
    return "driver.error"
