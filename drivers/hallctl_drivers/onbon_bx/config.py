"""What hall.yaml may say of an Onbon card under ``options``."""

from typing import Literal, Self

from pydantic import Field, model_validator

from hallctl.driver import DriverOptions
from hallctl_drivers.onbon_bx.codec import MAX_AREAS

Mode = Literal["static", "instant", "left", "right", "up", "down"]
_AREAS_EVERYWHERE = 5  # the maker's list of models gives 5 to every card, its protocol document 8 to 5K


class PanelOptions(DriverOptions):
    """Defaults fit a single-line window bar of 128 x 16 dots on a 6K card with the fonts it is sold with."""

    card: Literal["5k", "6k"] = Field("6k", description="generation of the card; 5K places text in steps of 8 dots")
    width_px: int = Field(128, ge=8, le=2048, description="width of the panel in dots")
    height_px: int = Field(16, ge=8, le=512, description="height of the panel in dots")
    lines: int = Field(1, ge=1, le=16, description="how many lines of text the panel has room for")
    per_line: bool | None = Field(
        None,
        description="an area of the card for each line, so that a long one moves alone; none: for 2 to 5 lines",
    )
    mode: Mode = Field("instant", description="how a text that fits comes onto the panel")
    wide_mode: Mode = Field("left", description="how a text that is wider than the panel comes onto it")
    too_wide: Literal["scroll", "refuse"] = Field(
        "scroll", description="a text that is wider than the panel: let it move (wide_mode), or refuse it by its width"
    )
    blink_colour: Literal["red", "green", "yellow"] | None = Field(
        "yellow", description="colour of a text while it should blink, which the protocol can't; none: as it is"
    )
    speed: int = Field(2, ge=0, le=24, description="speed of moving text, 0 (fastest) to 24")
    stay_s: float = Field(4.0, ge=0, le=127, description="how long a page stands before the next, seconds")
    font_px: Literal[16, 24, 32] | None = Field(
        None, description="height of the font that is chosen for the text; none: the card's own default, 16 dots"
    )
    brightness: int | None = Field(None, ge=0, le=15, description="set at each start, 0 to 15; none: left as it is")
    ack_timeout_s: float = Field(2.0, gt=0, le=10, description="how long the card may take to answer, seconds")
    poll_every_s: float = Field(
        5.0, ge=0.5, le=300, description="how often the card is asked whether it lives, seconds"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.card == "5k" and self.width_px % 8:
            raise ValueError(f"width_px {self.width_px} is not a multiple of 8, as 5K cards need it")
        if self.lines * self.cell_px > self.height_px and self.lines > 1:
            raise ValueError(f"{self.lines} lines of {self.cell_px} dots don't fit into height_px {self.height_px}")
        if self.per_line and self.lines > MAX_AREAS[self.card]:
            raise ValueError(f"{self.lines} lines need an area each, a {self.card} card has {MAX_AREAS[self.card]}")
        return self

    @property
    def has_area_per_line(self) -> bool:
        """Whether each line is an area of its own."""
        return 1 < self.lines <= _AREAS_EVERYWHERE if self.per_line is None else self.per_line

    @property
    def cell_px(self) -> int:
        """Height of a character in dots."""
        return self.font_px or 16


class OnbonOptions(PanelOptions):
    """A card on a port of its own."""

    device_address: int = Field(
        0xFFFE, ge=0, le=0xFFFE, description="screen number set in the card; 65534 addresses any card"
    )


class OnbonBusOptions(PanelOptions):
    """A card on a shared line; its screen number is the terminal's address."""

    ack_timeout_s: float = Field(1.0, gt=0, le=10, description="how long the card may take to answer, seconds")
    poll_every_s: float = Field(
        10.0, ge=0.5, le=300, description="how often the card is asked whether it lives, seconds"
    )
