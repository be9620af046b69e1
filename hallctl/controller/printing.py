"""Tickets: from a layout and its fields to paper, with one of three truths afterwards.

Printed, failed (surely nothing on paper) or unknown. An unknown ticket is never printed again by itself; its text
is in the event, so that a person can look.
"""

from collections.abc import Awaitable, Callable, Mapping
from zoneinfo import ZoneInfo

from hallctl.clock import Clock
from hallctl.config.hall import HallDocument, TicketLayout
from hallctl.controller.executor import describe_error
from hallctl.controller.requests import PrintTicket
from hallctl.driver import PrintJob, PrintOutcome, PrintState, TicketPrinter
from hallctl.errors import ConfigError, Fault, HallctlError, LocalCodecError, RequestRefused, TerminalError
from hallctl.model import Command, Event, EventType, JsonObject, Reply, ReplyState
from hallctl.terminal.supervisor import TerminalSupervisor
from hallctl.ticket import Ticket
from hallctl.ticket.layout import lay_out

PRINT_TIMEOUT_S = 90.0


class TicketDesk:
    """Prints what ``ticket.print`` asks for."""

    def __init__(
        self,
        document: HallDocument,
        printers: Mapping[str, TerminalSupervisor],
        commit: Callable[[Event], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._zone = ZoneInfo(document.duty_hours.timezone)  # the hall's time, whatever the box is set to
        self._layouts = {layout.id: layout for layout in document.tickets}
        self._printers = printers
        self._commit = commit
        self._clock = clock

    async def print_ticket(self, command: Command, request: PrintTicket) -> Reply:
        """Print one ticket; the reply and the event say what is known of the paper."""
        name, printer = self._printer(request.printer)
        layout = self._layout(request.layout)
        ticket = self._lay_out(layout, request.fields)
        data: JsonObject = {"printer": name, "layout": layout.id, "fields": request.fields, "command": command.id}
        try:
            outcome = await printer.act(self._action(command, ticket), timeout_s=PRINT_TIMEOUT_S)
        except (TerminalError, LocalCodecError, RequestRefused) as exc:
            await printer.count("tickets_failed")
            return await self._failed(command, data, ticket, exc)
        except HallctlError as exc:
            outcome = PrintOutcome(PrintState.UNKNOWN, reason=exc.message)
        if outcome.state is PrintState.UNKNOWN:
            await printer.count("tickets_unknown")
            return await self._unknown(command, data, ticket, outcome)
        await self._commit(Event(EventType.TICKET_PRINTED, {**data, "confirmed_by": outcome.confirmed_by}))
        await printer.count("tickets_printed")
        return Reply(command.id, ReplyState.SUCCEEDED, data={"printer": name, "confirmed_by": outcome.confirmed_by})

    def _action(self, command: Command, ticket: Ticket) -> Callable[[TicketPrinter], Awaitable[PrintOutcome]]:
        async def action(driver: TicketPrinter) -> PrintOutcome:
            if self._clock.now() >= command.expires:
                raise RequestRefused("command.expired", "the command expired while it waited for the printer")
            return await driver.print_ticket(PrintJob(command.id, ticket))

        return action

    def _lay_out(self, layout: TicketLayout, fields: Mapping[str, str]) -> Ticket:
        try:
            return lay_out(layout, self._fields(fields))
        except ConfigError as exc:
            raise RequestRefused("fields.missing", exc.message, hint=exc.hint) from exc

    def _fields(self, fields: Mapping[str, str]) -> dict[str, str]:
        now = self._clock.now().astimezone(self._zone)
        return {"date": now.strftime("%Y-%m-%d"), "time": now.strftime("%H:%M"), **fields}

    def _printer(self, name: str | None) -> tuple[str, TerminalSupervisor]:
        known = ", ".join(sorted(self._printers)) or "none"
        if name is None and len(self._printers) == 1:
            name = next(iter(self._printers))
        if name is None:
            raise RequestRefused("printer.unnamed", "several printers are here", hint=f"name one of: {known}")
        if name not in self._printers:
            raise RequestRefused("printer.unknown", f"there is no printer {name!r}", hint=f"printers here: {known}")
        return name, self._printers[name]

    def _layout(self, name: str | None) -> TicketLayout:
        known = ", ".join(sorted(self._layouts)) or "none"
        if name is None and len(self._layouts) == 1:
            name = next(iter(self._layouts))
        if name is None or name not in self._layouts:
            wrong = "no layout is named" if name is None else f"there is no ticket layout {name!r}"
            raise RequestRefused("layout.unknown", wrong, hint=f"layouts here: {known}")
        return self._layouts[name]

    async def _failed(self, command: Command, data: JsonObject, ticket: Ticket, exc: HallctlError) -> Reply:
        why = describe_error(exc)
        await self._commit(Event(EventType.TICKET_FAILED, {**data, "text": ticket.text, **why}))
        refused = isinstance(exc, Fault | LocalCodecError) or why["code"] != "command.expired"
        state = ReplyState.FAILED if refused else ReplyState.EXPIRED
        return Reply(command.id, state, why["code"], exc.message, exc.hint, {"printer": data["printer"]})

    async def _unknown(self, command: Command, data: JsonObject, ticket: Ticket, outcome: PrintOutcome) -> Reply:
        await self._commit(Event(EventType.TICKET_UNKNOWN, {**data, "text": ticket.text, "reason": outcome.reason}))
        return Reply(
            command.id,
            ReplyState.UNKNOWN,
            "ticket.unknown",
            f"the ticket may be on paper or not: {outcome.reason}",
            "look at the printer; print again only if there is no ticket",
            {"printer": data["printer"]},
        )
