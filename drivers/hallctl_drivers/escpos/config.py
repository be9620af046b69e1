"""What hall.yaml may say of an ESC/POS printer under ``options``."""

from typing import Literal

from pydantic import Field

from hallctl.driver import DriverOptions
from hallctl_drivers.escpos.codec import Style

_DOTS = {58: 384, 80: 576}


class EscposOptions(DriverOptions):
    """Defaults fit an 80 mm printer with a Chinese font and a cutter."""

    paper_width: Literal[58, 80] = Field(80, description="width of the roll in mm; 58 has 32 columns, 80 has 48")
    confirm: Literal["auto", "gs_h", "fence", "none"] = Field(
        "auto",
        description="how the printer says a ticket is printed: gs_h (its own word), fence (an answer queued behind "
        "the ticket, and no fault), none (for ports that carry no answers), auto (the best that it can do)",
    )
    cut: Literal["partial", "full", "none"] = Field(
        "partial", description="how a ticket is cut off; none feeds it to the tear bar"
    )
    encoding: Literal["gb18030", "gbk", "gb2312"] = Field(
        "gb18030", description="what the printer's Chinese font is addressed by"
    )
    reply_timeout_s: float = Field(
        1.0, gt=0, le=10, description="how long the printer may take to answer a question about its state, seconds"
    )
    confirm_timeout_s: float = Field(
        20.0, gt=0, le=80, description="how long a ticket may take until it is on paper, seconds"
    )
    poll_every_s: float = Field(2.0, ge=0.5, le=300, description="how often the printer is asked how it is, seconds")

    @property
    def style(self) -> Style:
        """What the codec needs to know of it."""
        return Style(dots=_DOTS[self.paper_width], encoding=self.encoding, cut=self.cut)
