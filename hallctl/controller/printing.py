"""Tickets: from a layout and its fields to paper, with one of three truths afterwards.

Printed, failed (surely nothing on paper) or unknown. An unknown ticket is never printed again by itself; its text
is in the event, so that a person can look.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from pydantic import ValidationError

from hallctl.clock import Clock
from hallctl.config.hall import HallDocument, TicketLayout
from hallctl.controller.executor import describe_error
from hallctl.controller.lanes import Action, Job, Lane, Printed, Refusal
from hallctl.controller.requests import PrintTicket
from hallctl.driver import Ability, PrintJob, PrintOutcome, PrintState, TicketPrinter
from hallctl.errors import ConfigError, HallctlError, LocalCodecError, OutboxError, RequestRefused, TerminalError
from hallctl.link import Progress
from hallctl.model import Command, Event, EventType, JsonObject, Reply, ReplyState
from hallctl.outbox import Doubtful
from hallctl.terminal.supervisor import TerminalSupervisor
from hallctl.ticket import Picture, Ticket, lay_out

TICKET_EVENTS = (EventType.TICKET_PRINTED, EventType.TICKET_FAILED, EventType.TICKET_UNKNOWN)
MarkCommand = Callable[[str, bool], Awaitable[None]]


async def _no_mark(_command: str, _untouched: bool) -> None:
    return


class TicketDesk:
    """Prints what ``ticket.print`` asks for. ``pictures`` are the layouts' logos, by what the layouts call them.

    ``mark`` keeps durably whether a command that waits has surely done nothing yet.
    """

    def __init__(
        self,
        document: HallDocument,
        printers: Mapping[str, TerminalSupervisor],
        commit: Callable[[Event], Awaitable[None]],
        clock: Clock,
        *,
        pictures: Mapping[str, Picture] | None = None,
        mark: MarkCommand = _no_mark,
    ) -> None:
        self._printers = printers
        self._lanes: dict[str, Lane] = {}
        self._commit = commit
        self._clock = clock
        self._mark = mark
        self._log = structlog.get_logger()
        self.adopt(document, pictures or {})

    def adopt(self, document: HallDocument, pictures: Mapping[str, Picture]) -> None:
        """Go on with another document, its logos read. Call it while ``printers`` are those that will print.

        Tickets that wait for a printer that stays keep waiting; those of a printer that is gone fail.
        """
        self._zone = ZoneInfo(document.duty_hours.timezone)  # the hall's time, whatever the box is set to
        self._layouts = {layout.id: layout for layout in document.tickets}
        self._pictures = pictures
        self._wait_s = document.printing.wait_s
        fallbacks = {terminal.id: terminal.fallback for terminal in document.terminals}
        limit = document.printing.queue_limit
        self.close(self._lanes.keys() - self._printers.keys())
        for name in self._printers:
            chain = chain_of(name, fallbacks)
            if name in self._lanes:
                self._lanes[name].adopt(chain, limit)
            else:
                self._lanes[name] = Lane(chain, self._printers, self._clock, limit)

    def close(self, printers: Iterable[str]) -> None:
        """These printers leave the hall: what waits for them fails now, what one of them prints is finished."""
        for name in printers:
            if (lane := self._lanes.pop(name, None)) is not None:
                lane.stop("this printer was taken out of the hall")

    def stop(self) -> None:
        """The daemon stops: jobs that wait fail now, the one that prints is finished."""
        for lane in self._lanes.values():
            lane.stop()

    async def print_ticket(self, command: Command, request: PrintTicket, progress: Progress) -> Reply:
        """Print one ticket; the reply and the event say what is known of the paper."""
        name = self._printer(request.printer)
        layout = self._layout(request.layout)
        ticket = self._lay_out(layout, self._fields(command, request.fields, self._clock.now()))
        data: JsonObject = {"printer": name, "layout": layout.id, "fields": request.fields, "command": command.id}

        def tell(reason: HallctlError) -> None:
            waits = f"waits for {name}: {reason.message}"
            progress(Reply(command.id, ReplyState.IN_PROGRESS, _code(reason), waits, reason.hint))

        async def mark(untouched: bool) -> None:
            await self._mark(command.id, untouched)

        try:
            job = Job(self._action(command, ticket), command.expires, self._wait_s, mark, tell)
            printed = await self._lanes[name].run(job)
        except Refusal as exc:
            return await self._failed(command, data, ticket, exc)
        return await self._ended(command, data, ticket, printed)

    async def test_printer(self, command: Command, name: str | None) -> Reply:
        """Print the printer's own self-test, and tell what it can do. A fault is told together with the table."""
        name = self._printer(name)
        abilities: tuple[Ability, ...] = ()

        async def test(driver: TicketPrinter) -> PrintOutcome:
            nonlocal abilities
            abilities = await driver.abilities()
            ticket = await asyncio.to_thread(driver.self_test_ticket, name)  # it may draw
            return await driver.print_ticket(PrintJob(command.id, ticket))

        try:
            outcome = await self._printers[name].act(test, timeout_s=90.0)
        except (TerminalError, LocalCodecError) as exc:
            data = _described(name, abilities)
            return Reply(command.id, ReplyState.FAILED, _code(exc), exc.message, exc.hint, data)
        except HallctlError as exc:
            return _unknown_reply(command.id, exc.message, _described(name, abilities))
        data = {**_described(name, abilities), "confirmed_by": outcome.confirmed_by}
        if outcome.state is PrintState.UNKNOWN:
            return _unknown_reply(command.id, outcome.reason, data)
        return Reply(command.id, ReplyState.SUCCEEDED, data=data)

    async def settle(self, doubtful: list[Doubtful], told: Mapping[str, Event]) -> dict[str, Reply]:
        """Say of each ticket that an earlier boot left half done which one it was; gives the replies that are known.

        ``told``: the ticket events that the log has of these commands; such a ticket is no longer in doubt.
        """
        replies: dict[str, Reply] = {}
        for one in doubtful:
            if one.name != "ticket.print" or one.untouched:
                continue
            if one.command in told:
                replies[one.command] = _reply_of(told[one.command])
                continue
            for printer in self._printers.values():
                if isinstance(printer.driver, TicketPrinter):
                    printer.driver.distrust_paper()
            await self._commit(Event(EventType.TICKET_UNKNOWN, self._remembered(one)))
        return replies

    def _remembered(self, one: Doubtful) -> JsonObject:
        reason = "the controller stopped while it printed"
        data: JsonObject = {"command": one.command, "reason": reason, "text": "", "fields": one.data.get("fields", {})}
        try:
            request = PrintTicket.model_validate(one.data)
            layout = self._layout(request.layout)
            command = Command(one.command, one.name, one.accepted_at, {})
            ticket = self._lay_out(layout, self._fields(command, request.fields, one.accepted_at))
            name = self._printer(request.printer)
            perhaps = list(self._lanes[name].printers)  # a fallback may have been at it
            return {**data, "printer": name, "printers": perhaps, "layout": layout.id, "text": ticket.text}
        except (ValidationError, HallctlError):  # the hall document has changed since: the fields must do
            return data

    async def _ended(self, command: Command, data: JsonObject, ticket: Ticket, printed: Printed) -> Reply:
        outcome = printed.outcome
        instead = {"instead_of": printed.instead_of, "because": printed.because} if printed.instead_of else {}
        data = {**data, "printer": printed.printer, **instead}
        if outcome.state is PrintState.UNKNOWN:
            told = {**data, "text": ticket.text, "reason": outcome.reason}
            await self._record(Event(EventType.TICKET_UNKNOWN, told), printed.printer, "tickets_unknown")
            return _unknown_reply(command.id, outcome.reason, {"printer": printed.printer, **instead})
        event = Event(EventType.TICKET_PRINTED, {**data, "confirmed_by": outcome.confirmed_by})
        await self._record(event, printed.printer, "tickets_printed")
        return _reply_of(event)

    async def _failed(self, command: Command, data: JsonObject, ticket: Ticket, refusal: Refusal) -> Reply:
        reason = refusal.reason
        event = Event(EventType.TICKET_FAILED, {**data, "text": ticket.text, **describe_error(reason)})
        await self._record(event, str(data["printer"]), "tickets_failed")
        late = _code(reason) == "command.expired" or self._clock.now() >= command.expires
        state = ReplyState.EXPIRED if late else ReplyState.FAILED
        return Reply(command.id, state, _code(reason), reason.message, reason.hint, {"printer": data["printer"]})

    async def _record(self, event: Event, printer: str, counter: str) -> None:
        """Keep what is known of the paper. A disk that refuses changes nothing on paper, so it changes no reply."""
        try:
            await self._commit(event)
            if printer in self._printers:  # it may have been taken out of the hall meanwhile
                await self._printers[printer].count(counter)
        except OutboxError as exc:
            self._log.error("a ticket's fate is not in the log", event_type=event.type, why=exc.message, **event.data)

    def _action(self, command: Command, ticket: Ticket) -> Action:
        async def action(driver: TicketPrinter) -> PrintOutcome:
            if self._clock.now() >= command.expires:
                raise RequestRefused("command.expired", "the command expired while it waited for the printer")
            return await driver.print_ticket(PrintJob(command.id, ticket, command.expires))

        return action

    def _lay_out(self, layout: TicketLayout, fields: Mapping[str, str]) -> Ticket:
        try:
            return lay_out(layout, fields, self._pictures)
        except ConfigError as exc:
            raise RequestRefused("fields.missing", exc.message, hint=exc.hint) from exc

    def _fields(self, command: Command, fields: Mapping[str, str], now: datetime) -> dict[str, str]:
        return {**built_in_fields(command.id, now.astimezone(self._zone)), **fields}

    def _printer(self, name: str | None) -> str:
        known = ", ".join(sorted(self._printers)) or "none"
        if name is None and len(self._printers) == 1:
            name = next(iter(self._printers))
        if name is None:
            raise RequestRefused("printer.unnamed", "several printers are here", hint=f"name one of: {known}")
        if name not in self._printers:
            raise RequestRefused("printer.unknown", f"there is no printer {name!r}", hint=f"printers here: {known}")
        return name

    def _layout(self, name: str | None) -> TicketLayout:
        known = ", ".join(sorted(self._layouts)) or "none"
        if name is None and len(self._layouts) == 1:
            name = next(iter(self._layouts))
        if name is None or name not in self._layouts:
            wrong = "no layout is named" if name is None else f"there is no ticket layout {name!r}"
            raise RequestRefused("layout.unknown", wrong, hint=f"layouts here: {known}")
        return self._layouts[name]


def built_in_fields(job: str, now: datetime) -> dict[str, str]:
    """What every layout may use without being given it: {date}, {time} of the hall, {job} (unique for each ticket)."""
    return {"date": now.strftime("%Y-%m-%d"), "time": now.strftime("%H:%M"), "job": job}


def chain_of(printer: str, fallbacks: Mapping[str, str | None]) -> tuple[str, ...]:
    """A printer, the one that takes over for it, the one that takes over for that one ...; each once."""
    chain = [printer]
    while (following := fallbacks.get(chain[-1])) is not None and following not in chain:
        chain.append(following)
    return tuple(chain)


def _code(exc: HallctlError) -> str:
    return str(describe_error(exc)["code"])


def _described(printer: str, abilities: tuple[Ability, ...]) -> dict[str, Any]:
    table = [{"name": one.name, "state": one.state.value, "detail": one.detail} for one in abilities]
    return {"printer": printer, "abilities": table}


def _reply_of(event: Event) -> Reply:
    """The final reply to a command whose ticket has this event."""
    data = event.data
    shown = {key: data[key] for key in ("printer", "confirmed_by", "instead_of", "because") if key in data}
    command = str(data["command"])
    match event.type:
        case EventType.TICKET_PRINTED:
            return Reply(command, ReplyState.SUCCEEDED, data=shown)
        case EventType.TICKET_FAILED:
            code, message, hint = (str(data.get(key, "")) for key in ("code", "message", "hint"))
            return Reply(command, ReplyState.FAILED, code, message, hint, shown)
    return _unknown_reply(command, str(data.get("reason", "")), shown)


def _unknown_reply(command: str, reason: str, data: JsonObject) -> Reply:
    return Reply(
        command,
        ReplyState.UNKNOWN,
        "ticket.unknown",
        f"the ticket may be on paper or not: {reason}",
        "look at the printer; print again only if there is no ticket",
        data,
    )
