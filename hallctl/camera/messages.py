"""What the daemon and a camera's child process say to each other: one JSON object a line."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Job:
    """What a child has to do. The URL may hold credentials: it goes through the pipe, never on a command line."""

    url: str
    shown_url: str
    container: str | None
    options: dict[str, str]
    remux: bool
    check_every_s: float
    model: str
    published_model: bool
    evidence_dir: str
    ring_s: float
    posts: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def encode(self) -> bytes:
        """The first line that a child reads."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: str) -> "Job":
        """The job in a line of our own parent."""
        body = json.loads(line)
        posts = {name: [(x, y) for x, y in zone] for name, zone in body.pop("posts").items()}
        return cls(**body, posts=posts)


def line(kind: str, **fields: Any) -> bytes:
    """One message."""
    return json.dumps({"kind": kind, **fields}, ensure_ascii=False).encode() + b"\n"
