"""Events and alerts of some controllers as lines of a log: live ones, and those that are asked for again; no IO."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase

from pydantic import ValidationError

from hallctl.fleet.feed import Arrived, EventFeed, Gap
from hallctl.link.broker import Message
from hallctl.link.payloads import Envelope
from hallctl.link.topics import Topics, read_topic


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of a controller's log. ``late``: newer ones came before it."""

    topics: Topics
    envelope: Envelope
    late: bool = False

    @property
    def kind(self) -> str:
        """``ticket.printed``, or ``alert.post.empty``."""
        return self.envelope.type.removeprefix("hallctl.").removeprefix("event.")


@dataclass(slots=True)
class LogBook:
    """Fold messages in with ``take``. ``kinds``: patterns of types that are wanted; empty: all."""

    kinds: tuple[str, ...] = ()
    unreadable: int = 0
    _feed: EventFeed = field(default_factory=EventFeed)
    _seen: dict[Topics, dict[int, datetime]] = field(default_factory=dict)

    def take(self, message: Message) -> list[Line | Gap]:
        """The wanted lines that a message brings, and the numbers that it shows to be missing."""
        place = read_topic(message.topic)
        if place is None or place.kind not in ("event", "alert") or not message.payload:
            return []
        try:
            envelope = Envelope.model_validate_json(message.payload)
        except ValidationError:
            self.unreadable += 1
            return []
        if envelope.seq is not None:
            self._seen.setdefault(place.topics, {})[envelope.seq] = envelope.time
        if message.retain or envelope.seq is None:
            return []  # an alert as it stands, not its entry in the log
        found: list[Line | Gap] = []
        for one in self._feed.take(envelope):
            match one:
                case Gap():
                    found.append(one)
                case Arrived(envelope=arrived, late=late):
                    line = Line(place.topics, arrived, late)
                    if self.wants(line):
                        found.append(line)
        return found

    def heartbeat(self, topics: Topics, last_seq: int, boot: int) -> list[Gap]:
        """A controller names its newest number: what the one before named has had its time to come."""
        return [one for one in self._feed.heartbeat(topics.prefix, last_seq, boot) if isinstance(one, Gap)]

    def wants(self, line: Line) -> bool:
        """Whether it is of a wanted type."""
        return not self.kinds or any(fnmatchcase(line.kind, pattern) for pattern in self.kinds)

    def missing(self, topics: Topics, first: int, last: int) -> list[tuple[int, int]]:
        """Spans of numbers that have not come."""
        return [*_spans(first, last, self._seen.get(topics, {}))]

    def oldest(self, topics: Topics, first: int, last: int) -> datetime | None:
        """The time of the lowest of these numbers that has come."""
        seen = self._seen.get(topics, {})
        return next((seen[number] for number in range(first, last + 1) if number in seen), None)


def _spans(first: int, last: int, seen: dict[int, datetime]) -> Iterator[tuple[int, int]]:
    begin: int | None = None
    for number in range(first, last + 1):
        if number in seen:
            if begin is not None:
                yield begin, number - 1
            begin = None
        elif begin is None:
            begin = number
    if begin is not None:
        yield begin, last
