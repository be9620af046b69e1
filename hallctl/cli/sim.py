"""``hallctl sim``: a device's side, to try a hall without its hardware."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from hallctl.cli.language import _
from hallctl.cli.look import Watch
from hallctl.cli.output import EX_OK, json_option, print_json, print_table
from hallctl.driver import (
    Simulator,
    StreamSimulator,
    VisitingSimulator,
    WireSimulator,
    driver_names,
    load_driver,
    on_pty,
    on_tcp,
)
from hallctl.errors import DriverLoadError, TransportUnavailable


@dataclass(frozen=True, slots=True)
class Device:
    """One device to play."""

    family: str
    address: int | None = None
    fault: str | None = None


@click.command()
@click.argument("family", required=False)
@click.option("--listen", metavar="HOST:PORT", help="Serve on TCP; port 0 takes any free one.")
@click.option("--pty", "pty_path", metavar="PATH", help="Serve on a pseudo-terminal that PATH becomes a link to.")
@click.option("--visit", metavar="URL", help="A device that comes by itself (a tablet): the page that it opens.")
@click.option("--fault", metavar="NAME", help="Misbehave in this way; --list shows the names.")
@click.option("--address", type=click.IntRange(0, 65534), metavar="N", help="Address on the bus.")
@click.option(
    "--device",
    "devices",
    multiple=True,
    metavar="FAMILY[:N[:FAULT]]",
    help="One more device on the same pseudo-terminal, with its address; may be repeated.",
)
@click.option(
    "--draw",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for pictures (PNG) of what the device prints or shows, one whenever that changes.",
)
@click.option("--list", "listing", is_flag=True, help="Show every family with its faults.")
@json_option
def sim(
    *,
    family: str | None,
    listen: str | None,
    pty_path: str | None,
    visit: str | None,
    fault: str | None,
    address: int | None,
    devices: tuple[str, ...],
    folder: Path | None,
    listing: bool,
    as_json: bool,
) -> int:
    """Play the device of driver FAMILY until SIGINT or SIGTERM.

    The first line of output is the address that it serves on, to be put into hall.yaml (--json: one document
    {"address": ...}; with --list: one document a family and line). What the device refuses of what it is sent is told
    on standard error.
    """
    if listing:
        _list(as_json)
        return EX_OK
    played = [Device(family, address, fault)] if family else []
    played += [_device(text) for text in devices]
    _check_usage(played, listen, pty_path, visit)
    simulators = [_simulator(device) for device in played]
    host = _host(simulators, listen, pty_path, visit)
    names = [f"{number}-{device.family}" for number, device in enumerate(played, 1)] if len(played) > 1 else [""]
    watch = Watch(dict(zip(names, simulators, strict=True)), folder)
    asyncio.run(_serve(host, watch, listen or pty_path or visit or "", as_json))
    return EX_OK


def _check_usage(played: Sequence[Device], listen: str | None, pty_path: str | None, visit: str | None) -> None:
    if not played:
        raise click.UsageError(_("Name a FAMILY, or see --list."))
    if sum(place is not None for place in (listen, pty_path, visit)) != 1:
        raise click.UsageError(_("Give exactly one of --listen HOST:PORT, --pty PATH and --visit URL."))
    if len(played) > 1 and pty_path is None:
        raise click.UsageError(_("Several devices share a pseudo-terminal: use --pty PATH."))


def _device(text: str) -> Device:
    family, _colon, rest = text.partition(":")
    number, _colon, fault = rest.partition(":")
    if number and not (number.isascii() and number.isdigit()):
        raise click.UsageError(
            _("--device {text}: {number!r} is no address; write FAMILY:N or FAMILY:N:FAULT.").format(
                text=text, number=number
            )
        )
    return Device(family, int(number) if number else None, fault or None)


def _simulator(device: Device) -> Simulator:
    return load_driver(device.family).simulate(device.fault, device.address)


def _host_and_port(listen: str) -> tuple[str, int]:
    host, _colon, port = listen.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise click.UsageError(_("--listen {listen}: write HOST:PORT, such as 127.0.0.1:9100.").format(listen=listen))
    return host.strip("[]"), int(port)


async def _serve(host: contextlib.AbstractAsyncContextManager[str], watch: Watch, place: str, as_json: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with host as address:
            if as_json:
                print_json({"address": address})
            else:
                click.echo(address)
            await watch.until(stop)
    except OSError as exc:
        hint = "is the port taken, or the folder absent? take another address"
        raise TransportUnavailable(f"{place}: {exc.strerror or exc}", hint=hint) from exc


def _host(
    simulators: Sequence[Simulator], listen: str | None, pty_path: str | None, visit: str | None
) -> contextlib.AbstractAsyncContextManager[str]:
    """The wire that the devices are put on, or the page that one opens."""
    if isinstance(simulators[0], VisitingSimulator) != (visit is not None):
        raise click.UsageError(_("A tablet opens a page: --visit URL. Every other device is put on a wire."))
    if visit is not None:
        return _visiting(simulators[0], visit)
    wired = [simulator for simulator in simulators if isinstance(simulator, WireSimulator)]
    if listen is None:
        if len(wired) < len(simulators):
            raise click.UsageError(_("A camera serves a stream: use --listen HOST:PORT."))
        return on_pty(wired, pty_path)
    host, port = _host_and_port(listen)
    match simulators[0]:
        case StreamSimulator() as stream:
            return stream.serve(host, port)
        case WireSimulator() as wire:
            return on_tcp(wire, host, port)
    raise click.UsageError(_("This family has no simulator that can be served."))


@contextlib.asynccontextmanager
async def _visiting(simulator: Simulator, where: str) -> AsyncIterator[str]:
    assert isinstance(simulator, VisitingSimulator)  # noqa: S101  # the caller has just looked
    async with simulator.visit(where):
        yield where


def _list(as_json: bool) -> None:
    rows: list[tuple[str, str, dict[str, str]]] = []
    for name in driver_names():
        try:
            plugin = load_driver(name)
        except DriverLoadError as exc:
            rows.append((name, exc.message, {}))
            continue
        simulator = plugin.simulate(None, None)
        rows.append((name, plugin.summary, dict(simulator.FAULTS)))
    if as_json:
        for name, summary, faults in rows:
            print_json({"family": name, "summary": summary, "faults": faults})
        return
    print_table(
        ("family", "what", "fault", "what the device then does"),
        (line for name, summary, faults in rows for line in _lines(name, summary, faults)),
    )


def _lines(name: str, summary: str, faults: dict[str, str]) -> list[tuple[str, str, str, str]]:
    pairs = sorted(faults.items()) or [("", "")]
    return [(name if not i else "", summary if not i else "", *pair) for i, pair in enumerate(pairs)]
