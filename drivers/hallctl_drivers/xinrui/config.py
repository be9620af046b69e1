"""What hall.yaml may say of a 欣瑞 window bar under ``options``."""

from typing import Annotated, Literal

from pydantic import Field

from hallctl.driver import Colour, DriverOptions

ColourByte = Annotated[int, Field(ge=0, le=0xFF)]


class XinruiOptions(DriverOptions):
    """What the one printed example leaves open is an option."""

    colours: dict[Colour, ColourByte] = Field(
        default_factory=lambda: {Colour.RED: 0, Colour.GREEN: 1, Colour.YELLOW: 2},
        description="the bar's number of each colour; a colour that is left out is shown as red",
    )
    columns: int = Field(16, ge=4, le=100, description="width of the bar in ASCII characters; a Chinese one takes two")
    too_wide: Literal["scroll", "refuse"] = Field(
        "scroll", description="a text that does not fit: send it, the bar moves it by itself; or refuse it by its width"
    )
    blink_colour: Colour | None = Field(
        Colour.YELLOW, description="colour of a text while it should blink, which the protocol can't; none: as it is"
    )
    check: Literal["resend", "none"] = Field(
        "resend", description="how it shows that the bar lives: it gets its text again; none: the bar never answers"
    )
    ack_timeout_s: float = Field(0.5, gt=0, le=10, description="how long the bar may take to answer, seconds")
    poll_every_s: float = Field(
        10.0, ge=0.5, le=300, description="how often the bar is asked whether it lives, seconds"
    )
