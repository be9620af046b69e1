"""A hall document is changed while the hall works: what the change does not concern notices nothing."""

import asyncio

import pytest
from controller.floor_bench import CountedBar, CountedPrinter, Floor, bar, hall, printer, until

from hallctl.driver import on_tcp
from hallctl.model import ReplyState, TerminalStatus
from hallctl.twin.floor import Changed


def changed(started=(), restarted=(), stopped=()):
    return Changed(frozenset(started), frozenset(restarted), frozenset(stopped))


@pytest.mark.rule("MQ-15")
async def test_only_the_terminal_whose_settings_changed_is_started_anew(tmp_path):
    one, two = CountedPrinter(), CountedPrinter()
    async with on_tcp(one) as first, on_tcp(two) as second:
        terminals = [printer("p1", first), printer("p2", second)]
        async with Floor(tmp_path, hall(terminals=terminals)) as floor:
            await floor.online("p1", "p2")
            before = floor.rooms.terminals.supervisors["p1"]
            slower = {**printer("p2", second), "options": {"poll_every_s": 0.6}}
            assert await floor.apply(terminals=[terminals[0], slower]) == changed(restarted=["p2"])
            await floor.online("p1", "p2")
            assert floor.rooms.terminals.supervisors["p1"] is before
            assert before.driver is floor.rooms.terminals.supervisors["p1"].driver
            assert (one.openings, two.openings) == (1, 2)
            assert await floor.apply(terminals=[terminals[0], slower]) == changed()
            reply = await floor.do("ticket.print", printer="p1", fields={"number": "A001"})
            assert reply.state is ReplyState.SUCCEEDED
            assert (one.openings, two.openings) == (1, 2)
            assert floor.controller._floor.states()["p1"].counters == {"tickets_printed": 1}
            await floor.apply(terminals=[{**terminals[0], "name": "at the door", "fallback": "p2"}, slower])
            assert floor.controller._floor.states()["p1"].counters == {"tickets_printed": 1}
    assert (one.openings, two.openings) == (1, 2)


@pytest.mark.rule("MQ-15")
async def test_a_terminal_that_moves_to_another_port_leaves_the_old_one_and_two_may_swap_theirs(tmp_path):
    one, two = CountedPrinter(), CountedPrinter()
    async with (
        on_tcp(one) as first,
        on_tcp(two) as second,
        Floor(tmp_path, hall(terminals=[printer("p1", first)])) as floor,
    ):
        await floor.online("p1")
        assert await floor.apply(terminals=[printer("p1", second)]) == changed(restarted=["p1"])
        await floor.online("p1")
        assert (await floor.do("ticket.print", fields={"number": "A001"})).state is ReplyState.SUCCEEDED
        assert (len(one.tickets), len(two.tickets)) == (0, 1)
        await floor.apply(terminals=[printer("p1", second), printer("p2", first)])
        await floor.online("p1", "p2")
        swapped = await floor.apply(terminals=[printer("p1", first), printer("p2", second)])
        assert swapped == changed(restarted=["p1", "p2"])
        await floor.online("p1", "p2")
        await floor.do("ticket.print", printer="p1", fields={"number": "A002"})
        assert [ticket.lines for ticket in one.tickets] == [("A002",)]


async def test_terminals_are_added_and_removed_and_the_rest_goes_on(tmp_path):
    one, two = CountedPrinter(), CountedPrinter()
    async with (
        on_tcp(one) as first,
        on_tcp(two) as second,
        Floor(tmp_path, hall(terminals=[printer("p1", first)])) as floor,
    ):
        await floor.online("p1")
        assert await floor.apply(terminals=[printer("p1", first), printer("p2", second)]) == changed(["p2"])
        await floor.online("p2")
        assert await floor.apply(terminals=[printer("p2", second)]) == changed(stopped=["p1"])
        assert set(floor.controller._floor.states()) == {"p2"}
        reply = await floor.do("ticket.print", printer="p1", fields={"number": "A001"})
        assert (reply.state, reply.code) == (ReplyState.REJECTED, "printer.unknown")
        reply = await floor.do("ticket.print", fields={"number": "A001"})
        assert reply.state is ReplyState.SUCCEEDED
    assert (one.openings, two.openings) == (1, 1)


async def test_a_terminal_that_the_document_spoils_is_quarantined_and_comes_back_when_it_is_corrected(tmp_path):
    one, two = CountedPrinter(), CountedPrinter()
    async with on_tcp(one) as first, on_tcp(two) as second:
        good = [printer("p1", first), printer("p2", second)]
        async with Floor(tmp_path, hall(terminals=good)) as floor:
            await floor.online("p1", "p2")
            spoilt = {**good[1], "options": {"paper_with": 58}}
            assert await floor.apply(terminals=[good[0], spoilt]) == changed(stopped=["p2"])
            state = floor.controller._floor.states()["p2"]
            assert (state.status, state.reason) == (TerminalStatus.QUARANTINED, "config.invalid")
            assert "paper_width" in state.message + state.hint
            assert await floor.apply(terminals=good) == changed(started=["p2"])
            await floor.online("p1", "p2")
    assert (one.openings, two.openings) == (1, 2)


async def test_a_ticket_that_waits_for_paper_goes_on_waiting_through_a_change_and_a_restart_of_its_printer(tmp_path):
    device, other = CountedPrinter(), CountedPrinter()
    device.remove_paper()
    async with on_tcp(device) as port, on_tcp(other) as second:
        waits = {"printing": {"wait_s": 60}}
        async with Floor(tmp_path, hall(terminals=[printer("p1", port)], **waits)) as floor:
            await floor.online("p1")
            async with floor.doing("ticket.print", printer="p1", fields={"number": "A001"}) as ticket:
                await until(lambda: floor.rooms.tickets._lanes["p1"]._queue)
                await floor.apply(terminals=[printer("p1", port), printer("p2", second)], **waits)
                slower = {**printer("p1", port), "options": {"poll_every_s": 0.6}}
                await floor.apply(terminals=[slower, printer("p2", second)], **waits)
                assert not ticket.done()
                device.load_paper()
                reply = await ticket
            assert (reply.state, reply.data["printer"]) == (ReplyState.SUCCEEDED, "p1")
    assert [ticket.lines for ticket in device.tickets] == [("A001",)]
    assert other.tickets == []


async def test_a_waiting_ticket_is_taken_by_the_fallback_that_a_change_names(tmp_path):
    device, other = CountedPrinter(), CountedPrinter()
    device.remove_paper()
    async with on_tcp(device) as port, on_tcp(other) as second:
        waits = {"printing": {"wait_s": 60}}
        terminals = [printer("p1", port), printer("p2", second)]
        async with Floor(tmp_path, hall(terminals=terminals, **waits)) as floor:
            await floor.online("p1", "p2")
            async with floor.doing("ticket.print", printer="p1", fields={"number": "A001"}) as ticket:
                await until(lambda: floor.rooms.tickets._lanes["p1"]._queue)
                await floor.apply(terminals=[{**terminals[0], "fallback": "p2"}, terminals[1]], **waits)
                reply = await ticket
            assert (reply.data["printer"], reply.data["instead_of"]) == ("p2", "p1")
    assert device.openings == 1


class Slow(CountedPrinter):
    """Its word about a ticket comes late: the ticket is in the printer meanwhile."""

    def feed(self, data):
        reply = super().feed(data)
        self.reply_delay_s = 0.7 if self.tickets else 0.0
        return reply


async def test_a_removed_printer_finishes_what_it_prints_and_what_waited_has_failed_with_nothing_done(tmp_path):
    device = Slow()
    async with on_tcp(device) as port:
        async with Floor(tmp_path, hall(terminals=[printer("p1", port)], printing={"wait_s": 60})) as floor:
            await floor.online("p1")
            async with floor.doing("ticket.print", fields={"number": "A001"}) as first:
                await until(lambda: device.tickets)
                async with floor.doing("ticket.print", fields={"number": "A002"}) as second:
                    await until(lambda: len(floor.rooms.tickets._lanes["p1"]._queue) == 2)
                    assert await floor.apply(terminals=[]) == changed(stopped=["p1"])
                    printing, waiting = await first, await second
        assert (printing.state, printing.data["confirmed_by"]) == (ReplyState.SUCCEEDED, "gs_h")
        assert (waiting.state, waiting.code) == (ReplyState.FAILED, "terminal.busy")
        assert "nothing was printed" in waiting.message
    assert [ticket.lines for ticket in device.tickets] == [("A001",)]


async def test_windows_go_on_and_only_displays_that_have_to_show_something_else_are_told(tmp_path):
    left, right = CountedBar(), CountedBar()
    async with on_tcp(left) as first, on_tcp(right) as second:
        terminals = [bar("bar-1", first), bar("bar-2", second)]

        def windows(label="2"):
            return [{"id": "w1", "label": "1", "display": "bar-1"}, {"id": "w2", "label": label, "display": "bar-2"}]

        async with Floor(tmp_path, hall(terminals=terminals, windows=windows())) as floor:
            await floor.online("bar-1", "bar-2")
            await floor.do("number.call", window="w1", ticket="A001")
            await floor.do("number.call", window="w2", ticket="B002")
            await floor.apply(terminals=terminals, windows=windows("9"))
            await until(lambda: right.shown.lines == ("请B002号到9号窗口",))
            assert left.shown.lines == ("请A001号到1号窗口",)
            texts = {"call": "{ticket}:{window}"}
            await floor.apply(terminals=terminals, windows=windows("9"), texts=texts)
            await until(lambda: (left.shown.lines, right.shown.lines) == (("A001:1",), ("B002:9",)))
            await floor.apply(terminals=terminals, windows=windows("9")[:1], texts=texts)
            await until(lambda: not "".join(right.shown.lines).strip())
            await floor.apply(terminals=terminals, windows=windows("9"), texts=texts)
            await until(lambda: right.shown.lines == ("B002:9",))
    assert (left.openings, right.openings) == (1, 1)


async def test_the_alerts_of_a_removed_terminal_are_over_and_those_of_others_stay(tmp_path):
    one, two = CountedPrinter(), CountedPrinter()
    one.remove_paper()
    two.remove_paper()
    async with (
        on_tcp(one) as first,
        on_tcp(two) as second,
        Floor(tmp_path, hall(terminals=[printer("p1", first), printer("p2", second)])) as floor,
    ):
        both = {("terminal.fault", "p1", "paper.end"), ("terminal.fault", "p2", "paper.end")}
        await until(lambda: floor.alerts == both)
        await floor.apply(terminals=[printer("p1", first)])
        assert floor.alerts == {("terminal.fault", "p1", "paper.end")}
        cleared = [one for one in await floor.log("terminal.fault") if one["state"] == "cleared"]
        assert [(one["subject"], one["data"]["over"]) for one in cleared] == [("p2", "removed")]
        slower = {**printer("p1", first), "options": {"poll_every_s": 0.6}}
        one.load_paper()
        await floor.apply(terminals=[slower])
        await until(lambda: not floor.alerts)  # what was over while it was started anew is told all the same


class Breaks(Exception):
    """What a test lets go wrong."""


def broken(*_arguments):
    raise Breaks


@pytest.mark.parametrize("step", ["tickets.close", "terminals.stop_buses", "attendance.adopt", "tickets.adopt"])
async def test_a_change_that_fails_anywhere_is_taken_back_to_exactly_what_ran(tmp_path, monkeypatch, step):
    stays, moves, goes, comes = (CountedPrinter() for _ in range(4))
    async with on_tcp(stays) as a, on_tcp(moves) as b, on_tcp(goes) as c, on_tcp(comes) as d:
        old = {"terminals": [printer("stays", a), printer("moves", b), printer("goes", c)]}
        new = {"terminals": [printer("stays", a), printer("moves", d), printer("comes", b)], "texts": {"welcome": "x"}}
        async with Floor(tmp_path, hall(**old)) as floor:
            await floor.online("stays", "moves", "goes")
            room, method = step.split(".")
            with monkeypatch.context() as patch:
                patch.setattr(getattr(floor.rooms, room), method, broken)
                with pytest.raises(Breaks):
                    await floor.apply(**new)
            await floor.apply(**old)
            await floor.online("stays", "moves", "goes")
            assert set(floor.controller._floor.states()) == {"stays", "moves", "goes"}
            for number, (name, device) in enumerate({"stays": stays, "moves": moves, "goes": goes}.items()):
                reply = await floor.do("ticket.print", printer=name, fields={"number": f"A00{number}"})
                assert reply.state is ReplyState.SUCCEEDED, reply
                assert [ticket.lines for ticket in device.tickets] == [(f"A00{number}",)]
            assert comes.tickets == []
            await floor.apply(**new)
            await floor.online("stays", "moves", "comes")
            assert set(floor.controller._floor.states()) == {"stays", "moves", "comes"}
    assert stays.openings == 1


async def test_changes_are_made_one_after_the_other_and_the_last_one_counts(tmp_path):
    devices = [CountedPrinter() for _ in range(3)]
    async with (
        on_tcp(devices[0]) as a,
        on_tcp(devices[1]) as b,
        on_tcp(devices[2]) as c,
        Floor(tmp_path, hall(terminals=[printer("p1", a)])) as floor,
    ):
        documents = [[printer("p1", b)], [printer("p2", c)], [printer("p1", c), printer("p2", a)]]
        await asyncio.gather(*(floor.apply(terminals=terminals) for terminals in documents))
        await floor.online("p1", "p2")
        await floor.do("ticket.print", printer="p1", fields={"number": "A001"})
        assert [len(device.tickets) for device in devices] == [0, 0, 1]
