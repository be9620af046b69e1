"""The part of checking a hall document that needs drivers and ports: does each terminal fit to its driver?

It stands here and not in ``hallctl.config``, because configuration knows no driver and no transport.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hallctl.config.check import ROLES, references
from hallctl.config.hall import Terminal
from hallctl.config.problem import Loc, Problem
from hallctl.config.result import LoadedHall
from hallctl.config.suggest import did_you_mean
from hallctl.config.validate import validate
from hallctl.driver.buscheck import bus_mistakes
from hallctl.driver.capability import Capability
from hallctl.driver.discovery import driver_names, load_driver
from hallctl.driver.plugin import Attachment, DriverPlugin
from hallctl.errors import ConfigError, DriverLoadError
from hallctl.transport import PortAddress
from hallctl.transport.serial_settings import SerialSettings, remote_settings
from hallctl.transport.usb_names import UsbName

_ROLE_CAPABILITIES: Mapping[str, Capability] = {
    **{role: Capability(role) for role in ROLES},
    "post": Capability.CAMERA,
    "printer": Capability.PRINTER,
}
_WHAT: Mapping[Capability, str] = {
    Capability.PRINTER: "printer",
    Capability.DISPLAY: "display",
    Capability.PAD: "evaluation pad",
    Capability.KEYPAD: "keypad",
    Capability.CAMERA: "camera",
}


def check_hall(hall: LoadedHall, load: Callable[[str], DriverPlugin] = load_driver) -> LoadedHall:
    """The same hall without what its drivers and ports refuse. A document that is fatally wrong stays as it is."""
    if hall.fatal:
        return hall
    drivers = _Drivers(load)
    hall = _check_ports(hall)
    restored: dict[str, dict[str, Any]] = {}
    hall = hall.without(_terminal_mistakes(hall, drivers, restored)).with_options(restored)
    hall = hall.without(bus_mistakes(hall, drivers.plugin))
    mistakes = (_window_mistakes, _board_mistakes, _fallback_mistakes)
    return hall.without([problem for find in mistakes for problem in find(hall, drivers)])


@dataclass(slots=True)
class _Drivers:
    """Loads each driver once, and remembers why one can't be loaded."""

    load: Callable[[str], DriverPlugin]
    loaded: dict[str, DriverPlugin | DriverLoadError] = field(default_factory=dict)
    names: tuple[str, ...] = field(default_factory=driver_names)

    def get(self, name: str) -> DriverPlugin | DriverLoadError:
        if name not in self.loaded:
            try:
                self.loaded[name] = self.load(name)
            except DriverLoadError as exc:
                self.loaded[name] = exc
        return self.loaded[name]

    def plugin(self, name: str) -> DriverPlugin | None:
        plugin = self.get(name)
        return plugin if isinstance(plugin, DriverPlugin) else None

    def can(self, terminal: Terminal, capability: Capability) -> bool:
        plugin = self.get(terminal.driver)
        return isinstance(plugin, DriverPlugin) and capability in plugin.capabilities


def _check_ports(hall: LoadedHall) -> LoadedHall:
    owners: dict[str, Loc] = {}
    hall = hall.without(_bus_port_mistakes(hall, owners))
    buses = {bus.id for bus in hall.document.buses}
    orphans = (
        hall.problem(
            f"its bus {terminal.bus!r} is wrong itself", (*loc, "bus"), code="reference", hint="correct the bus first"
        )
        for loc, terminal in hall.terminals()
        if terminal.bus is not None and terminal.bus not in buses
    )
    hall = hall.without(orphans)
    return hall.without(_terminal_port_mistakes(hall, owners))


def _bus_port_mistakes(hall: LoadedHall, owners: dict[str, Loc]) -> Iterator[Problem]:
    for (section, index), bus in hall.items("buses"):
        port = getattr(bus, "port", "")
        yield from _port_mistakes(hall, port, (section, index, "port"), owners)


def _terminal_port_mistakes(hall: LoadedHall, owners: dict[str, Loc]) -> Iterator[Problem]:
    for loc, terminal in hall.terminals():
        if terminal.port is not None:
            yield from _port_mistakes(hall, terminal.port, (*loc, "port"), owners)


def _port_mistakes(hall: LoadedHall, port: str, loc: Loc, owners: dict[str, Loc]) -> Iterator[Problem]:
    try:
        address = PortAddress.parse(port)
        _check_options(address, shared=loc[0] == "buses")
    except ConfigError as exc:
        yield hall.problem(exc.message, loc, code="port", hint=exc.hint)
        return
    owner = owners.setdefault(str(address), loc)
    if owner != loc:
        line = hall.line(owner)
        where = f"line {line}" if line else "/".join(map(str, owner[:2]))
        hint = "a port has one owner; terminals that share a line need a bus"
        yield hall.problem(f"{address} is taken already, see {where}", loc, code="duplicate", hint=hint)


def _check_options(address: PortAddress, *, shared: bool) -> None:
    """Raises ``ConfigError``. The raw port of a serial server has line options where a bus has to know its timing."""
    match address.scheme:
        case "serial":
            SerialSettings.from_address(address)
        case "rfc2217":
            remote_settings(address)
        case "usb" | "usblp":
            UsbName.from_address(address)
        case "tcp" if shared and address.options:
            remote_settings(address)
        case _ if address.options:
            name = address.options[0][0]
            raise ConfigError(f"{address}: a {address.scheme} port has no option {name!r}", hint="remove the '?...'")


def _terminal_mistakes(hall: LoadedHall, drivers: _Drivers, restored: dict[str, dict[str, Any]]) -> Iterator[Problem]:
    """Attachment and options; ``restored`` gets options whose numbers turned out to be texts."""
    for loc, terminal in (*hall.terminals(), *hall.set_aside):
        plugin = drivers.get(terminal.driver)
        if isinstance(plugin, DriverLoadError):
            suggestion = "" if terminal.driver in drivers.names else did_you_mean(terminal.driver, drivers.names)
            yield hall.problem(plugin.message + suggestion, (*loc, "driver"), code="driver", hint=plugin.hint)
            continue
        yield from _attachment_mistakes(hall, terminal, plugin, loc)
        options = copy.deepcopy(terminal.options)
        _, problems = validate(plugin.options, options, hall.tree, hall.path, (*loc, "options"))
        yield from problems
        if options != terminal.options:
            restored[terminal.id] = options


def _attachment_mistakes(hall: LoadedHall, terminal: Terminal, plugin: DriverPlugin, loc: Loc) -> Iterator[Problem]:
    match plugin.attachment:
        case Attachment.PORT:
            wanted = (
                "a port of its own: port: tcp://HOST:PORT, serial:///dev/..., file:///dev/... or input:///dev/input/..."
            )
            given, forbidden = terminal.port, "bus"
        case Attachment.BUS:
            wanted = "a bus and an address: bus: NAME, address: NUMBER"
            given, forbidden = terminal.bus, "port"
        case Attachment.STREAM | Attachment.NONE:
            wanted = "neither port nor bus: its options name what it needs"
            given, forbidden = "", "bus" if terminal.bus is not None else "port"
    hint = f"driver {plugin.name!r} wants {wanted}"
    if getattr(terminal, forbidden) is not None:
        yield hall.problem(f"{forbidden!r} does not belong here", (*loc, forbidden), code="attachment", hint=hint)
    elif given is None:
        missing = "bus" if forbidden == "port" else "port"
        yield hall.problem(f"the key {missing!r} is missing", (*loc, missing), code="attachment", hint=hint)


def _window_mistakes(hall: LoadedHall, drivers: _Drivers) -> Iterator[Problem]:
    terminals = {terminal.id: terminal for terminal in hall.document.terminals}
    for loc, window in hall.windows():
        for place, name in references(window):
            if name in terminals and (words := _cannot(hall, drivers, terminals[name], str(place[0]))):
                hint = f"window {window.label!r} needs one here"
                yield hall.problem(words, (*loc, *place), code="capability", hint=hint)


def _board_mistakes(hall: LoadedHall, drivers: _Drivers) -> Iterator[Problem]:
    terminals = {terminal.id: terminal for terminal in hall.document.terminals}
    for index, name in enumerate(hall.document.main_boards.displays):
        if name in terminals and (words := _cannot(hall, drivers, terminals[name], "display")):
            loc = ("main_boards", "displays", index)
            yield hall.problem(words, loc, code="capability", hint="the main boards are displays")


def _fallback_mistakes(hall: LoadedHall, drivers: _Drivers) -> Iterator[Problem]:
    terminals = {terminal.id: terminal for terminal in hall.document.terminals}
    for loc, terminal in hall.terminals():
        for name in (terminal.id, terminal.fallback) if terminal.fallback in terminals else ():
            if name is not None and (words := _cannot(hall, drivers, terminals[name], "printer")):
                hint = "a fallback is a printer that takes over for a printer"
                yield hall.problem(words, (*loc, "fallback"), code="capability", hint=hint)
                break


def _cannot(hall: LoadedHall, drivers: _Drivers, terminal: Terminal, role: str) -> str | None:
    """Why a terminal can't play a role, or ``None``."""
    capability = _ROLE_CAPABILITIES[role]
    if drivers.can(terminal, capability):
        return None
    usable = [other.id for other in hall.document.terminals if drivers.can(other, capability)]
    suggestion = did_you_mean(terminal.id, usable)
    return f"{terminal.id!r} (driver {terminal.driver!r}) is no {_WHAT[capability]}{suggestion}"
