"""The one small interface that moves bytes, and the address of a port."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from hallctl.errors import ConfigError
from hallctl.transport.uart import UartState

SCHEMES = ("tcp", "rfc2217", "serial", "file", "input", "usb", "usblp")
_NETWORK = ("tcp", "rfc2217")
_USB = ("usb", "usblp")
_USB_HOST = re.compile(r"[0-9a-f]{4}:[0-9a-f]{4}\Z")
_HINT = (
    "write tcp://HOST:PORT, serial:///dev/...?baud=9600, file:///dev/usb/lp0, usb://VENDOR:PRODUCT?serial=NUMBER "
    "or input:///dev/input/by-id/..."
)


@dataclass(frozen=True, slots=True)
class PortAddress:
    """Where a terminal or bus is plugged in, parsed from the URL that stands in hall.yaml.

    ``tcp://192.168.1.21:9100``, ``serial:///dev/serial/by-id/usb-...?baud=9600&parity=none``, ``file:///dev/usb/lp0``,
    ``rfc2217://192.168.1.9:4001?baud=9600`` (a serial server), ``usb://04b8:0e15?serial=X1`` (through libusb),
    ``usblp://04b8:0e15?socket=1-1.4`` (through the kernel's driver), ``input:///dev/input/by-id/...`` (a keyboard).
    ``host`` of a USB port is ``vendor:product`` in small hexadecimal digits. ``options`` are the query's pairs, not
    yet interpreted.
    """

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URL; raises ``ConfigError`` that says what a port looks like."""
        try:
            parts = urlsplit(text)
            options = tuple(parse_qsl(parts.query, keep_blank_values=True))
            if parts.scheme in _USB:
                return cls(parts.scheme, host=_usb_host(parts), options=options)
            number = parts.port or 0
        except ValueError as exc:
            raise ConfigError(f"{text!r} is not a port: {exc}", hint=_HINT) from exc
        if parts.scheme not in SCHEMES:
            raise ConfigError(f"{text!r} is not a port: unknown scheme {parts.scheme!r}", hint=_HINT)
        if parts.scheme in _NETWORK:
            if not (parts.hostname and number):
                raise ConfigError(f"{text!r} is not a port: host or port number is missing", hint=_HINT)
            return cls(parts.scheme, host=parts.hostname, port=number, options=options)
        if not parts.path.startswith("/"):
            raise ConfigError(f"{text!r} is not a port: the device's absolute path is missing", hint=_HINT)
        return cls(parts.scheme, host=parts.hostname or "", path=parts.path, options=options)

    def __str__(self) -> str:
        match self.scheme:
            case "tcp" | "rfc2217":
                host = f"[{self.host}]" if ":" in self.host else self.host  # IPv6
                return f"{self.scheme}://{host}:{self.port}"
            case "usb" | "usblp":  # two printers of one kind differ in their options only
                return f"{self.scheme}://{self.host}" + (f"?{urlencode(self.options)}" if self.options else "")
        return f"{self.scheme}://{self.path}"


def _usb_host(parts: SplitResult) -> str:
    host = parts.netloc.lower()
    if not _USB_HOST.match(host) or parts.path not in ("", "/"):
        raise ValueError("a USB device is written VENDOR:PRODUCT, four hexadecimal digits each, as `lsusb` shows them")
    return host


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

    def uart(self) -> UartState:
        """The modem's wires and the counters of damaged bytes, where the port has them; may take some milliseconds."""
        return UartState()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()
