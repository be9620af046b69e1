"""What hall.yaml may say of a 平安力合 window bar under ``options``."""

from typing import Literal

from pydantic import Field

from hallctl.driver import DriverOptions


class PingAnLiHeOptions(DriverOptions):
    """Each doubt that the maker's document leaves is an option; the defaults follow its examples."""

    card: Literal["1616", "3232b"] = Field("1616", description="display card of the bar; it decides the mode numbers")
    native: bool = Field(
        True, description="let the bar word calls, welcome, pause and serving itself; false: send the hall's texts"
    )
    digits: int = Field(3, ge=1, le=4, description="how many digits the bar shows at least, with leading zeros")
    window_number: int | None = Field(
        None, ge=0, le=99, description="window in a call; none: the window's label if it is a number, else the address"
    )
    checksum: Literal["whole", "low_byte"] = Field(
        "whole", description="reading of 'sum modulo 100' above 255: the whole sum, or its low byte"
    )
    check: Literal["online", "version", "none"] = Field(
        "online", description="question that proves that the bar lives; none: the bar never answers (one-way wiring)"
    )
    speed: int = Field(0, ge=0, le=254, description="speed byte of instant texts")
    stay: int = Field(0x99, ge=0, le=254, description="stay byte of instant texts")
    whole_screen: bool = Field(False, description="instant texts take the whole screen, not the text part")
    ack_timeout_s: float = Field(0.5, gt=0, le=10, description="how long the bar may take to answer, seconds")
    poll_every_s: float = Field(
        10.0, ge=0.5, le=300, description="how often the bar is asked whether it lives, seconds"
    )
