"""The driver and the simulated printer, back to back and over TCP."""

import asyncio

import pytest
from hallctl_drivers.escpos.faults import from_auto_status, from_real_time
from hallctl_drivers.escpos.sim import EscposSimulator

from hallctl.clock import ManualClock, SystemClock
from hallctl.driver import PrintJob, PrintState, on_tcp
from hallctl.errors import CodecError, Fault, LocalCodecError, TransportLost, TransportTimeout
from hallctl.ticket import TextLine, Ticket
from hallctl.transport import PortAddress, null_modem, open_port


@pytest.fixture
def clock():
    return ManualClock()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (None, None),
        ("slow", None),
        ("no_gs_h", None),
        ("paper_out_mid_job", None),
        ("paper_out", "paper.end"),
        ("paper_near_end", "paper.near_end"),
        ("cover_open", "cover.open"),
        ("cutter_jam", "cutter.error"),
    ],
)
async def test_a_fault_of_the_device_has_its_code(plugged, make_printer, pass_time, clock, fault, code):
    printer = make_printer(clock)
    async with plugged(EscposSimulator(fault)) as port:
        await pass_time(clock, printer.start(port))
        health = await pass_time(clock, printer.poll())
    codes = [report.code for report in health.faults]
    assert (codes[0] if codes else None) == code
    assert all(report.message and report.hint for report in health.faults)


async def test_a_mute_printer_does_not_come_online(plugged, make_printer, pass_time, clock):
    async with plugged(EscposSimulator("mute")) as port:
        with pytest.raises(TransportTimeout, match="does not answer"):
            await pass_time(clock, make_printer(clock).start(port))


async def test_garbage_for_a_status_is_a_codec_error(plugged, make_printer, pass_time, clock):
    async with plugged(EscposSimulator("garbage_status")) as port:
        with pytest.raises(CodecError):
            await pass_time(clock, make_printer(clock).start(port))


@pytest.mark.parametrize(("fault", "confirmed_by"), [(None, "gs_h"), ("no_gs_h", "fence")])
async def test_a_ticket_is_confirmed_by_the_best_that_the_printer_can_do(
    plugged, make_printer, pass_time, clock, job, fault, confirmed_by
):
    printer, simulator = make_printer(clock), EscposSimulator(fault)
    async with plugged(simulator) as port:
        await pass_time(clock, printer.start(port))
        outcome = await pass_time(clock, printer.print_ticket(job))
        assert (await pass_time(clock, printer.poll())).info["confirm"] == confirmed_by
    assert (outcome.state, outcome.confirmed_by) == (PrintState.PRINTED, confirmed_by)
    assert len(simulator.tickets) == 1
    assert simulator.tickets[0].codes == (b"https://example.invalid/t/A001",)
    assert not simulator.refused


@pytest.mark.parametrize(
    ("fault", "code"), [("paper_out", "paper.end"), ("cover_open", "cover.open"), ("cutter_jam", "cutter.error")]
)
async def test_a_faulty_printer_refuses_before_a_byte_is_sent(
    plugged, make_printer, pass_time, clock, job, fault, code
):
    printer, simulator = make_printer(clock), EscposSimulator(fault)
    async with plugged(simulator) as port:
        await pass_time(clock, printer.start(port))
        with pytest.raises(Fault) as caught:
            await pass_time(clock, printer.print_ticket(job))
        simulator.fault = None
        simulator.load_paper()
        simulator.close_cover()
        simulator.free_cutter()
    assert caught.value.code == code
    assert simulator.tickets == []


@pytest.mark.parametrize("confirm", ["gs_h", "fence", "none"])
async def test_paper_that_ends_within_a_ticket_leaves_it_unknown_and_nothing_is_sent_again(
    plugged, make_printer, pass_time, clock, job, confirm
):
    printer, simulator = make_printer(clock, confirm=confirm), EscposSimulator("clone")  # it can't delete its buffer
    simulator.mechanism.paper_mm, simulator.near_end_mm = 12.0, 0.0
    async with plugged(simulator) as port:
        await pass_time(clock, printer.start(port))
        outcome = await pass_time(clock, printer.print_ticket(job))
        assert outcome.state is PrintState.UNKNOWN
        assert "paper" in outcome.reason
        assert "may print the rest" in outcome.reason
        simulator.load_paper()
        await pass_time(clock, printer.poll())
    assert len(simulator.tickets) == 1, "the printer itself finishes what it had"


async def test_a_port_that_is_lost_within_a_ticket_leaves_it_unknown(plugged, make_printer, pass_time, clock, job):
    printer, simulator = make_printer(clock), EscposSimulator()
    async with plugged(simulator) as port:
        await pass_time(clock, printer.start(port))
        await pass_time(clock, printer.poll())
        simulator.fault = "no_gs_h"
        feed = simulator.feed

        def pull_the_plug(data):
            answer = feed(data)
            if simulator.tickets:
                asyncio.get_running_loop().create_task(port.close())
            return answer

        simulator.feed = pull_the_plug
        outcome = await pass_time(clock, printer.print_ticket(job))
    assert outcome.state is PrintState.UNKNOWN
    assert outcome.reason


async def test_a_printer_that_falls_silent_within_a_ticket_leaves_it_unknown(
    plugged, make_printer, pass_time, clock, job
):
    printer, simulator = make_printer(clock, confirm="gs_h"), EscposSimulator("no_gs_h")
    async with plugged(simulator) as port:
        await pass_time(clock, printer.start(port))
        outcome = await pass_time(clock, printer.print_ticket(job))
    assert outcome.state is PrintState.UNKNOWN
    assert "did not answer within 20 s" in outcome.reason


async def test_a_port_without_answers_works_when_it_is_told_so(plugged, make_printer, pass_time, clock, job, log):
    printer, simulator = make_printer(clock, confirm="none"), EscposSimulator("mute")
    async with plugged(simulator) as port:
        await pass_time(clock, printer.start(port))
        health = await pass_time(clock, printer.poll())
        outcome = await pass_time(clock, printer.print_ticket(job))
    assert health.info == {"paper": "unknown", "replies": False, "confirm": "none"}
    assert (outcome.state, outcome.confirmed_by) == (PrintState.PRINTED, None)
    assert len(simulator.tickets) == 1
    assert log.warnings


async def test_text_that_can_not_be_printed_is_refused_before_a_byte_is_sent(plugged, make_printer):
    printer, simulator = make_printer(), EscposSimulator()
    async with plugged(simulator) as port:
        await printer.start(port)
        with pytest.raises(LocalCodecError, match=r"U\+1F9FF"):
            await printer.print_ticket(PrintJob("j", Ticket((TextLine("\U0001f9ff"),))))
    assert simulator.tickets == []


async def test_a_line_that_has_to_be_drawn_is_drawn_while_the_house_goes_on(plugged, make_printer):
    pytest.importorskip("cv2")
    printer, simulator = make_printer(profile="no-chinese"), EscposSimulator()
    async with plugged(simulator) as port:
        await printer.start(port)
        job = PrintJob("j", Ticket((TextLine("请A001号"), TextLine("A001"))))
        assert (await printer.print_ticket(job)).confirmed_by == "gs_h"
    assert simulator.tickets[0].lines == ("A001",)


async def test_over_tcp_a_ticket_is_printed_and_a_cover_is_noticed(make_printer, job):
    simulator, printer = EscposSimulator(), make_printer()
    async with on_tcp(simulator) as address, await open_port(PortAddress.parse(address), SystemClock()) as port:
        async with asyncio.timeout(10):
            await printer.start(port)
            assert (await printer.print_ticket(job)).confirmed_by == "gs_h"
            simulator.open_cover()
            health = await printer.poll()
    assert [report.code for report in health.faults] == ["cover.open"]
    assert simulator.tickets[0].lines[1] == "A001"


async def test_a_plain_file_takes_tickets_without_confirmation(make_printer, job, tmp_path):
    path = tmp_path / "printer"
    path.touch()
    printer = make_printer(confirm="none", reply_timeout_s=0.05)
    async with await open_port(PortAddress.parse(f"file://{path}"), SystemClock()) as port:
        async with asyncio.timeout(10):
            await printer.start(port)
            assert (await printer.print_ticket(job)).confirmed_by is None
    simulator = EscposSimulator()
    simulator.feed(path.read_bytes())
    assert len(simulator.tickets) == 1


async def test_a_late_fence_of_the_last_ticket_does_not_confirm_the_next_one(make_printer):
    """A clone: paper ends in ticket 1, whose fence is answered only while ticket 2 is got ready."""
    near, far = null_modem()
    jobs = held = 0
    paper_end = busy = False

    async def device():
        nonlocal jobs, held, paper_end, busy
        while True:
            data = await far.read()
            answer = b""
            for n in (1, 2, 3, 4):
                if bytes((0x10, 4, n)) in data:
                    answer += bytes((0x12 | (0x60 if n == 4 and paper_end else 0),))
            if b"\x1dV" in data:
                jobs += 1
                busy = True  # from now on it answers nothing that stands in the queue
                if jobs == 1:
                    paper_end = True
                    answer += bytes((0x18, 0, 0x0C, 0x0F))
            held += data.count(b"\x1dr1")
            if not busy:
                answer, held = answer + bytes(held), 0
            if answer:
                await far.write(answer)

    task = asyncio.create_task(device())
    printer = make_printer(profile="clone", confirm_timeout_s=1.0, reply_timeout_s=0.4)
    await printer.start(near)
    ticket = Ticket((TextLine("A001"),))
    assert (await printer.print_ticket(PrintJob("1", ticket))).state is PrintState.UNKNOWN
    paper_end = busy = False
    assert (await printer.print_ticket(PrintJob("2", ticket))).state is PrintState.UNKNOWN
    with pytest.raises(Fault) as caught:
        await printer.print_ticket(PrintJob("3", ticket))
    assert caught.value.code == "printer.unsettled"
    assert jobs == 2
    task.cancel()
    await near.close()


def test_paper_that_nobody_told_about_is_unknown_not_ok():
    assert from_real_time({1: 0x12, 2: 0x12, 3: 0x12}).paper == "unknown"
    assert from_real_time({1: 0x12, 2: 0x32}).paper == "end"
    told = from_auto_status(bytes((0x10, 0, 0x03, 0x0F)))
    assert from_real_time({1: 0x12}).with_paper_of(told).paper == "near_end"


def test_the_simulator_refuses_a_qr_function_without_its_value():
    simulator = EscposSimulator()
    for function in (0x43, 0x45, 0x50):
        simulator.feed(bytes((0x1D, 0x28, 0x6B, 2, 0, 0x31, function)))
    assert len(simulator.refused) == 3


async def test_a_change_that_the_printer_tells_by_itself_asks_for_a_poll_at_once_and_its_repetition_does_not(
    plugged, make_printer, pass_time, clock
):
    printer, simulator = make_printer(clock), EscposSimulator()
    async with plugged(simulator) as port:
        await pass_time(clock, printer.start(port))
        await pass_time(clock, printer.poll())
        printer.attention.clear()
        simulator.emit(simulator._auto_status())
        await clock.settle()
        assert not printer.attention.is_set(), "it has said the same before"
        simulator.open_cover()
        await clock.settle()
        assert printer.attention.is_set()
        assert [report.code for report in (await pass_time(clock, printer.poll())).faults] == ["cover.open"]


async def test_a_lost_port_asks_for_a_poll_that_finds_it(plugged, make_printer, pass_time, clock):
    printer = make_printer(clock)
    async with plugged(EscposSimulator()) as port:
        await pass_time(clock, printer.start(port))
        printer.attention.clear()
        await port.close()
        await clock.settle()
        assert printer.attention.is_set()
        with pytest.raises(TransportLost):
            await printer.poll()
