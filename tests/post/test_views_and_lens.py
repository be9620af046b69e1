"""Several cameras on one post, and one camera that sees nothing."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from hallctl.post import Lens, Views
from hallctl.post.lens import ClearBlind, RaiseBlind

START = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_one_camera_alone_says_what_it_sees() -> None:
    views = Views({"a": 0.5})
    assert views.see("a", at(0), 0.6).person is True
    assert views.see("a", at(1), 0.4).person is True  # who is there stays there down to 0.6 of what it takes to come
    assert views.see("a", at(2), 0.2).person is False
    assert views.see("a", at(3), 0.4).person is False
    assert views.see("a", at(4), None, "dark").reason == "dark"


def test_whom_any_camera_sees_is_there_and_nobody_only_when_all_have_looked() -> None:
    views = Views({"a": 0.5, "b": 0.5})
    assert views.see("a", at(0), 0.0) is None
    assert views.see("b", at(1), 0.1).person is False
    assert views.see("a", at(2), 0.0) is None
    assert views.see("b", at(3), 0.9).person is True
    assert views.see("a", at(4), 0.0) is None  # a round of its own: what b saw before does not count again


def test_a_post_that_one_camera_cannot_see_is_not_empty() -> None:
    views = Views({"a": 0.5, "b": 0.5})
    assert views.see("a", at(0), 0.0) is None
    look = views.see("b", at(1), None, "dark")
    assert (look.person, look.reason) == (None, "dark")
    assert views.see("a", at(2), 0.8).person is True


def test_a_doubtful_look_of_one_camera_makes_the_round_doubtful() -> None:
    views = Views({"a": 0.5, "b": 0.5})
    views.see("a", at(0), 0.0)
    look = views.see("b", at(1), None, "")
    assert (look.person, look.reason) == (None, "")


LOOKS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0.0, 0.9, None])), max_size=60)


@given(LOOKS)
def test_nobody_is_never_said_while_a_camera_sees_somebody_or_nothing(looks: list[tuple[str, float | None]]) -> None:
    views, latest = Views(dict.fromkeys("abc", 0.5)), dict.fromkeys("abc", "unknown")
    for second, (camera, score) in enumerate(looks):
        latest[camera] = {0.0: "nobody", 0.9: "person", None: "blind"}[score]
        look = views.see(camera, at(second), score, "" if score is not None else "dark")
        if look is not None and look.person is False:
            assert set(latest.values()) == {"nobody"}


def test_blindness_is_one_alert_with_its_length() -> None:
    lens = Lens(20)
    effects = []
    for second in range(0, 100, 2):
        lens.see(at(second), usable=not 10 <= second < 60, reason="dark")
        effects += [(second, one) for one in lens.tick(at(second), on_duty=True)]
    assert effects == [(30, RaiseBlind(at(10), "dark")), (60, ClearBlind(50.0))]


def test_a_dark_hall_at_night_is_no_trouble_and_counts_from_the_morning_on() -> None:
    lens = Lens(20)
    effects = []
    for second in range(0, 200, 2):
        lens.see(at(second), usable=False, reason="dark")
        effects += [(second, one) for one in lens.tick(at(second), on_duty=second >= 100)]
    assert effects == [(120, RaiseBlind(at(0), "dark"))]


def test_blindness_survives_a_restart() -> None:
    lens = Lens(20)
    lens.see(at(0), usable=False, reason="dark")
    assert lens.tick(at(0), on_duty=True) + lens.tick(at(30), on_duty=True) == [RaiseBlind(at(0), "dark")]
    again = Lens(20)
    again.restore(lens.to_dict())
    again.see(at(31), usable=False, reason="dark")
    assert again.tick(at(60), on_duty=True) == []
    again.see(at(61), usable=True)
    assert again.tick(at(61), on_duty=True) == [ClearBlind(61.0)]
