"""Under which address a technician opens the page."""

import socket

from hallctl_drivers.webpad.config import host_and_port

_ELSEWHERE = ("192.0.2.1", 9)  # RFC 5737: an address of nobody; connecting a UDP socket sends nothing


def page_url(listen: str, terminal: str) -> str:
    """The page of a pad, with the box's own address where it listens on all of them."""
    host, port = host_and_port(listen)
    if host in ("0.0.0.0", "::"):  # noqa: S104  # compared, not bound
        host = own_address()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/pad/{terminal}"


def own_address() -> str:
    """The address that the box would speak from; its name where it has no route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])
