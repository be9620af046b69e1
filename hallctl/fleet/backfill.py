"""Asks controllers for what their logs hold since a moment (``replay``), step by step backwards."""

import asyncio
from collections.abc import Iterable
from datetime import datetime

from hallctl.fleet.desk import Desk
from hallctl.fleet.logbook import LogBook
from hallctl.link.topics import Topics
from hallctl.model import ReplyState

STEP = 200
QUIET_S = 4.0  # a replay begins after up to a second and sends twenty a tenth of a second
LOOK_S = 0.05
AT_ONCE = 16


async def backfill(desk: Desk, book: LogBook, whom: Iterable[tuple[Topics, int]], since: datetime) -> list[str]:
    """Have everything since a moment come; ``whom``: controllers, newest numbers. Gives what could not come."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(topics: Topics, last_seq: int) -> list[str]:
        async with turn:
            return await _of_one(desk, book, topics, last_seq, since)

    found = await asyncio.gather(*(one(topics, last_seq) for topics, last_seq in whom))
    return [text for texts in found for text in texts]


async def ask_again(desk: Desk, topics: Topics, first: int, last: int) -> str:
    """Ask for a span of numbers; gives why it will not come, or nothing."""
    data = {"from": first, "to": last}
    async for answer in desk.calls.ask_all([topics], "replay", data):
        if answer.reply is None:
            return answer.problem
        if answer.reply.state is not ReplyState.ACCEPTED:
            return answer.reply.message or answer.reply.state.value
    return ""


async def _of_one(desk: Desk, book: LogBook, topics: Topics, last_seq: int, since: datetime) -> list[str]:
    where = f"{topics.site}/{topics.controller}"
    problems: list[str] = []
    last = last_seq
    while last >= 1:
        first = max(1, last - STEP + 1)
        if problem := await ask_again(desk, topics, first, last):
            return [*problems, f"{where}: {problem}"]
        await _until_quiet(desk, book, topics, first, last)
        oldest = book.oldest(topics, first, last)
        spans = book.missing(topics, first, last)
        if oldest is None:
            return [*problems, f"{where}: numbers {first} to {last} are not kept any more"]
        told = [(a, b) for a, b in spans if a > first]  # what lies before the oldest one is trimmed: that is no loss
        problems += [f"{where}: numbers {a} to {b} are not kept any more" for a, b in told]
        if oldest < since or (spans and spans[0][0] == first):
            break
        last = first - 1
    return problems


async def _until_quiet(desk: Desk, book: LogBook, topics: Topics, first: int, last: int) -> None:
    """Until all have come, or nothing has for a while."""
    left, deadline = -1, 0.0
    while True:
        now_left = sum(b - a + 1 for a, b in book.missing(topics, first, last))
        if now_left == 0:
            return
        if now_left != left:
            left, deadline = now_left, desk.clock.monotonic() + QUIET_S
        if desk.clock.monotonic() >= deadline:
            return
        await desk.clock.sleep(LOOK_S)
