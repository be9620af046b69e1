"""Who is on the network: the ports where drivers know devices, at every host of the given ranges."""

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from hallctl.clock import Clock
from hallctl.controller.discover.quiet import QUIET
from hallctl.driver import Attachment, DriverPlugin, Signal, TerminalContext, TerminalDriver
from hallctl.errors import ConfigError, HallctlError
from hallctl.transport import PortAddress, open_port

AT_ONCE = 128  # connections on their way; a switch or a small router stumbles over many more
CONNECT_S = 1.0
TRIAL_S = 8.0
MOST_HOSTS = 4096
Trial = Coroutine[Any, Any, "NetworkFind | None"]
_PREFIX = {32: 20, 128: 116}


@dataclass(frozen=True, slots=True)
class NetworkFind:
    """An open port. ``driver`` is the one that the device understands; ``proven`` false: nobody could ask it.

    ``why`` says what the device did instead of answering, where a driver tried it.
    """

    host: str
    port: int
    driver: str
    proven: bool
    why: str = ""


def hosts_of(text: str) -> list[str]:
    """Hosts of ``10.8.1.0/24``, ``10.8.1.20-10.8.1.40``, ``10.8.1.20-40`` or one address. Raises ``ConfigError``."""
    hint = "write 10.8.1.0/24, 10.8.1.20-40 or one address"
    first, dash, last = text.partition("-")
    try:
        if not dash:
            network = ipaddress.ip_network(text, strict=False)
            if network.prefixlen < _PREFIX[network.max_prefixlen]:
                raise ConfigError(f"{text} has more than {MOST_HOSTS} hosts", hint="give smaller ranges")
            return [str(host) for host in network.hosts()]
        start = ipaddress.ip_address(first)
        end = ipaddress.ip_address(last if "." in last or ":" in last else first.rpartition(".")[0] + f".{last}")
    except ValueError as exc:
        raise ConfigError(f"{text!r} is no range of addresses: {exc}", hint=hint) from exc
    count = int(end) - int(start) + 1
    if start.version != end.version or count < 1:
        raise ConfigError(f"{text!r} is no range of addresses: it ends before it begins", hint=hint)
    if count > MOST_HOSTS:
        raise ConfigError(f"{text} has more than {MOST_HOSTS} hosts", hint="give smaller ranges")
    return [str(start + step) for step in range(count)]


async def ask_network(
    hosts: Iterable[str], plugins: Iterable[DriverPlugin], clock: Clock, *, ports: Iterable[int] = ()
) -> AsyncIterator[NetworkFind]:
    """What answers, as it answers. ``ports``: further ports at which every network driver is tried."""
    tasks = [asyncio.create_task(task) for task in _trials(list(hosts), list(plugins), clock, list(ports))]
    try:
        for done in asyncio.as_completed(tasks):
            if (find := await done) is not None:
                yield find
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _trials(hosts: list[str], plugins: list[DriverPlugin], clock: Clock, ports: list[int]) -> Iterator[Trial]:
    gate = asyncio.Semaphore(AT_ONCE)
    candidates: dict[int, list[DriverPlugin]] = {}
    for plugin in plugins:
        for port in (*plugin.tcp_ports, *(ports if plugin.tcp_ports else ())):
            candidates.setdefault(port, []).append(plugin)
    for host in hosts:
        for port, known in candidates.items():
            yield _try(host, port, known, clock, gate)


async def _try(
    host: str, port: int, plugins: list[DriverPlugin], clock: Clock, gate: asyncio.Semaphore
) -> NetworkFind | None:
    """The first driver that the device understands, or the last one's complaint. A host that is not there: nothing."""
    async with gate:
        if not await _is_open(host, port, clock):
            return None
        find = None
        for plugin in plugins:
            find = await _ask(host, port, plugin, clock)
            if find.proven:
                return find
        return find


async def _is_open(host: str, port: int, clock: Clock) -> bool:
    try:
        async with clock.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def _ask(host: str, port: int, plugin: DriverPlugin, clock: Clock) -> NetworkFind:
    if plugin.attachment is not Attachment.PORT:
        return NetworkFind(host, port, plugin.name, False, "its port is open; nobody asked it")
    context = TerminalContext(f"{plugin.name}-{host}", clock, QUIET, _ignore)
    driver = plugin.make(context, plugin.options.model_validate(dict(plugin.example)))
    assert isinstance(driver, TerminalDriver)  # noqa: S101  # a driver with a port is one
    try:
        async with (
            await open_port(PortAddress("tcp", host=host, port=port), clock) as transport,
            clock.timeout(TRIAL_S),
        ):
            await driver.start(transport)
            await driver.poll()
    except TimeoutError:
        return NetworkFind(host, port, plugin.name, False, f"said nothing within {TRIAL_S:g} s")
    except HallctlError as exc:
        return NetworkFind(host, port, plugin.name, False, exc.message)
    return NetworkFind(host, port, plugin.name, True)


async def _ignore(_signal: Signal, /) -> None:
    return
