"""What ports with owned threads share: a write on its way, and telling the loop what became of it."""

import asyncio
from dataclasses import dataclass

from hallctl.errors import HallctlError


@dataclass(slots=True, eq=False)
class Write:
    """One write on its way: ``rest`` has still to be taken; once ``started`` it is finished, cancelled or not."""

    rest: bytes
    done: "asyncio.Future[None]"
    started: bool = False


def settle(future: "asyncio.Future[None]", exc: HallctlError | None = None) -> None:
    """Give a future its end, unless it has one."""
    if future.done():
        return
    if exc is None:
        future.set_result(None)
    else:
        future.set_exception(exc)
