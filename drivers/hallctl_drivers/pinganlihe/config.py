"""What hall.yaml may say of a 平安力合 window bar or main board under ``options``."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from hallctl.driver import DriverOptions
from hallctl_drivers.pinganlihe.codec import MAX_TEXT


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
    columns: int = Field(16, ge=4, le=100, description="width of the bar in ASCII characters; a Chinese one takes two")
    too_wide: Literal["scroll", "refuse"] = Field(
        "scroll",
        description="a text that does not fit into a line: let it move, or refuse it and say how wide it may be",
    )
    scroll_mode: int | None = Field(
        None,
        ge=0,
        le=254,
        description="mode byte of a text that moves; none: as instant texts, the card moves it itself",
    )
    ack_timeout_s: float = Field(0.5, gt=0, le=10, description="how long the bar may take to answer, seconds")
    poll_every_s: float = Field(
        10.0, ge=0.5, le=300, description="how often the bar is asked whether it lives, seconds"
    )


class BoardOptions(PingAnLiHeOptions):
    """What differs on a main board: it is sent whole texts, line under line, unless it words calls itself."""

    native: bool = Field(
        False,
        description="send the newest call as command 2A and let the board list calls itself; false: send all lines",
    )
    number_command: Literal["2b", "2d"] | None = Field(
        None,
        description="with native: command for tickets that 2A can't carry (VIP001), as up to 6 ASCII characters; "
        "none: they are texts",
    )
    lines: int = Field(4, ge=1, le=8, description="how many lines the board has; with 1, a message's are in a row")
    rows: list[int] = Field(
        [],
        max_length=16,
        description="addresses of the bars that the board is put together from, top to bottom, each sent its line; "
        "empty: one board, sent all lines in one text",
    )
    columns: int = Field(
        32, ge=4, le=100, description="width of the board in ASCII characters; a Chinese one takes two"
    )
    whole_screen: bool = Field(True, description="texts take the whole screen, not the text part")

    @property
    def room(self) -> int:
        """How many lines a message may have on a board of several."""
        return len(self.rows) or self.lines

    @property
    def is_one_line(self) -> bool:
        """Whether all lines of a message are shown in a row."""
        return not self.rows and self.lines == 1

    @field_validator("rows")
    @classmethod
    def _are_addresses(cls, rows: list[int]) -> list[int]:
        if len(set(rows)) < len(rows) or not all(0 <= row <= 0xFF for row in rows):
            raise ValueError("rows are different addresses from 0 to 255")
        return rows

    @model_validator(mode="after")
    def _fits_a_frame(self) -> Self:
        if self.rows and self.native:
            raise ValueError("a board of rows is sent texts: leave native out")
        if not self.rows and self.lines * self.columns > MAX_TEXT:
            raise ValueError(
                f"{self.lines} lines of {self.columns} columns are more than the {MAX_TEXT} bytes of a text"
            )
        return self
