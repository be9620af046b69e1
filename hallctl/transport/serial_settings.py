"""What the query of a ``serial://`` URL says: baud=9600&parity=none&bytesize=8&stopbits=1&rs485=1&echo=1.

``rfc2217://`` has the same without rs485, and so has the raw ``tcp://`` port of a serial server that is a bus.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, TypeVar

from hallctl.errors import ConfigError
from hallctl.transport.base import PortAddress

T = TypeVar("T")

_PARITIES = {"none": "N", "even": "E", "odd": "O"}
_FLAGS = {"0": False, "1": True}
_BYTESIZES = {"5": 5, "6": 6, "7": 7, "8": 8}
_STOPBITS = {"1": 1.0, "1.5": 1.5, "2": 2.0}
_BAUD_RANGE = range(50, 4_000_001)
NAMES = ("baud", "parity", "bytesize", "stopbits", "rs485", "echo")


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """Line settings. ``parity`` is pyserial's letter; ``rs485``: the driver chip's direction is the kernel's work;
    ``echo``: the adapter hears its own transmission (two-wire adapters without receiver disable)."""

    baud: int = 9600
    parity: str = "N"
    bytesize: int = 8
    stopbits: float = 1.0
    rs485: bool = False
    echo: bool = False

    @classmethod
    def from_address(cls, address: PortAddress) -> Self:
        """Read the options; raises ``ConfigError`` that names the option which is wrong."""
        options = dict(address.options)
        for name in options:
            _check_name(address, name)
        if len(options) != len(address.options):
            raise ConfigError(f"{address}: an option is given twice", hint="write each option once")
        return cls(
            baud=_baud(address, options.get("baud", "9600")),
            parity=_choice(address, options, "parity", _PARITIES, "none"),
            bytesize=_choice(address, options, "bytesize", _BYTESIZES, "8"),
            stopbits=_choice(address, options, "stopbits", _STOPBITS, "1"),
            rs485=_choice(address, options, "rs485", _FLAGS, "0"),
            echo=_choice(address, options, "echo", _FLAGS, "0"),
        )

    @property
    def byte_s(self) -> float:
        """Seconds that one byte takes on the wire: start bit, data, parity, stop bits."""
        bits = 1 + self.bytesize + (self.parity != "N") + self.stopbits
        return bits / self.baud


def remote_settings(address: PortAddress) -> SerialSettings:
    """The line at the far port of a serial server; raises ``ConfigError``."""
    settings = SerialSettings.from_address(address)
    if settings.rs485:
        raise ConfigError(f"{address}: rs485 is the serial server's own setting", hint="set it there; remove rs485=1")
    return settings


def _check_name(address: PortAddress, name: str) -> None:
    if name not in NAMES:
        raise ConfigError(f"{address}: unknown option {name!r}", hint=f"options of a port: {', '.join(NAMES)}")


def _baud(address: PortAddress, text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) in _BAUD_RANGE):
        raise ConfigError(f"{address}: baud={text!r} is no speed", hint="write a number such as baud=9600")
    return int(text)


def _choice(address: PortAddress, options: Mapping[str, str], name: str, choices: Mapping[str, T], default: str) -> T:
    text = options.get(name, default)
    if text not in choices:
        raise ConfigError(f"{address}: {name}={text!r} is not possible", hint=f"{name} is one of: {', '.join(choices)}")
    return choices[text]
