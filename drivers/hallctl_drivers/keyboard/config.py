"""What hall.yaml may say of keyboards that are pads or keypads under ``options``."""

from difflib import get_close_matches
from typing import Annotated

from pydantic import AfterValidator, Field

from hallctl.driver import DriverOptions, Key
from hallctl_drivers.keyboard.keys import CODES


def _known(name: str) -> str:
    if name in CODES:
        return name
    bare = {known.removeprefix("KEY_"): known for known in CODES}
    near = get_close_matches(name.upper().removeprefix("KEY_"), bare, n=1)
    hint = f"did you mean {bare[near[0]]}?" if near else "names are as KEY_1, KEY_KP1, KEY_KPENTER, KEY_F1"
    raise ValueError(f"{name!r} is no key | {hint}")


KeyName = Annotated[str, AfterValidator(_known)]
Score = Annotated[int, Field(ge=1, le=5)]

SCORES = {f"KEY_{prefix}{digit}": digit for prefix in ("", "KP") for digit in range(1, 6)}
KEYS = {
    "KEY_KPENTER": Key.NEXT,
    "KEY_ENTER": Key.NEXT,
    "KEY_KPPLUS": Key.RECALL,
    "KEY_KPASTERISK": Key.EVALUATE,
    "KEY_KPMINUS": Key.PAUSE,
    "KEY_KPSLASH": Key.TRANSFER,
    "KEY_KPDOT": Key.CANCEL,
}


class KeyboardOptions(DriverOptions):
    """What both have in common."""

    repeat_s: float = Field(
        0.3, ge=0, le=10, description="the same key so soon after the last time is a bouncing contact, seconds"
    )


class KeyboardPadOptions(KeyboardOptions):
    """Options of ``keyboard-pad``."""

    scores: dict[KeyName, Score] = Field(
        default_factory=lambda: dict(SCORES),
        description="key -> national score (5 very satisfied ... 1 very dissatisfied)",
    )
    only_when_asked: bool = Field(True, description="a key counts only while a rating is asked for")


class KeyboardKeypadOptions(KeyboardOptions):
    """Options of ``keyboard-keypad``."""

    keys: dict[KeyName, Key] = Field(
        default_factory=lambda: dict(KEYS), description="key -> meaning; digits typed before it are its argument"
    )
    digits_s: float = Field(10.0, ge=1, le=120, description="digits that nothing follows are forgotten after, seconds")
