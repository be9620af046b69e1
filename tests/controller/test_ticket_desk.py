"""Tickets: each ends as one of three truths, and the event says which ticket it was."""

import asyncio
from datetime import timedelta

import pytest

from hallctl.clock import ManualClock
from hallctl.config import HallDocument
from hallctl.controller.printing import TicketDesk, chain_of
from hallctl.controller.requests import PrintTicket
from hallctl.driver import Ability, AbilityState, PrintOutcome, PrintState
from hallctl.errors import (
    Fault,
    LocalCodecError,
    NothingDone,
    OutboxError,
    RequestRefused,
    TerminalOffline,
    TransportLost,
)
from hallctl.model import Command, Event, EventType, FaultReport, ReplyState, Severity, TerminalState, TerminalStatus
from hallctl.outbox import Doubtful
from hallctl.ticket import self_test_ticket

PAPER_END = Fault("paper.end", "there is no paper", hint="put in a roll")
PRINTED = PrintOutcome(PrintState.PRINTED, "gs_h")
LAYOUT = {"id": "queue", "lines": [{"text": "{number}"}, {"text": "{date} {time}"}]}


class Printer:
    """A supervisor whose driver does what the test says: an outcome, an error to raise, or a list of these in turn."""

    def __init__(self, clock, outcome):
        self.clock = clock
        self.outcomes = outcome if isinstance(outcome, list) else [outcome]
        self.jobs = []
        self.counted = []
        self.seconds = 0.0
        self.driver = None
        self.state = TerminalState("printer-1", "test", TerminalStatus.ONLINE, clock.now())

    def has_fault(self, fault=None):
        report = FaultReport(fault, Severity.ERROR, "", "") if fault else None
        status = TerminalStatus.ONLINE
        self.state = TerminalState("p", "test", status, self.clock.now(), faults=(report,) if report else ())

    async def act(self, action, timeout_s):
        return await action(self)

    async def print_ticket(self, job):
        self.jobs.append(job)
        await self.clock.sleep(self.seconds)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def abilities(self):
        return (Ability("cuts", AbilityState.YES, "seen"),)

    def self_test_ticket(self, terminal):
        return self_test_ticket(terminal)

    async def count(self, name):
        self.counted.append(name)


class Bench:
    """A desk with printers p1, p2 ... in the order of their outcomes; ``fallbacks`` as in hall.yaml."""

    def __init__(self, *outcomes, fallbacks=None, wait_s=0, queue_limit=16):
        self.clock = ManualClock()
        self.printers = {f"p{n}": Printer(self.clock, outcome) for n, outcome in enumerate(outcomes, 1)}
        self.events, self.progress, self.marks = [], [], []
        document = HallDocument.model_validate(
            {
                "tickets": [LAYOUT],
                "printing": {"wait_s": wait_s, "queue_limit": queue_limit},
                "terminals": [
                    {"id": name, "driver": "test", "fallback": (fallbacks or {}).get(name)} for name in self.printers
                ],
            }
        )
        self.desk = TicketDesk(document, self.printers, self.commit, self.clock, mark=self.mark)

    async def commit(self, event):
        self.events.append(event)

    async def mark(self, command, untouched):
        self.marks.append((command, untouched))

    async def print(self, expires_s=30, command="c-1", **request):
        given = Command(command, "ticket.print", self.clock.now() + timedelta(seconds=expires_s), {})
        request = {"fields": {"number": "A001"}, "printer": "p1", **request}
        return await self.desk.print_ticket(given, PrintTicket.model_validate(request), self.progress.append)

    async def later(self, work, seconds):
        """Start some work and let time pass."""
        task = asyncio.create_task(work)
        await self.clock.advance(seconds)
        return task

    @property
    def types(self):
        return [event.type for event in self.events]


async def test_a_confirmed_ticket_is_printed_under_the_commands_id_and_in_the_halls_time():
    bench = Bench(PRINTED)
    reply = await bench.print()
    assert (reply.state, reply.data["confirmed_by"]) == (ReplyState.SUCCEEDED, "gs_h")
    (job,) = bench.printers["p1"].jobs
    assert (job.id, job.ticket.text) == ("c-1", "A001\n2026-03-02 09:00")
    assert bench.types == [EventType.TICKET_PRINTED]
    assert bench.printers["p1"].counted == ["tickets_printed"]
    assert bench.marks == [], "a ticket that need not wait costs no second commit"


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (PAPER_END, "paper.end"),
        (LocalCodecError("the character BEL can't be printed"), "request.invalid"),
        (TerminalOffline("it is off", code="port.refused"), "port.refused"),
        (NothingDone("it did not answer", code="device.mute"), "device.mute"),
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
async def test_what_may_be_on_paper_is_unknown_and_is_tried_only_once_and_on_no_other_printer(doubt):
    bench = Bench(doubt, PRINTED, fallbacks={"p1": "p2"}, wait_s=20)
    reply = await bench.print()
    assert reply.state is ReplyState.UNKNOWN
    assert len(bench.printers["p1"].jobs) == 1
    assert bench.printers["p2"].jobs == []
    (event,) = bench.events
    assert event.type is EventType.TICKET_UNKNOWN
    assert event.data["text"].startswith("A001")


async def test_a_command_that_expired_while_it_waited_for_the_printer_is_not_printed():
    bench = Bench(PRINTED)
    reply = await bench.print(expires_s=0)
    assert reply.state is ReplyState.EXPIRED
    assert bench.printers["p1"].jobs == []


@pytest.mark.parametrize(
    ("request_data", "code"),
    [
        ({"printer": "printer-9"}, "printer.unknown"),
        ({"layout": "nothing"}, "layout.unknown"),
        ({"fields": {}}, "fields.missing"),
        ({"printer": None}, "printer.unnamed"),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused_with_what_there_is(request_data, code):
    bench = Bench(PRINTED, PRINTED)
    with pytest.raises(RequestRefused) as caught:
        await bench.print(**request_data)
    assert caught.value.code == code
    assert bench.events == []


@pytest.mark.parametrize("refusal", [PAPER_END, TerminalOffline("it is off"), NothingDone("half open")])
async def test_the_fallback_takes_over_at_once_and_the_reply_says_so(refusal):
    bench = Bench(refusal, PRINTED, fallbacks={"p1": "p2"}, wait_s=20)
    reply = await bench.print()
    assert reply.state is ReplyState.SUCCEEDED
    assert (reply.data["printer"], reply.data["instead_of"]) == ("p2", "p1")
    (event,) = bench.events
    assert (event.type, event.data["printer"], event.data["instead_of"]) == (EventType.TICKET_PRINTED, "p2", "p1")
    assert event.data["because"] == refusal.message
    assert bench.printers["p1"].counted == []
    assert bench.printers["p2"].counted == ["tickets_printed"]


def test_printers_may_take_over_for_each_other_and_in_chains():
    assert chain_of("a", {"a": "b", "b": "a"}) == ("a", "b")
    assert chain_of("a", {"a": "b", "b": "c", "c": None}) == ("a", "b", "c")
    assert chain_of("a", {}) == ("a",)


async def test_a_ticket_waits_for_paper_says_so_and_is_printed_once():
    bench = Bench([PAPER_END, PRINTED], wait_s=20)
    bench.printers["p1"].has_fault("paper.end")
    task = await bench.later(bench.print(), 5)
    assert not task.done()
    (told,) = bench.progress
    assert (told.state, told.code) == (ReplyState.IN_PROGRESS, "paper.end")
    assert "there is no paper" in told.message
    bench.printers["p1"].has_fault()
    await bench.clock.advance(1)
    assert (await task).state is ReplyState.SUCCEEDED
    assert bench.types == [EventType.TICKET_PRINTED]
    assert bench.marks == [("c-1", True), ("c-1", False)], "waiting was kept as untouched, and taken back before"


async def test_a_ticket_that_waited_long_enough_has_failed_with_the_printers_own_reason():
    bench = Bench(PAPER_END, wait_s=20)
    bench.printers["p1"].has_fault("paper.end")
    task = await bench.later(bench.print(), 19)
    assert not task.done()
    await bench.clock.advance(2)
    reply = await task
    assert (reply.state, reply.code) == (ReplyState.FAILED, "paper.end")
    assert len(bench.printers["p1"].jobs) == 1
    assert bench.types == [EventType.TICKET_FAILED]


async def test_a_ticket_never_waits_beyond_its_own_expiry():
    bench = Bench(PAPER_END, wait_s=60)
    bench.printers["p1"].has_fault("paper.end")
    task = await bench.later(bench.print(expires_s=5), 6)
    reply = await task
    assert (reply.state, reply.code) == (ReplyState.EXPIRED, "paper.end")


async def test_a_ticket_that_no_printer_can_ever_print_does_not_wait():
    bench = Bench(LocalCodecError("U+0007"), wait_s=60)
    assert (await bench.print()).code == "request.invalid"


async def test_tickets_are_printed_in_the_order_of_their_commands_also_after_waiting():
    bench = Bench([PAPER_END, PRINTED], wait_s=20)
    printer = bench.printers["p1"]
    printer.has_fault("paper.end")
    tasks = [await bench.later(bench.print(command=f"c-{n}"), 1) for n in range(1, 5)]
    printer.has_fault()
    await bench.clock.advance(2)
    assert [(await task).state for task in tasks] == [ReplyState.SUCCEEDED] * 4
    assert [job.id for job in printer.jobs] == ["c-1", "c-1", "c-2", "c-3", "c-4"]


async def test_the_queue_has_a_limit_and_the_ticket_beyond_it_fails_at_once():
    bench = Bench(PRINTED, queue_limit=2, wait_s=20)
    bench.printers["p1"].seconds = 3.0
    waiting = [await bench.later(bench.print(command=f"c-{n}"), 0) for n in (1, 2)]
    reply = await bench.print(command="c-3")
    assert (reply.state, reply.code) == (ReplyState.FAILED, "terminal.busy")
    await bench.clock.advance(7)
    assert [(await task).state for task in waiting] == [ReplyState.SUCCEEDED] * 2


async def test_a_ticket_behind_slow_ones_expires_and_says_that_nothing_was_printed():
    bench = Bench(PRINTED, wait_s=60)
    bench.printers["p1"].seconds = 30.0
    first = await bench.later(bench.print(command="c-1", expires_s=100), 0)
    second = await bench.later(bench.print(command="c-2", expires_s=10), 11)
    reply = await second
    assert (reply.state, reply.code) == (ReplyState.EXPIRED, "terminal.busy")
    await bench.clock.advance(30)
    assert (await first).state is ReplyState.SUCCEEDED


async def test_a_stop_lets_waiting_tickets_fail_at_once():
    bench = Bench(PAPER_END, wait_s=600)
    bench.printers["p1"].has_fault("paper.end")
    task = await bench.later(bench.print(expires_s=900), 2)
    bench.desk.stop()
    await bench.clock.advance(1)
    reply = await task
    assert (reply.state, reply.code) == (ReplyState.FAILED, "paper.end")


async def test_a_self_test_tells_the_table_also_when_the_printer_has_a_fault():
    bench = Bench(PAPER_END)
    command = Command("c-1", "printer.test", bench.clock.now() + timedelta(seconds=30), {})
    reply = await bench.desk.test_printer(command, "p1")
    assert (reply.state, reply.code) == (ReplyState.FAILED, "paper.end")
    assert reply.data["abilities"] == [{"name": "cuts", "state": "yes", "detail": "seen"}]
    bench = Bench(PRINTED)
    assert (await bench.desk.test_printer(command, None)).state is ReplyState.SUCCEEDED
    assert "TEST" in bench.printers["p1"].jobs[0].ticket.text


async def test_what_an_earlier_boot_began_is_told_with_its_text_and_what_waited_is_not():
    bench = Bench(PRINTED)
    at = bench.clock.now()
    data = {"printer": "p1", "layout": "queue", "fields": {"number": "B007"}}
    await bench.desk.settle(
        [
            Doubtful("c-1", "ticket.print", at, data, untouched=False),
            Doubtful("c-2", "ticket.print", at, data, untouched=True),
            Doubtful("c-3", "number.call", at, {}, untouched=False),
            Doubtful("c-4", "ticket.print", at, {"layout": "gone", "fields": {"number": "C1"}}, untouched=False),
        ],
        {},
    )
    first, second = bench.events
    assert (first.type, first.data["command"]) == (EventType.TICKET_UNKNOWN, "c-1")
    assert first.data["text"] == "B007\n2026-03-02 09:00"
    assert (second.data["command"], second.data["fields"]) == ("c-4", {"number": "C1"})


async def test_a_ticket_whose_event_is_in_the_log_is_no_longer_in_doubt_after_a_crash():
    bench = Bench(PRINTED)
    at = bench.clock.now()
    doubtful = [Doubtful(f"c-{n}", "ticket.print", at, {}, untouched=False) for n in (1, 2, 3)]
    told = {
        "c-1": Event(EventType.TICKET_PRINTED, {"command": "c-1", "printer": "p1", "confirmed_by": "gs_h"}),
        "c-2": Event(EventType.TICKET_FAILED, {"command": "c-2", "printer": "p1", "code": "paper.end"}),
        "c-3": Event(EventType.TICKET_UNKNOWN, {"command": "c-3", "printer": "p1", "reason": "unplugged"}),
    }
    replies = await bench.desk.settle(doubtful, told)
    assert [(reply.state, reply.code) for reply in replies.values()] == [
        (ReplyState.SUCCEEDED, ""),
        (ReplyState.FAILED, "paper.end"),
        (ReplyState.UNKNOWN, "ticket.unknown"),
    ]
    assert bench.events == []


async def test_a_disk_that_refuses_the_event_changes_nothing_in_the_reply_about_the_paper():
    for outcome, state in ((PRINTED, ReplyState.SUCCEEDED), (PrintOutcome(PrintState.UNKNOWN), ReplyState.UNKNOWN)):
        bench = Bench(outcome)

        async def full(_event):
            raise OutboxError("disk full")

        bench.desk._commit = full
        assert (await bench.print()).state is state


async def test_a_stop_begins_no_other_ticket_and_takes_no_new_one():
    bench = Bench(PRINTED, wait_s=60)
    bench.printers["p1"].seconds = 4.0
    tasks = [await bench.later(bench.print(command=f"c-{n}", expires_s=100), 0) for n in range(1, 5)]
    await bench.clock.advance(1)
    bench.desk.stop()
    late = await bench.print(command="late")
    await bench.clock.advance(5)
    states = [(await task).state for task in tasks]
    assert states == [ReplyState.SUCCEEDED, *[ReplyState.FAILED] * 3]
    assert late.state is ReplyState.FAILED
    assert [job.id for job in bench.printers["p1"].jobs] == ["c-1"]


async def test_nobody_overtakes_a_ticket_whose_waiting_is_just_being_written_down():
    bench = Bench(PRINTED, wait_s=60)
    bench.printers["p1"].seconds = 1.0
    slow = asyncio.Event()

    async def slow_mark(command, untouched):
        if command == "second" and untouched:
            await slow.wait()

    bench.desk._mark = slow_mark
    tasks = [await bench.later(bench.print(command="first"), 0), await bench.later(bench.print(command="second"), 1.5)]
    tasks.append(await bench.later(bench.print(command="third"), 2))
    slow.set()
    await bench.clock.advance(5)
    assert {(await task).state for task in tasks} == {ReplyState.SUCCEEDED}
    assert [job.id for job in bench.printers["p1"].jobs] == ["first", "second", "third"]


async def test_a_printer_that_looks_able_and_refuses_is_tried_less_and_less_and_told_once():
    bench = Bench(PAPER_END, wait_s=15)
    reply = await (await bench.later(bench.print(), 16))
    assert reply.code == "paper.end"
    assert len(bench.printers["p1"].jobs) <= 12
    assert len(bench.progress) == 1


async def test_a_clock_that_is_set_back_does_not_make_a_ticket_wait_longer():
    bench = Bench(PAPER_END, wait_s=15)
    bench.printers["p1"].has_fault("paper.end")
    task = await bench.later(bench.print(expires_s=30), 1)
    bench.clock.step(timedelta(hours=-1))
    await bench.clock.advance(15)
    assert (await task).code == "paper.end"


async def test_a_ticket_waits_for_the_fallback_where_only_that_one_can_ever_print_it():
    bench = Bench(LocalCodecError("U+3400"), [PAPER_END, PRINTED], fallbacks={"p1": "p2"}, wait_s=15)
    reply = await (await bench.later(bench.print(), 5))
    assert (reply.state, reply.data["printer"]) == (ReplyState.SUCCEEDED, "p2")
