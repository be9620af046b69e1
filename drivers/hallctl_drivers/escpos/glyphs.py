"""Characters as dots: what a printer without a Chinese font gets, and what pictures of tickets show.

A character stands in the cell that a printer's own font gives it: 12 x 24 dots for ASCII, 24 x 24 for all others.
"""

from functools import cache

from hallctl.errors import LocalCodecError
from hallctl_drivers.escpos.faces import Face, Ink, blank, faces_for, pillow
from hallctl_drivers.escpos.paper import CELL_WIDTH, Font


class Pen:
    """Draws with the first of its fonts that has a character."""

    def __init__(self, faces: tuple[Face, ...]) -> None:
        self._faces = faces
        self._known: dict[str, Face | None] = {}

    @property
    def fonts(self) -> tuple[str, ...]:
        """Names of the fonts, the first choice first."""
        return tuple(face.name for face in self._faces)

    def has(self, character: str) -> bool:
        """Whether any of the fonts has the character."""
        return self._face_with(character) is not None

    def cell(self, character: str, font: Font) -> Ink:
        """One character in its cell, enlarged as a printer does it: every dot becomes a block.

        Raises ``LocalCodecError`` when no font has it.
        """
        face = self._face_with(character)
        if face is None:
            raise LocalCodecError(
                f"no font here has {character!r} (U+{ord(character):04X})",
                hint=f"install a font that has it (looked in: {', '.join(self.fonts)}), or take it out of the text",
            )
        return dressed(face.cell(character, CELL_WIDTH if character < "\x80" else 2 * CELL_WIDTH), font)

    def _face_with(self, character: str) -> Face | None:
        if character not in self._known:
            self._known[character] = next((face for face in self._faces if face.has(character)), None)
        return self._known[character]


def dressed(cell: Ink, font: Font) -> Ink:
    """Bold, underlined, inverted and enlarged, as the font says."""
    image, chops = pillow().Image, pillow().ImageChops
    if font.bold:
        beside = blank(*cell.size)
        beside.paste(cell, (1, 0))
        cell = chops.lighter(cell, beside)
    if font.underline:
        cell.paste(255, (0, cell.height - 2, cell.width, cell.height))
    if font.inverse:
        cell = chops.invert(cell)
    size = (cell.width * font.width, cell.height * font.height)
    return cell.resize(size, image.Resampling.NEAREST)


@cache
def pen_for(font: str) -> Pen:
    """The pen for ``font``: the path of a font file, or ``auto``. Raises ``ConfigError`` with what to do."""
    return Pen(faces_for(font))
