"""The real daemon as a process, on a real broker and simulated devices: what is wrong stays where it is."""

import asyncio
import contextlib
import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hallctl_drivers.escpos.sim import EscposSimulator
from hallctl_drivers.onbon_bx.sim import OnbonSimulator

from hallctl.clock import SystemClock
from hallctl.driver import on_tcp
from hallctl.fleet.reader import HallReader
from hallctl.fleet.request import send_command
from hallctl.link import BrokerSettings, Session, Topics
from hallctl.link.payloads import command_envelope
from hallctl.model import Command, ReplyState

TOPICS = Topics("hall-1", "box-1")
CLOCK = SystemClock(trust_wall_clock=True)
LAYOUT = {"id": "queue", "lines": [{"text": "{number}", "align": "center", "size": [2, 2]}]}


def write(folder: Path, broker, terminals, **hall) -> Path:
    controller = {
        "site": TOPICS.site,
        "controller": TOPICS.controller,
        "state_dir": "state",
        "trust_clock": True,
        "heartbeat_s": 1,
        "lease_s": 5,
        "broker": {"host": broker.host, "port": broker.port},
    }
    (folder / "controller.yaml").write_text(yaml.safe_dump(controller, allow_unicode=True))
    document = {"terminals": terminals, "tickets": [LAYOUT], "printing": {"wait_s": 0}, **hall}
    (folder / "hall.yaml").write_text(yaml.safe_dump(document, allow_unicode=True))
    return folder / "controller.yaml"


def printer(name, address):
    return {"id": name, "driver": "escpos", "port": address, "options": {"poll_every_s": 1}}


@contextlib.asynccontextmanager
async def daemon(config: Path, expected_exit=0, logged: list[str] | None = None):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hallctl.cli.main", "run", str(config), stderr=asyncio.subprocess.PIPE
    )
    log = asyncio.create_task(process.stderr.read())
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        text = (await log).decode()
        if logged is not None:
            logged.append(text)
        assert await process.wait() == expected_exit, text


@contextlib.asynccontextmanager
async def desk(broker):
    session = Session(BrokerSettings(broker.host, broker.port, client_id="desk"))
    await session.connect()
    try:
        yield session
    finally:
        await session.disconnect()


async def terminals_at(session, wanted, seconds=30):
    """Follow the hall until ``wanted(view)``; gives the view."""
    reader = HallReader(session, CLOCK, TOPICS.site, TOPICS.controller)
    await reader.subscribe()
    async with asyncio.timeout(seconds):
        async for _ in reader.follow():
            view = reader.controllers.get(TOPICS)
            if view is not None and wanted(view):
                return view
    raise AssertionError("unreachable")


def statuses(view):
    return {name: (one.status, one.reason) for name, one in view.terminals.items()}


@pytest.fixture
async def good_printer():
    simulator = EscposSimulator()
    async with on_tcp(simulator) as address:
        simulator.address_url = address
        yield simulator


async def test_one_bad_terminal_and_absent_ports_leave_the_rest_running_and_say_why(broker, tmp_path, good_printer):
    terminals = [
        printer("good", good_printer.address_url),
        {"id": "typo", "driver": "escpos", "port": "tcp://127.0.0.1:9", "options": {"paper_with": 58}},
        {"id": "no-driver", "driver": "escposs", "port": "tcp://127.0.0.1:10"},
        printer("refused", "tcp://127.0.0.1:11"),
        printer("absent", "serial:///dev/serial/by-id/usb-nobody?baud=9600"),
        {
            "id": "secretless",
            "driver": "camera",
            "options": {"url": "rtsp://127.0.0.1:9/x", "username": "a", "password": {"env": "NOT_SET_ANYWHERE"}},
        },
        {"id": "on-dead-bus", "driver": "ff68-pad", "bus": "bus-a", "address": 1},
    ]
    buses = [{"id": "bus-a", "port": "serial:///dev/serial/by-id/usb-no-bus?baud=9600"}]
    config = write(tmp_path, broker, terminals, buses=buses)
    async with daemon(config), desk(broker) as session:

        def settled(view):
            return len(view.terminals) == 7 and "starting" not in {t.status for t in view.terminals.values()}

        view = await terminals_at(session, settled)
        assert statuses(view) == {
            "good": ("online", None),
            "typo": ("quarantined", "config.invalid"),
            "no-driver": ("quarantined", "config.invalid"),
            "refused": ("offline", "port.refused"),
            "absent": ("offline", "port.absent"),
            "secretless": ("quarantined", "config.invalid"),
            "on-dead-bus": ("offline", "port.absent"),
        }
        assert "paper_width" in view.terminals["typo"].message + view.terminals["typo"].hint
        assert "escpos" in view.terminals["no-driver"].message + view.terminals["no-driver"].hint
        fields = {"number": "A001"}
        request = {"printer": "good", "layout": "queue", "fields": fields}
        reply = await send_command(session, TOPICS, "ticket.print", request, CLOCK)
        assert (reply.state, reply.data["confirmed_by"]) == (ReplyState.SUCCEEDED, "gs_h")
        request = {"printer": "refused", "layout": "queue", "fields": fields}
        reply = await send_command(session, TOPICS, "ticket.print", request, CLOCK)
        assert (reply.state, reply.code) == (ReplyState.FAILED, "port.refused")
    assert [ticket.lines for ticket in good_printer.tickets] == [("A001",)]


async def test_a_hall_that_started_without_its_broker_reports_when_it_comes(broker, tmp_path, good_printer):
    broker.stop()
    config = write(tmp_path, broker, [printer("good", good_printer.address_url)])
    async with daemon(config):
        async with asyncio.timeout(20):
            while not good_printer.refused and not (tmp_path / "state" / "outbox.db").exists():
                await asyncio.sleep(0.05)
        broker.start()
        async with desk(broker) as session:
            view = await terminals_at(session, lambda view: statuses(view).get("good") == ("online", None), 45)
            assert view.state.status == "online"


async def test_a_command_that_can_not_be_carried_out_is_answered_with_its_code_and_prints_nothing(
    broker, tmp_path, good_printer
):
    config = write(tmp_path, broker, [printer("good", good_printer.address_url)])
    async with daemon(config), desk(broker) as session:
        await terminals_at(session, lambda view: statuses(view).get("good") == ("online", None))
        for wrong, code in (
            ({"printer": "nobody"}, "printer.unknown"),
            ({"layout": "nothing"}, "layout.unknown"),
            ({"printr": "good"}, "data.invalid"),
            ({"fields": {}}, "fields.missing"),
        ):
            reply = await send_command(session, TOPICS, "ticket.print", wrong, CLOCK)
            assert (reply.state, reply.code) == (ReplyState.REJECTED, code)
        reply = await send_command(session, TOPICS, "no.such", {}, CLOCK)
        assert (reply.state, reply.code) == (ReplyState.REJECTED, "command.unknown")
        reply = await send_command(session, TOPICS, "ticket.print", {"fields": {"number": "坏\x07"}}, CLOCK)
        assert (reply.state, reply.code) == (ReplyState.FAILED, "request.invalid")
        good_printer.remove_paper()
        reply = await send_command(session, TOPICS, "ticket.print", {"fields": {"number": "A1"}}, CLOCK)
        assert (reply.state, reply.code) == (ReplyState.FAILED, "paper.end")
    assert good_printer.tickets == []


async def test_a_display_that_comes_back_shows_what_it_missed(broker, tmp_path):
    board = OnbonSimulator()
    async with on_tcp(board) as address, desk(broker) as session:
        port = int(address.rsplit(":", 1)[1])
        display = {"id": "bar-1", "driver": "onbon-bx", "port": address, "options": {"poll_every_s": 0.5}}
        windows = [{"id": "w1", "label": "1", "display": "bar-1"}]
        config = write(tmp_path, broker, [display], windows=windows)
        running = contextlib.AsyncExitStack()
        await running.enter_async_context(daemon(config))
        await terminals_at(session, lambda view: statuses(view).get("bar-1") == ("online", None))
        async with asyncio.timeout(10):
            while "欢迎光临" not in board.shown.lines:
                await asyncio.sleep(0.02)
        del port
        reply = await send_command(session, TOPICS, "number.call", {"window": "w1", "ticket": "A001"}, CLOCK)
        assert reply.state is ReplyState.SUCCEEDED
        assert board.shown.lines == ("请A001号到1号窗口",)
        await running.aclose()


async def test_a_document_that_can_not_be_used_exits_with_78_and_every_mistake(broker, tmp_path):
    config = write(tmp_path, broker, [])
    (tmp_path / "hall.yaml").write_text("terminals: []\nwindow: []\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hallctl.cli.main", "run", str(config), stderr=asyncio.subprocess.PIPE
    )
    _, text = await process.communicate()
    assert process.returncode == 78
    assert b"hall.yaml:2" in text
    assert b"windows" in text


async def test_a_killed_daemon_starts_a_new_boot_and_its_sequence_goes_on(broker, tmp_path, good_printer):
    config = write(tmp_path, broker, [printer("good", good_printer.address_url)])
    async with desk(broker) as session:
        async with daemon(config, expected_exit=-9) as process:
            view = await terminals_at(session, lambda view: statuses(view).get("good") == ("online", None))
            assert view.state.boot == 1
            process.kill()
        async with daemon(config):
            view = await terminals_at(session, lambda view: view.state.boot == 2 and view.state.last_seq >= 3)
            assert view.state.status == "online"


async def test_a_printer_without_paper_is_stood_in_for_and_a_ticket_waits_where_nobody_can(broker, tmp_path):
    first, second = EscposSimulator(), EscposSimulator("half_open")
    async with on_tcp(first) as one, on_tcp(second) as two, desk(broker) as session:
        terminals = [{**printer("first", one), "fallback": "second"}, printer("second", two)]
        config = write(tmp_path, broker, terminals, printing={"wait_s": 20})
        async with daemon(config):
            await terminals_at(session, lambda view: statuses(view).get("first") == ("online", None))
            first.remove_paper()
            told = []
            request = {"printer": "first", "fields": {"number": "A001"}}

            def progress(reply):
                told.append(reply)
                second.fault = None  # the other printer comes back while the ticket waits

            reply = await send_command(session, TOPICS, "ticket.print", request, CLOCK, on_progress=progress)
            assert reply.state is ReplyState.SUCCEEDED, reply
            assert (reply.data["printer"], reply.data["instead_of"]) == ("second", "first")
            assert told[0].code == "paper.end"
    assert first.tickets == []
    assert [ticket.lines for ticket in second.tickets] == [("A001",)]


async def test_a_self_test_over_the_broker_prints_and_tells_the_abilities(broker, tmp_path, good_printer):
    config = write(tmp_path, broker, [printer("good", good_printer.address_url)])
    async with daemon(config), desk(broker) as session:
        await terminals_at(session, lambda view: statuses(view).get("good") == ("online", None))
        reply = await send_command(session, TOPICS, "printer.test", {"printer": "good"}, CLOCK)
    assert (reply.state, reply.data["confirmed_by"]) == (ReplyState.SUCCEEDED, "gs_h")
    assert len(reply.data["abilities"]) > 8
    assert any(line.startswith("123456789") for line in good_printer.tickets[0].lines)


class Feed:
    """What was published, each message once, in whatever order it came."""

    def __init__(self, session):
        self._session = session
        self._kept = []

    async def first(self, wanted, seconds=40):
        """The first event or reply that ``wanted`` accepts; it is taken out."""
        async with asyncio.timeout(seconds):
            while not (found := [data for data in self._kept if wanted(data)]):
                message = await self._session.receive()
                self._session.acknowledge(message)
                self._kept.append(json.loads(message.payload or b"{}").get("data", {}))
        self._kept.remove(found[0])
        return found[0]


async def send(session, name, number, **data):
    """Publish ``ticket.print`` under the id ``name``; nobody waits for its reply."""
    now = CLOCK.now()
    request = {"printer": "good", "fields": {"number": number}, **data}
    command = Command(name, "ticket.print", now + timedelta(seconds=60), request, "li@desk-1")
    await session.publish(TOPICS.command("ticket.print"), command_envelope(command, "desk", now).encode())


def is_reply(data, state):
    return data.get("state") == state and "result" in data


def is_audit(data, command):
    return data.get("command") == command and "received_at" in data


async def test_one_id_prints_one_ticket_however_often_it_is_sent_also_after_a_restart(broker, tmp_path, good_printer):
    config = write(tmp_path, broker, [printer("good", good_printer.address_url)])
    async with desk(broker) as session:
        feed = Feed(session)

        async def reply_to(name):
            await send(session, name, "A009")
            final = ("succeeded", "failed", "rejected", "unknown")
            reply = await feed.first(
                lambda data: data.get("command") == name and data.get("state") in final and "result" in data
            )
            return reply["state"], reply["result"]

        async with daemon(config, expected_exit=-9) as process:
            await terminals_at(session, lambda view: statuses(view).get("good") == ("online", None))
            await session.subscribe(TOPICS.reply("+"))
            first = await reply_to("once")
            assert first == ("succeeded", {"printer": "good", "confirmed_by": "gs_h"})
            assert await reply_to("once") == first
            process.kill()
        async with daemon(config):
            await terminals_at(
                session, lambda view: [(t.boot, t.status) for t in view.terminals.values()] == [(2, "online")]
            )
            assert await reply_to("once") == first
            assert await reply_to("another") == first
    assert [ticket.lines for ticket in good_printer.tickets] == [("A009",), ("A009",)]


async def test_a_printer_that_has_to_draw_and_finds_no_font_is_counted_among_those_left_out(broker, tmp_path):
    options = {"profile": "no-chinese", "font": "/no/such.ttf"}
    config = write(tmp_path, broker, [{**printer("fontless", "tcp://127.0.0.1:9"), "options": options}])
    async with desk(broker) as session:
        await session.subscribe(TOPICS.event("#"))
        async with daemon(config):
            started = await Feed(session).first(lambda data: "quarantined" in data)
            view = await terminals_at(session, lambda view: "fontless" in view.terminals)
    assert started["quarantined"] == ["fontless"]
    assert statuses(view) == {"fontless": ("quarantined", "config.invalid")}
    assert "fonts-wqy-microhei" in view.terminals["fontless"].hint


@pytest.mark.rule("MQ-12")
@pytest.mark.rule("MQ-25")
async def test_a_daemon_that_is_killed_within_a_ticket_tells_which_one_and_never_prints_it_again(
    broker, tmp_path, good_printer
):
    options = {"poll_every_s": 1, "confirm": "gs_h", "confirm_timeout_s": 40}
    terminal = {**printer("good", good_printer.address_url), "options": options}
    config = write(tmp_path, broker, [terminal])
    good_printer.fault = "no_gs_h"  # it prints, and its word never comes
    async with desk(broker) as session:
        feed = Feed(session)
        async with daemon(config, expected_exit=-9) as process:
            await terminals_at(session, lambda view: statuses(view).get("good") == ("online", None))
            await session.subscribe(TOPICS.event("#"), TOPICS.reply("+"))
            await send(session, "in-the-middle", "A007")
            async with asyncio.timeout(20):
                while not good_printer.tickets:
                    await asyncio.sleep(0.02)
            process.kill()
        async with daemon(config):
            event = await feed.first(lambda data: data.get("reason") == "the controller stopped while it printed")
            assert (event["command"], event["text"], event["printer"]) == ("in-the-middle", "A007", "good")
            audit = await feed.first(lambda data: is_audit(data, "in-the-middle"))
            assert (audit["name"], audit["by"], audit["state"]) == ("ticket.print", "li@desk-1", "unknown")
            assert audit["arguments"] == {"printer": "good", "fields": {"number": "A007"}}
            reply = await feed.first(lambda data: is_reply(data, "unknown"))
            assert reply["command"] == "in-the-middle"
            await send(session, "in-the-middle", "A007")
            again = await feed.first(lambda data: is_reply(data, "unknown"))
            assert (again["command"], again["code"]) == ("in-the-middle", "controller.restarted")
    assert [ticket.lines for ticket in good_printer.tickets] == [("A007",)]


@pytest.mark.rule("MQ-12")
@pytest.mark.rule("MQ-25")
async def test_a_daemon_that_is_killed_while_a_ticket_waits_for_paper_knows_that_nothing_was_printed(
    broker, tmp_path, good_printer
):
    config = write(tmp_path, broker, [printer("good", good_printer.address_url)], printing={"wait_s": 50})
    good_printer.remove_paper()
    async with desk(broker) as session:
        feed = Feed(session)
        async with daemon(config, expected_exit=-9) as process:
            await terminals_at(session, lambda view: statuses(view).get("good") == ("online", None))
            await session.subscribe(TOPICS.event("#"), TOPICS.reply("+"))
            await send(session, "waits", "A008")
            await feed.first(lambda data: data.get("state") == "in_progress")
            process.kill()
        good_printer.load_paper()
        async with daemon(config):
            audit = await feed.first(lambda data: is_audit(data, "waits"))
            assert (audit["by"], audit["state"], audit["code"]) == ("li@desk-1", "failed", "controller.restarted")
            reply = await feed.first(lambda data: is_reply(data, "failed"))
            assert (reply["command"], reply["code"]) == ("waits", "controller.restarted")
            assert "nothing was done" in reply["message"]
    assert good_printer.tickets == []


async def test_a_daemon_that_is_started_anew_shows_the_number_that_was_called_before(broker, tmp_path):
    board = OnbonSimulator()
    async with on_tcp(board) as address, desk(broker) as session:
        display = {"id": "bar-1", "driver": "onbon-bx", "port": address, "options": {"poll_every_s": 0.5}}
        windows = [{"id": "w1", "label": "1", "display": "bar-1"}]
        config = write(tmp_path, broker, [display], windows=windows)
        async with daemon(config):
            await terminals_at(session, lambda view: statuses(view).get("bar-1") == ("online", None))
            reply = await send_command(session, TOPICS, "number.call", {"window": "w1", "ticket": "A001"}, CLOCK)
            assert reply.state is ReplyState.SUCCEEDED
        board.power_cycle()
        async with daemon(config):
            async with asyncio.timeout(20):
                while board.shown.lines != ("请A001号到1号窗口",):
                    await asyncio.sleep(0.02)
            reply = await send_command(session, TOPICS, "keypad.beep", {"window": "w1"}, CLOCK)
            assert (reply.state, reply.code) == (ReplyState.REJECTED, "keypad.none")
            reply = await send_command(session, TOPICS, "display.set", {"display": "bar-1"}, CLOCK)
            assert (reply.state, reply.code) == (ReplyState.REJECTED, "data.invalid")
