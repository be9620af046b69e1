"""What the server gives to whom: pure. Paths are matched exactly, and nothing of a URL ever names a file."""

import hashlib
import html
import ipaddress
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from hallctl_drivers.webpad.photo import Photo

FOLDER = Path(__file__).parent / "page"
_MEDIA = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(:[0-9]{1,5})?")
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self' ws://{host} wss://{host}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class PadPage(Protocol):
    """What the site needs to know of a pad."""

    @property
    def terminal(self) -> str: ...  # noqa: D102
    @property
    def photo(self) -> Photo | None: ...  # noqa: D102
    def admits(self, peer: str) -> bool: ...  # noqa: D102
    def is_called(self, name: str) -> bool: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Get:
    """A request's parts that matter. ``peer`` is an IP address."""

    path: str
    peer: str
    host: str = ""
    origin: str | None = None
    method: str = "GET"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: status, body, and every header but its length."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def respond(get: Get, pads: Mapping[str, PadPage]) -> Answer | str:
    """The response to a GET, or the terminal whose page may open its WebSocket now."""
    if get.method != "GET":
        return _sentence(405, "This page can only be read (GET).", {"Allow": "GET"})
    path, _, query = get.path.partition("?")
    root, _, rest = path.partition("/")
    kind, _, terminal = rest.partition("/")
    asked = [pads[terminal]] if terminal in pads else [] if terminal else list(pads.values())
    if root or not path or not asked or rest == "index.html":
        return _sentence(404, "There is no such page here.")
    if not any(pad.admits(get.peer) for pad in asked):
        return _sentence(403, f"Browsers at {get.peer} may not use this page: see the option allow of the web pad.")
    if not _is_ours(get.host, asked):
        return _sentence(421, "The box is not called by this name here: see the option names of the web pad.")
    if not terminal:
        return _list(get, asked) if rest == "" else _file(rest, get.host)
    return _of_pad(kind, asked[0], get, query)


def is_ip(name: str) -> bool:
    """Whether a host name is an IP address (IPv6 in brackets)."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def own_names() -> frozenset[str]:
    """What the box is called on any network."""
    name = socket.gethostname().lower()
    return frozenset({"localhost", name, f"{name.partition('.')[0]}.local"})


@lru_cache(maxsize=1)
def files() -> Mapping[str, bytes]:
    """Every file of the page by its name. Blocks when it is first called."""
    return {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in _MEDIA}


@lru_cache(maxsize=1)
def build() -> str:
    """Changes with the page's files: a tablet that shows an older page loads it again."""
    return hashlib.sha256(b"".join(files().values())).hexdigest()[:16]


def _of_pad(kind: str, pad: PadPage, get: Get, query: str) -> Answer | str:
    match kind:
        case "pad":
            return _file("index.html", get.host)
        case "photo" if pad.photo is not None:
            return _photo(pad.photo, query)
        case "ws" if get.origin in (f"http://{get.host}", f"https://{get.host}"):
            return pad.terminal
        case "ws":
            return _sentence(403, "Only the pad's own page may rate.")
    return _sentence(404, "There is no such page here.")


def _is_ours(host: str, pads: list[PadPage]) -> bool:
    """A site that lets its own name point here (DNS rebinding) would pass for the page itself."""
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = match["name"].lower()
    return is_ip(name) or any(pad.is_called(name) for pad in pads)


def _file(name: str, host: str) -> Answer:
    body = files().get(name)
    if body is None:
        return _sentence(404, "There is no such page here.")
    media = _MEDIA[Path(name).suffix]
    text = "" if media == "image/svg+xml" else "; charset=utf-8"
    return Answer(200, body, _headers(media + text, host))


def _photo(photo: Photo, query: str) -> Answer:
    headers = {**_headers(photo.media_type, ""), "Content-Security-Policy": "default-src 'none'; sandbox"}
    if query == f"v={photo.version}":
        headers["Cache-Control"] = "private, max-age=86400"
    return Answer(200, photo.data, headers)


def _list(get: Get, pads: list[PadPage]) -> Answer:
    names = sorted(pad.terminal for pad in pads if pad.admits(get.peer))
    return Answer(200, "".join(_listing(names)).encode(), _headers("text/html; charset=utf-8", get.host))


def _listing(names: list[str]) -> Iterator[str]:
    yield '<!doctype html><html lang="zh"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    yield '<title>hallctl</title><link rel="stylesheet" href="/style.css"><link rel="icon" href="/icon.svg">'
    yield '<body class="list"><h1>评价器 / Evaluation pads</h1><ul>'
    for name in names:
        yield f'<li><a href="/pad/{html.escape(name)}">{html.escape(name)}</a>'
    yield "</ul>"


def _sentence(status: int, words: str, more: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, f"{words}\n".encode(), {**_headers("text/plain; charset=utf-8", ""), **(more or {})})


def _headers(media_type: str, host: str) -> dict[str, str]:
    policy = _POLICY.format(host=host) if host else "default-src 'none'"
    return {"Content-Type": media_type, "Content-Security-Policy": policy, **_HEADERS}
