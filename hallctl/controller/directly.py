"""One printer tried out without the daemon and without a broker: what a technician has on the first afternoon."""

import structlog

from hallctl.clock import Clock
from hallctl.config import LoadedHall
from hallctl.config.hall import Terminal
from hallctl.driver import (
    Ability,
    Attachment,
    PrintJob,
    PrintOutcome,
    Signal,
    TerminalContext,
    TerminalDriver,
    TicketPrinter,
    load_driver,
)
from hallctl.errors import ConfigError, HallctlError
from hallctl.transport import PortAddress, open_port

Tested = tuple[tuple[Ability, ...], PrintOutcome | HallctlError]


async def test_printer_directly(hall: LoadedHall, name: str, clock: Clock) -> Tested:
    """Open the printer's own port, try out what it can do, print its self-test.

    Raises ``ConfigError`` when the hall has no such printer, ``TransportError`` when its port can't be opened or it
    does not answer. What keeps it from printing is given together with its abilities.
    """
    terminal = _terminal(hall, name)
    plugin = load_driver(terminal.driver)
    driver = plugin.make(_context(name, clock), plugin.options.model_validate(terminal.options))
    if not isinstance(driver, TerminalDriver) or not isinstance(driver, TicketPrinter):
        raise ConfigError(f"{name} is no printer", path=hall.path, hint=_known(hall))
    if plugin.attachment is not Attachment.PORT or terminal.port is None:
        raise ConfigError(f"{name} has no port of its own", hint="test it through the running daemon")
    async with await open_port(PortAddress.parse(terminal.port), clock) as port:
        await driver.start(port)
        await driver.poll()
        try:
            return await _test(driver, name)
        finally:
            await driver.stop()


async def _test(driver: TicketPrinter, name: str) -> Tested:
    abilities = await driver.abilities()
    try:
        return abilities, await driver.print_ticket(PrintJob("self-test", driver.self_test_ticket(name)))
    except HallctlError as exc:
        return abilities, exc


def _terminal(hall: LoadedHall, name: str) -> Terminal:
    found = next((terminal for terminal in hall.document.terminals if terminal.id == name), None)
    if found is not None:
        return found
    if name in hall.quarantined:
        raise hall.quarantined[name]
    raise ConfigError(f"there is no terminal {name!r}", path=hall.path, hint=_known(hall))


def _known(hall: LoadedHall) -> str:
    return f"terminals here: {', '.join(terminal.id for terminal in hall.document.terminals) or 'none'}"


def _context(name: str, clock: Clock) -> TerminalContext:
    return TerminalContext(name, clock, structlog.get_logger(), _ignore)


async def _ignore(_signal: Signal, /) -> None:
    return
