"""Kinds of printers: profiles, what is drawn where a printer lacks a font or a command, and the self-test."""

import sys

import pytest
from hallctl_drivers.escpos import PLUGIN, codec, faces, glyphs
from hallctl_drivers.escpos.config import EscposOptions, load_profile, profile_names
from hallctl_drivers.escpos.paper import Font
from hallctl_drivers.escpos.preview import preview_ticket
from hallctl_drivers.escpos.raster import draw_line
from hallctl_drivers.escpos.sim import EscposSimulator
from hallctl_drivers.escpos.style import style_of
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hallctl.clock import ManualClock
from hallctl.config import load_hall
from hallctl.driver import AbilityState, PrintJob, PrintState
from hallctl.driver.hallcheck import check_hall
from hallctl.errors import ConfigError, LocalCodecError
from hallctl.ticket import Align, Columns, Picture, QrCode, Rule, TextLine, Ticket

cv2 = pytest.importorskip("cv2", reason="OpenCV reads the codes")
numpy = pytest.importorskip("numpy")

URL = "https://example.invalid/t/A001?c=0123456789"
TICKET = Ticket(
    (
        TextLine("政务服务中心", Align.CENTER, 2, 2, True),
        TextLine("A001", Align.CENTER, 3, 3),
        Rule(),
        Columns("个人业务", "前面等候 5 人"),
        QrCode(URL),
        TextLine("过号请重新取号", Align.CENTER),
    )
)


@pytest.fixture
def clock():
    return ManualClock()


def printed(elements, **options):
    style = style_of(EscposOptions(**options).resolved)
    simulator = EscposSimulator(width=style.dots)
    simulator.feed(codec.INIT + codec.encode_ticket(Ticket(elements), style))
    simulator.tear_off()
    assert not simulator.refused
    return simulator.tickets[0]


def rasters(ticket):
    return [mark for mark in ticket.marks if type(mark).__name__ == "PrintedRaster"]


@pytest.mark.parametrize("profile", profile_names())
def test_the_qr_code_of_a_drawn_ticket_can_be_read_whoever_drew_it(profile):
    picture = preview_ticket(TICKET, EscposOptions(profile=profile))
    image = cv2.imdecode(numpy.frombuffer(picture, numpy.uint8), cv2.IMREAD_COLOR)
    # OpenCV has two readers; each of them overlooks some codes that the other one and telephones read.
    assert URL in {reader().detectAndDecode(image)[0] for reader in (cv2.QRCodeDetector, cv2.QRCodeDetectorAruco)}


@pytest.mark.parametrize("size", [1, 14, 26, 62, 122, 200])
@pytest.mark.parametrize("profile", ["generic", "pos-58"])
def test_codes_of_every_size_can_be_read(profile, size):
    data = "https://example.invalid/".ljust(size, "x")[:size]
    picture = preview_ticket(Ticket((TextLine("A001"), QrCode(data), TextLine("B"))), EscposOptions(profile=profile))
    image = cv2.imdecode(numpy.frombuffer(picture, numpy.uint8), cv2.IMREAD_COLOR)
    assert data in {reader().detectAndDecode(image)[0] for reader in (cv2.QRCodeDetector, cv2.QRCodeDetectorAruco)}


@pytest.mark.parametrize("profile", profile_names())
def test_every_profile_says_what_it_is_for_and_prints_the_same_ticket(profile):
    assert load_profile(profile).title
    ticket = printed(TICKET.elements, profile=profile)
    assert "A001" in ticket.lines or rasters(ticket)


def test_options_stand_over_the_profile():
    assert EscposOptions(profile="pos-58").resolved.paper_width == 58
    assert EscposOptions(profile="pos-58", paper_width=80, cut="full").resolved.paper_width == 80
    assert EscposOptions(profile="pos-58", cut="full").resolved.qr == "raster"


def test_a_profile_of_ones_own_is_a_yaml_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("title: mine\npaper_width: 58\nsetup: '1B 39 01'\ncut_command: esc_i\n")
    style = style_of(EscposOptions(profile=str(path)).resolved)
    data = codec.encode_ticket(Ticket((TextLine("A"),)), style)
    assert data.startswith(b"\x1b9\x01")
    assert data.endswith(b"\x1bd\x04\x1bm")


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ("epsom", ["'epsom'", "epson"]),
        ("/no/where.yaml", ["where.yaml"]),
        ("WRONG", ["mine.yaml:2", "paper_wdth", "paper_width"]),
    ],
)
def test_a_wrong_profile_is_named_with_file_and_line_where_hall_yaml_is_checked(tmp_path, profile, words):
    mine = tmp_path / "mine.yaml"
    mine.write_text("title: mine\npaper_wdth: 58\n")
    hall = tmp_path / "hall.yaml"
    name = str(mine) if profile == "WRONG" else profile
    hall.write_text(
        f"terminals:\n  - id: p1\n    driver: escpos\n    port: tcp://h:1\n    options:\n      profile: {name}\n"
    )
    (problem,) = check_hall(load_hall(hall)).problems
    assert "hall.yaml:" in str(problem)
    assert all(word in str(problem) for word in words), str(problem)


def test_setup_bytes_are_hexadecimal_or_refused_in_words():
    with pytest.raises(ValidationError, match="hexadecimal"):
        EscposOptions(setup="1B xx")


def test_a_printer_without_a_chinese_font_gets_chinese_drawn_and_ascii_in_its_own_font():
    ticket = printed((TextLine("请A001号"), TextLine("A001")), profile="no-chinese")
    assert ticket.lines == ("A001",)
    (picture,) = rasters(ticket)
    assert picture.dots == 30
    assert 8 * picture.stride >= 8 * 12, "three Chinese characters and four digits are ten columns"
    assert any(picture.data)


def test_a_line_is_drawn_where_only_one_character_is_missing_and_the_others_are_not(monkeypatch):
    monkeypatch.setattr(glyphs.Pen, "has", lambda _self, _character: True)
    gbk = printed((TextLine("请到窗口"), TextLine("第①窗")), profile="clone")
    assert gbk.lines == ("请到窗口", "第①窗")
    style = style_of(EscposOptions(encoding="gb2312").resolved)
    assert b"\x1dv0" in codec.encode_ticket(Ticket((TextLine("镕"),)), style), "镕 is in GBK, not in GB2312"
    assert b"\x1dv0" not in codec.encode_ticket(Ticket((TextLine("请"),)), style)


def test_a_character_that_no_font_has_is_refused_by_its_name():
    with pytest.raises(LocalCodecError, match=r"U\+1F9FF"):
        draw_line("\U0001f9ff", Font(), Align.LEFT, "auto")


def test_a_font_file_that_is_not_there_or_is_no_font_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match="no font file") as absent:
        style_of(EscposOptions(profile="no-chinese", font="/no/such.ttf").resolved)
    assert "fonts-" in absent.value.hint
    wrong = tmp_path / "wrong.ttf"
    wrong.write_bytes(b"no font at all")
    with pytest.raises(ConfigError, match="no font that can be read"):
        style_of(EscposOptions(profile="no-chinese", font=str(wrong)).resolved)


@given(st.text(max_size=30))
@settings(deadline=None)
def test_any_text_prints_or_is_refused_naming_the_character_also_where_it_is_drawn(text):
    for profile in ("no-chinese", "clone"):
        try:
            printed((TextLine(text),), profile=profile)
        except LocalCodecError as exc:
            assert any(f"U+{ord(character):04X}" in exc.message for character in text)
            assert exc.hint


@given(st.binary(max_size=400))
def test_no_picture_holds_a_real_time_command(data):
    for noise in (data, b"\x10" * 9 + data, data + b"\x10\x04\x10\x14\x10\x05"):
        clean = codec.without_real_time(noise)
        assert len(clean) == len(noise)
        assert not any(command in clean for command in (b"\x10\x04", b"\x10\x05", b"\x10\x14"))


def test_a_picture_that_is_wider_than_the_paper_is_narrowed_to_it():
    wide = Picture(576, (b"\xff" * 36 + b"\x00" * 36) * 60)
    bands = rasters(printed((wide,), profile="pos-58"))
    assert {band.stride for band in bands} == {48}
    assert sum(band.dots for band in bands) == 40
    assert all(band.data == (b"\xff" * 24 + b"\x00" * 24) * band.dots for band in bands)


def test_a_picture_goes_in_bands_for_small_buffers_and_looks_the_same():
    picture = Picture(16, bytes(range(200)))
    bands = rasters(printed((picture,), raster_bytes=72))
    assert len(bands) == 3
    assert b"".join(band.data for band in bands) == codec.without_real_time(picture.rows)


async def test_the_table_of_abilities_tells_an_epson_from_a_clone(plugged, make_printer, pass_time, clock):
    found = {}
    for name, fault in (("epson", None), ("clone", "clone")):
        printer, simulator = make_printer(clock), EscposSimulator(fault)
        async with plugged(simulator) as port:
            await pass_time(clock, printer.start(port))
            await pass_time(clock, printer.poll())
            found[name] = {one.name: one for one in await pass_time(clock, printer.abilities())}
            job = PrintJob("test", printer.self_test_ticket("printer-1"))
            assert (await pass_time(clock, printer.print_ticket(job))).state is PrintState.PRINTED
        assert not simulator.refused
        assert len(simulator.tickets) == 1, "trying abilities out prints nothing"
    confirms = "confirms that a ticket is printed"
    assert "GS ( H" in found["epson"][confirms].detail
    assert "GS r" in found["clone"][confirms].detail
    assert found["epson"]["tells changes by itself (GS a)"].state is AbilityState.YES
    assert found["clone"]["tells changes by itself (GS a)"].state is AbilityState.NO
    assert found["clone"]["draws QR codes itself"].state is AbilityState.UNKNOWN
    assert "clones say what they like" in found["clone"]["says its model"].detail


@pytest.mark.parametrize(
    ("confirm", "fault", "state", "words"),
    [
        ("gs_h", None, AbilityState.YES, "GS ( H"),
        ("gs_h", "no_gs_h", AbilityState.NO, "GS ( H) is not answered"),
        ("fence", "clone", AbilityState.YES, "GS r"),
        ("none", None, AbilityState.NO, "confirm: none"),
        ("gs_h", "cover_open", AbilityState.UNKNOWN, "has a fault"),
    ],
)
async def test_that_a_printer_confirms_tickets_is_tried_out_also_where_it_is_configured(
    plugged, make_printer, pass_time, clock, confirm, fault, state, words
):
    printer, simulator = make_printer(clock, confirm=confirm), EscposSimulator(fault)
    async with plugged(simulator) as port:
        await pass_time(clock, printer.start(port))
        found = {one.name: one for one in await pass_time(clock, printer.abilities())}
        confirms = found["confirms that a ticket is printed"]
        assert (confirms.state, words in confirms.detail) == (state, True), confirms
        if state is AbilityState.YES:
            job = PrintJob("1", Ticket((TextLine("A001"),)))
            assert (await pass_time(clock, printer.print_ticket(job))).confirmed_by == confirm
    assert not simulator.refused


async def test_a_ticket_that_a_wrong_setting_leaves_unknown_says_which_setting(plugged, make_printer, pass_time, clock):
    printer = make_printer(clock, profile="epson")
    async with plugged(EscposSimulator("no_gs_h")) as port:
        await pass_time(clock, printer.start(port))
        outcome = await pass_time(clock, printer.print_ticket(PrintJob("1", Ticket((TextLine("A001"),)))))
    assert outcome.state is PrintState.UNKNOWN
    assert "set confirm: auto" in outcome.reason


async def test_the_abilities_of_a_printer_with_a_fault_are_told_all_the_same(plugged, make_printer, pass_time, clock):
    printer = make_printer(clock)
    async with plugged(EscposSimulator("paper_out")) as port:
        await pass_time(clock, printer.start(port))
        found = {one.name: one.state for one in await pass_time(clock, printer.abilities())}
    assert found["confirms that a ticket is printed"] is AbilityState.UNKNOWN
    assert found["answers DLE EOT 4 (paper)"] is AbilityState.YES


@pytest.mark.parametrize(("profile", "columns"), [("generic", 48), ("pos-58", 32)])
def test_the_self_test_fits_the_paper_and_leaves_out_what_can_not_be_printed(make_printer, profile, columns):
    printer = make_printer(profile=profile)
    ticket = printed(printer.self_test_ticket("printer-1").elements, profile=profile)
    ruler = next(line for line in ticket.lines if line.startswith("123456789"))
    assert len(ruler) == columns
    assert "hallctl self-test printer-1" in {code.decode() for code in ticket.codes} or rasters(ticket)


def test_a_code_size_is_told_as_a_published_example_has_it():
    """NCR's manual of the 7168: module 10, 21 modules, gives 37 36 32 31 30 1f 32 31 30 1f 31 1f 30 00."""
    simulator = EscposSimulator()
    answer = simulator.feed(b"\x1d(k\x03\x001C\x0a" + b"\x1d(k\x07\x001P0ABCD" + b"\x1d(k\x03\x001R0")
    assert answer == bytes.fromhex("37 36 32 31 30 1f 32 31 30 1f 31 1f 30 00")


def test_the_simulator_prints_no_code_that_is_wider_than_its_paper():
    simulator = EscposSimulator(width=384)
    simulator.feed(b"\x1d(k\x03\x001C\x10" + b"\x1d(k\x67\x001P0" + b"x" * 100 + b"\x1d(k\x03\x001Q0" + b"\x1dVB\x00")
    assert simulator.tickets == []
    assert "does not fit" in simulator.refused[0]


def test_a_preview_of_nothing_is_refused():
    with pytest.raises(LocalCodecError, match="nothing"):
        PLUGIN.preview(Ticket(()), EscposOptions())


@pytest.fixture
def no_fonts(monkeypatch):
    """A machine without fonts and without OpenCV."""
    faces.faces_for.cache_clear()
    glyphs.pen_for.cache_clear()
    monkeypatch.setattr(faces, "_installed", list)
    monkeypatch.setattr(faces, "find_spec", lambda _name: None)
    yield
    faces.faces_for.cache_clear()
    glyphs.pen_for.cache_clear()


def test_a_machine_without_any_chinese_font_says_what_to_install(no_fonts):
    with pytest.raises(ConfigError, match="no font with Chinese") as caught:
        style_of(EscposOptions(profile="no-chinese").resolved)
    assert "fonts-wqy-microhei" in caught.value.hint


def test_a_line_that_has_to_be_drawn_is_refused_by_its_character_where_nothing_can_draw(no_fonts):
    style = style_of(EscposOptions(profile="clone").resolved)
    with pytest.raises(LocalCodecError, match=r"U\+3400"):
        codec.encode_ticket(Ticket((TextLine("㐀"),)), style)
    assert codec.encode_ticket(Ticket((TextLine("请"),)), style)


@pytest.mark.parametrize(("package", "needed_by"), [("PIL", "no-chinese"), ("segno", "pos-58")])
def test_a_package_that_is_missing_is_named_with_the_extra_that_brings_it(monkeypatch, package, needed_by):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match="needs") as caught:
        codec.encode_ticket(TICKET, style_of(EscposOptions(profile=needed_by).resolved))
    assert "hallctl[raster]" in caught.value.hint
