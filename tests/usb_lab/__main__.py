"""Runs the tests in the guest: ``python3 -m usb_lab [WORD...]``. A JSON line each: the plan, the results, the end."""

import asyncio
import json
import sys
import time
import traceback
from collections.abc import Awaitable, Callable

from usb_lab import kernel_cases, keyboard_cases, usb_cases  # importing them puts their tests on the list
from usb_lab.bench import CASES

TEST_TIMEOUT_S = 120.0
PARTS = (kernel_cases, usb_cases, keyboard_cases)


def tell(**message: object) -> None:
    """One line for the host."""
    print(json.dumps(message, ensure_ascii=True), flush=True)


async def in_time(function: Callable[[], Awaitable[None]]) -> None:
    """A test that hangs fails alone."""
    async with asyncio.timeout(TEST_TIMEOUT_S):
        await function()


def attempt(name: str, function: Callable[[], Awaitable[None]]) -> None:
    """Run one test and tell how it went."""
    started = time.monotonic()
    detail = ""
    print(f"--- {name}", file=sys.stderr, flush=True)
    try:
        asyncio.run(in_time(function))
    except Exception:  # noqa: BLE001  # whatever it is, the next test has its chance
        detail = traceback.format_exc(limit=-4)
    tell(test=name, ok=not detail, detail=detail, seconds=round(time.monotonic() - started, 1))


def main() -> None:
    """All tests, or those whose name has one of the words."""
    words = sys.argv[1:]
    chosen = {name: function for name, function in CASES.items() if not words or any(word in name for word in words)}
    tell(plan=list(chosen))
    for name, function in chosen.items():
        attempt(name, function)
    tell(end=True)


if __name__ == "__main__":
    main()
