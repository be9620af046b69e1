"""How wide text is on a ticket, in columns, and padding and wrapping by that width.

A ticket printer has two fonts: ASCII in half cells (12 x 24 dots) and everything else, Chinese first, in the whole
cells of its GB18030 font (24 x 24). So a character beyond ASCII is two columns wide, whatever Unicode says of its
width: a printer shows an accented letter or a circled number in a whole cell too.
"""

from hallctl.ticket.document import Align


def display_width(text: str) -> int:
    """Columns that ``text`` takes: 1 for each ASCII character, 2 for any other."""
    return sum(1 if character < "\x80" else 2 for character in text)


def pad(text: str, columns: int, align: Align = Align.LEFT) -> str:
    """``text`` filled with spaces to ``columns``; a text that is too wide stays as it is."""
    room = max(0, columns - display_width(text))
    match align:
        case Align.LEFT:
            return text + " " * room
        case Align.RIGHT:
            return " " * room + text
        case Align.CENTER:
            return " " * (room // 2) + text + " " * (room - room // 2)


def spread(left: str, right: str, columns: int) -> list[str]:
    """``left`` and ``right`` at the edges of one line; of two lines where there is no room for a space between."""
    if display_width(left) + 1 + display_width(right) <= columns:
        return [left + pad(right, columns - display_width(left), Align.RIGHT)]
    return [*wrap(left, columns), *(pad(line, columns, Align.RIGHT) for line in wrap(right, columns))]


def wrap(text: str, columns: int) -> list[str]:
    """Lines of at most ``columns``: broken at the last space of ASCII words, anywhere between Chinese characters.

    Raises ``ValueError`` where not even one whole cell fits.
    """
    if columns < 2:
        raise ValueError(f"{columns} columns have no room for a Chinese character")
    lines: list[str] = []
    rest = text
    while display_width(rest) > columns:
        cut = _break(rest, columns)
        lines.append(rest[:cut].rstrip(" "))
        rest = rest[cut:].lstrip(" ")
    return [*lines, rest]


def _break(text: str, columns: int) -> int:
    """Index at which a text that is too wide is broken."""
    end, used = 0, 0
    while used + display_width(text[end]) <= columns:
        used += display_width(text[end])
        end += 1
    if not _in_word(text[end]) or not _in_word(text[end - 1]):
        return end
    start = end
    while start > 0 and _in_word(text[start - 1]):
        start -= 1
    return start or end


def _in_word(character: str) -> bool:
    return character < "\x80" and character != " "
