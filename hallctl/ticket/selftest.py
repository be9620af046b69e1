"""The ticket of a self-test: all that can go wrong on paper, so that a look at it tells what the printer lacks."""

from hallctl.ticket.document import Align, Columns, Element, Feed, QrCode, Rule, TextLine, Ticket

SAMPLES = (
    ("Chinese", "请A001号到3号窗口"),
    ("punctuation", "，。：《》①②"),
    ("rare, 2 bytes", "镕堃喆"),
    ("rare, 4 bytes", "㐀㛃"),
    ("plane 2, 4 bytes", "𠀀𬭊"),
)
"""What a line shows, and its text. The last two need a font of GB18030 in full."""


def self_test_ticket(
    terminal: str,
    columns: int = 32,
    samples: tuple[tuple[str, str], ...] = SAMPLES,
    notes: tuple[str, ...] = (),
) -> Ticket:
    """The self-test of a printer with so many columns; ``notes`` are printed at the end."""
    return Ticket((*_heading(terminal), *_widths(columns), *_texts(samples), *_code(terminal), *_notes(notes)))


def _heading(terminal: str) -> tuple[Element, ...]:
    return (
        TextLine("打印测试 TEST", Align.CENTER, 2, 2, True),
        TextLine(terminal, Align.CENTER),
    )


def _widths(columns: int) -> tuple[Element, ...]:
    """A ruler: a line that is broken in two, or ends early, says that the paper width is configured wrongly."""
    ruler = "".join(str(number // 10 % 10 if number % 10 == 0 else number % 10) for number in range(1, columns + 1))
    return (
        TextLine(ruler),
        Columns("|左 left", "right 右|"),
        TextLine("居中 centre", Align.CENTER),
        TextLine("靠右 right", Align.RIGHT),
        Rule(),
    )


def _texts(samples: tuple[tuple[str, str], ...]) -> tuple[Element, ...]:
    return (
        *(Columns(text, name) for name, text in samples),
        TextLine("粗体 bold", bold=True),
        TextLine("倍宽 2x1", width=2),
        TextLine("倍高 1x2", height=2),
        TextLine("A001", Align.CENTER, 3, 3),
        Rule(),
    )


def _code(terminal: str) -> tuple[Element, ...]:
    return (QrCode(f"hallctl self-test {terminal}"), TextLine("二维码 QR code", Align.CENTER))


def _notes(notes: tuple[str, ...]) -> tuple[Element, ...]:
    return (*(TextLine(note) for note in notes), Feed(1))
