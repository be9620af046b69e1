"""``hallctl trace decode``: a trace that was kept, as it was seen then."""

from pathlib import Path

import click

from hallctl.cli.language import _
from hallctl.cli.output import EX_FAILED, EX_OK, json_option, local_time
from hallctl.cli.trace.live import explainer_of
from hallctl.cli.trace.words import print_raw, print_told
from hallctl.errors import HallctlError
from hallctl.trace import Decoder, TraceHeader, TraceReading, read_trace


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--driver", metavar="NAME", help="Explain it with this driver, whatever the header says.")
@click.option("--raw", is_flag=True, help="Show bytes as they passed, not cut into frames.")
@click.option("--whole", is_flag=True, help="Show long frames with all their bytes.")
@json_option
def decode(*, file: Path, driver: str | None, raw: bool, whole: bool, as_json: bool) -> int:
    """Show a trace that was kept with --to. Lines that can't be read are named, and the rest is shown; exit code 1."""
    reading = _read(file)
    if reading.header is not None and not as_json:
        click.echo(_title(reading.header))
    if raw:
        print_raw(reading.records, as_json=as_json)
    else:
        name = driver or (reading.header.driver if reading.header else "")
        decoder = Decoder(explainer_of(name))
        for record in reading.records:
            print_told(decoder.feed(record), as_json=as_json, whole=whole)
        print_told(decoder.end(), as_json=as_json, whole=whole)
    for problem in reading.problems:
        click.echo(_("warning: {file}: {problem}").format(file=file, problem=problem), err=True)
    return EX_FAILED if reading.problems else EX_OK


def _read(file: Path) -> TraceReading:
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            return read_trace(opened)
    except OSError as exc:
        raise HallctlError(
            f"{file}: {exc.strerror or exc}", hint=_("name a file of `hallctl trace TERMINAL --to FILE`")
        ) from exc


def _title(header: TraceHeader) -> str:
    where = "/".join(part for part in (header.site, header.controller) if part)
    began = f", begun {local_time(header.began_at)}" if header.began_at else ""
    return (
        f"{header.terminal} ({header.driver or 'no driver'}) at {header.port}, {where}{began}, hallctl {header.version}"
    )
