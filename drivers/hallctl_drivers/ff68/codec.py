"""The FF 68 wire family: 4-key evaluation pads and 21-key callers. Bytes <-> frames, no IO.

``FF 68 L L 68 addr cmd data... SUM 16``: L counts addr to data, SUM is the low byte of their sum. README.md names
the public sources, which agree on every byte here.
"""

from dataclasses import dataclass
from typing import Self

from hallctl.errors import LocalCodecError, RemoteCodecError

HEAD = b"\xff\x68"
MARK = 0x68
TAIL = 0x16
OVERHEAD = 7  # head, L, L, mark, sum, tail
LONGEST = 32  # of L; no documented frame has more than 8, and a limit finds the next frame sooner after noise

CMD_PAD = 0x01  # to a pad: start an evaluation (0B), or the acknowledgement of a result (the result)
CMD_SHOW = 0x02  # six digits; to a pad with one byte: the staff member's stars
CMD_BEEP = 0x03  # to a keypad
CMD_RESULT = 0x11  # from a pad: the key that the citizen pressed

START = 0x0B
BLANK = 0x0A
DIGITS = 3

KEY_START = 0x0A
KEY_EVALUATE = 0x0B
KEY_CALL = 0x0C
KEY_RECALL = 0x0D
KEY_CANCEL = 0x0E
KEY_CONFIRM = 0x0F
KEY_ONE_METRE = 0x11
KEY_PAUSE = 0x12
KEY_TRANSFER = 0x13


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame in either direction. ``address`` 0 to 255."""

    address: int
    command: int
    data: bytes = b""

    def to_bytes(self) -> bytes:
        """Raises ``LocalCodecError`` when a byte or the length doesn't fit."""
        if not (0 <= self.address <= 0xFF and 0 <= self.command <= 0xFF):
            raise LocalCodecError(f"address {self.address} or command {self.command} is no byte")
        body = bytes([self.address, self.command]) + self.data
        if len(body) > LONGEST:
            raise LocalCodecError(f"{len(body)} bytes are too many for a frame, at most {LONGEST}")
        return HEAD + bytes([len(body), len(body), MARK]) + body + bytes([sum(body) & 0xFF, TAIL])

    @classmethod
    def from_bytes(cls, frame: bytes) -> Self:
        """Read exactly one frame; raises ``RemoteCodecError``."""
        if not frame or probe(frame) != len(frame):
            raise RemoteCodecError(f"not one FF 68 frame: {frame.hex(' ')}")
        return cls(address=frame[5], command=frame[6], data=frame[7:-2])


def probe(buffer: bytes) -> int:
    """Length of the valid frame at the start; 0: more bytes are needed; -1: none starts here."""
    expected = (HEAD[0], HEAD[1], None, None, MARK)
    if any(byte != want for byte, want in zip(buffer, expected, strict=False) if want is not None):
        return -1
    if len(buffer) > 2 and not 2 <= buffer[2] <= LONGEST:
        return -1
    if len(buffer) > 3 and buffer[2] != buffer[3]:
        return -1
    if len(buffer) < 3 or len(buffer) < buffer[2] + OVERHEAD:
        return 0
    total = buffer[2] + OVERHEAD
    whole = buffer[total - 1] == TAIL and sum(buffer[5 : total - 2]) & 0xFF == buffer[total - 2]
    return total if whole else -1


class Ff68Framing:
    """How the family's frames are found on a shared bus."""

    def probe(self, buffer: bytes) -> int:
        """See ``probe`` of this module."""
        return probe(buffer)

    def address_of(self, frame: bytes) -> int | None:
        """Every frame names its terminal, in both directions."""
        return frame[5]


FRAMING = Ff68Framing()


def start_evaluation(address: int) -> Frame:
    """Light the pad's keys."""
    return Frame(address, CMD_PAD, bytes([START]))


def show_stars(address: int, stars: int) -> Frame:
    """Show the staff member's level, 0 to 5."""
    if not 0 <= stars <= 5:
        raise LocalCodecError(f"{stars} stars can't be shown: 0 to 5")
    return Frame(address, CMD_SHOW, bytes([stars]))


def result(address: int, value: int) -> Frame:
    """A pad's word: the citizen pressed key ``value``."""
    return Frame(address, CMD_RESULT, bytes([value]))


def acknowledge_result(frame: Frame) -> Frame:
    """The same key under command 01, which makes SUM less by 10 hex; the pad then thanks the citizen."""
    return Frame(frame.address, CMD_PAD, frame.data)


def beep(address: int) -> Frame:
    """Make a keypad sound."""
    return Frame(address, CMD_BEEP)


def show_queue(address: int, waiting: int | None, ticket: str | None) -> Frame:
    """Six digits: how many wait (above 999: 999) and the last three digits of the ticket; ``None`` leaves blank."""
    if waiting is not None and waiting < 0:
        raise LocalCodecError(f"{waiting} can't wait")
    crowd = "" if waiting is None else str(min(waiting, 999))
    number = "".join(character for character in ticket or "" if character in "0123456789")
    return Frame(address, CMD_SHOW, _digits(crowd) + _digits(number))


def show_number(address: int, number: str) -> Frame:
    """Six digits as they are, the last six of ``number``; letters are left out."""
    digits = "".join(character for character in number if character in "0123456789")
    return Frame(address, CMD_SHOW, _digits(digits[:-DIGITS]) + _digits(digits))


def key_press(address: int, digits: str, key: int, command: int = CMD_PAD) -> Frame:
    """A keypad's word: digits typed, then a function key. Hosts read the last byte; no source reads the command."""
    return Frame(address, command, bytes(int(digit) for digit in digits) + bytes([key]))


def _digits(text: str) -> bytes:
    values = [int(character) for character in text[-DIGITS:]]
    return bytes([BLANK] * (DIGITS - len(values)) + values)
