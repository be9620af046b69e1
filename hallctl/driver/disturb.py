"""What goes wrong on a wire, by name: faults that simulators of answering devices share, and their sense of time."""

from collections.abc import Mapping

SLOW_S = 30.0  # longer than any time-out that a driver's options allow

WIRE_FAULTS: Mapping[str, str] = {
    "mute": "never answers",
    "noise": "one byte of every answer is disturbed",
    "line_noise": "stray bytes come before every answer",
    "half_frames": "only the first half of every answer comes",
    "collisions": "another device speaks into every answer",
    "echo": "the adapter hears its own transmission before the answer",
    "echo_mute": "the adapter hears its own transmission, the device never answers",
    "slow_ack": f"answers after {SLOW_S:g} s",
}
_STRAY = b"\x00\xff\x13"


def disturb(fault: str | None, answer: bytes, heard: bytes = b"") -> bytes:
    """What of ``answer`` reaches the host that sent ``heard``; faults of other names change nothing."""
    disturbed = answer
    match fault:
        case "mute":
            disturbed = b""
        case "echo_mute":
            disturbed = heard
        case "echo":
            disturbed = heard + answer
        case "noise" if answer:
            place = len(answer) // 2
            disturbed = answer[:place] + bytes((answer[place] ^ 0x10,)) + answer[place + 1 :]
        case "line_noise" if answer:
            disturbed = _STRAY + answer
        case "half_frames":
            disturbed = answer[: len(answer) // 2]
        case "collisions":  # two transmitters on one pair: a zero of either wins, and the other one is a byte late
            disturbed = bytes(byte & other for byte, other in zip(answer, answer[1:] + answer[:1], strict=True))
    return disturbed


class Pause:
    """The silence that a device needs between two frames; one that comes sooner is lost on it.

    ``least_s`` is what the simulator insists on, below what the maker asks for: it sees bytes when its process gets
    to run, not when they are on the wire.
    """

    def __init__(self, least_s: float) -> None:
        self.least_s = least_s
        self._last_end: float | None = None

    def kept(self, now: float) -> bool:
        """Whether a frame that ends now (monotonic seconds) came late enough after the one before."""
        before, self._last_end = self._last_end, now
        return before is None or now - before >= self.least_s
