"""Running things side by side so that the first failure is the one that is seen."""

import asyncio
from collections.abc import Awaitable


async def first_to_fail(*work: Awaitable[None]) -> None:
    """Run all until the first one fails, cancel the others, raise its error as it is (no group around it).

    Returns when all have ended without an error.
    """
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
