"""Tickets that something comes between: each citizen gets one readable ticket, or the event says which is in doubt."""

import asyncio

import pytest
from hallctl_drivers.escpos import codec
from hallctl_drivers.escpos.config import EscposOptions
from hallctl_drivers.escpos.driver import EscposPrinter
from hallctl_drivers.escpos.sim import EscposSimulator
from hallctl_drivers.escpos.style import style_of
from hypothesis import given, settings
from hypothesis import strategies as st

from hallctl.clock import ManualClock, SystemClock
from hallctl.driver import PrintJob, PrintState, TerminalContext, on_pty, on_tcp
from hallctl.errors import HallctlError, NothingDone, TransportError
from hallctl.ticket import QrCode, TextLine, Ticket
from hallctl.transport import PortAddress, null_modem, open_port


@pytest.fixture
def clock():
    return ManualClock()


def ticket(number):
    return PrintJob(number, Ticket((TextLine(number), QrCode(f"https://example.invalid/t/{number}"))))


def words(simulator):
    return [printed.lines for printed in simulator.tickets]


async def test_what_a_stopped_printer_still_holds_is_deleted_so_that_nobody_gets_it_after_the_repair(
    plugged, make_printer, pass_time, clock
):
    printer, simulator = make_printer(clock), EscposSimulator("paper_out_mid_job")
    async with plugged(simulator) as port:
        await pass_time(clock, printer.start(port))
        outcome = await pass_time(clock, printer.print_ticket(ticket("A001")))
        assert outcome.state is PrintState.UNKNOWN
        assert outcome.reason == "there is no paper; the rest was deleted from the printer"
        simulator.load_paper()
        assert (await pass_time(clock, printer.print_ticket(ticket("A002")))).state is PrintState.PRINTED
    assert words(simulator)[-1] == ("A002",)
    assert all("A001" not in printed.lines for printed in simulator.tickets[1:])


async def test_a_piece_of_an_interrupted_ticket_is_cut_off_before_the_next_one(plugged, make_printer, pass_time, clock):
    printer, simulator = make_printer(clock, confirm="gs_h"), EscposSimulator()
    async with plugged(simulator) as port:
        await pass_time(clock, printer.start(port))
        simulator.mechanism.paper_mm = 3.5
        assert (await pass_time(clock, printer.print_ticket(ticket("A001")))).state is PrintState.UNKNOWN
        assert simulator.mechanism.fragment
        simulator.load_paper()
        assert (await pass_time(clock, printer.print_ticket(ticket("A002")))).state is PrintState.PRINTED
        assert (await pass_time(clock, printer.print_ticket(ticket("A003")))).state is PrintState.PRINTED
    assert words(simulator) == [("A001",), ("A002",), ("A003",)]
    assert simulator.tickets[0].codes == (), "the first one is the torn piece, without its code"
    assert simulator.tickets[1].codes == (b"https://example.invalid/t/A002",)


@pytest.mark.parametrize("profile", ["generic", "no-chinese", "pos-58"])
async def test_a_plug_that_is_pulled_within_any_command_never_swallows_the_next_ticket(make_printer, clock, profile):
    """Wherever the stream of one ticket breaks off, the next one on a new connection is whole and alone."""
    printer = make_printer(clock, profile=profile, confirm="fence", cut="partial")
    style = style_of(printer._profile)
    first = codec.INIT + codec.encode_ticket(
        Ticket((TextLine("请A001号", width=2), QrCode("https://example.invalid/A001"))), style
    )
    for end in [*range(1, min(len(first), 120)), *range(120, len(first), 211), len(first) - 1]:
        simulator = EscposSimulator(width=style.dots)
        simulator.feed(first[:end])
        simulator.connected()
        near, far = null_modem()
        task = asyncio.create_task(_serve(simulator, far))
        await _while_time_passes(clock, printer.start(near))
        printer._fragment = True  # this printer was not the one that was interrupted; what it does then is tested above
        outcome = await _while_time_passes(clock, printer.print_ticket(PrintJob("2", Ticket((TextLine("A002"),)))))
        task.cancel()
        await near.close()
        assert outcome.state is PrintState.PRINTED, end
        assert simulator.tickets[-1].lines == ("A002",), f"broken off behind byte {end} of {len(first)}"


async def _while_time_passes(clock, work):
    """As the fixture ``pass_time``, for work that a thread of its own may have a part in."""
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        task = group.create_task(work)
        while not task.done():
            await clock.advance(0.25)
    return task.result()


async def _serve(simulator, far):
    while True:
        if answer := simulator.feed(await far.read()):
            await far.write(answer)


async def test_a_half_open_connection_is_noticed_before_a_byte_of_the_ticket_is_sent(make_printer):
    simulator, printer = EscposSimulator(), make_printer(reply_timeout_s=0.5)
    async with on_tcp(simulator) as address, await open_port(PortAddress.parse(address), SystemClock()) as port:
        await printer.start(port)
        await printer.poll()
        simulator.fault = "half_open"
        with pytest.raises(NothingDone) as caught:
            await printer.print_ticket(ticket("A001"))
        assert caught.value.code == "device.mute"
        with pytest.raises(TransportError):
            await printer.poll()
    assert simulator.tickets == []


async def test_a_connection_that_becomes_half_open_within_a_ticket_leaves_it_unknown(make_printer):
    simulator = EscposSimulator()
    printer = make_printer(reply_timeout_s=0.5, confirm_timeout_s=0.6)
    feed = simulator.feed

    def goes_away(data):
        if b"A001" in data:
            simulator.fault = "half_open"
        return feed(data)

    simulator.feed = goes_away
    async with on_pty([simulator]) as path:
        port = await open_port(PortAddress.parse(f"serial://{path}?baud=115200"), SystemClock())
        await printer.start(port)
        await printer.poll()
        outcome = await printer.print_ticket(ticket("A001"))
        await port.close()
    assert outcome.state is PrintState.UNKNOWN
    assert simulator.tickets == []


async def test_automatic_status_between_all_answers_confuses_nothing(plugged, make_printer, pass_time, clock):
    printer, simulator = make_printer(clock), EscposSimulator("asb_mixed")
    async with plugged(simulator) as port:
        await pass_time(clock, printer.start(port))
        assert (await pass_time(clock, printer.poll())).faults == ()
        for number in ("A001", "A002"):
            assert (await pass_time(clock, printer.print_ticket(ticket(number)))).confirmed_by == "gs_h"
        simulator.open_cover()
        health = await pass_time(clock, printer.poll())
    assert [report.code for report in health.faults] == ["cover.open"]
    assert words(simulator) == [("A001",), ("A002",)]


async def test_an_error_that_only_the_switch_takes_away_has_its_own_code(plugged, make_printer, pass_time, clock):
    printer, simulator = make_printer(clock), EscposSimulator("head_error")
    async with plugged(simulator) as port:
        await pass_time(clock, printer.start(port))
        (fault,) = (await pass_time(clock, printer.poll())).faults
        assert fault.code == "printer.unrecoverable"
        simulator.power_cycle()
        assert (await pass_time(clock, printer.poll())).faults == ()


async def test_a_printer_that_is_switched_off_and_on_within_a_ticket_prints_no_part_of_it_twice(
    plugged, make_printer, pass_time, clock
):
    printer, simulator = make_printer(clock, confirm="gs_h"), EscposSimulator()
    async with plugged(simulator) as port:
        await pass_time(clock, printer.start(port))
        simulator.open_cover()
        simulator.fault = "mute"
        printer._session.voice = type(
            printer._session.voice
        )()  # it has not been asked since: the ticket is on its way already
        outcome = asyncio.ensure_future(printer.print_ticket(ticket("A001")))
        await clock.settle()
        simulator.power_cycle()
        simulator.close_cover()
        assert (await pass_time(clock, outcome)).state is PrintState.UNKNOWN
    assert words(simulator) == []


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_whatever_a_printer_says_the_driver_ends_in_time_with_an_error_of_the_house_or_an_outcome(noise):
    async def run():
        near, far = null_modem()

        async def babble():
            for at in range(10**6):
                await far.read()
                await far.write(noise[at % len(noise)])

        context = TerminalContext("p", SystemClock(), _Log(), _nobody)
        printer = EscposPrinter(context, EscposOptions(reply_timeout_s=0.01, confirm_timeout_s=0.02))
        task = asyncio.create_task(babble())
        try:
            async with asyncio.timeout(5):
                for step in (lambda: printer.start(near), printer.poll, lambda: printer.print_ticket(ticket("A1"))):
                    try:
                        await step()
                    except HallctlError:
                        continue
        finally:
            task.cancel()
            await near.close()

    asyncio.run(run())


class _Log:
    def debug(self, event, **fields): ...

    info = warning = debug


async def _nobody(_signal): ...
