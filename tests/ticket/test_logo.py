"""Logos: any picture becomes dots, and one that can't says why."""

import base64

import pytest

from hallctl.config.hall import TicketLayout
from hallctl.errors import ConfigError
from hallctl.ticket import Picture, load_logo, load_logos, narrowed

cv2 = pytest.importorskip("cv2", reason="OpenCV writes the pictures")
numpy = pytest.importorskip("numpy")


def png(pixels):
    return cv2.imencode(".png", numpy.array(pixels, numpy.uint8))[1].tobytes()


def dots(picture):
    rows = numpy.frombuffer(picture.rows, numpy.uint8).reshape(picture.height, picture.stride)
    return numpy.unpackbits(rows, axis=1)[:, : picture.width]


def test_black_is_black_white_is_paper_and_what_is_transparent_is_paper(tmp_path):
    black, white, clear = [0, 0, 0, 255], [255, 255, 255, 255], [0, 0, 0, 0]
    (tmp_path / "logo.png").write_bytes(png([[black, white, clear]] * 8))
    picture = load_logo("logo.png", tmp_path)
    assert (picture.width, picture.height) == (3, 8)
    assert dots(picture).tolist() == [[1, 0, 0]] * 8


def test_grey_becomes_dots_in_its_own_share(tmp_path):
    (tmp_path / "grey.png").write_bytes(png([[64] * 64] * 64))
    assert 0.70 < dots(load_logo("grey.png", tmp_path)).mean() < 0.80


def test_a_picture_may_stand_in_the_document_itself(tmp_path):
    uri = "data:image/png;base64," + base64.b64encode(png([[0] * 16] * 4)).decode()
    assert load_logo(uri, tmp_path) == Picture(16, b"\xff\xff" * 4)


def test_one_that_is_too_wide_fits_the_widest_paper(tmp_path):
    (tmp_path / "wide.png").write_bytes(png([[0] * 2000] * 100))
    picture = load_logo("wide.png", tmp_path)
    assert (picture.width, picture.height) == (576, 29)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("absent.png", "No such file"),
        ("text.png", "no picture"),
        ("empty.png", "no picture"),
        ("huge.png", "larger than 1 MiB"),
        ("tall.png", "mm high"),
        (".", "is no file"),
        ("wide.png", "dots"),
        ("data:image/png;base64", "no comma"),
        ("data:image/png;base64,***", "no base64"),
        ("data:image/png;base64,AAAA", "no picture"),
    ],
)
def test_what_can_not_be_a_logo_is_told_in_words(tmp_path, source, words):
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "wide.png").write_bytes(png([[255] * 10000] * 5000))
    (tmp_path / "huge.png").write_bytes(bytes(2 << 20))
    (tmp_path / "tall.png").write_bytes(png([[0] * 4] * 4000))
    with pytest.raises(ConfigError, match=words) as caught:
        load_logo(source, tmp_path)
    assert caught.value.hint


def test_every_layout_gets_its_logos_and_the_broken_ones_are_listed_once(tmp_path):
    (tmp_path / "good.png").write_bytes(png([[0]]))
    layouts = [
        TicketLayout.model_validate({"id": name, "lines": [{"logo": "good.png"}, {"logo": "bad.png"}]})
        for name in ("a", "b")
    ]
    pictures, problems = load_logos(layouts, tmp_path)
    assert list(pictures) == ["good.png"]
    assert len(problems) == 1


def test_narrowing_leaves_out_dots_evenly_and_invents_none():
    stripes = Picture(32, b"\xf0\xf0\xf0\xf0" * 10)
    half = narrowed(stripes, 16)
    assert (half.width, half.height, half.rows) == (16, 5, b"\xcc\xcc" * 5)
    assert narrowed(stripes, 32) is stripes
