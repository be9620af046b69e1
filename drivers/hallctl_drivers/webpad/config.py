"""Options of a web pad in hall.yaml."""

import ipaddress
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from hallctl.driver import DriverOptions

Language = Literal["zh", "en"]
Network = IPv4Network | IPv6Network

# Loopback, RFC 1918 and RFC 4193: a hall's network is one of these, the internet is none.
PRIVATE: tuple[Network, ...] = (
    IPv4Network("127.0.0.0/8"),
    IPv4Network("10.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv6Network("::1/128"),
    IPv6Network("fc00::/7"),
)


def host_and_port(listen: str) -> tuple[str, int]:
    """Split ``HOST:PORT``; an IPv6 address stands in brackets. Raises ``ValueError`` for what can't be listened on."""
    host, _, port = listen.rpartition(":")
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ValueError(f"{listen!r} names no port: write ADDRESS:PORT, such as 127.0.0.1:8078")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f"{listen!r}: an IPv6 address stands in brackets, such as [::1]:8078")
    bare = "127.0.0.1" if host == "localhost" else host.strip("[]")
    try:
        return str(ipaddress.ip_address(bare)), int(port)
    except ValueError as exc:
        raise ValueError(f"{host!r} is no IP address: write one of this box, or 0.0.0.0 for all") from exc


def _listen(value: str) -> str:
    host, port = host_and_port(value)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _once(languages: list[Language]) -> list[Language]:
    if len(set(languages)) < len(languages):
        raise ValueError("a language stands in the list once")
    return languages


def _languages() -> list[Language]:
    return ["zh", "en"]


class WebPadOptions(DriverOptions):
    """Options of ``web-pad``."""

    listen: Annotated[str, AfterValidator(_listen)] = Field(
        "127.0.0.1:8078",
        description="address and port of the page; 127.0.0.1 is for a browser on the box itself, 0.0.0.0:8078 or one "
        "of the box's addresses for tablets; pads with the same address share one server",
    )
    allow: list[Network] = Field(
        default_factory=lambda: list(PRIVATE),
        min_length=1,
        description="networks whose browsers may use the page, such as 10.1.2.0/24",
    )
    names: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{1,253}$")]] = Field(
        default_factory=list,
        description="host names that tablets may call the box by, beside its addresses, localhost and its own name",
    )
    languages: Annotated[list[Language], AfterValidator(_once)] = Field(
        default_factory=_languages,
        min_length=1,
        description="languages of the page; it begins with the first",
    )
    title: str = Field("", max_length=60, description="the hall's name on the page; empty: a general word")
    thanks_s: float = Field(3.0, ge=1, le=30, description="how long the page says thank you, seconds")
    unasked: bool = Field(
        False, description="a citizen may rate without having been asked: the faces are always on the page"
    )
    present: bool = Field(True, description="a pad whose page no tablet shows is a fault (pad.absent)")
