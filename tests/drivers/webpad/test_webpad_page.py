"""The page in a real browser. With WEBPAD_SHOTS=DIR it leaves pictures there."""

import json
import os
from pathlib import Path

import pytest

from hallctl.driver import EvaluationRequest, RatingSubmitted, StaffCard
from hallctl.errors import OutboxError

SHOTS = Path(os.environ["WEBPAD_SHOTS"]) if "WEBPAD_SHOTS" in os.environ else None
SIZES = [(1280, 800), (800, 1280), (360, 640)]
HALL = "海淀区政务服务中心"
LI = StaffCard("0123", "李晓明", 4)
QUESTION = EvaluationRequest(ticket="A017", id="window-1-1", timeout_s=60)
FITS = "document.documentElement.scrollHeight <= innerHeight && document.documentElement.scrollWidth <= innerWidth"
# Elements that reach out of the window or out of the box that holds them, by id or class.
CUT_OFF = """
[...document.querySelectorAll('body *')].filter((one) => {
  const box = one.getBoundingClientRect();
  return box.width && !one.closest('svg') && (box.bottom > innerHeight + 1 || box.right > innerWidth + 1
    || box.top < -1 || box.left < -1 || (one.scrollWidth > one.clientWidth + 1 && one.clientWidth));
}).map((one) => one.id || one.outerHTML)"""
# The smallest side of any button that can be tapped, and whether buttons lie upon each other.
SMALLEST = """
Math.min(...[...document.querySelectorAll('button')].filter((one) => one.offsetWidth)
  .flatMap((one) => [one.offsetWidth, one.offsetHeight]))"""


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}/pad/pad-1"


async def shoot(page, name: str) -> None:
    if SHOTS is not None:
        await page.shoot(SHOTS / f"{name}.png")


async def text(page, name: str) -> str:
    return await page.get(f"document.getElementById('{name}').textContent")


async def test_idle_it_shows_who_serves(desk, port, page, running) -> None:
    pad = desk.pad(port, title=HALL)
    async with running(pad):
        await pad.show_staff(LI)
        await page.size(1280, 800)
        await page.open(url(port))
        await page.until("document.getElementById('name').textContent === '李晓明'")
        await page.view("idle")
        await page.until("document.getElementById('photo').naturalWidth > 0")
        assert "0123" in await text(page, "number")
        assert await text(page, "stars") == "★★★★☆"
        assert await text(page, "title") == HALL
        assert await page.get("document.documentElement.lang") == "zh-CN"
        await shoot(page, "idle")


async def test_asking_shows_five_faces_and_one_tap_is_one_answer_that_is_thanked_for(
    desk, port, page, running, until
) -> None:
    pad = desk.pad(port, title=HALL)
    async with running(pad):
        await pad.show_staff(LI)
        await page.size(1280, 800)
        await page.open(url(port))
        await page.view("idle")
        await pad.start_evaluation(QUESTION)
        await page.view("asking")
        words = await page.get("[...document.querySelectorAll('#faces button')].map((one) => one.ariaLabel)")
        assert words == ["非常满意", "满意", "基本满意", "不满意", "非常不满意"]
        assert "A017" in await text(page, "ticket")
        await shoot(page, "asking-zh-1280x800")
        desk.slow.clear()
        await page.tap("[data-score='4']")
        await page.view("sending")
        assert await page.get("[...document.querySelectorAll('#faces button')].every((one) => one.disabled)")
        await shoot(page, "sending")
        desk.slow.set()
        await page.view("thanks")
        await shoot(page, "thanks")
        await page.view("idle")
        (rating,) = desk.signals
        assert rating == RatingSubmitted(4, answer=rating.answer, request="window-1-1", ticket="A017")


async def test_an_answer_outlives_a_restart_of_the_daemon_and_arrives_once(desk, port, page, running, until) -> None:
    async with running(first := desk.pad(port)):
        await page.open(url(port))
        await page.view("idle")
        await first.start_evaluation(QUESTION)
        await page.view("asking")
        desk.disk_fails = OutboxError("the disk is full")
        await page.tap("[data-score='1']")
        await until(lambda: desk.log.said("rating can't be kept; its page repeats it"))
    await page.view("sending")
    desk.disk_fails = None
    async with running(desk.pad(port)):
        await page.view("thanks")
        await page.until("localStorage.getItem('hallctl-pad-pad-1-answers') === '[]'")
    assert [(signal.score, signal.request) for signal in desk.signals] == [(1, "window-1-1")]


async def test_an_answer_outlives_a_reload_of_the_page(desk, port, page, running, until) -> None:
    pad = desk.pad(port)
    async with running(pad):
        await page.open(url(port))
        await page.view("idle")
        await pad.start_evaluation(QUESTION)
        await page.view("asking")
        desk.disk_fails = OutboxError("the disk is full")
        await page.tap("[data-score='5']")
        await page.view("sending")
        await page.do("Page.reload")
        await page.view("sending")
        desk.disk_fails = None
        await page.view("thanks")
    assert [signal.score for signal in desk.signals] == [5]


async def test_nobody_answers_in_time_and_the_page_goes_back_to_idle(desk, port, page, running) -> None:
    pad = desk.pad(port)
    async with running(pad):
        await page.open(url(port))
        await page.view("idle")
        await pad.start_evaluation(EvaluationRequest(id="window-1-2", timeout_s=1))
        await page.view("asking")
        await page.view("idle")
        await pad.start_evaluation(QUESTION)
        await page.view("asking")
        await pad.end_evaluation()
        await page.view("idle")


async def test_the_language_changes_and_goes_back_after_the_rating(desk, port, page, running) -> None:
    pad = desk.pad(port, thanks_s=1)
    async with running(pad):
        await pad.show_staff(LI)
        await page.size(360, 640)
        await page.open(url(port))
        await pad.start_evaluation(QUESTION)
        await page.view("asking")
        await page.tap("#toggle")
        await page.until("document.documentElement.lang === 'en'")
        assert await text(page, "question") == "Please rate our service"
        await page.do("Page.reload")
        await page.view("asking")
        await page.until("document.documentElement.lang === 'en'")
        await shoot(page, "asking-en-360x640")
        await page.tap("[data-score='5']")
        await page.until("document.getElementById('words').textContent === 'Thank you for your rating!'")
        await page.view("idle")
        await page.until("document.documentElement.lang === 'zh-CN'")


async def test_a_pad_with_one_language_has_no_toggle(desk, port, page, running) -> None:
    async with running(desk.pad(port, languages=["en"])):
        await page.open(url(port))
        await page.until("document.documentElement.lang === 'en'")
        assert await page.get("document.getElementById('toggle').hidden")


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("language", ["zh", "en"])
async def test_nothing_scrolls_or_is_cut_off(desk, port, page, running, width, height, language) -> None:
    pad = desk.pad(port, title=HALL, languages=[language, "zh" if language == "en" else "en"], thanks_s=1)
    async with running(pad):
        await pad.show_staff(StaffCard("HD-20231107", "欧阳·阿布都热合曼", 5))
        await page.size(width, height)
        await page.open(url(port))
        await page.until("document.getElementById('photo').naturalWidth > 0")
        await fits(page, f"idle-{language}-{width}x{height}")
        await pad.start_evaluation(EvaluationRequest(ticket="HJ-0017-XYZW", id="window-1-1", timeout_s=600))
        await page.view("asking")
        await fits(page, f"asking-{language}-{width}x{height}")
        await page.tap("[data-score='2']")
        await page.view("thanks")
        await fits(page, f"thanks-{language}-{width}x{height}")


async def fits(page, name: str) -> None:
    await shoot(page, name)
    assert await page.get(FITS)
    assert await page.get(CUT_OFF) == []
    assert await page.get(SMALLEST) >= 64


async def test_where_it_may_be_rated_unasked_the_faces_are_always_there(desk, port, page, running, until) -> None:
    pad = desk.pad(port, unasked=True, thanks_s=1)
    async with running(pad):
        await page.size(1280, 800)
        await page.open(url(port))
        await page.view("open")
        await shoot(page, "open")
        await page.tap("[data-score='3']")
        await page.view("thanks")
        await page.view("open")
    assert [(signal.score, signal.request) for signal in desk.signals] == [(3, "")]


async def test_a_refused_answer_is_dropped_with_a_polite_word(desk, port, page, running) -> None:
    async with running(desk.pad(port)):
        await page.open(url(port))
        await page.view("idle")
        stale = {"v": 1, "rate": 3, "answer": "00000000-0000-4000-8000-000000000002", "request": "", "ticket": None}
        await page.get(f"localStorage.setItem('hallctl-pad-pad-1-answers', {json.dumps(json.dumps([stale]))})")
        await page.do("Page.reload")
        await page.view("refused")
        await page.until("localStorage.getItem('hallctl-pad-pad-1-answers') === '[]'")
    assert desk.signals == []


async def test_a_lost_connection_is_said_unobtrusively_and_comes_back(desk, port, page, running) -> None:
    pad = desk.pad(port)
    async with running(pad):
        await pad.show_staff(LI)
        await page.size(1280, 800)
        await page.open(url(port))
        await page.until("document.getElementById('name').textContent === '李晓明'")
    await page.until("!document.getElementById('banner').hidden")
    assert await page.get("document.body.dataset.view") == "idle"
    assert await text(page, "name") == "李晓明"
    await shoot(page, "lost")
    async with running(desk.pad(port)):
        await page.until("document.getElementById('banner').hidden")


async def test_a_tap_while_the_daemon_is_away_arrives_when_it_is_back(desk, port, page, running) -> None:
    first = desk.pad(port, languages=["en"])
    await page.size(360, 640)
    async with running(first):
        await first.show_staff(LI)
        await page.open(url(port))
        await page.view("idle")
        await first.start_evaluation(QUESTION)
        await page.view("asking")
    await page.until("!document.getElementById('banner').hidden")
    await fits(page, "asking-lost-360x640")
    await page.tap("[data-score='2']")
    await page.view("sending")
    assert desk.signals == []
    async with running(desk.pad(port)):
        await page.view("thanks")
    assert [(signal.score, signal.request, signal.ticket) for signal in desk.signals] == [(2, "window-1-1", "A017")]


async def test_a_page_leaves_a_connection_that_has_died_without_a_word(desk, port, page, running, until) -> None:
    pad, came = desk.pad(port), []
    pad._visitors._changed = lambda: came.append(len(pad._visitors))  # nobody polls: the page hears nothing
    hurry = "const wait = setTimeout; window.setTimeout = (what, ms) => wait(what, ms === 25000 ? 250 : ms);"
    async with running(pad):
        await page.do("Page.addScriptToEvaluateOnNewDocument", source=hurry)
        await page.open(url(port))
        await until(lambda: came.count(1) >= 4)


async def test_another_sites_page_can_not_open_the_socket(desk, port, other_port, page, running) -> None:
    pad = desk.pad(port)
    other = desk.pad(other_port, "pad-2")
    async with running(pad, other):
        await page.open(f"http://127.0.0.1:{other_port}/")
        opened = await page.get(
            f"""new Promise((done) => {{
              const socket = new WebSocket('ws://127.0.0.1:{port}/ws/pad-1');
              socket.onopen = () => done(true);
              socket.onerror = () => done(false);
            }})"""
        )
        assert opened is False
        page.errors.clear()  # the browser notes it; every other test ends without a note
        assert len(pad._visitors) == 0
