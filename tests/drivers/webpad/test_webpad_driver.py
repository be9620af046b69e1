"""Pads and tablets on real sockets: what is emitted, and that nobody is thanked before."""

import asyncio
import json

import pytest
from hallctl_drivers.webpad import PLUGIN, server
from hallctl_drivers.webpad.sim import OLD, WebPadSimulator
from hallctl_drivers.webpad.visitors import GRACE_S, MOST, REPLACED

from hallctl.clock import ManualClock
from hallctl.driver import EvaluationRequest, RatingSubmitted, StaffCard
from hallctl.errors import OutboxError, TransportUnavailable
from hallctl.model import Severity

QUESTION = EvaluationRequest(ticket="A001", id="window-1-1", timeout_s=60)


def url(port: int, terminal: str = "pad-1") -> str:
    return f"http://127.0.0.1:{port}/pad/{terminal}"


async def test_a_rating_is_on_disk_before_the_tablet_thanks(desk, port, running, until) -> None:
    pad, tablet = desk.pad(port), WebPadSimulator()
    async with running(pad), tablet.visit(url(port)):
        await pad.start_evaluation(QUESTION)
        await until(lambda: tablet.showing == "asking")
        desk.slow.clear()
        answer = tablet.press(4)
        await until(pad._storing.locked)
        assert (tablet.thanked, tablet.showing) == ([], "sending")
        desk.slow.set()
        await until(lambda: tablet.thanked == [answer])
        assert desk.signals == [RatingSubmitted(4, answer=answer, request="window-1-1", ticket="A001")]
        await until(lambda: tablet.showing == "idle")
        assert (await pad.poll()).info["ratings"] == 1


async def test_a_rating_that_could_not_be_kept_is_not_thanked_for_and_comes_again(desk, port, running, until) -> None:
    pad, tablet = desk.pad(port), WebPadSimulator()
    async with running(pad), tablet.visit(url(port)):
        await pad.start_evaluation(QUESTION)
        await until(lambda: tablet.showing == "asking")
        desk.disk_fails = OutboxError("disk full")
        tablet.repeat_s = 0.02
        answer = tablet.press(2)
        await until(lambda: desk.log.lines)
        desk.disk_fails = None
        await until(lambda: tablet.thanked == [answer])
        assert [signal.answer for signal in desk.signals] == [answer]
        assert len(desk.log.lines) == 1


async def test_what_is_said_three_times_is_stored_once_and_thanked_each_time(desk, port, running, until) -> None:
    pad, tablet = desk.pad(port), WebPadSimulator("impatient")
    async with running(pad), tablet.visit(url(port)):
        await pad.start_evaluation(QUESTION)
        await until(lambda: tablet.showing == "asking")
        answer = tablet.press(5)
        await until(lambda: tablet.thanked == [answer] * 3)
        assert len(desk.signals) == 1


async def test_an_answer_waits_in_the_tablet_while_the_daemon_is_being_restarted(desk, port, running, until) -> None:
    tablet = WebPadSimulator()
    async with tablet.visit(url(port)):
        async with running(first := desk.pad(port)):
            await first.start_evaluation(QUESTION)
            await until(lambda: tablet.showing == "asking")
        await until(lambda: not tablet.connected)
        answer = tablet.press(3)
        async with running(desk.pad(port)):
            await until(lambda: tablet.thanked == [answer])
    assert desk.signals == [RatingSubmitted(3, answer=answer, request="window-1-1", ticket="A001")]


async def test_what_is_asked_is_still_asked_after_the_page_came_back(desk, port, running, until) -> None:
    pad, tablet = desk.pad(port), WebPadSimulator()
    async with running(pad):
        await pad.start_evaluation(QUESTION)
        await pad.show_staff(StaffCard("0123", "李晓明", 4))
        for _ in range(2):
            async with tablet.visit(url(port)):
                await until(lambda: tablet.showing == "asking")
                assert tablet.state["staff"]["name"] == "李晓明"
        await pad.end_evaluation()
        async with tablet.visit(url(port)):
            await until(lambda: tablet.showing == "idle")


async def test_a_question_that_has_run_out_is_not_asked_again(desk, port, running, until) -> None:
    clock = ManualClock()
    pad, tablet = desk.pad(port, clock=clock), WebPadSimulator()
    async with running(pad):
        await pad.start_evaluation(QUESTION)
        await clock.advance(61)
        async with tablet.visit(url(port)):
            await until(lambda: tablet.showing == "idle")


async def test_an_answer_made_in_time_counts_although_the_question_is_closed(desk, port, running, until) -> None:
    pad, tablet = desk.pad(port), WebPadSimulator()
    tablet.kept = [OLD]
    async with running(pad), tablet.visit(url(port)):
        await pad.start_evaluation(QUESTION)
        await until(lambda: tablet.thanked == [OLD.answer])
        assert [signal.request for signal in desk.signals] == [OLD.request]
        await until(lambda: tablet.showing == "asking")  # the open question stays open


async def test_unasked_ratings_are_refused_unless_they_are_wanted(desk, port, running, until) -> None:
    for unasked, tablet in ((False, WebPadSimulator("forgetful")), (True, WebPadSimulator())):
        pad = desk.pad(port, unasked=unasked)
        async with running(pad), tablet.visit(url(port)):
            await until(lambda tablet=tablet: tablet.connected)
            answer = tablet.press(5)
            await until(lambda tablet=tablet: not tablet.kept)
            assert tablet.refused == ({} if unasked else {answer: "not-asked"})
    assert [signal.answer for signal in desk.signals] == [answer]


async def test_a_question_without_an_id_is_answered_without_one(desk, port, running, until) -> None:
    pad, tablet = desk.pad(port), WebPadSimulator()
    async with running(pad), tablet.visit(url(port)):
        await pad.start_evaluation(EvaluationRequest(ticket="A001"))
        await until(lambda: tablet.showing == "asking")
        tablet.press(5)
        await until(lambda: tablet.thanked)
        assert [signal.request for signal in desk.signals] == [""]


async def test_an_answer_of_yesterday_is_handed_on_once_a_run(desk, port, running, until) -> None:
    """The hall remembers answers across restarts, the pad its last 256."""
    pad, tablet = desk.pad(port), WebPadSimulator("old_answer")
    async with running(pad):
        for count in (1, 2):
            async with tablet.visit(url(port)):
                await until(lambda count=count: len(tablet.thanked) == count)
    assert len(desk.signals) == 1


@pytest.mark.parametrize(("fault", "codes"), [("garbage", {1008}), ("oversized", {1009, 1006})])
async def test_nonsense_closes_that_socket_is_logged_once_and_does_nothing_else(
    desk, port, running, until, fault, codes
) -> None:
    pad, tablet, other = desk.pad(port), WebPadSimulator(fault), WebPadSimulator()
    async with running(pad), other.visit(url(port)), tablet.visit(url(port)):
        await until(lambda: len(tablet.closed) >= 3)
        assert {code for code, _ in tablet.closed} <= codes
        assert [fields["peer"] for fields in desk.log.said("page sent nonsense")] == ["127.0.0.1"]
        assert (desk.signals, other.closed, other.connected) == ([], [], True)


async def test_a_page_of_another_site_is_refused(desk, port, running, until) -> None:
    tablet = WebPadSimulator("foreign")
    async with running(desk.pad(port)), tablet.visit(url(port)):
        await until(lambda: tablet.refused_visits)
        assert tablet.refused_visits[0] == 403


async def test_a_peer_that_is_not_allowed_is_refused(desk, port, running, until) -> None:
    tablet = WebPadSimulator()
    async with running(desk.pad(port, allow=["10.0.0.0/8"])), tablet.visit(url(port)):
        await until(lambda: tablet.refused_visits)
        assert tablet.refused_visits[0] == 403


async def test_of_too_many_pages_the_newest_stay(desk, port, running, until) -> None:
    pad, tablets = desk.pad(port), [WebPadSimulator() for _ in range(MOST + 1)]
    tablets[0].come_back_s = 60
    async with running(pad), asyncio.TaskGroup() as group:
        leave = asyncio.Event()

        async def stay(tablet: WebPadSimulator) -> None:
            async with tablet.visit(url(port)):
                await leave.wait()

        for count, tablet in enumerate(tablets, 1):
            group.create_task(stay(tablet))
            await until(lambda count=count: tablets[count - 1].connected and len(pad._visitors) == min(count, MOST))
        await until(lambda: tablets[0].closed)
        assert tablets[0].closed[0][0] == REPLACED
        assert all(tablet.connected for tablet in tablets[1:])
        leave.set()


async def test_nobody_on_the_page_is_a_fault_after_a_moment(desk, port, running, until) -> None:
    clock = ManualClock()
    pad, tablet = desk.pad(port, clock=clock), WebPadSimulator()
    async with running(pad):
        assert (await pad.poll()).faults == ()  # tablets need a moment after a restart
        await clock.advance(GRACE_S)
        (fault,) = (await pad.poll()).faults
        assert (fault.code, fault.severity) == ("pad.absent", Severity.ERROR)
        assert url(port) in fault.hint
        assert fault.code in PLUGIN.faults
        pad.attention.clear()
        async with tablet.visit(url(port)):
            await until(pad.attention.is_set)
            health = await pad.poll()
            assert health.faults == ()
            assert (health.info["url"], health.info["visitors"]) == (url(port), 1)
            pad.attention.clear()
        await until(pad.attention.is_set)
        assert (await pad.poll()).faults == ()
        await clock.advance(GRACE_S)
        assert (await pad.poll()).faults != ()


async def test_a_pad_that_need_not_be_present_reports_no_fault(desk, port, running) -> None:
    clock = ManualClock()
    pad = desk.pad(port, clock=clock, present=False)
    async with running(pad):
        await clock.advance(GRACE_S)
        assert (await pad.poll()).faults == ()


async def test_a_tablet_that_falls_silent_is_missed_at_once(desk, port, running, until, monkeypatch) -> None:
    monkeypatch.setattr(server, "PING_S", 0.1)
    pad, tablet = desk.pad(port, clock=ManualClock()), WebPadSimulator("silent")
    tablet.come_back_s = 60
    async with running(pad), tablet.visit(url(port)):
        await until(lambda: len(pad._visitors) == 1)
        await until(lambda: len(pad._visitors) == 0, 2 * server.PING_S + server.CLOSE_S + 1)
        assert [fault.code for fault in (await pad.poll()).faults] == ["pad.absent"]


async def test_an_idle_page_hears_from_the_daemon_so_that_it_notices_a_dead_one(desk, port, running, until) -> None:
    clock = ManualClock()
    pad, tablet = desk.pad(port, clock=clock), WebPadSimulator()
    async with running(pad), tablet.visit(url(port)):
        await until(lambda: "page" in tablet.state)
        await pad.poll()
        tablet.state = {"state": "idle"}
        await clock.advance(8)
        await pad.poll()
        await until(lambda: "page" in tablet.state)


async def test_staff_and_question_are_one_picture(desk, port, running, until) -> None:
    pad, tablet = desk.pad(port), WebPadSimulator()
    async with running(pad), tablet.visit(url(port)):
        await pad.show_staff(StaffCard("0123", "李晓明", 4))
        await pad.start_evaluation(EvaluationRequest(id="q", staff_number="0123", stars=5))
        await until(lambda: (tablet.state["staff"] or {}).get("stars") == 5)
        assert tablet.state["staff"]["photo"].startswith("/photo/pad-1?v=")
        await pad.start_evaluation(EvaluationRequest(id="r", staff_number="0456", staff_name="王"))
        await until(lambda: tablet.state.get("request") == "r")
        assert tablet.state["staff"] == {"number": "0456", "name": "王", "stars": None, "photo": None}
        await pad.show_staff(None)
        await pad.end_evaluation()
        await until(lambda: tablet.state["staff"] is None)


async def test_a_photo_that_can_not_be_read_is_drawn_and_logged(desk, port, running, tmp_path) -> None:
    pad = desk.pad(port)
    await pad.show_staff(StaffCard("0123", "李晓明", photo=str(tmp_path / "absent.png")))
    assert pad.photo.media_type == "image/svg+xml"
    assert desk.log.said("photo can't be shown")


async def test_a_large_photo_arrives_whole(desk, port, running, tmp_path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2 * 1024 * 1024 - 8))
    pad = desk.pad(port)
    async with running(pad):
        await pad.show_staff(StaffCard("0123", photo=str(path)))
        assert (await get(port, "/photo/pad-1")).endswith(path.read_bytes())


async def test_a_request_that_is_no_get_is_refused_over_the_wire(desk, port, running) -> None:
    async with running(desk.pad(port)):
        assert b" 200 " in (await get(port, "/pad/pad-1")).splitlines()[0]
        assert (await get(port, "/pad/pad-1", "DELETE")).split()[1] == b"405"
        assert (await get(port, "/../driver.py")).split()[1] == b"404"


async def get(port: int, path: str, method: str = "GET") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_poll_before_start_is_no_bug(desk, port) -> None:
    with pytest.raises(TransportUnavailable):
        await desk.pad(port).poll()


async def test_the_readme_shows_the_messages_as_they_are(desk, port, running, until) -> None:
    pad, tablet = desk.pad(port), WebPadSimulator()
    async with running(pad), tablet.visit(url(port)):
        await pad.start_evaluation(QUESTION)
        await until(lambda: tablet.showing == "asking")
        assert set(tablet.state) == {"v", "state", "request", "ticket", "seconds", "of", "staff", "page"}
        assert set(tablet.state["page"]) == {"title", "languages", "thanks_s", "unasked", "build"}
        assert json.loads(OLD.to_text()).keys() == {"v", "rate", "answer", "request", "ticket"}
