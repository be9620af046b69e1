"""What was found out: facts without a judgement. Times are ISO 8601, bytes are hexadecimal."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a port open."""

    pid: int
    name: str


@dataclass(frozen=True, slots=True)
class PortFacts:
    """A port from outside, without opening it. ``None``: it can't be told (a network port has no node)."""

    url: str
    scheme: str
    exists: bool | None = None
    allowed: bool | None = None
    owner: str = ""
    mode: str = ""
    missing_group: str = ""  # of the node, that the daemon is not in
    holders: tuple[Holder, ...] = ()
    others: tuple[str, ...] = ()  # ports of the same kind that are there, by names that stay
    addresses: tuple[str, ...] = ()  # what a host name means
    modem: Mapping[str, bool] = field(default_factory=dict)  # CTS, DSR, CD, RI
    errors: Mapping[str, int] = field(default_factory=dict)  # of the UART since boot: frame, parity, overrun, break


@dataclass(frozen=True, slots=True)
class Attempt:
    """The driver's harmless questions, asked with one setting of the line. ``line`` is as "19200 8N1"."""

    line: str
    address: int | None
    answered: bool
    sent: str = ""
    received: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """Attempts on a line, the configured setting first. ``why_not``: why nothing was tried."""

    line: str = ""
    attempts: tuple[Attempt, ...] = ()
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class BusFacts:
    """The line that a terminal shares. ``members``: status of the others on it, by id."""

    name: str
    port: PortFacts
    is_open: bool
    why_closed: str = ""
    members: Mapping[str, str] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wrong:
    """A fault that the device reports."""

    code: str
    severity: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class TerminalFacts:
    """One terminal. ``answer``: what it said when it was asked just now; ``sight``: why its camera sees nothing."""

    terminal: str
    driver: str
    status: str
    since: str
    reason: str = ""
    message: str = ""
    hint: str = ""
    faults: tuple[Wrong, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict)
    port: PortFacts | None = None
    bus: BusFacts | None = None
    address: int | None = None
    trial: Trial = field(default_factory=Trial)
    answer: str = ""
    waiting: int = 0  # commands that wait for it
    sight: str = ""
    was_online: str = ""  # until when, in this run of the daemon
    history: tuple[Mapping[str, str], ...] = ()
    traffic: tuple[Mapping[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a reply."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class BoxFacts:
    """What all terminals of a box stand on."""

    site: str
    controller: str
    version: str
    now: str
    clock: bool = True
    clock_trusted: bool = False
    broker: str = ""  # empty: it works alone
    connected: bool = False
    link_code: str = ""
    link_message: str = ""
    link_hint: str = ""
    unsent: int = 0
    disk_free_mib: int | None = None
    disk_wanted_mib: int = 0
    disk_path: str = ""
    model: str = ""
    model_problem: str = ""
    needs_model: bool = False
    certificate: str = ""  # what its open alert says
    config_status: str = ""
    config_message: str = ""
    config_hint: str = ""
    config_version: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a reply."""
        return asdict(self)
