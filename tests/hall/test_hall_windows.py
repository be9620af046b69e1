"""Windows as units: what a call, a state, a key and a rating mean."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from hallctl.config.hall import HallDocument
from hallctl.errors import RequestRefused
from hallctl.hall import EndEvaluation, Hall, Plan, ShowQueue, StandStill
from hallctl.hall.message import Colour, DisplayKind
from hallctl.hall.signal import Key, KeyPressed, RatingSubmitted
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
    plan = hall.call("w3", "A001", NOW)
    assert [show.display for show in plan.shows] == ["bar-3", "board-1", "board-2"]
    assert plan.shows[0].message.lines == ("请A001号到3号窗口",)
    assert plan.shows[0].message.blink
    assert plan.shows[1].message.lines == ("A001号→3号窗口",)
    assert event(plan, EventType.NUMBER_CALLED).data == {"window": "w3", "label": "3", "ticket": "A001"}


def test_a_board_lists_the_last_calls_newest_first_and_no_call_twice(hall):
    hall.call("w3", "A001", NOW)
    hall.call("w4", "B002", NOW)
    plan = hall.recall("w3", NOW)
    assert plan.shows[-1].message.lines == ("A001号→3号窗口", "B002号→4号窗口")
    assert hall.call("w4", "B003", NOW).shows[-1].message.lines == ("B003号→4号窗口", "A001号→3号窗口")


def test_an_unknown_window_is_refused_with_the_windows_that_there_are(hall):
    with pytest.raises(RequestRefused, match="w3, w4") as caught:
        hall.call("w9", "A001", NOW)
    assert caught.value.code == "window.unknown"


def test_a_paused_window_calls_nobody(hall):
    hall.set_state("w3", WindowState.PAUSED, NOW)
    with pytest.raises(RequestRefused) as caught:
        hall.call("w3", "A001", NOW)
    assert caught.value.code == "window.paused"


@pytest.mark.parametrize("ticket", ["", "A" * 17])
def test_a_ticket_number_that_no_display_could_show_is_refused(hall, ticket):
    with pytest.raises(RequestRefused):
        hall.call("w3", ticket, NOW)


def test_a_recall_before_any_call_is_refused(hall):
    with pytest.raises(RequestRefused) as caught:
        hall.recall("w3", NOW)
    assert caught.value.code == "recall.nothing"


def test_a_completed_service_asks_the_pad_for_a_rating(hall):
    hall.call("w3", "A001", NOW)
    hall.set_state("w3", WindowState.SERVING, NOW)
    plan = hall.set_state("w3", WindowState.WELCOME, NOW)
    (ask,) = plan.asks
    assert (ask.pad, ask.request.ticket, ask.request.staff_number, ask.request.stars) == ("pad-3", "A001", "0123", 5)
    assert event(plan, EventType.RATING_REQUESTED).data["ticket"] == "A001"


def test_a_window_without_a_pad_completes_silently_and_refuses_an_evaluation(hall):
    hall.call("w4", "A001", NOW)
    assert hall.set_state("w4", WindowState.WELCOME, NOW).asks == ()
    with pytest.raises(RequestRefused) as caught:
        hall.ask("w4", NOW)
    assert caught.value.code == "evaluation.no_pad"


def test_leaving_a_pause_asks_for_no_rating(hall):
    hall.call("w3", "A001", NOW)
    hall.set_state("w3", WindowState.PAUSED, NOW)
    assert hall.set_state("w3", WindowState.WELCOME, NOW).asks == ()


def test_a_rating_names_window_staff_ticket_and_score_and_is_of_high_priority(hall):
    hall.ask("w3", NOW, "A001")
    rating = event(hall.rated("pad-3", RatingSubmitted(5), NOW + timedelta(seconds=4)), EventType.RATING_GIVEN)
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
    rating = event(hall.rated("pad-3", RatingSubmitted(1), NOW), EventType.RATING_GIVEN)
    assert rating.data["asked"] is False
    assert event(hall.rated("pad-of-no-window", RatingSubmitted(2), NOW), EventType.RATING_GIVEN).data["score"] == 2


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
    hall.call("w3", "A001", NOW)
    assert hall.message_for("bar-3").kind is DisplayKind.CALL
    assert hall.message_for("board-1").kind is DisplayKind.BOARD
    assert hall.message_for("bar-4").kind is DisplayKind.WELCOME
    assert hall.message_for("nobody") is None


def test_a_text_stays_until_something_happens_at_the_window(hall):
    hall.show_text("bar-3", "系统维护", Colour.YELLOW, blink=False)
    assert hall.message_for("bar-3").text == "系统维护"
    hall.call("w3", "A001", NOW)
    assert hall.message_for("bar-3").kind is DisplayKind.CALL
    hall.show_text("bar-3", "系统维护", Colour.YELLOW, blink=False)
    assert hall.show_text("bar-3", "", Colour.RED, blink=False).shows[0].message.kind is DisplayKind.CALL


def test_braces_in_a_ticket_number_are_not_read_as_fields(hall):
    assert hall.call("w3", "{window}", NOW).shows[0].message.lines == ("请{window}号到3号窗口",)


def test_a_call_blinks_for_a_while_and_then_stands_and_a_recall_blinks_again(hall):
    hall.call("w3", "A001", NOW)
    assert hall.overdue(NOW + timedelta(seconds=3)) == Plan()
    plan = hall.overdue(NOW + timedelta(seconds=4))
    assert (plan.shows, plan.notes) == ((), (StandStill("bar-3"),))
    assert not hall.message_for("bar-3").blink
    assert hall.recall("w3", NOW + timedelta(seconds=9)).shows[0].message.blink


def test_a_window_that_serves_does_not_stop_blinking_later(hall):
    hall.call("w3", "A001", NOW)
    hall.set_state("w3", WindowState.SERVING, NOW)
    assert hall.overdue(NOW + timedelta(seconds=10)).notes == ()


def test_a_hall_where_nothing_blinks_says_so_in_one_number():
    document = HallDocument.model_validate({"windows": [{"id": "w1", "label": "1", "display": "bar-1"}]})
    still = Hall(document.model_copy(update={"displays": document.displays.model_copy(update={"blink_s": 0})}))
    assert not still.call("w1", "A001", NOW).shows[0].message.blink


def test_the_keypad_shows_who_waits_and_which_ticket_is_served(hall):
    assert hall.queue("w3", 12).notes == (ShowQueue("key-3", 12, None),)
    assert hall.call("w3", "A001", NOW).notes == (ShowQueue("key-3", 12, "A001"),)
    assert hall.set_state("w3", WindowState.WELCOME, NOW).notes == (ShowQueue("key-3", 12, None),)
    assert hall.queue_of("key-3") == ShowQueue("key-3", 12, None)
    assert hall.queue_of("pad-3") is None


def test_who_waits_at_a_window_without_a_keypad_is_refused(hall):
    with pytest.raises(RequestRefused) as caught:
        hall.queue("w4", 3)
    assert caught.value.code == "queue.no_keypad"


def test_every_question_has_an_id_and_its_answer_names_it(hall):
    (first,) = hall.ask("w3", NOW, "A001").asks
    (second,) = hall.ask("w3", NOW + timedelta(seconds=5), "A002").asks
    assert first.request.id != second.request.id
    late = event(
        hall.rated("pad-3", RatingSubmitted(4, "answer-1", first.request.id, "A001"), NOW), EventType.RATING_GIVEN
    )
    assert (late.data["ticket"], late.data["asked"], late.data["answer"]) == ("A001", True, "answer-1")
    assert hall.question_of("pad-3") == second  # an answer to the earlier question does not close the present one
    now = event(hall.rated("pad-3", RatingSubmitted(5, "answer-2", second.request.id), NOW), EventType.RATING_GIVEN)
    assert now.data["ticket"] == "A002"
    assert hall.question_of("pad-3") is None


def test_only_the_windows_pad_has_its_question(hall: Hall) -> None:
    hall.ask("w3", NOW, ticket="A001")
    assert hall.question_of("pad-3") is not None
    assert [hall.question_of(other) for other in ("bar-3", "key-3", "board-1")] == [None] * 3


def test_an_evaluation_that_nobody_answered_is_taken_off_the_pad(hall):
    hall.ask("w3", NOW)
    assert hall.overdue(NOW + timedelta(seconds=60)).notes == (EndEvaluation("pad-3"),)


def test_a_hall_that_is_started_anew_goes_on_where_it_was(hall):
    hall.call("w3", "A001", NOW)
    hall.ask("w3", NOW)
    hall.queue("w3", 7)
    hall.set_state("w4", WindowState.PAUSED, NOW)
    hall.show_text("board-2", "今日停电", Colour.YELLOW, blink=True)
    hall.taken(RatingSubmitted(5, "answer-1"))
    again = Hall(hall._document)
    again.recall_memory(json.loads(json.dumps(hall.remember())), same_day=True)
    assert again.remember() == hall.remember()
    assert again.message_for("bar-3").lines == ("请A001号到3号窗口",)
    assert again.message_for("bar-4").lines == ("暂停服务",)
    assert again.message_for("board-1").lines == ("A001号→3号窗口",)
    assert again.message_for("board-2") == hall.message_for("board-2")
    assert again.question_of("pad-3") == hall.question_of("pad-3")
    assert again.has_taken(RatingSubmitted(5, "answer-1"))


def test_yesterdays_numbers_call_nobody_but_yesterdays_answers_are_still_known(hall):
    hall.call("w3", "A001", NOW)
    hall.taken(RatingSubmitted(5, "answer-1"))
    again = Hall(hall._document)
    again.recall_memory(hall.remember(), same_day=False)
    assert again.message_for("bar-3").kind is DisplayKind.WELCOME
    assert again.has_taken(RatingSubmitted(1, "answer-1"))


def test_a_memory_of_windows_that_are_gone_is_left_out(hall):
    saved = {
        **hall.remember(),
        "windows": {"w99": {"state": "calling", "ticket": "A1", "waiting": None, "asked": None}},
    }
    hall.recall_memory(saved, same_day=True)
    assert "w99" not in hall.remember()["windows"]
