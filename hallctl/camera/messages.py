"""What the daemon and a camera's child process say to each other: one JSON object a line."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

Corners = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Stream:
    """How a stream is opened: ``av.open(url, format=container, options=options)``. ``shown``: the URL for people."""

    url: str
    shown: str
    container: str | None = None
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """What a child has to do. URLs may hold credentials: they go through the pipe, never on a command line.

    ``watch`` is looked at; ``record``, where there is one, is what clips are made of instead.
    """

    watch: Stream
    record: Stream | None
    check_every_s: float
    min_score: float
    model: str
    model_kind: str
    model_sha256: str | None
    evidence_dir: str
    free_bytes: int
    ring_s: float
    frozen_after_s: float
    reference: str | None = None
    posts: dict[str, Corners] = field(default_factory=dict)
    masks: list[Corners] = field(default_factory=list)

    def encode(self) -> bytes:
        """The first line that a child reads."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: str) -> "Job":
        """The job in a line of our own parent."""
        body = json.loads(line)
        watch, record = body.pop("watch"), body.pop("record")
        posts = {name: _corners(zone) for name, zone in body.pop("posts").items()}
        masks = [_corners(mask) for mask in body.pop("masks")]
        return cls(watch=Stream(**watch), record=Stream(**record) if record else None, posts=posts, masks=masks, **body)


def line(kind: str, **fields: Any) -> bytes:
    """One message."""
    return json.dumps({"kind": kind, **fields}, ensure_ascii=False).encode() + b"\n"


def _corners(pairs: list[list[float]]) -> Corners:
    return [(x, y) for x, y in pairs]
