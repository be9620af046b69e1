"""A device that repeats what it hears, and a bound for everything that waits on real IO."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from hallctl.driver import WireSimulator

PATIENCE_S = 10.0


class Parrot(WireSimulator):
    """Answers with what it heard, or (``silent``) only keeps it."""

    def __init__(self, silent: bool = False) -> None:
        super().__init__()
        self.heard = bytearray()
        self.silent = silent

    def feed(self, data: bytes) -> bytes:
        self.heard += data
        return b"" if self.silent else data


@pytest.fixture
def parrot() -> Parrot:
    return Parrot()


@pytest.fixture
def silent_device() -> Parrot:
    return Parrot(silent=True)


async def until(condition: Callable[[], bool]) -> None:
    """Give the event loop turns until the condition holds; fails after ten seconds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # what is watched (threads, descriptors) has no event to wait on
            await asyncio.sleep(0.002)


@pytest.fixture
def eventually() -> Iterator[Callable[[Callable[[], bool]], object]]:
    yield until
