"""What displays, pads and keypads get beside calls: light by time of day, what they missed, nothing twice."""

from datetime import UTC, datetime, time
from types import SimpleNamespace

import pytest

from hallctl.clock import ManualClock
from hallctl.config.hall import Brightness, HallDocument
from hallctl.controller.dimming import Dimmer
from hallctl.controller.executor import Executor
from hallctl.controller.memory import HallMemory
from hallctl.controller.signals import SignalDesk
from hallctl.driver import RatingSubmitted, StaffCard
from hallctl.errors import OutboxError, TerminalOffline
from hallctl.hall import Hall
from hallctl.model import EventType
from hallctl.outbox import Outbox

STEPS = [Brightness(at=time(7), percent=80), Brightness(at=time(18), percent=30), Brightness(at=time(21), percent=0)]
DOCUMENT = HallDocument.model_validate(
    {"windows": [{"id": "w1", "label": "1", "display": "bar-1", "pad": "pad-1", "keypad": "key-1"}]}
)


class Log:
    def __init__(self):
        self.lines = []

    def debug(self, event, **_fields):
        self.lines.append(event)

    info = warning = debug


class Device:
    """A driver of everything, behind a supervisor that can be away."""

    def __init__(self, *, away=False, can=True):
        self.said = []
        self.away = away
        self.can = can

    async def act(self, action):
        if self.away:
            raise TerminalOffline("bar-1 is offline")
        return await action(self)

    def __getattr__(self, name):
        async def note(*values):
            self.said.append((name, *values))
            return self.can

        return note


def at(hour, minute=0):
    return ManualClock(datetime(2026, 3, 2, hour, minute, tzinfo=UTC))


@pytest.mark.parametrize(
    ("hour", "percent"), [(23, 80), (0, 80), (9, 80), (10, 30), (12, 30), (13, 0), (20, 0), (22, 0)]
)
def test_the_brightness_follows_the_halls_own_time_of_day(hour, percent):
    dimmer = Dimmer(STEPS, "Asia/Shanghai", {}, clock=at(hour), log=Log())
    assert dimmer.percent(at(hour).now()) == percent


async def test_a_dark_hour_switches_off_and_the_morning_switches_on_again():
    bar = Device()
    await Dimmer(STEPS, "Asia/Shanghai", {"bar-1": bar}, clock=at(15), log=Log()).apply("bar-1")
    await Dimmer(STEPS, "Asia/Shanghai", {"bar-1": bar}, clock=at(1), log=Log()).apply("bar-1")
    assert bar.said == [("set_power", False), ("set_power", True), ("set_brightness", 80)]


async def test_a_display_that_is_away_stops_nothing_and_an_empty_day_sets_nothing():
    log = Log()
    await Dimmer(STEPS, "Asia/Shanghai", {"bar-1": Device(away=True)}, clock=at(1), log=log).apply("bar-1")
    assert log.lines == ["brightness not set"]
    bar = Device()
    await Dimmer([], "Asia/Shanghai", {"bar-1": bar}, clock=at(1), log=log).apply("bar-1")
    assert bar.said == []


@pytest.fixture
def desk():
    return make_desk()


def make_desk(commit_error=None):
    clock, hall, device = at(1), Hall(DOCUMENT), Device()
    events, later, changes = [], [], []

    async def commit(event):
        if commit_error and not events:
            events.append(None)
            raise commit_error
        events.append(event)

    async def on_window(_window): ...

    terminals = dict.fromkeys(("bar-1", "pad-1", "key-1"), device)
    executor = Executor(hall, terminals, commit, staff={"pad-1": StaffCard("0123")}, later=later.append)
    signals = SignalDesk(
        hall, executor, commit, clock, later=later.append, on_window=on_window, changed=lambda: changes.append(1)
    )
    return SimpleNamespace(**locals())


async def test_an_answer_whose_thanks_were_lost_counts_once(desk):
    for _ in range(3):
        await desk.signals.take("pad-1", RatingSubmitted(5, "answer-1"))
    assert [event.type for event in desk.events] == [EventType.RATING_GIVEN]


async def test_a_question_that_two_tablets_answer_is_one_rating(desk):
    await desk.signals.take("pad-1", RatingSubmitted(5, "answer-1", "w1-1"))
    await desk.signals.take("pad-1", RatingSubmitted(1, "answer-2", "w1-1"))
    await desk.signals.take("pad-1", RatingSubmitted(4, "answer-3", "w1-2"))
    assert [event.data["score"] for event in desk.events] == [5, 4]


async def test_an_answer_that_could_not_be_written_is_not_taken_for_written():
    desk = make_desk(OutboxError("disk full"))
    with pytest.raises(OutboxError):
        await desk.signals.take("pad-1", RatingSubmitted(5, "answer-1"))
    await desk.signals.take("pad-1", RatingSubmitted(5, "answer-1"))
    assert desk.events[1].data["answer"] == "answer-1"


async def test_a_pad_that_comes_back_gets_the_staff_and_the_open_question(desk):
    desk.hall.ask("w1", desk.clock.now(), "A001")
    await desk.executor.restore("pad-1")
    (staff, question) = desk.device.said
    assert staff == ("show_staff", StaffCard("0123"))
    assert (question[0], question[1].ticket) == ("start_evaluation", "A001")


async def test_a_keypad_that_comes_back_gets_its_numbers(desk):
    desk.hall.queue("w1", 7)
    await desk.executor.restore("key-1")
    assert desk.device.said == [("show_queue", 7, None)]


async def test_what_a_display_can_not_do_is_said(desk):
    desk.device.can = False
    outcome = await desk.executor.set_display("bar-1", on=None, brightness=50)
    assert outcome.failed["bar-1"].code == "display.unsupported"
    assert (await desk.executor.beep("key-1")).failed["key-1"].code == "keypad.unsupported"


async def test_a_dead_keypad_fails_no_call(desk):
    desk.device.away = True
    outcome = await desk.executor.carry_out(desk.hall.queue("w1", 3))
    for work in desk.later:
        await work
    assert not outcome.failed


async def no_events(_kind):
    return []


async def test_an_answer_that_is_on_disk_and_not_in_the_memory_yet_counts_once(desk, tmp_path):
    answer = RatingSubmitted(5, answer="0001")
    outbox = Outbox.open(tmp_path / "outbox.db", "hall", "box", at(1))
    await desk.signals.take("pad-1", answer)
    await outbox.append(desk.events[0])  # and then the daemon was killed
    again = Hall(DOCUMENT)
    memory = HallMemory(
        again, outbox.load_state, outbox.save_state, outbox.newest_events, clock=at(1), log=Log(), zone="Asia/Shanghai"
    )
    await memory.recall()
    await outbox.close()
    assert again.has_taken(answer)
    assert not again.has_taken(RatingSubmitted(5, answer="0002"))


async def test_windows_that_were_saved_today_go_on_and_a_spoilt_memory_stops_nobody():
    kept, log = {}, Log()

    async def load(key):
        return kept.get(key)

    async def save(key, value):
        kept[key] = value

    def memory(hall, hour=1):
        return HallMemory(hall, load, save, no_events, clock=at(hour), log=log, zone="Asia/Shanghai")

    first = Hall(DOCUMENT)
    first.call("w1", "A001", at(1).now())
    await memory(first).save()
    again, tomorrow, spoilt = Hall(DOCUMENT), Hall(DOCUMENT), Hall(DOCUMENT)
    await memory(again).recall()
    await memory(tomorrow, 17).recall()  # 01:00 in Shanghai
    assert again.window("w1").ticket == "A001"
    assert tomorrow.window("w1").ticket is None
    for nonsense in (
        "nothing",
        {},
        {"day": "2026-03-02", "windows": {"w1": 5}, "calls": [], "texts": {}, "answers": []},
    ):
        kept["hall"] = nonsense
        await memory(spoilt).recall()
        assert spoilt.remember() == Hall(DOCUMENT).remember()
    assert len(log.lines) == 3
