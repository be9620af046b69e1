"""The command ``terminal.exercise``: the device does something that whoever stands before it sees or hears."""

from pathlib import Path

from hallctl.clock import Clock
from hallctl.controller.executor import Outcome
from hallctl.controller.floor import HallFloor
from hallctl.driver import Capability, NumberDisplay
from hallctl.errors import HallctlError, RequestRefused
from hallctl.hall.message import DisplayKind, DisplayMessage
from hallctl.model import Command, Reply, ReplyState

SHOWN_S = 8.0
DIGITS = "8888"
_CAN = {
    Capability.PRINTER: "ticket",
    Capability.DISPLAY: "digits",
    Capability.KEYPAD: "beep",
    Capability.CAMERA: "frame",
}


class Exerciser:
    """Audited as every command that acts; what a display has to show comes back by itself."""

    def __init__(self, floor: HallFloor, *, clock: Clock) -> None:
        self._floor = floor
        self._clock = clock

    async def exercise(self, command: Command, terminal: str, what: str | None) -> Reply:
        """Raises ``RequestRefused`` for what it can't do, and what the device raises."""
        what = self._what(terminal, what)
        data = {"terminal": terminal, "what": what}
        match what:
            case "ticket":
                reply = await self._floor.tickets.test_printer(command, terminal)
                return Reply(
                    reply.command,
                    reply.state,
                    reply.code,
                    reply.message,
                    reply.hint,
                    {**reply.data, **data, "done": "a test ticket comes out of it"},
                )
            case "digits":
                await self._show_digits(terminal)
                done = f"{DIGITS} stands on it for {SHOWN_S:g} seconds"
            case "beep":
                _raise(await self._floor.executor.beep(terminal))
                done = "it sounds"
            case _:
                picture = await self._floor.attendance.frame(terminal)
                # Paths of evidence stay on the box: whoever stands at it knows its evidence folder.
                done = f"a picture of {picture.size} bytes is among the evidence: {Path(picture.path).name}"
        return Reply(command.id, ReplyState.SUCCEEDED, data={**data, "done": done})

    def _what(self, terminal: str, what: str | None) -> str:
        known = self._floor.terminals.capabilities.get(terminal)
        if known is None:
            hint = "`hallctl status` lists the terminals; a quarantined one can't be exercised"
            raise RequestRefused("terminal.unknown", f"there is no terminal {terminal!r} that runs", hint=hint)
        able = [word for capability, word in _CAN.items() if capability in known]
        if not able or what not in (None, *able):
            hint = f"it can do: {', '.join(able) or 'nothing by itself (a pad: hallctl rate WINDOW)'}"
            raise RequestRefused("exercise.unsupported", f"{terminal} can't do {what or 'anything'}", hint=hint)
        return what or able[0]

    async def _show_digits(self, terminal: str) -> None:
        async def show(driver: NumberDisplay) -> None:
            await driver.show(DisplayMessage(DisplayKind.TEXT, (DIGITS,)))

        await self._floor.terminals.supervisors[terminal].act(show)
        self._floor.do_later(self._restore(terminal))

    async def _restore(self, terminal: str) -> None:
        await self._clock.sleep(SHOWN_S)
        if self._floor.hall.message_for(terminal) is None:
            await self._floor.executor.blank(terminal)
        else:
            await self._floor.executor.restore(terminal)


def _raise(outcome: Outcome) -> None:
    failed: HallctlError | None = next(iter(outcome.failed.values()), None)
    if failed is not None:
        raise failed
