"""What the scenarios share: their list, and patience."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from lab.box import Box

PATIENCE_S = 180.0  # software emulation on a busy machine
_LOOK_S = 0.1
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing to prove. ``fresh``: on a box on which nothing is installed yet."""

    name: str
    prove: "Callable[[Box], None]"
    fresh: bool


SCENARIOS: list[Scenario] = []


def scenario(name: str, *, fresh: bool = False) -> "Callable[[Callable[[Box], None]], Callable[[Box], None]]":
    """Put a scenario on the list; its name is the sentence that it proves."""

    def put(prove: "Callable[[Box], None]") -> "Callable[[Box], None]":
        SCENARIOS.append(Scenario(name, prove, fresh))
        return prove

    return put


def until(what: str, condition: Callable[[], T | None], seconds: float = PATIENCE_S) -> T:
    """Wait for it, and give what it gave; a guest's things come when they come."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(_LOOK_S)
    return value
