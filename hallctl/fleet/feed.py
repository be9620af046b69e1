"""Events and alerts in the order of their numbers: nothing twice, and nothing missing without being told."""

from collections import OrderedDict
from dataclasses import dataclass

from hallctl.link.payloads import Envelope

REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Arrived:
    """An event or alert that was not seen before. ``late``: newer ones came first (a replay)."""

    envelope: Envelope
    late: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers ``first`` to ``last`` of a source have not come; the command ``replay`` asks for them."""

    source: str
    first: int
    last: int


class EventFeed:
    """Drops duplicates by (source, id) and sees gaps by ``seq``, the trailing one too."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._highest: dict[str, int] = {}
        self._announced: dict[str, int] = {}
        self._boots: dict[str, int] = {}

    def take(self, envelope: Envelope) -> list[Arrived | Gap]:
        """What an envelope means: nothing (seen already), itself, or a gap and itself."""
        key = (envelope.source, envelope.id)
        if key in self._seen:
            return []
        self._remember(key)
        if envelope.seq is None:
            return [Arrived(envelope)]
        self._count_again(envelope.source, envelope.boot, envelope.seq - 1)
        highest = self._highest.setdefault(envelope.source, envelope.seq - 1)
        if envelope.seq <= highest:
            return [Arrived(envelope, late=True)]
        found = self._gap(envelope.source, envelope.seq - 1)
        self._highest[envelope.source] = envelope.seq
        return [*found, Arrived(envelope)]

    def note(self, envelope: Envelope) -> None:
        """A retained one: it does not come now, so it says nothing about numbers; but it is known if it comes again."""
        self._remember((envelope.source, envelope.id))

    def heartbeat(self, source: str, last_seq: int, boot: int | None = None) -> list[Arrived | Gap]:
        """A heartbeat names the newest number. What the one before named had a whole period to come."""
        self._count_again(source, boot, last_seq)
        promised = self._announced.get(source)
        self._announced[source] = last_seq
        self._highest.setdefault(source, last_seq)
        return self._gap(source, promised) if promised is not None else []

    def _count_again(self, source: str, boot: int | None, before: int) -> None:
        """A box that was restored from a backup goes on with numbers of long ago, under a boot above all earlier ones.

        So does one whose power cut has taken the last entries along: what it numbers anew is new.
        """
        if boot is None or boot <= self._boots.setdefault(source, boot):
            return
        self._boots[source] = boot
        if before < self._highest.get(source, before):
            self._highest[source] = before
            self._announced.pop(source, None)

    def _gap(self, source: str, up_to: int) -> list[Arrived | Gap]:
        first = self._highest[source] + 1
        if up_to < first:
            return []
        self._highest[source] = up_to
        return [Gap(source, first, up_to)]

    def _remember(self, key: tuple[str, str]) -> None:
        self._seen[key] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
