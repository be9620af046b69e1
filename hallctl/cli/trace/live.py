"""``hallctl trace TERMINAL``: asks the daemon for what passes, over the box's socket or from the centre alike."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TextIO

import click

from hallctl import __version__
from hallctl.cli.asking import Ask, with_asker
from hallctl.cli.language import _
from hallctl.cli.link import Target, link_options, target_of
from hallctl.cli.output import EX_OK
from hallctl.cli.trace.words import print_raw, print_told
from hallctl.clock import SystemClock
from hallctl.driver import Explainer, load_driver
from hallctl.errors import DriverLoadError, HallctlError
from hallctl.link.result_data import TraceResult
from hallctl.trace import Decoder, TraceHeader, TraceWriter

WAIT_S = 5.0

Sink = Callable[[TraceResult], None]


@click.command()
@click.argument("terminal", metavar="TERMINAL")
@click.option(
    "--to", "file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Keep it in a file."
)
@click.option("--for", "seconds", metavar="S", type=click.FloatRange(0), help="End after S seconds; 0: what is kept.")
@click.option("--past", is_flag=True, help="Begin with what the daemon has kept of the last minutes.")
@click.option("--raw", is_flag=True, help="Show bytes as they passed, not cut into frames.")
@click.option("--whole", is_flag=True, help="Show long frames with all their bytes.")
@link_options
def live(  # click passes every option
    *,
    terminal: str,
    file: Path | None,
    seconds: float | None,
    past: bool,
    raw: bool,
    whole: bool,
    config: Path | None,
    broker: str | None,
    site: str | None,
    controller: str | None,
    as_json: bool,
) -> int:
    """Show what goes over the wire of TERMINAL (or of a bus, by its id) until Ctrl-C; --json: one object a frame."""
    target = target_of(config, broker, site, controller)
    after = 0 if past or seconds == 0 else None

    async def follow(ask: Ask) -> None:
        with _sink(target, terminal, file) if file else _shown(raw=raw, whole=whole, as_json=as_json) as take:
            async for result in _results(ask, terminal, after, seconds):
                take(result)

    with contextlib.suppress(KeyboardInterrupt):
        with_asker(target, follow)
    return EX_OK


async def _results(ask: Ask, terminal: str, after: int | None, seconds: float | None) -> AsyncIterator[TraceResult]:
    """Everything that passes, a reply at a time; a reply's end is where the next begins."""
    clock = SystemClock()
    end = None if seconds is None else clock.monotonic() + seconds
    while True:
        left = WAIT_S if end is None else max(0.0, min(WAIT_S, end - clock.monotonic()))
        wanted = {"terminal": terminal, "wait_s": left} | ({} if after is None else {"after": after})
        result = TraceResult.model_validate(await ask("terminal.trace", wanted))
        yield result
        after = result.number
        if left == 0 and (seconds or not result.records):
            return


@contextlib.contextmanager
def _shown(*, raw: bool, whole: bool, as_json: bool) -> Iterator[Sink]:
    decoder: Decoder | None = None

    def take(result: TraceResult) -> None:
        nonlocal decoder
        if raw:
            print_raw(result.records, as_json=as_json)
            return
        decoder = decoder or Decoder(explainer_of(result.driver))
        for record in result.records:
            print_told(decoder.feed(record), as_json=as_json, whole=whole)

    try:
        yield take
    finally:
        if decoder is not None:
            print_told(decoder.end(), as_json=as_json, whole=whole)


@contextlib.contextmanager
def _sink(target: Target, terminal: str, file: Path) -> Iterator[Sink]:
    """Into a file; how much there is in it is told at the end, however that comes."""
    count = missed = 0
    writer: TraceWriter | None = None
    with _opened(file) as opened:

        def take(result: TraceResult) -> None:
            nonlocal writer, count, missed
            if writer is None:
                writer = TraceWriter(opened, _header(target, terminal, result))
            for record in result.records:
                writer.write(record)
            count, missed = count + len(result.records), missed + (result.missed if count else 0)

        try:
            yield take
        finally:
            words = _("{count} records in {file}; `hallctl trace decode {file}` shows them").format(
                count=count, file=file
            )
            click.echo(words, err=True)
            if missed:
                click.echo(_("warning: {count} records are missing").format(count=missed), err=True)


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    try:
        with file.open("x", encoding="utf-8") as opened:
            yield opened
    except FileExistsError as exc:
        raise HallctlError(
            _("{file} is there already").format(file=file), hint=_("name another file, or remove it first")
        ) from exc
    except OSError as exc:
        raise HallctlError(f"{file}: {exc.strerror or exc}", hint=_("name a file in a folder of yours")) from exc


def _header(target: Target, terminal: str, result: TraceResult) -> TraceHeader:
    return TraceHeader(
        version=__version__,
        site=target.site,
        controller=target.controller,
        terminal=terminal,
        driver=result.driver,
        port=result.port,
        began_at=SystemClock().now(),
    )


def explainer_of(driver: str) -> Callable[[], Explainer] | None:
    """How this driver's wire is explained; ``None``, and a word why, where it is not: then there is hex alone."""
    if not driver:
        return None
    try:
        found = load_driver(driver).explain
    except DriverLoadError as exc:
        click.echo(_("warning: frames are shown in hex: {why}").format(why=exc.message), err=True)
        return None
    if found is None:
        click.echo(_("warning: frames are shown in hex: driver {driver} explains none").format(driver=driver), err=True)
    return found
