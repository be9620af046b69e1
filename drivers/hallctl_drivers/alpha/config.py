"""What hall.yaml may say of an Alpha sign under ``options``."""

from typing import Literal

from pydantic import Field

from hallctl.driver import DriverOptions


class AlphaOptions(DriverOptions):
    """Defaults fit a BetaBrite: one line of 80 x 7 lamps."""

    columns: int = Field(14, ge=4, le=100, description="how many characters fit beside each other")
    too_wide: Literal["scroll", "refuse"] = Field(
        "scroll", description="a text that does not fit: let it move over the sign, or refuse it by its width"
    )
    dimming: bool = Field(False, description="the sign can be dimmed (most can't)")
    check: Literal["status", "none"] = Field(
        "status",
        description="the sign is asked for its error register after each text; none: it can't answer (RS-232 out)",
    )
    ack_timeout_s: float = Field(1.0, gt=0, le=10, description="how long the sign may take to answer, seconds")
    poll_every_s: float = Field(
        10.0, ge=0.5, le=300, description="how often the sign is asked whether it lives, seconds"
    )
