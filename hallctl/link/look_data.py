"""How a box is at a moment: the result of ``controller.look``, which live screens, metrics and support bundles show.

What grows is a counter since the daemon's start: whoever asks twice knows the rate.
"""

from datetime import datetime

from pydantic import Field

from hallctl.link.payloads import Payload


class LookTerminal(Payload):
    """One terminal."""

    id: str
    driver: str
    status: str = Field(description="online, offline, starting, quarantined")
    since: datetime
    reason: str = Field("", description="code, where it is not online")
    faults: dict[str, str] = Field(default_factory=dict, description="code to severity")
    waiting: int = Field(0, description="actions that wait for their turn")
    bytes_in: int = 0
    bytes_out: int = 0
    openings: int = Field(0, description="how often its port was opened")
    errors: int = Field(0, description="ports that were lost, or could not be opened")
    last_in: datetime | None = Field(None, description="when something last came from it")
    fps: float | None = Field(None, description="a camera's pictures per second")
    detector_ms: float | None = Field(None, description="a camera's last look, milliseconds")


class LookBus(Payload):
    """One shared port."""

    id: str
    port: str
    open: bool
    busy_s: float = Field(description="how long the wire was taken, seconds")
    counters: dict[str, int] = Field(description="frames, timeouts, garbage ...")


class LookLink(Payload):
    """The way to the centre."""

    configured: bool
    connected: bool
    reason: str = Field("", description="why not")


class LookOutbox(Payload):
    """The event log."""

    waiting: int = Field(description="entries that the broker has not acknowledged")
    oldest_s: float = Field(description="age of the oldest of them, seconds; 0: none waits")
    size_bytes: int
    last_seq: int


class LookProcess(Payload):
    """The daemon's own process, as the kernel counts it."""

    cpu_s: float = Field(description="user and system time since its start, its children that ended included")
    memory_bytes: int = Field(description="resident")
    tasks: int = Field(description="of the event loop")
    threads: int


class LookResult(Payload):
    """``controller.look``."""

    at: datetime
    seconds: float = Field(description="monotonic time of the box; only differences mean anything")
    site: str
    controller: str
    name: str
    version: str
    boot: int
    since: datetime = Field(description="start of this run")
    clock_synchronised: bool
    link: LookLink
    outbox: LookOutbox
    process: LookProcess
    terminals: list[LookTerminal]
    buses: list[LookBus]
    alerts: dict[str, int] = Field(description="open alerts by kind")
    commands: dict[str, int] = Field(description="final replies since the start, by their state")
    evidence_bytes: int
    disk_free_bytes: int = Field(description="where the state directory is")
