"""The part of checking a hall document that is about shared lines: who can live with whom, at which address.

Families share a bus when a device can tell its own frames from the others': their heads differ and all use the same
data bits, parity and stop bits. What can't share is said before a hall wonders why calls get lost.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hallctl.config.hall import Bus, Terminal
from hallctl.config.problem import Loc, Problem
from hallctl.config.result import LoadedHall
from hallctl.driver.plugin import Attachment, DriverPlugin
from hallctl.transport import PortAddress
from hallctl.transport.serial_settings import SerialSettings

_PARITIES = {"N": "none", "E": "even", "O": "odd"}


@dataclass(frozen=True, slots=True)
class _Placed:
    """A terminal on a bus, with its driver and its place in the document."""

    loc: Loc
    terminal: Terminal
    plugin: DriverPlugin


def bus_mistakes(hall: LoadedHall, plugin_of: Callable[[str], DriverPlugin | None]) -> Iterator[Problem]:
    """Addresses that are used twice, families that can't share, lines that are set for somebody else.

    Of two that can't live together the one that stands first in the document stays.
    """
    for bus_loc, bus in hall.items("buses"):
        if isinstance(bus, Bus):
            placed = [
                _Placed(loc, terminal, plugin)
                for loc, terminal in hall.terminals()
                if terminal.bus == bus.id and (plugin := plugin_of(terminal.driver)) is not None
                if plugin.attachment is Attachment.BUS
            ]
            yield from _clashes(hall, bus, placed)
            yield from _strangers(hall, bus, placed)
            yield from _wrong_lines(hall, bus, bus_loc, placed)


def _clashes(hall: LoadedHall, bus: Bus, placed: list[_Placed]) -> Iterator[Problem]:
    first: dict[tuple[int, int | None], _Placed] = {}
    for one in placed:
        owner = first.setdefault((id(one.plugin.framing), one.terminal.address), one)
        if owner is not one:
            message = f"address {one.terminal.address} on bus {bus.id!r} belongs to {owner.terminal.id!r}"
            hint = f"the first is in {_where(hall, owner.loc)}; it stays, this one is left out"
            yield hall.problem(message, (*one.loc, "address"), code="duplicate", hint=hint)


def _strangers(hall: LoadedHall, bus: Bus, placed: list[_Placed]) -> Iterator[Problem]:
    """Families whose frames begin alike: a device of one would take the other's frames for its own."""
    families: dict[int, _Placed] = {}
    for one in placed:
        for known in families.values():
            if (head := _common_head(one.plugin, known.plugin)) is not None:
                message = f"driver {one.plugin.name!r} can't share bus {bus.id!r} with {known.plugin.name!r}"
                hint = (
                    f"frames of both begin with {head.hex(' ').upper()} (see {_where(hall, known.loc)}); "
                    "give one of the families a bus, that is an adapter, of its own"
                )
                yield hall.problem(message, (*one.loc, "bus"), code="bus.family", hint=hint)
                break
        else:
            families.setdefault(id(one.plugin.framing), one)


def _common_head(one: DriverPlugin, other: DriverPlugin) -> bytes | None:
    if one.framing is other.framing:
        return None
    for mine in one.heads:
        for theirs in other.heads:
            if mine.startswith(theirs) or theirs.startswith(mine):
                return min(mine, theirs, key=len)
    return None


def _wrong_lines(hall: LoadedHall, bus: Bus, bus_loc: Loc, placed: list[_Placed]) -> Iterator[Problem]:
    line = line_of(PortAddress.parse(bus.port))
    for one in placed:
        if line is not None and one.plugin.line != line:
            message = f"driver {one.plugin.name!r} talks {one.plugin.line}, bus {bus.id!r} is set to {line}"
            wanted = options_of(one.plugin.line)
            hint = f"write {wanted} in its port ({_where(hall, bus_loc)}), or give this terminal another bus"
            yield hall.problem(message, (*one.loc, "bus"), code="bus.line", hint=hint)


def line_of(address: PortAddress) -> str | None:
    """How a port is set, as 8N1; ``None``: a raw serial server, only its own settings know. Raises ``ConfigError``."""
    if address.scheme == "tcp" and not address.options:
        return None
    settings = SerialSettings.from_address(address)
    return f"{settings.bytesize}{settings.parity}{settings.stopbits:g}"


def options_of(line: str) -> str:
    """What a port's query has to say for a line such as 7E1."""
    bits, parity, stops = line[0], line[1], line[2:]
    return f"bytesize={bits}&parity={_PARITIES[parity]}&stopbits={stops}"


def _where(hall: LoadedHall, loc: Loc) -> str:
    line = hall.line(loc)
    return f"line {line}" if line else "/".join(map(str, loc))
