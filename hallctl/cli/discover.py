"""``hallctl discover``: what is plugged in and what answers, as a beginning of hall.yaml."""

import asyncio
import dataclasses
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import click

from hallctl.cli.language import _
from hallctl.cli.output import EX_FAILED, EX_OK, json_option, print_json, report_error
from hallctl.clock import SystemClock
from hallctl.controller.discover import Draft, ask_bus, ask_network, hosts_of, listen_on_bus, local_ports
from hallctl.driver import Attachment, DriverPlugin, driver_names, load_driver
from hallctl.driver.buscheck import line_of, options_of
from hallctl.errors import DriverLoadError, HallctlError
from hallctl.transport import PortAddress

Found = Callable[[str, Any], None]


@dataclass(frozen=True, slots=True)
class _Search:
    """What the command line asks for."""

    buses: tuple[str, ...]
    ranges: tuple[str, ...]
    ports: tuple[int, ...]
    addresses: range | None
    listen_s: float
    plugins: list[DriverPlugin]


@click.command()
@click.option(
    "--bus",
    "buses",
    multiple=True,
    metavar="PORT",
    help="Ask every address on this port, such as serial:///dev/serial/by-id/...?baud=9600 or tcp://HOST:PORT; "
    "'all': on every serial port that is found.",
)
@click.option("--addresses", metavar="FIRST-LAST", help="Only these addresses of a bus.")
@click.option(
    "--listen", "listen_s", type=click.FloatRange(1, 3600), metavar="SECONDS", help="Then hear who speaks on the bus."
)
@click.option("--net", "ranges", multiple=True, metavar="RANGE", help="Ask hosts: 10.8.1.0/24, 10.8.1.20-40, 10.8.1.7.")
@click.option("--port", "ports", multiple=True, type=click.IntRange(1, 65535), help="With --net: this port, too.")
@click.option("--driver", "drivers", multiple=True, metavar="NAME", help="Only devices of this driver.")
@json_option
def discover(
    *,
    buses: tuple[str, ...],
    addresses: str | None,
    listen_s: float | None,
    ranges: tuple[str, ...],
    ports: tuple[int, ...],
    drivers: tuple[str, ...],
    as_json: bool,
) -> int:
    """Find serial ports, USB printers and pads of this box, or with --bus and --net what answers there.

    Prints the beginning of a hall.yaml (--json: one object a find and line); what it does meanwhile goes to standard
    error. Devices of the FF 68 family answer no question: use --listen and press a key on each. Ports that the daemon
    holds are busy: stop it first. Exit code 1: a port could not be asked.
    """
    if (addresses or listen_s) and not buses:
        raise click.UsageError(_("--addresses and --listen need a --bus."))
    if ports and not ranges:
        raise click.UsageError(_("--port needs a --net."))
    try:
        plugins = _plugins(drivers)
        search = _Search(buses, ranges, ports, _range(addresses), listen_s or 0.0, plugins)
        draft = Draft({plugin.name: plugin for plugin in plugins})
        failed = asyncio.run(_search(search, _teller(draft, as_json)))
    except HallctlError as exc:
        return report_error(exc)
    if not as_json:
        click.echo(draft.yaml(), nl=False)
    return EX_FAILED if failed else EX_OK


def _plugins(names: tuple[str, ...]) -> list[DriverPlugin]:
    """The named drivers; without names all that load, and those that don't are told."""
    if names:
        return [load_driver(name) for name in names]
    loaded = []
    for name in driver_names():
        try:
            loaded.append(load_driver(name))
        except DriverLoadError as exc:
            report_error(exc)
    return loaded


def _range(text: str | None) -> range | None:
    if text is None:
        return None
    first, _dash, last = text.partition("-")
    if not (first.isdecimal() and (last or first).isdecimal() and 0 <= int(first) <= int(last or first) <= 65534):
        raise click.UsageError(_("--addresses {text}: write FIRST-LAST, such as 1-32.").format(text=text))
    return range(int(first), int(last or first) + 1)


def _teller(draft: Draft, as_json: bool) -> Found:
    """Where finds go: into the draft, or at once as JSON."""

    def tell(port: str, find: Any) -> None:
        kind = type(find).__name__
        if as_json:
            print_json({"find": kind, **({"bus": port} if port else {}), **dataclasses.asdict(find)})
        match kind:
            case "LocalPort":
                draft.local(find)
            case "Answered":
                draft.answered(port, find)
            case "Heard":
                draft.heard(port, find)
            case "NetworkFind":
                draft.network(find)

    return tell


async def _search(search: _Search, tell: Found) -> bool:
    """Everything in turn; a port that can't be asked stops nothing else. True: there was such a port."""
    everything = "all" in search.buses or not (search.buses or search.ranges)
    here = await asyncio.to_thread(local_ports) if everything else []
    for port in here:
        tell("", port)
    serial = [port.port for port in here if port.kind == "serial"]
    buses = [name for bus in search.buses for name in (serial if bus == "all" else [bus])]
    hosts = [host for text in search.ranges for host in hosts_of(text)]
    results = [await _tolerant(_one_bus(name, search, tell)) for name in dict.fromkeys(buses)]
    if hosts:
        _say(_("asking {number} hosts").format(number=len(hosts)))
        async for find in ask_network(hosts, _of_network(search.plugins), SystemClock(), ports=search.ports):
            tell("", find)
    return not all(results)


async def _tolerant(work: Awaitable[None]) -> bool:
    try:
        await work
    except HallctlError as exc:
        report_error(exc)
        return False
    return True


async def _one_bus(name: str, search: _Search, tell: Found) -> None:
    port, clock = PortAddress.parse(name), SystemClock()
    families = [plugin for plugin in search.plugins if plugin.attachment is Attachment.BUS]
    line = line_of(port)
    strangers = [plugin for plugin in families if line not in (None, plugin.line)]
    families = [plugin for plugin in families if plugin not in strangers]
    for plugin in strangers:
        _say(
            _("{name}: {driver} talks {line}; with {options} in the port it is asked, too").format(
                name=name, driver=plugin.name, line=plugin.line, options=options_of(plugin.line)
            )
        )
    asked = [plugin for plugin in families if plugin.addresses]
    progress = _Progress(name)
    async for find in ask_bus(port, asked, clock, addresses=search.addresses, progress=progress):
        tell(name, find)
    mute = [plugin.name for plugin in families if not plugin.addresses]
    if search.listen_s:
        _say(
            _("{name}: listening for {listen_s:g} s: press a key on each pad and keypad").format(
                name=name, listen_s=search.listen_s
            )
        )
        async for heard in listen_on_bus(port, families, clock, search.listen_s):
            tell(name, heard)
    elif mute:
        _say(
            _("{name}: devices of {names} answer no question; --listen 60 and a key press show them").format(
                name=name, names=", ".join(mute)
            )
        )


class _Progress:
    """One line a family on standard error."""

    def __init__(self, port: str) -> None:
        self._port = port
        self._told: set[str] = set()

    def __call__(self, driver: str, _address: int) -> None:
        if driver not in self._told:
            self._told.add(driver)
            _say(_("{port}: asking for {driver}").format(port=self._port, driver=driver))


def _of_network(plugins: list[DriverPlugin]) -> Iterator[DriverPlugin]:
    return (plugin for plugin in plugins if plugin.tcp_ports)


def _say(text: str) -> None:
    click.echo(text, file=sys.stderr)
