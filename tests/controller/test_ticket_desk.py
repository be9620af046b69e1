"""Tickets: each ends as one of three truths, and the event says which ticket it was."""

from datetime import timedelta

import pytest

from hallctl.clock import ManualClock
from hallctl.config import HallDocument
from hallctl.controller.printing import TicketDesk
from hallctl.controller.requests import PrintTicket
from hallctl.driver import PrintOutcome, PrintState
from hallctl.errors import Fault, LocalCodecError, RequestRefused, TerminalOffline, TransportLost
from hallctl.model import Command, EventType, ReplyState

DOCUMENT = HallDocument.model_validate(
    {"tickets": [{"id": "queue", "lines": [{"text": "{number}"}, {"text": "{date} {time}"}]}]}
)


class Printer:
    """A supervisor whose driver does what the test says."""

    def __init__(self, outcome):
        self.outcome = outcome
        self.jobs = []
        self.counted = []

    async def act(self, action, timeout_s):
        return await action(self)

    async def print_ticket(self, job):
        self.jobs.append(job)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    async def count(self, name):
        self.counted.append(name)


class Bench:
    def __init__(self, outcome, printers=("printer-1",)):
        self.clock = ManualClock()
        self.printer = Printer(outcome)
        self.events = []
        self.desk = TicketDesk(DOCUMENT, dict.fromkeys(printers, self.printer), self.commit, self.clock)

    async def commit(self, event):
        self.events.append(event)

    async def print(self, expires_s=30, **request):
        command = Command("c-1", "ticket.print", self.clock.now() + timedelta(seconds=expires_s), {})
        request = {"fields": {"number": "A001"}, **request}
        return await self.desk.print_ticket(command, PrintTicket.model_validate(request), self.progress.append)


async def test_a_confirmed_ticket_is_printed_under_the_commands_id_and_in_the_halls_time():
    bench = Bench(PrintOutcome(PrintState.PRINTED, "gs_h"))
    reply = await bench.print()
    assert (reply.state, reply.data["confirmed_by"]) == (ReplyState.SUCCEEDED, "gs_h")
    (job,) = bench.printer.jobs
    assert (job.id, job.ticket.text) == ("c-1", "A001\n2026-03-02 09:00")
    assert [event.type for event in bench.events] == [EventType.TICKET_PRINTED]
    assert bench.printer.counted == ["tickets_printed"]


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (Fault("paper.end", "no paper", hint="put in a roll"), "paper.end"),
        (LocalCodecError("the character BEL can't be printed"), "request.invalid"),
        (TerminalOffline("it is off", code="port.refused"), "port.refused"),
    ],
)
async def test_what_surely_is_not_on_paper_has_failed_with_its_code_and_text(refusal, code):
    bench = Bench(refusal)
    reply = await bench.print()
    assert (reply.state, reply.code) == (ReplyState.FAILED, code)
    (event,) = bench.events
    assert event.type is EventType.TICKET_FAILED
    assert event.data["text"].startswith("A001")


@pytest.mark.parametrize("doubt", [PrintOutcome(PrintState.UNKNOWN, reason="paper end"), TransportLost("unplugged")])
async def test_what_may_be_on_paper_is_unknown_and_is_tried_only_once(doubt):
    bench = Bench(doubt)
    reply = await bench.print()
    assert reply.state is ReplyState.UNKNOWN
    assert len(bench.printer.jobs) == 1
    (event,) = bench.events
    assert event.type is EventType.TICKET_UNKNOWN
    assert event.data["text"].startswith("A001")


async def test_a_command_that_expired_while_it_waited_for_the_printer_is_not_printed():
    bench = Bench(PrintOutcome(PrintState.PRINTED))
    reply = await bench.print(expires_s=0)
    assert reply.state is ReplyState.EXPIRED
    assert bench.printer.jobs == []


@pytest.mark.parametrize(
    ("request_data", "code"),
    [
        ({"printer": "printer-9"}, "printer.unknown"),
        ({"printer": "printer-1", "layout": "nothing"}, "layout.unknown"),
        ({"fields": {}}, "fields.missing"),
        ({}, "printer.unnamed"),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused_with_what_there_is(request_data, code):
    bench = Bench(PrintOutcome(PrintState.PRINTED), printers=("printer-1", "printer-2"))
    if code == "fields.missing":
        request_data = {**request_data, "printer": "printer-1"}
    with pytest.raises(RequestRefused) as caught:
        await bench.print(**request_data)
    assert caught.value.code == code
    assert bench.events == []
