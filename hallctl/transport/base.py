"""The one small interface that moves bytes, and the address of a port."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from hallctl.errors import ConfigError

SCHEMES = ("tcp", "serial", "file")


@dataclass(frozen=True, slots=True)
class PortAddress:
    """Where a terminal or bus is plugged in, parsed from the URL that stands in hall.yaml.

    ``tcp://192.168.1.21:9100``, ``serial:///dev/serial/by-id/usb-...?baud=9600&parity=none``,
    ``file:///dev/usb/lp0``. ``options`` are the query's pairs, not yet interpreted.
    """

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URL; raises ``ConfigError`` that says what a port looks like."""
        hint = "write tcp://HOST:PORT, serial:///dev/...?baud=9600 or file:///dev/usb/lp0"
        try:
            parts = urlsplit(text)
            number = parts.port or 0
        except ValueError as exc:
            raise ConfigError(f"{text!r} is not a port: {exc}", hint=hint) from exc
        if parts.scheme not in SCHEMES:
            raise ConfigError(f"{text!r} is not a port: unknown scheme {parts.scheme!r}", hint=hint)
        if parts.scheme == "tcp" and not (parts.hostname and number):
            raise ConfigError(f"{text!r} is not a port: host or port number is missing", hint=hint)
        if parts.scheme != "tcp" and not parts.path.startswith("/"):
            raise ConfigError(f"{text!r} is not a port: the device's absolute path is missing", hint=hint)
        return cls(
            scheme=parts.scheme,
            host=parts.hostname or "",
            port=number,
            path=parts.path if parts.scheme != "tcp" else "",
            options=tuple(parse_qsl(parts.query, keep_blank_values=True)),
        )

    def __str__(self) -> str:
        where = f"{self.host}:{self.port}" if self.scheme == "tcp" else self.path
        return f"{self.scheme}://{where}"


class Transport(ABC):
    """An open port. One owner; no two tasks read it at once, no two write it at once.

    Every method raises ``TransportLost`` once the peer or the device is gone, and keeps raising it.
    """

    name: str = "transport"

    @abstractmethod
    async def read(self, limit: int = 4096) -> bytes:
        """Wait for at least one byte and return at most ``limit``. Cancelling a read loses no byte."""

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Hand all of ``data`` to the operating system; what was handed over may still not have arrived."""

    @abstractmethod
    async def close(self) -> None:
        """Give the port back at once. Closing twice is harmless."""

    async def drain_input(self) -> bytes:
        """Take what has already arrived without waiting (default: nothing)."""
        return b""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()
