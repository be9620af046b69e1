"""What can be wrong with a simulated controller, by name; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from hallctl.errors import RequestRefused


class FaultKind(StrEnum):
    """A fault of a simulated controller. Each is about what is pushed to it, and harmless until then."""

    REJECT = "reject"  # has another release that does not know the drivers: the document is refused
    ROLL_BACK = "roll_back"  # its terminals do not come back with the new document
    PARTIAL = "partial"  # one terminal that is new to it does not come up
    SLOW = "slow"  # applying takes long
    OFFLINE = "offline"  # is not connected (until it is told to)
    MUTE = "mute"  # is connected and never takes what is pushed
    CRASH = "crash"  # its daemon dies whenever it tries the new document
    VANISH = "vanish"  # loses its network as soon as the new document comes


@dataclass(frozen=True, slots=True)
class Faults:
    """Which controllers have which fault: patterns of ``id`` or ``site/id``, first come first."""

    of: tuple[tuple[FaultKind, str], ...] = ()

    def for_box(self, site: str, controller: str) -> frozenset[FaultKind]:
        """The faults of one controller."""
        names = (controller, f"{site}/{controller}")
        return frozenset(kind for kind, pattern in self.of if any(fnmatchcase(name, pattern) for name in names))


def read_faults(texts: Sequence[str]) -> Faults:
    """``reject=box-0007`` as typed. Raises ``RequestRefused`` that names the faults there are."""
    found = []
    for text in texts:
        name, equals, pattern = text.partition("=")
        try:
            kind = FaultKind(name.strip().replace("-", "_"))
        except ValueError as exc:
            hint = f"faults: {', '.join(FaultKind)}"
            raise RequestRefused("fault.unknown", f"there is no fault {name!r}", hint=hint) from exc
        if not equals or not pattern:
            raise RequestRefused("fault.invalid", f"{text!r} names no controller", hint=f"write {kind}=box-0007")
        found.append((kind, pattern.strip()))
    return Faults(tuple(found))
