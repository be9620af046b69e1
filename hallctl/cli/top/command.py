"""``hallctl top``: the screen, asked for every second over the box's socket, or from the centre over the broker."""

import asyncio
import contextlib
import os
import sys
import termios
import tty
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live

from hallctl.cli.asking import Ask, with_asker
from hallctl.cli.link import link_options, target_of
from hallctl.cli.output import EX_OK, print_json
from hallctl.cli.top.screen import frame
from hallctl.link.look_data import LookResult

_QUIT = (b"q", b"Q", b"\x1b", b"\x03", b"")


@click.command()
@click.option(
    "--every",
    "every_s",
    metavar="S",
    type=click.FloatRange(0.2, 60),
    default=1.0,
    show_default=True,
    help="How often to look, seconds.",
)
@click.option("--once", is_flag=True, help="Print one frame and end.")
@link_options
def top(
    *,
    every_s: float,
    once: bool,
    config: Path | None,
    broker: str | None,
    site: str | None,
    controller: str | None,
    as_json: bool,
) -> int:
    """Watch one box live: terminals, buses, the way to the centre, the process. q ends it.

    --json: one object a look, in place of the screen.
    """
    target = target_of(config, broker, site, controller)
    screen = not (once or as_json)

    async def watch(ask: Ask) -> None:
        if screen:
            await _live(ask, every_s)
            return
        while True:
            look = await _look(ask)
            if as_json:
                print_json(look.model_dump(mode="json"))
            else:
                Console(file=sys.stdout, highlight=False).print(frame(None, look, 10_000))
            if once:
                return
            await asyncio.sleep(every_s)

    with contextlib.suppress(KeyboardInterrupt):
        with_asker(target, watch)
    return EX_OK


async def _look(ask: Ask) -> LookResult:
    return LookResult.model_validate(await ask("controller.look", {}))


async def _live(ask: Ask, every_s: float) -> None:
    console = Console(highlight=False)
    before = await _look(ask)
    quit_ = asyncio.Event()
    with _keys(quit_), Live(console=console, screen=True, auto_refresh=False) as live:
        live.update(frame(None, before, console.height), refresh=True)
        while not await _wait(quit_, every_s):
            now = await _look(ask)
            live.update(frame(before, now, console.height), refresh=True)
            before = now


async def _wait(quit_: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await quit_.wait()
    return quit_.is_set()


@contextlib.contextmanager
def _keys(quit_: asyncio.Event) -> Iterator[None]:
    """Hear single keys while the screen is shown; the terminal is as it was afterwards, whatever happens."""
    if not sys.stdin.isatty():
        yield
        return
    descriptor, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    before = termios.tcgetattr(descriptor)

    def pressed() -> None:
        if os.read(descriptor, 1) in _QUIT:
            quit_.set()

    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, pressed)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
