"""Where a printer's word is easily misunderstood: busy printers, old answers, slow lines, ports that swallow."""

import asyncio
from datetime import timedelta

import pytest
from hallctl_drivers.escpos import codec
from hallctl_drivers.escpos.sim import EscposSimulator

from hallctl.clock import ManualClock, SystemClock
from hallctl.driver import PrintJob, PrintState, on_tcp
from hallctl.errors import Fault, TransportTimeout
from hallctl.ticket import QrCode, TextLine, Ticket
from hallctl.transport import PortAddress, null_modem, open_port


class Busy(EscposSimulator):
    """Answers real-time questions and works nothing off while ``busy``."""

    busy = False

    def _work(self):
        if not self.busy:
            super()._work()

    def free(self):
        self.busy = False
        self._handled()


@pytest.fixture
def clock():
    return ManualClock()


def job(number, expires=None):
    return PrintJob(number, Ticket((TextLine(number),)), expires)


async def test_a_printer_that_is_still_busy_prints_no_ticket_that_it_could_not_confirm(
    plugged, make_printer, pass_time, clock
):
    printer, simulator = make_printer(clock), Busy()
    simulator.busy = True
    async with plugged(simulator) as port:
        await pass_time(clock, printer.start(port))
        with pytest.raises(Fault) as caught:
            await pass_time(clock, printer.print_ticket(job("A001")))
        assert caught.value.code == "printer.unsettled"
        simulator.free()
        assert (await pass_time(clock, printer.print_ticket(job("A002")))).confirmed_by == "gs_h"
    assert [ticket.lines for ticket in simulator.tickets] == [("A002",)]


async def test_one_busy_moment_a_day_does_not_add_up_to_a_printer_that_confirms_nothing(
    plugged, make_printer, pass_time, clock
):
    printer = make_printer(clock)
    for _ in range(4):
        simulator = Busy()
        simulator.busy = True
        async with plugged(simulator) as port:
            await pass_time(clock, printer.start(port))
            await pass_time(clock, printer.poll())
            simulator.free()
            assert (await pass_time(clock, printer.poll())).info["confirm"] == "gs_h"


async def test_a_stray_zero_byte_is_no_confirmation(plugged, make_printer, pass_time, clock):
    printer, simulator = make_printer(clock, profile="clone"), EscposSimulator()
    async with plugged(simulator) as port:
        await pass_time(clock, printer.start(port))
        await pass_time(clock, printer.poll())
        feed = simulator.feed

        def switched_off_and_on(data):
            if b"A001" not in data:
                return feed(data)
            simulator.power_cycle()
            return b"\x00"

        simulator.feed = switched_off_and_on
        outcome = await pass_time(clock, printer.print_ticket(job("A001")))
    assert outcome.state is PrintState.UNKNOWN
    assert simulator.tickets == []


async def test_the_fence_of_an_earlier_daemons_ticket_confirms_nothing_of_this_one(
    plugged, make_printer, pass_time, clock
):
    simulator = Busy("clone")
    simulator.feed(codec.INIT + codec.encode_ticket(Ticket((TextLine("OLD"),)), codec.Style()))
    simulator.busy = True
    simulator.feed(codec.FENCE)
    printer = make_printer(clock, profile="clone")
    async with plugged(simulator) as port:
        await pass_time(clock, printer.start(port))
        health = await pass_time(clock, printer.poll())
        assert [report.code for report in health.faults] == ["printer.unsettled"]
        with pytest.raises(Fault):
            await pass_time(clock, printer.print_ticket(job("A001")))
        simulator.free()
        assert (await pass_time(clock, printer.poll())).faults == ()
        assert (await pass_time(clock, printer.print_ticket(job("A002")))).confirmed_by == "fence"
    assert [ticket.lines for ticket in simulator.tickets] == [("OLD",), ("A002",)]


async def test_after_a_crash_within_a_ticket_the_next_one_is_cut_off_from_what_hangs_on_the_roll(
    plugged, make_printer, pass_time, clock
):
    simulator = EscposSimulator()
    simulator.feed(b"\x1b@OLD\n")
    assert simulator.mechanism.fragment
    printer = make_printer(clock)
    printer.distrust_paper()
    async with plugged(simulator) as port:
        await pass_time(clock, printer.start(port))
        await pass_time(clock, printer.print_ticket(job("A001")))
        await pass_time(clock, printer.print_ticket(job("A002")))
    assert [ticket.lines for ticket in simulator.tickets] == [("OLD",), ("A001",), ("A002",)]


@pytest.mark.parametrize("size", [176, 1500, 2331])
async def test_a_code_that_was_broken_off_never_swallows_the_next_ticket(plugged, make_printer, pass_time, clock, size):
    whole = codec.encode_ticket(Ticket((QrCode("x" * size, module=2),)), codec.Style())
    simulator = EscposSimulator()
    simulator.feed(codec.INIT + whole[: whole.index(b"xxxx") + 4])
    printer = make_printer(clock, raster_bytes=72)
    async with plugged(simulator) as port:
        await pass_time(clock, printer.start(port))
        await pass_time(clock, printer.print_ticket(job("A001")))
    assert simulator.tickets[-1].lines == ("A001",)


async def test_a_command_that_expired_while_the_printer_was_got_ready_is_not_printed(
    plugged, make_printer, pass_time, clock
):
    printer, simulator = make_printer(clock, profile="clone"), Busy("clone")
    async with plugged(simulator) as port:
        await pass_time(clock, printer.start(port))
        with pytest.raises(Fault) as caught:
            await pass_time(clock, printer.print_ticket(job("A001", clock.now() + timedelta(seconds=0.5))))
    assert caught.value.code == "command.expired"
    assert simulator.tickets == []


class SlowServer:
    """A serial server: takes everything at once and hands it on at the line's own speed, in both directions."""

    def __init__(self, simulator, far, baud):
        self.rate = baud / 10
        self.simulator, self.far = simulator, far
        self.waiting = bytearray()

    async def run(self):
        await asyncio.gather(self.take(), self.hand_on())

    async def take(self):
        while True:
            data = await self.far.read()
            self.waiting += data

    async def hand_on(self):
        while True:
            await asyncio.sleep(0.005)
            share = max(1, int(self.rate * 0.005))
            data, self.waiting = bytes(self.waiting[:share]), self.waiting[share:]
            if data and (answer := self.simulator.feed(data)):
                await self.far.write(answer)


@pytest.mark.parametrize("fault", [None, "clone"])
async def test_behind_a_slow_serial_server_every_question_gets_its_own_answer(make_printer, fault):
    simulator = EscposSimulator(fault)
    near, far = null_modem()
    server = asyncio.create_task(SlowServer(simulator, far, 19200).run())
    printer = make_printer(reply_timeout_s=0.5)
    await printer.start(near)
    assert (await printer.poll()).info["status_queries"] == [1, 2, 3, 4]
    simulator.open_cover()
    assert [report.code for report in (await printer.poll()).faults] == ["cover.open"]
    with pytest.raises(Fault):
        await printer.print_ticket(job("A001"))
    simulator.close_cover()
    assert (await printer.print_ticket(job("A002"))).confirmed_by == ("fence" if fault else "gs_h")
    server.cancel()
    await near.close()
    assert [ticket.lines for ticket in simulator.tickets] == [("A002",)]


async def test_a_printer_with_a_small_buffer_and_no_paper_says_paper_and_not_nothing(make_printer):
    simulator = EscposSimulator("paper_out")
    near, far = null_modem()

    async def small_buffer():
        while True:
            data = await far.read()
            assert len(data) <= 256, "a stopped printer takes no long reset"
            if answer := simulator.feed(data):
                await far.write(answer)

    device = asyncio.create_task(small_buffer())
    printer = make_printer()
    async with asyncio.timeout(10):
        await printer.start(near)
        assert [report.code for report in (await printer.poll()).faults] == ["paper.end"]
    assert not device.done()
    device.cancel()
    await near.close()


async def test_what_a_printer_did_not_take_in_time_ends_the_session_instead_of_coming_out_later(make_printer):
    simulator = EscposSimulator()
    async with on_tcp(simulator) as address, await open_port(PortAddress.parse(address), SystemClock()) as port:
        printer = make_printer(confirm_timeout_s=1.0, reply_timeout_s=0.5, qr="raster", raster_bytes=65536)
        await printer.start(port)
        await printer.poll()
        write = port.write

        async def stuck(data):
            if len(data) > 1000:
                await asyncio.Event().wait()
            await write(data)

        port.write = stuck
        picture = PrintJob("A001", Ticket((TextLine("A001"), QrCode("x" * 300))))
        assert (await printer.print_ticket(picture)).state is PrintState.UNKNOWN
        assert printer.attention.is_set()
        with pytest.raises(TransportTimeout, match="took no data"):
            await printer.poll()


async def test_a_port_that_never_answers_is_accepted_within_the_supervisors_patience_where_it_is_told_so(
    plugged, make_printer, pass_time, clock
):
    printer = make_printer(clock, confirm="none", reply_timeout_s=3)
    async with plugged(EscposSimulator("mute")) as port:
        began = clock.monotonic()
        await pass_time(clock, printer.start(port))
        assert clock.monotonic() - began < 20
