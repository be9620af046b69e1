"""From a profile to what the codec needs to know, with drawing where Pillow is there to do it."""

from importlib.util import find_spec

from hallctl.ticket import Align, Picture
from hallctl_drivers.escpos.codec import Style
from hallctl_drivers.escpos.config import DOTS, EscposProfile
from hallctl_drivers.escpos.paper import Font


def style_of(profile: EscposProfile) -> Style:
    """The style; raises ``ConfigError`` when the profile needs drawing and nothing here can draw."""
    needed = profile.encoding == "none" or profile.qr == "raster"
    can_draw = needed or find_spec("PIL") is not None
    if needed:
        from hallctl_drivers.escpos.glyphs import pen_for  # noqa: PLC0415  # Pillow belongs to an extra
        from hallctl_drivers.escpos.raster import modules_of  # noqa: PLC0415  # the same

        pen_for(profile.font)
        modules_of(b"A001", "M")

    def draw_line(text: str, font: Font, align: Align) -> Picture:
        from hallctl_drivers.escpos.raster import draw_line as draw  # noqa: PLC0415  # Pillow belongs to an extra

        return draw(text, font, align, profile.font)

    def draw_code(data: bytes, module: int, align: Align) -> Picture:
        from hallctl_drivers.escpos.raster import draw_code as draw  # noqa: PLC0415  # Pillow belongs to an extra

        return draw(data, module, align)

    return Style(
        dots=DOTS[profile.paper_width],
        encoding=None if profile.encoding == "none" else profile.encoding,
        cut=profile.cut,
        cut_command=profile.cut_command,
        setup=profile.setup,
        raster_bytes=profile.raster_bytes,
        draw_line=draw_line if can_draw else None,
        draw_code=draw_code if profile.qr == "raster" else None,
    )
