"""The command ``terminal.diagnose``: facts are gathered, then judged; devices are asked in their turn."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hallctl.clock import Clock
from hallctl.config import ControllerConfig
from hallctl.config.hall import Terminal as TerminalConfig
from hallctl.controller.alerts import AlertBook
from hallctl.controller.diagnosis.box import BoxLooker
from hallctl.controller.diagnosis.ports import port_facts
from hallctl.controller.diagnosis.trial import Line, try_addresses, try_line, uart
from hallctl.controller.floor import HallFloor
from hallctl.controller.terminals import SharedLine
from hallctl.diagnose import BusFacts, PortFacts, TerminalFacts, Trial, judge_box, judge_terminal
from hallctl.diagnose.evidence import Wrong
from hallctl.driver import Capability, load_driver
from hallctl.errors import HallctlError, RequestRefused
from hallctl.link import Uplink
from hallctl.link.configuration import Reported
from hallctl.model import JsonObject, TerminalState, TerminalStatus
from hallctl.outbox import Outbox
from hallctl.terminal.supervisor import TerminalSupervisor
from hallctl.transport import PortAddress
from hallctl.transport.tap import Direction, Tap

BUDGET_S = 40.0  # of all trials of one question
ASKED_S = 5.0  # how long a device that works may take to be polled
FACTS_BYTES = 64 * 1024  # of terminals, beside the findings: a reply has 128 KiB
BYTES_SHOWN = 48
AT_WORK, LOOK_S = "it is at work", 0.05
_WORTH_A_TRIAL = frozenset({"device.mute", "device.garbage", "device.mismatch"})


class Diagnosis:
    """One question at a time: two at once would disturb each other's trials."""

    def __init__(
        self,
        config: ControllerConfig,
        floor: HallFloor,
        outbox: Outbox,
        *,
        alerts: AlertBook,
        uplink: Uplink | None,
        reported: Callable[[], Reported | None],
        clock: Clock,
    ) -> None:
        self._floor = floor
        self._clock = clock
        self._box = BoxLooker(config, outbox, alerts=alerts, uplink=uplink, reported=reported, clock=clock)
        self._one = asyncio.Lock()

    async def of(self, terminal: str | None, *, probe: bool) -> JsonObject:
        """Findings and facts of one terminal, or of the box. Raises ``RequestRefused`` for an unknown terminal."""
        states = self._floor.states()
        if terminal is not None and terminal not in states:
            hint = f"terminals here: {', '.join(sorted(states)) or 'none'}"
            raise RequestRefused("terminal.unknown", f"there is no terminal {terminal!r}", hint=hint)
        async with self._one:
            names = [terminal] if terminal is not None else list(states)
            facts = await self._facts_of(names, probe=probe)
            capabilities = self._floor.terminals.capabilities.values()
            box = await self._box.look(cameras=any(Capability.CAMERA in one for one in capabilities))
        found = [finding for one in facts for finding in judge_terminal(one)]
        judged = judge_box(box, found) if terminal is None else found
        return {
            "terminal": terminal,
            "findings": [one.to_dict() for one in judged],
            "box": box.to_dict(),
            "facts": _fitting(facts),
        }

    async def _facts_of(self, names: Sequence[str], *, probe: bool) -> list[TerminalFacts]:
        until = self._clock.monotonic() + BUDGET_S
        silent_buses: dict[str, Trial] = {}
        found = []
        for name in names:
            left_s = until - self._clock.monotonic()
            found.append(await self._facts(name, silent_buses, left_s if probe else 0.0))
        return found

    async def _facts(self, name: str, silent_buses: dict[str, Trial], budget_s: float) -> TerminalFacts:
        """``budget_s`` 0: nothing is asked."""
        floor = self._floor
        config = next((one for one in floor.loaded.document.terminals if one.id == name), None)
        shared = floor.terminals.line_of(name)
        trial, extra = Trial(), PortFacts("", "")
        answer = await self._answer(name) if budget_s > 0 else ""
        state = floor.states()[name]
        if budget_s > 0 and config is not None and self._wants_trial(state):
            trial, extra = await self._try(config, shared, silent_buses, budget_s)
        port = await _port(config.port if config is not None else None, extra)
        bus = await self._bus(name, shared, extra) if shared is not None else None
        return self._put_together(state, config, port=port, bus=bus, trial=trial, answer=answer)

    def _put_together(
        self,
        state: TerminalState,
        config: TerminalConfig | None,
        *,
        port: PortFacts | None,
        bus: BusFacts | None,
        trial: Trial,
        answer: str,
    ) -> TerminalFacts:
        name, floor = state.terminal, self._floor
        supervisor = floor.terminals.supervisors.get(name)
        was = floor.history.was_online(name)
        return TerminalFacts(
            terminal=name,
            driver=state.driver,
            status=state.status.value,
            since=state.since.isoformat(timespec="seconds"),
            reason=state.reason or "",
            message=self._said(state),
            hint=state.hint,
            faults=tuple(Wrong(one.code, one.severity.value, one.message, one.hint) for one in state.faults),
            info=dict(state.info),
            port=port,
            bus=bus,
            address=config.address if config is not None else None,
            trial=trial,
            answer=answer,
            waiting=supervisor.waiting if supervisor is not None and answer == AT_WORK else 0,
            sight=floor.attendance.blindness(name),
            was_online=was.isoformat(timespec="seconds") if was is not None else "",
            history=floor.history.of(name),
            traffic=_last_bytes(floor.terminals.taps.get(name)),
        )

    def _said(self, state: TerminalState) -> str:
        """A quarantined terminal's mistake is told with its place in the document."""
        mistake = self._floor.loaded.quarantined.get(state.terminal)
        if state.status is not TerminalStatus.QUARANTINED or mistake is None:
            return state.message
        place = mistake.pointer.removeprefix("/").replace("/", ".")
        where = f"{mistake.path}:{mistake.line}: " if mistake.path and mistake.line else ""
        return f"{where}{place}: {mistake.message}" if place else f"{where}{mistake.message}"

    async def _answer(self, name: str) -> str:
        """What the device says when it is asked now, in its turn."""
        supervisor = self._floor.terminals.supervisors.get(name)
        if supervisor is None or supervisor.state.status is not TerminalStatus.ONLINE:
            return ""
        if not await self._has_turn(supervisor):
            return AT_WORK
        try:
            health = await supervisor.ask(ASKED_S)
        except HallctlError as exc:
            return f"error: {exc.message}"
        faults = ", ".join(fault.code for fault in health.faults)
        return f"faults: {faults}" if faults else "all is well"

    async def _has_turn(self, supervisor: TerminalSupervisor) -> bool:
        """A device that is at work for a moment is not busy; one that is for longer must not be asked."""
        until = self._clock.monotonic() + ASKED_S
        while supervisor.waiting:
            if self._clock.monotonic() >= until:
                return False
            await self._clock.sleep(LOOK_S)
        return True

    def _wants_trial(self, state: TerminalState) -> bool:
        return state.status is TerminalStatus.OFFLINE and state.reason in _WORTH_A_TRIAL

    async def _try(
        self, config: TerminalConfig, shared: SharedLine | None, silent_buses: dict[str, Trial], budget_s: float
    ) -> tuple[Trial, PortFacts]:
        """Never on a port that others use: there only addresses are asked, between their calls."""
        url = config.port or (shared.config.port if shared is not None else "")
        plugin = load_driver(config.driver)
        if not url.startswith("serial:"):
            return Trial(), PortFacts("", "")
        line = Line(PortAddress.parse(url), plugin, plugin.options.model_validate(config.options), config.address)
        terminals = self._floor.terminals
        taken = self._taken(config, shared)
        if shared is not None and self._works(shared, config.id):
            return await try_addresses(shared.bus, line, self._clock, budget_s, taken), PortFacts("", "")
        if shared is not None and shared.config.id in silent_buses:
            return silent_buses[shared.config.id], PortFacts("", "")
        names = shared.members if shared is not None else (config.id,)
        async with terminals.resting(names, shared.config.id if shared is not None else None):
            seen = await asyncio.to_thread(uart, line.port.path)
            trial = await try_line(line, self._clock, budget_s, taken)
        if shared is not None and not any(one.answered for one in trial.attempts):
            silent_buses[shared.config.id] = trial
        return trial, PortFacts("", "", modem=seen.modem, errors=seen.errors)

    def _taken(self, config: TerminalConfig, shared: SharedLine | None) -> frozenset[int]:
        document = self._floor.loaded.document
        same = [one for one in document.terminals if shared is not None and one.bus == config.bus]
        return frozenset(one.address for one in same if one.address is not None and one.id != config.id)

    def _works(self, shared: SharedLine, but: str) -> bool:
        supervisors = self._floor.terminals.supervisors
        return any(supervisors[one].state.status is TerminalStatus.ONLINE for one in shared.members if one != but)

    async def _bus(self, name: str, shared: SharedLine, extra: PortFacts) -> BusFacts:
        supervisors = self._floor.terminals.supervisors
        port = await _port(shared.config.port, extra)
        assert port is not None  # noqa: S101  # a bus has one
        if shared.bus.is_open and not extra.modem:
            seen = await asyncio.to_thread(shared.bus.uart)
            port = replace(port, modem=seen.modem, errors=seen.errors)
        return BusFacts(
            name=shared.config.id,
            port=port,
            is_open=shared.bus.is_open,
            members={one: supervisors[one].state.status.value for one in shared.members if one != name},
            counters=dict(shared.bus.stats),
        )


async def _port(url: str | None, extra: PortFacts) -> PortFacts | None:
    """The facts from outside, with what was seen from inside."""
    if url is None:
        return None
    found = await asyncio.to_thread(port_facts, url)
    return replace(found, modem=extra.modem, errors=extra.errors)


def _last_bytes(tap: Tap | None) -> tuple[dict[str, str], ...]:
    """The newest chunk sent and the newest received, with its time."""
    newest = {chunk.direction: chunk for chunk in (tap.ring() if tap is not None else ()) if chunk.data}
    ways = {"sent": newest.get(Direction.OUT), "received": newest.get(Direction.IN)}
    return tuple(
        {
            "direction": word,
            "at": chunk.at.isoformat(timespec="milliseconds"),
            "data": chunk.data[:BYTES_SHOWN].hex(" "),
        }
        for word, chunk in ways.items()
        if chunk is not None
    )


def _fitting(facts: Sequence[TerminalFacts]) -> dict[str, Any]:
    """Those with troubles first, as many as a reply has room for."""
    found: dict[str, Any] = {}
    room = FACTS_BYTES
    for one in sorted(facts, key=lambda one: one.status == "online" and not one.faults):
        told = one.to_dict()
        room -= len(json.dumps(told, default=str))
        if room < 0 and found:
            break
        found[one.terminal] = told
    return found
