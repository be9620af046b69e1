"""What a page may say, options, photos, and who gets what: everything that needs no socket."""

import json
import os

import pytest
from hallctl_drivers.webpad import site
from hallctl_drivers.webpad.address import page_url
from hallctl_drivers.webpad.codec import LONGEST, Question, Rate, Staff, read_rate, refused, state, thanks
from hallctl_drivers.webpad.config import WebPadOptions, host_and_port
from hallctl_drivers.webpad.photo import LARGEST, drawn, read_photo
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hallctl.driver import StaffCard
from hallctl.errors import RemoteCodecError

ANSWER = "0f8fad5b-d9cb-469f-a165-70867728950e"
GOOD = {"v": 1, "rate": 5, "answer": ANSWER, "request": "window-1-1", "ticket": "A001"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def test_an_answer_survives_the_way_from_the_page() -> None:
    rate = Rate(2, ANSWER, "window-1-1", "A001")
    assert read_rate(rate.to_text()) == rate
    assert read_rate(json.dumps({"v": 1, "rate": 2, "answer": ANSWER})) == Rate(2, ANSWER)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": 0},
        {"rate": 6},
        {"rate": True},
        {"rate": 4.0},
        {"rate": "5"},
        {"rate": None},
        {"answer": ""},
        {"answer": ANSWER.upper()},
        {"answer": f"{ANSWER}\n"},
        {"answer": 7},
        {"request": "x" * 129},
        {"request": "a\nb"},
        {"request": 1},
        {"ticket": "\ud800"},
        {"ticket": ["A001"]},
        {"v": 2},
        {"v": None},
        {"more": 1},
    ],
    ids=str,
)
def test_anything_that_is_not_exactly_an_answer_is_refused(wrong) -> None:
    with pytest.raises(RemoteCodecError):
        read_rate(json.dumps(GOOD | wrong))


@pytest.mark.parametrize("message", ["", "[]", "5", "null", "{", "[" * LONGEST, b"{}", '{"v":1}'], ids=repr)
def test_what_is_no_object_is_refused(message) -> None:
    with pytest.raises(RemoteCodecError):
        read_rate(message)


@given(st.text() | st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_no_text_raises_anything_else(message) -> None:
    with pytest.raises(RemoteCodecError):
        read_rate(message)


def test_the_state_says_everything_that_a_page_needs() -> None:
    said = json.loads(
        state(Question("q", "A001", 12.34, 60), Staff("0123", "李", 4, "/photo/pad-1?v=1"), {"title": "厅"})
    )
    assert said["state"] == "asking"
    assert (said["request"], said["ticket"], said["seconds"], said["of"]) == ("q", "A001", 12.3, 60)
    assert said["staff"] == {"number": "0123", "name": "李", "stars": 4, "photo": "/photo/pad-1?v=1"}
    assert json.loads(state(None, None, {}))["state"] == "idle"
    assert json.loads(thanks(ANSWER))["thanks"] == ANSWER
    assert json.loads(refused(ANSWER, "not-asked"))["reason"] == "not-asked"


@pytest.mark.parametrize(
    ("listen", "where"),
    [
        ("127.0.0.1:8078", ("127.0.0.1", 8078)),
        ("localhost:80", ("127.0.0.1", 80)),
        ("0.0.0.0:65535", ("0.0.0.0", 65535)),  # noqa: S104  # nobody binds it
        ("[::1]:8078", ("::1", 8078)),
    ],
)
def test_an_address_to_listen_on_is_read(listen, where) -> None:
    assert host_and_port(WebPadOptions(listen=listen).listen) == where


@pytest.mark.parametrize(
    "listen", ["8078", ":8078", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", "::1:8078", "box:80"]
)
def test_what_can_not_be_listened_on_is_a_mistake_of_the_configuration(listen) -> None:
    with pytest.raises(ValidationError, match=r"port|brackets|IP address"):
        WebPadOptions(listen=listen)


@pytest.mark.parametrize(
    "options",
    [{"languages": []}, {"languages": ["zh", "zh"]}, {"languages": ["fr"]}, {"allow": ["10.0.0.1/8"]}],
    ids=str,
)
def test_other_options_are_checked_as_well(options) -> None:
    with pytest.raises(ValidationError):
        WebPadOptions.model_validate(options)


def test_the_pages_address_names_the_box_where_it_listens_on_all_addresses() -> None:
    assert page_url("10.1.2.3:8078", "pad-1") == "http://10.1.2.3:8078/pad/pad-1"
    assert page_url("[::1]:8078", "pad-1") == "http://[::1]:8078/pad/pad-1"
    assert "0.0.0.0" not in page_url("0.0.0.0:8078", "pad-1")  # noqa: S104  # nobody binds it


class Pad:
    """As much of a pad as the site sees."""

    def __init__(self, terminal: str = "pad-1", photo=None, allowed: str = "10.") -> None:
        self.terminal = terminal
        self.photo = photo
        self.allowed = allowed

    def admits(self, peer: str) -> bool:
        return peer.startswith(self.allowed)

    def is_called(self, name: str) -> bool:
        return name == "box"


def respond(path: str, pad: Pad | None = None, **more: str):
    pad = pad or Pad()
    get = site.Get(**{"path": path, "peer": "10.0.0.9", "host": "10.0.0.1:8078", **more})
    return site.respond(get, {pad.terminal: pad})


@pytest.mark.parametrize("path", ["/pad/pad-1", "/app.js", "/link.js", "/texts.js", "/style.css", "/icon.svg", "/"])
def test_the_page_and_its_parts_are_given_with_a_policy_and_are_not_kept(path) -> None:
    answer = respond(path)
    assert answer.status == 200
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_page_names_no_other_site_and_holds_no_inline_script() -> None:
    for body in site.files().values():
        outside = body.replace(b"http://www.w3.org/2000/svg", b"").replace(b"://${", b"")
        assert b"://" not in outside
    page = site.files()["index.html"]
    assert b"<style" not in page
    assert b" on" not in page.split(b"<body")[1]


@pytest.mark.parametrize(
    "path",
    [
        "/pad/pad-2",
        "/pad/",
        "/pad",
        "/pad/pad-1/",
        "/../config.py",
        "/page/../../config.py",
        "/%2e%2e/config.py",
        "/etc/passwd",
        "//app.js",
        "/app.js/",
        "/index.html",
        "/photo/pad-1",
        "app.js",
        "*",
        "",
        "http://10.0.0.1/",
    ],
)
def test_no_other_path_is_there(path) -> None:
    assert respond(path).status == 404


@pytest.mark.parametrize("path", ["/pad/pad-1", "/app.js", "/", "/ws/pad-1", "/photo/pad-1"])
def test_who_is_not_allowed_gets_a_plain_sentence(path) -> None:
    answer = respond(path, Pad(photo=drawn(StaffCard("1"))), peer="203.0.113.7")
    assert answer.status == 403
    assert b"allow" in answer.body


def test_only_get_is_answered() -> None:
    answer = respond("/pad/pad-1", method="POST")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize("host", ["evil.example", "", "10.0.0.1:8078, evil", "a b", "x" * 300])
def test_a_name_that_somebody_else_points_at_the_box_is_refused(host) -> None:
    assert respond("/pad/pad-1", host=host).status == 421


@pytest.mark.parametrize("host", ["box", "BOX:8078", "10.0.0.1", "[fd00::1]:8078"])
def test_the_boxes_own_names_and_addresses_are_not(host) -> None:
    assert respond("/pad/pad-1", host=host).status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://10.0.0.1", "http://10.0.0.1:80788", "file://"]
)
def test_a_socket_is_opened_for_the_pads_own_page_only(origin) -> None:
    assert respond("/ws/pad-1", origin=origin).status == 403
    assert respond("/ws/pad-1").status == 403
    assert respond("/ws/pad-1", origin="http://10.0.0.1:8078") == "pad-1"


def test_the_list_shows_what_a_browser_may_open() -> None:
    pads = {name: Pad(name, allowed=allowed) for name, allowed in (("pad-1", "10."), ("pad-2", "192."))}
    body = site.respond(site.Get("/", "10.0.0.9", "10.0.0.1"), pads).body
    assert b"/pad/pad-1" in body
    assert b"pad-2" not in body


def test_a_photo_is_kept_by_its_version_only() -> None:
    photo = drawn(StaffCard("1", "李"))
    exact = respond(f"/photo/pad-1?v={photo.version}", Pad(photo=photo))
    assert (exact.body, exact.headers["Content-Type"]) == (photo.data, "image/svg+xml")
    assert "max-age" in exact.headers["Cache-Control"]
    assert respond("/photo/pad-1?v=other", Pad(photo=photo)).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("data", "media_type"),
    [(PNG, "image/png"), (b"\xff\xd8\xff\xe0" + bytes(9), "image/jpeg"), (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp")],
)
def test_a_picture_is_known_by_its_first_bytes(tmp_path, data, media_type) -> None:
    path = tmp_path / "photo.txt"
    path.write_bytes(data)
    assert read_photo(str(path)).media_type == media_type


def test_what_is_no_picture_is_never_shown(tmp_path) -> None:
    (tmp_path / "secret").write_text("password")
    (tmp_path / "large").write_bytes(PNG + bytes(LARGEST))
    os.mkfifo(tmp_path / "pipe")
    for name in ("secret", "large", "pipe", "absent", "."):
        with pytest.raises((OSError, ValueError)):
            read_photo(str(tmp_path / name))
    with pytest.raises(ValueError, match="absolute"):
        read_photo("photo.png")


def test_a_drawn_initial_holds_no_markup_of_the_name() -> None:
    assert b"&lt;" in drawn(StaffCard("1", "<b>")).data
    assert b">7<" in drawn(StaffCard("7")).data
