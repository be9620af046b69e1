"""The open port of a bus: one writer, gaps between frames, the adapter's own echo."""

from dataclasses import dataclass
from typing import Self

from hallctl.clock import Clock
from hallctl.errors import TransportLost
from hallctl.transport import PortAddress, Transport
from hallctl.transport.serial_settings import SerialSettings
from hallctl.transport.uart import UartState

WRITE_TIMEOUT_S = 5.0
_ROUNDS_OF_PATIENCE = 20  # on a bus that is never quiet a frame goes out all the same
_RESOLUTION_S = 1e-6


@dataclass(frozen=True, slots=True)
class WireOptions:
    """``byte_s``: how long a byte takes on the wire (0: unknown, a TCP port); ``echo``: we hear what we send."""

    byte_s: float = 0.0
    echo: bool = False

    @classmethod
    def of(cls, address: PortAddress) -> Self:
        """Read them from the port's options; raises ``ConfigError``. A serial server's raw port may have them too."""
        if address.scheme == "tcp" and not address.options:
            return cls()
        settings = SerialSettings.from_address(address)
        return cls(byte_s=settings.byte_s, echo=settings.echo)


class Wire:
    """Half-duplex manners over a transport."""

    def __init__(self, transport: Transport, clock: Clock, options: WireOptions) -> None:
        self.collisions = 0
        self._transport = transport
        self._clock = clock
        self._options = options
        self._quiet_until = 0.0
        self._expected = bytearray()

    async def silence(self) -> None:
        """Wait until the gap after the last frame, ours or theirs, is over."""
        for _ in range(_ROUNDS_OF_PATIENCE):
            wait = self._quiet_until - self._clock.monotonic()
            if wait <= _RESOLUTION_S:
                return
            await self._clock.sleep(wait)

    async def write(self, frame: bytes, gap_s: float) -> None:
        """Returns when the last byte has left; raises ``TransportLost`` when the port takes no bytes."""
        duration = len(frame) * self._options.byte_s
        done_at = self._clock.monotonic() + duration
        if self._options.echo:
            self._expected += frame
        try:
            async with self._clock.timeout(WRITE_TIMEOUT_S + duration):
                await self._transport.write(frame)
        except TimeoutError as exc:
            raise TransportLost(f"{self._transport.name}: takes no bytes for {WRITE_TIMEOUT_S:g} s") from exc
        await self._clock.sleep(done_at - self._clock.monotonic())
        self.keep_quiet(gap_s)

    async def read(self, timeout_s: float | None) -> bytes | None:
        """The next bytes of others; ``None`` when nothing comes within ``timeout_s``."""
        try:
            async with self._clock.timeout(timeout_s):
                data = await self._transport.read()
        except TimeoutError:
            return None
        return self._without_echo(data)

    def uart(self) -> UartState:
        """What the port itself knows of the line."""
        return self._transport.uart()

    def keep_quiet(self, gap_s: float) -> None:
        """Nothing is sent for so long from now."""
        self._quiet_until = max(self._quiet_until, self._clock.monotonic() + gap_s)

    def _without_echo(self, data: bytes) -> bytes:
        size = min(len(data), len(self._expected))
        if data[:size] == self._expected[:size]:
            del self._expected[:size]
            return data[size:]
        self._expected.clear()  # somebody spoke at the same time: nothing of this can be trusted to be ours
        self.collisions += 1
        return data
