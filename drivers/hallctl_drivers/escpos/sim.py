"""An ESC/POS printer, the device's side: strict about commands, honest about paper.

It keeps a receive buffer that it works off only while it can print, answers real-time commands ahead of that buffer as
the real ones do, and confirms (``GS r``, ``GS ( H``) in turn. What a lost connection left half done stays in it, also
as the beginning of the next command. Checked against a client that is not ours (see README.md).
"""

from collections.abc import Mapping
from typing import ClassVar

from hallctl.driver import WireSimulator
from hallctl.errors import RemoteCodecError
from hallctl_drivers.escpos.codec import CLEAR
from hallctl_drivers.escpos.commands import Command, CommandDecoder, Text
from hallctl_drivers.escpos.mechanism import Mechanism
from hallctl_drivers.escpos.paper import PrintedTicket, qr_modules

_BUFFER_LIMIT = 65536
_PRINTING = (b"\n", b"\x1bd", b"\x1bJ", b"\x1dr", b"\x1d(", b"\x1dV", b"\x1bi", b"\x1bm", b"\x1dv0")
_IDENTITY = {65: b"1.0 SIM", 66: b"EPSON", 67: b"TM-T88V"}  # what a clone claims to be, too


def _waits(command: Text | Command) -> bool:
    """Whether a stopped printer leaves it, and all behind it, in the buffer."""
    return isinstance(command, Text) or command.name in _PRINTING


class EscposSimulator(WireSimulator):
    """One printer. ``paper_mm`` is what is left on the roll; ``tickets`` what has been cut off."""

    FAULTS: ClassVar[Mapping[str, str]] = {
        "paper_out": "there is no roll in it",
        "paper_near_end": "the roll is nearly used up",
        "paper_out_mid_job": "the roll ends within the first ticket",
        "cover_open": "its cover is open",
        "cutter_jam": "its cutter is stuck",
        "head_error": "it reports an error that only switching it off and on takes away",
        "mute": "it prints and never says anything",
        "half_open": "it has gone without a word: the connection stands, nothing is taken and nothing is said",
        "slow": "it answers late",
        "garbage_status": "it answers with bytes that are no status",
        "asb_mixed": "it says its automatic status before and behind every answer",
        "no_gs_h": "a clone that ignores GS ( H",
        "clone": "a clone: no GS ( H, no automatic status, no clearing of its buffer, no sizes of codes; of several "
        "questions at once it answers the first",
    }

    def __init__(self, fault: str | None = None, address: int | None = None, *, width: int = 576) -> None:
        super().__init__(fault)
        self.address = address
        self.mechanism = Mechanism(width, self.refused)
        self.near_end_mm = 0.0 if fault == "paper_out_mid_job" else 3000.0
        self.mechanism.paper_mm = {"paper_out": 0.0, "paper_near_end": 2000.0, "paper_out_mid_job": 12.0}.get(
            fault or "", 50000.0
        )
        self.cover_is_open = fault == "cover_open"
        self.cutter_jammed = fault == "cutter_jam"
        self.broken = fault == "head_error"
        self.reply_delay_s = 0.2 if fault == "slow" else 0.0
        self._decoder = CommandDecoder()
        self._held: Text | Command | None = None
        self._real_time = b""
        self._out = bytearray()
        self._asb = 0
        self._told = b""
        self._drawn = 0

    @property
    def width(self) -> int:
        """Printable dots across the paper."""
        return self.mechanism.width

    @property
    def tickets(self) -> list[PrintedTicket]:
        """What has been cut off, the oldest first."""
        return self.mechanism.tickets

    @property
    def paper_mm(self) -> float:
        """What is left on the roll."""
        return self.mechanism.paper_mm

    @property
    def listening(self) -> bool:
        """A peer that is gone without a word takes nothing from the wire."""
        return self.fault != "half_open"

    @property
    def stopped(self) -> bool:
        """Whether it can't print now."""
        return self.paper_mm <= 0 or self.cover_is_open or self.cutter_jammed or self.broken

    def connected(self) -> None:
        """A new peer starts without automatic status; what has been received stays."""
        self._asb = 0
        self._real_time = b""

    def feed(self, data: bytes) -> bytes:
        """Real-time questions are answered at once, the rest is worked off in order."""
        if not self.listening:
            return b""
        rest = self._answer_real_time(data)
        if len(self._decoder) + len(rest) > _BUFFER_LIMIT:
            self.refused.append("receive buffer overflow")
        else:
            self._decoder.feed(rest)
        self._work()
        return self._taken()

    def remove_paper(self) -> None:
        """Take the roll out."""
        self.load_paper(0.0)

    def load_paper(self, mm: float = 50000.0) -> None:
        """Put a roll in; a job that waited goes on."""
        self.mechanism.paper_mm = mm
        self._handled()

    def open_cover(self) -> None:
        """Open the cover: printing stops."""
        self.cover_is_open = True
        self._handled()

    def close_cover(self) -> None:
        """Close it: printing goes on."""
        self.cover_is_open = False
        self._handled()

    def jam_cutter(self) -> None:
        """Let the cutter get stuck: printing stops."""
        self.cutter_jammed = True
        self._handled()

    def free_cutter(self) -> None:
        """Free the cutter."""
        self.cutter_jammed = False
        self._handled()

    def power_cycle(self) -> None:
        """Switch off and on: everything that was not on paper is gone."""
        self._forget()
        self.connected()
        self.broken = False
        self.mechanism.reset()

    def tear_off(self) -> None:
        """Tear off by hand what hangs out of a printer without a cutter."""
        self.mechanism.tear_off()

    def draw(self) -> bytes | None:
        """The last ticket."""
        return self.tickets[-1].png() if self.tickets else None

    def new_pictures(self) -> list[bytes]:
        """Every ticket that has been cut off since the last call."""
        fresh, self._drawn = self.tickets[self._drawn :], len(self.tickets)
        return [ticket.png() for ticket in fresh]

    def _handled(self) -> None:
        """Somebody has done something to the printer."""
        self._work()
        if answer := self._taken():
            self.emit(answer)

    def _taken(self) -> bytes:
        self._tell_changes()
        data = bytes(self._out)
        self._out.clear()
        if self.fault in ("mute", "half_open"):
            return b""
        if self.fault == "asb_mixed" and data:
            data = self._auto_status() + data + self._auto_status()
        return b"\xff\xa5" * (len(data) // 2 + 1) if data and self.fault == "garbage_status" else data

    def _work(self) -> None:
        """Work the buffer off; a printer that is stopped still takes settings, up to the first thing to print."""
        while True:
            command = self._held or self._next()
            self._held = command if command is not None and self.stopped and _waits(command) else None
            if command is None or self._held is not None:
                return
            self._carry_out(command)

    def _next(self) -> Text | Command | None:
        while True:
            try:
                command = self._decoder.next()
            except RemoteCodecError as exc:
                self.refused.append(exc.message)
                continue
            if command is not None:
                self.mechanism.raw += self._decoder.taken
            return command

    def _carry_out(self, command: Text | Command) -> None:
        if isinstance(command, Command):
            self._answer(command.name, command.data)
        self.mechanism.carry_out(command)

    def _answer(self, name: bytes, data: bytes) -> None:
        """What the printer says to a command, in its turn."""
        if name == b"\x1da" and self.fault != "clone":
            self._asb, self._told = data[0], b""
        elif name == b"\x1dr":
            self._out.append(0x03 * (self.paper_mm <= self.near_end_mm) if data[0] in (1, 49) else 0)
        elif name == b"\x1dI" and data[0] in _IDENTITY:
            self._out += b"\x5f" + _IDENTITY[data[0]] + b"\x00"
        elif name == b"\x1d(" and self.fault != "clone":
            self._answer_extended(data[:1], data[3:])

    def _answer_extended(self, letter: bytes, body: bytes) -> None:
        """``GS ( H`` confirms; ``GS ( k`` function 182 tells the size of the stored code in dots."""
        if letter == b"H" and body[:2] == b"00" and len(body) == 6 and self.fault != "no_gs_h":
            self._out += b"\x37\x22" + body[2:] + b"\x00"
        if letter == b"k" and body == b"1R0":
            size = str(qr_modules(len(self.mechanism.code)) * self.mechanism.module).encode()
            self._out += b"\x37\x36" + size + b"\x1f" + size + b"\x1f1\x1f0\x00"

    def _answer_real_time(self, data: bytes) -> bytes:
        """Real-time commands are found wherever they stand, also within a picture's data; gives what is left to do.

        ``DLE EOT n`` stays in the buffer (and does nothing there); what ``DLE DC4`` function 8 deletes is gone.
        """
        kept = bytearray()
        answered = 0
        for byte in data:
            kept.append(byte)
            self._real_time = (self._real_time + bytes((byte,)))[-len(CLEAR) :]
            if self._real_time[-3:-1] == b"\x10\x04" and byte in (1, 2, 3, 4):
                answered += 1
                if answered == 1 or self.fault != "clone":
                    self._out.append(self._status(byte))
            if self._real_time == CLEAR and self.fault != "clone":
                kept.clear()
                self._forget()
                self._out += b"\x37\x25\x00"
        return bytes(kept)

    def _forget(self) -> None:
        self._decoder.reset()
        self._held = None
        self._real_time = b""

    def _status(self, n: int) -> int:
        near, end = self.paper_mm <= self.near_end_mm, self.paper_mm <= 0
        error = self.cutter_jammed or self.broken
        match n:
            case 1:
                bits = 0x08 * self.stopped
            case 2:
                bits = 0x04 * self.cover_is_open | 0x20 * end | 0x40 * error
            case 3:
                bits = 0x08 * self.cutter_jammed | 0x20 * self.broken
            case _:
                bits = 0x0C * near | 0x60 * end
        return 0x12 | bits

    def _auto_status(self) -> bytes:
        near, end = self.paper_mm <= self.near_end_mm, self.paper_mm <= 0
        first = 0x10 | 0x08 * self.stopped | 0x20 * self.cover_is_open
        return bytes((first, 0x08 * self.cutter_jammed | 0x20 * self.broken, 0x03 * near | 0x0C * end, 0x0F))

    def _tell_changes(self) -> None:
        if self._asb and self._told != self._auto_status():
            self._told = self._auto_status()
            self._out += self._told
