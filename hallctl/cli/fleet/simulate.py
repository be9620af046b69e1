"""``hallctl fleet simulate``: a fleet without halls, to try things out and to measure."""

import os
import signal
import tempfile
import time
from pathlib import Path

import click

from hallctl.cli.fleet.options import broker_options, seconds, settings_of
from hallctl.cli.language import _, counted
from hallctl.cli.output import EX_OK, print_json
from hallctl.errors import RequestRefused
from hallctl.fleet.simulate.box import Pace
from hallctl.fleet.simulate.faults import Faults, read_faults
from hallctl.fleet.simulate.running import Processes, Share, shares

LOOK_S = 0.5
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # a folder of our own is made in it


@click.command()
@click.argument("count", type=click.IntRange(1, 5000))
@click.option("--terminals", default=8, show_default=True, type=click.IntRange(0, 100), help="Terminals of each.")
@click.option("--fault", "faults", metavar="FAULT=ID", multiple=True, help="reject=box-0007, offline='hall-002/*' ...")
@click.option("--processes", type=click.IntRange(1, 64), help="Default: one a CPU core.")
@click.option("--first", default=1, show_default=True, type=click.IntRange(1), help="Number of the first controller.")
@click.option("--heartbeat", default=10.0, show_default=True, type=click.FloatRange(0.1), help="Seconds.")
@click.option("--lease", default=35.0, show_default=True, type=click.FloatRange(0.2), help="Seconds.")
@click.option("--chatter", default=0.0, show_default=True, help="Seconds between two events of each; 0: none.")
@click.option("--state-dir", type=click.Path(path_type=Path, file_okay=False), help="Kept; default: memory, removed.")
@broker_options
def simulate(
    *,
    count: int,
    terminals: int,
    faults: tuple[str, ...],
    processes: int | None,
    first: int,
    heartbeat: float,
    lease: float,
    chatter: float,
    state_dir: Path | None,
    config: Path | None,
    broker: str | None,
    as_json: bool,
) -> int:
    """Run COUNT simulated controllers until Ctrl-C: real link, outbox and twin, no devices.

    They are box-0001, box-0002 ... at sites hall-001, hall-002 ...; groups grid-a to grid-c; tags north, south, and
    pilot for the first ten. Faults, each met when something is pushed: reject, roll_back, partial, slow, offline, mute,
    crash, vanish. --json prints one object a line whenever the number of those connected changes.
    """
    settings = settings_of(config, broker)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the processes are ended, the folder removed
    wrong = _faults(faults)
    pace = Pace(heartbeat, max(lease, heartbeat * 1.5), chatter)
    with tempfile.TemporaryDirectory(prefix="hallctl-fleet-", dir=_fast_folder()) as folder:
        whole = Share(settings, state_dir or Path(folder), first, count, terminals, wrong, pace)
        with Processes(shares(whole, processes or os.cpu_count() or 1)) as running:
            _watch(running, count, as_json=as_json)
    return EX_OK


def _watch(running: Processes, count: int, *, as_json: bool) -> None:
    began, told, complete = time.monotonic(), -1, False
    try:
        while True:
            connected = running.look(LOOK_S)
            if connected == told:
                continue
            told, took_s = connected, time.monotonic() - began
            if as_json:
                print_json({"connected": connected, "of": count, "seconds": round(took_s, 2)})
            elif connected == count or not complete:
                click.echo(
                    _("{connected:,} of {counted} connected ({duration})").format(
                        connected=connected, counted=counted(count, "controller"), duration=seconds(took_s)
                    )
                )
            complete = complete or connected == count
    except KeyboardInterrupt:
        return


def _faults(texts: tuple[str, ...]) -> Faults:
    try:
        return read_faults(texts)
    except RequestRefused as exc:
        raise click.UsageError(_("--fault: {message}; {hint}.").format(message=exc.message, hint=exc.hint)) from exc


def _fast_folder() -> str | None:
    """Thousands of databases that are synced at each step: in memory where the system has that."""
    return str(SHARED_MEMORY) if SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK) else None
