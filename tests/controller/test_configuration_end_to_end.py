"""The centre pushes documents to a real daemon, on a real broker and simulated devices: MQ-13 to MQ-17."""

import asyncio
import base64
import contextlib
import json

import pytest
from controller.pushed_hall import CLOCK, QUEUE, TOPICS, Display, Hall, Printer, bar, printer

from hallctl.driver import on_tcp
from hallctl.fleet.request import send_command
from hallctl.link import BrokerSettings, Session
from hallctl.link.configuration import ApplyStatus, document_hash
from hallctl.model import ReplyState


@pytest.fixture
async def hall(broker, tmp_path):
    async with Hall(tmp_path, broker) as made:
        yield made


@pytest.fixture
async def devices():
    """Two printers and a display, each counting its connections."""
    async with contextlib.AsyncExitStack() as stack:
        found = {}
        for name, simulator in (("p1", Printer()), ("p2", Printer()), ("bar", Display())):
            found[name] = (await stack.enter_async_context(on_tcp(simulator)), simulator)
        yield found


@pytest.mark.rule("MQ-15")
async def test_only_what_differs_is_touched_and_everything_else_follows(hall, devices):
    (p1, first), (p2, second), (bar_url, display) = devices["p1"], devices["p2"], devices["bar"]
    windows = [{"id": "w1", "label": "1", "display": "bar-1"}]
    document = {"terminals": [printer("p1", p1), bar("bar-1", bar_url)], "windows": windows, "tickets": [QUEUE]}
    hall.write(document)
    async with hall.daemon():
        await hall.online("p1", "bar-1")
        changed = {
            **document,
            "terminals": [printer("p2", p2), bar("bar-1", bar_url)],
            "texts": {"welcome": "您好"},
        }
        report = await hall.push(changed)
        assert (report.status, report.errors) == (ApplyStatus.APPLIED, [])
        assert report.applied_version == 1
        assert report.applied_hash == document_hash(changed)
        await hall.online("p2")
        await hall.until(lambda: "p1" not in hall.states)
        async with asyncio.timeout(10):
            while display.shown.lines != ("您好",):
                await asyncio.sleep(0.02)
    assert (first.connections, second.connections, display.connections) == (1, 1, 1)


@pytest.mark.rule("MQ-14")
async def test_an_equal_document_under_a_new_version_touches_nothing(hall, devices):
    url, device = devices["p1"]
    document = {"terminals": [printer("p1", url)], "tickets": [QUEUE]}
    hall.write(document)
    async with hall.daemon():
        await hall.online("p1")
        report = await hall.push({"version": 77, **document})
        assert (report.status, report.applied_version, report.restarted) == (ApplyStatus.APPLIED, 1, 0)
        assert device.connections == 1


@pytest.mark.rule("MQ-13")
async def test_an_older_version_is_ignored_and_a_used_one_refused(hall, devices):
    url, _ = devices["p1"]
    document = {"terminals": [printer("p1", url)], "tickets": [QUEUE]}
    hall.write(document)
    async with hall.daemon():
        await hall.online("p1")
        assert (await hall.push(document, version=5)).applied_version == 5
        other = {**document, "texts": {"welcome": "x"}}
        report = await hall.push(other, version=5)
        assert (report.status, report.errors[0].code) == (ApplyStatus.REJECTED, "version.reused")
        made = {"version": 4, "hash": document_hash(other), "document": other}
        await hall.session.publish(TOPICS.desired, json.dumps(made).encode(), retain=True)
        report = await hall.push(document, version=6)
        assert (report.status, report.applied_hash) == (ApplyStatus.APPLIED, document_hash(document))
        assert 4 not in {one.desired_version for one in hall.reports}


@pytest.mark.rule("MQ-17")
async def test_mistakes_are_reported_with_pointers_and_change_nothing(hall, devices):
    url, device = devices["p1"]
    document = {"terminals": [printer("p1", url)], "tickets": [QUEUE]}
    hall.write(document)
    async with hall.daemon():
        await hall.online("p1")
        report = await hall.push({**document, "texts": {"welcom": "x"}})
        assert report.status is ApplyStatus.REJECTED
        assert [(one.pointer, one.code) for one in report.errors] == [("/texts/welcom", "unknown-key")]
        assert report.applied_version == 0
        hall.reports.clear()
        await hall.session.publish(TOPICS.desired, b'{"version": 9, "document": ', retain=True)
        await hall.until(lambda: hall.reports)
        assert (hall.reports[-1].status, hall.reports[-1].errors[0].code) == ("rejected", "desired.unreadable")
        assert device.connections == 1


@pytest.mark.rule("MQ-17")
async def test_one_bad_terminal_is_quarantined_and_the_others_run(hall, devices):
    (p1, _), (p2, _) = devices["p1"], devices["p2"]
    hall.write({"terminals": [printer("p1", p1)], "tickets": [QUEUE]})
    async with hall.daemon():
        await hall.online("p1")
        bad = printer("bad", "tcp://127.0.0.1:9", paper_with=58)
        report = await hall.push({"terminals": [printer("p1", p1), bad, printer("p2", p2)], "tickets": [QUEUE]})
        assert (report.status, report.quarantined) == (ApplyStatus.PARTIAL, ["bad"])
        assert report.errors[0].pointer == "/terminals/1/options/paper_with"
        await hall.online("p1", "p2")
        await hall.until(lambda: hall.states.get("bad", {}).get("status") == "quarantined")


@pytest.mark.rule("MQ-16")
async def test_a_document_that_loses_a_terminal_is_taken_back(hall, devices):
    url, device = devices["p1"]
    document = {"terminals": [printer("p1", url)], "tickets": [QUEUE]}
    hall.write(document)
    async with hall.daemon():
        await hall.online("p1")
        wrong = {**document, "terminals": [printer("p1", "tcp://127.0.0.1:9")]}
        report = await hall.push(wrong, window_s=2)
        assert report.status is ApplyStatus.ROLLED_BACK
        assert [(one.pointer, one.code) for one in report.errors] == [("/terminals/0", "port.refused")]
        assert (report.desired_version, report.applied_version) == (1, 0)
        await hall.online("p1")
        assert device.connections == 2
        again = await hall.push(document)  # what has always been there
        assert (again.status, again.applied_version) == (ApplyStatus.APPLIED, 2)
        assert device.connections == 2


@pytest.mark.rule("MQ-16")
async def test_what_was_pushed_runs_after_a_restart_without_a_broker_too(hall, devices):
    url, device = devices["p1"]
    hall.write({"terminals": [], "tickets": [QUEUE]})
    async with hall.daemon():
        await hall.until(lambda: hall.reports)
        report = await hall.push({"terminals": [printer("p1", url)], "tickets": [QUEUE]})
        assert report.status is ApplyStatus.APPLIED
    hall.broker.stop()
    async with hall.daemon():
        async with asyncio.timeout(20):
            while device.connections < 2:
                await asyncio.sleep(0.05)
    hall.broker.start()
    assert "runs the centre's document" in hall.log


async def test_the_document_that_runs_can_be_had_by_command(hall, devices):
    url, _ = devices["p1"]
    document = {"terminals": [printer("p1", url)], "tickets": [QUEUE], "windows": [{"id": "w1", "label": "07"}]}
    hall.write(document)
    async with hall.daemon():
        await hall.online("p1")
        asking = Session(BrokerSettings(hall.broker.host, hall.broker.port, client_id="asks"))
        await asking.connect()
        reply = await send_command(asking, TOPICS, "config.get", {}, CLOCK)
        await asking.disconnect()
        assert reply.state is ReplyState.SUCCEEDED
        assert (reply.data["source"], reply.data["last"]) == ("hall.yaml", True)
        assert json.loads(base64.b64decode(reply.data["data"])) == document
