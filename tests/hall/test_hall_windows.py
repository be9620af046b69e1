"""Windows as units: what a call, a state, a key and a rating mean."""

from datetime import UTC, datetime, timedelta

import pytest

from hallctl.config.hall import HallDocument
from hallctl.errors import RequestRefused
from hallctl.hall import Hall
from hallctl.hall.message import Colour, DisplayKind
from hallctl.hall.signal import Key, KeyPressed
from hallctl.model import EventType, Priority, WindowState

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@pytest.fixture
def hall() -> Hall:
    return Hall(
        HallDocument.model_validate(
            {
                "windows": [
                    {
                        "id": "w3",
                        "label": "3",
                        "display": "bar-3",
                        "pad": "pad-3",
                        "keypad": "key-3",
                        "staff": {"number": "0123", "name": "张三", "stars": 5},
                    },
                    {"id": "w4", "label": "4", "display": "bar-4"},
                ],
                "main_boards": {"displays": ["board-1", "board-2"], "lines": 2},
                "evaluation": {"timeout_s": 60},
            }
        )
    )


def event(plan, kind):
    return next(event for event in plan.events if event.type is kind)


def test_a_call_shows_on_the_windows_display_and_on_every_main_board(hall):
    plan = hall.call("w3", "A001")
    assert [show.display for show in plan.shows] == ["bar-3", "board-1", "board-2"]
    assert plan.shows[0].message.lines == ("请A001号到3号窗口",)
    assert plan.shows[0].message.blink
    assert plan.shows[1].message.lines == ("A001号→3号窗口",)
    assert event(plan, EventType.NUMBER_CALLED).data == {"window": "w3", "label": "3", "ticket": "A001"}


def test_a_board_lists_the_last_calls_newest_first_and_no_call_twice(hall):
    hall.call("w3", "A001")
    hall.call("w4", "B002")
    plan = hall.recall("w3")
    assert plan.shows[-1].message.lines == ("A001号→3号窗口", "B002号→4号窗口")
    assert hall.call("w4", "B003").shows[-1].message.lines == ("B003号→4号窗口", "A001号→3号窗口")


def test_an_unknown_window_is_refused_with_the_windows_that_there_are(hall):
    with pytest.raises(RequestRefused, match="w3, w4") as caught:
        hall.call("w9", "A001")
    assert caught.value.code == "window.unknown"


def test_a_paused_window_calls_nobody(hall):
    hall.set_state("w3", WindowState.PAUSED, NOW)
    with pytest.raises(RequestRefused) as caught:
        hall.call("w3", "A001")
    assert caught.value.code == "window.paused"


@pytest.mark.parametrize("ticket", ["", "A" * 17])
def test_a_ticket_number_that_no_display_could_show_is_refused(hall, ticket):
    with pytest.raises(RequestRefused):
        hall.call("w3", ticket)


def test_a_recall_before_any_call_is_refused(hall):
    with pytest.raises(RequestRefused) as caught:
        hall.recall("w3")
    assert caught.value.code == "recall.nothing"


def test_a_completed_service_asks_the_pad_for_a_rating(hall):
    hall.call("w3", "A001")
    hall.set_state("w3", WindowState.SERVING, NOW)
    plan = hall.set_state("w3", WindowState.WELCOME, NOW)
    (ask,) = plan.asks
    assert (ask.pad, ask.request.ticket, ask.request.staff_number, ask.request.stars) == ("pad-3", "A001", "0123", 5)
    assert event(plan, EventType.RATING_REQUESTED).data["ticket"] == "A001"


def test_a_window_without_a_pad_completes_silently_and_refuses_an_evaluation(hall):
    hall.call("w4", "A001")
    assert hall.set_state("w4", WindowState.WELCOME, NOW).asks == ()
    with pytest.raises(RequestRefused) as caught:
        hall.ask("w4", NOW)
    assert caught.value.code == "evaluation.no_pad"


def test_leaving_a_pause_asks_for_no_rating(hall):
    hall.call("w3", "A001")
    hall.set_state("w3", WindowState.PAUSED, NOW)
    assert hall.set_state("w3", WindowState.WELCOME, NOW).asks == ()


def test_a_rating_names_window_staff_ticket_and_score_and_is_of_high_priority(hall):
    hall.ask("w3", NOW, "A001")
    rating = event(hall.rated("pad-3", 5, NOW + timedelta(seconds=4)), EventType.RATING_GIVEN)
    assert rating.priority is Priority.HIGH
    assert rating.data == {
        "window": "w3",
        "label": "3",
        "pad": "pad-3",
        "score": 5,
        "ticket": "A001",
        "asked": True,
        "after_s": 4.0,
        "staff": "0123",
    }


def test_a_rating_that_nobody_asked_for_is_kept_and_says_so(hall):
    rating = event(hall.rated("pad-3", 1, NOW), EventType.RATING_GIVEN)
    assert rating.data["asked"] is False
    assert event(hall.rated("pad-of-no-window", 2, NOW), EventType.RATING_GIVEN).data["score"] == 2


def test_a_rating_that_does_not_come_is_missed_exactly_once(hall):
    hall.ask("w3", NOW, "A001")
    assert hall.overdue(NOW + timedelta(seconds=59)).events == ()
    missed = hall.overdue(NOW + timedelta(seconds=60))
    assert [event.type for event in missed.events] == [EventType.RATING_MISSED]
    assert hall.overdue(NOW + timedelta(seconds=61)).events == ()


def test_every_key_becomes_an_event_that_a_queue_system_can_act_on(hall):
    pressed = event(hall.pressed("key-3", KeyPressed(Key.TRANSFER, "5"), NOW), EventType.KEY_PRESSED)
    assert pressed.data["key"] == "transfer"
    assert pressed.data["argument"] == "5"
    assert pressed.data["window"] == "w3"
    assert pressed.data["handled"] is False


def test_the_pause_key_pauses_the_window_and_the_next_press_opens_it(hall):
    plan = hall.pressed("key-3", KeyPressed(Key.PAUSE), NOW)
    assert plan.shows[0].message.kind is DisplayKind.PAUSED
    assert event(plan, EventType.WINDOW_CHANGED).data["by"] == "keypad"
    hall.pressed("key-3", KeyPressed(Key.PAUSE), NOW)
    assert hall.window("w3").state is WindowState.WELCOME


def test_a_local_key_that_makes_no_sense_is_still_an_event_with_the_reason(hall):
    pressed = event(hall.pressed("key-3", KeyPressed(Key.RECALL), NOW), EventType.KEY_PRESSED)
    assert (pressed.data["handled"], pressed.data["refused"]) == (False, "recall.nothing")


def test_a_display_that_comes_back_shows_what_its_window_is_doing(hall):
    hall.call("w3", "A001")
    assert hall.message_for("bar-3").kind is DisplayKind.CALL
    assert hall.message_for("board-1").kind is DisplayKind.BOARD
    assert hall.message_for("bar-4").kind is DisplayKind.WELCOME
    assert hall.message_for("nobody") is None


def test_a_text_stays_until_something_happens_at_the_window(hall):
    hall.show_text("bar-3", "系统维护", Colour.YELLOW, blink=False)
    assert hall.message_for("bar-3").text == "系统维护"
    hall.call("w3", "A001")
    assert hall.message_for("bar-3").kind is DisplayKind.CALL
    hall.show_text("bar-3", "系统维护", Colour.YELLOW, blink=False)
    assert hall.show_text("bar-3", "", Colour.RED, blink=False).shows[0].message.kind is DisplayKind.CALL


def test_braces_in_a_ticket_number_are_not_read_as_fields(hall):
    assert hall.call("w3", "{window}").shows[0].message.lines == ("请{window}号到3号窗口",)
