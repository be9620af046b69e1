"""Options of pads and keypads in hall.yaml."""

from typing import Annotated

from pydantic import Field

from hallctl.driver import DriverOptions, Key
from hallctl_drivers.ff68 import codec

PadKey = Annotated[int, Field(ge=0, le=0xFF)]
Score = Annotated[int, Field(ge=1, le=5)]
KeyCode = Annotated[int, Field(ge=0x0A, le=0xFF)]
Digits = Annotated[str, Field(pattern=r"^[0-9]{1,3}$")]

FOUR_KEYS = {0: 2, 1: 3, 2: 4, 3: 5}
KEYS = {
    codec.KEY_EVALUATE: Key.EVALUATE,
    codec.KEY_CALL: Key.NEXT,
    codec.KEY_RECALL: Key.RECALL,
    codec.KEY_CANCEL: Key.CANCEL,
    codec.KEY_CONFIRM: Key.CONFIRM,
    codec.KEY_PAUSE: Key.PAUSE,
    codec.KEY_TRANSFER: Key.TRANSFER,
    codec.KEY_START: Key.START,
    codec.KEY_ONE_METRE: Key.ONE_METRE,
}
CONFIRMED = {"6": Key.ABANDON, "0": Key.HANG_UP, "3": Key.CALL_BACK}


class Ff68Options(DriverOptions):
    """What pads and keypads have in common."""

    confirms: bool = Field(
        False, description="this firmware repeats every frame of the host as its word that it lives; then it is polled"
    )
    reply_timeout_s: float = Field(0.3, ge=0.05, le=5, description="how long such a device may take, seconds")
    echo_s: float = Field(
        0.06, ge=0, le=1, description="the same frame so soon after we answered it is our own echo, seconds"
    )


class PadOptions(Ff68Options):
    """Options of ``ff68-pad``."""

    scores: dict[PadKey, Score] = Field(
        default_factory=lambda: dict(FOUR_KEYS),
        description="the pad's key value -> national score (5 very satisfied ... 1 very dissatisfied)",
    )
    staff_digits: bool = Field(
        False, description="the pad has six digits: they show the staff number (as a keypad's digits are shown)"
    )
    repeat_s: float = Field(
        2.0, ge=0, le=30, description="the same key so soon after the last one is the pad's repeat, seconds"
    )


class KeypadOptions(Ff68Options):
    """Options of ``ff68-keypad``."""

    keys: dict[KeyCode, Key] = Field(default_factory=lambda: dict(KEYS), description="function key code -> meaning")
    confirmed: dict[Digits, Key] = Field(
        default_factory=lambda: dict(CONFIRMED), description="digits typed before the confirm key -> meaning"
    )
    repeat_s: float = Field(
        0.8, ge=0, le=30, description="the same key so soon after the last one is the keypad's repeat, seconds"
    )
