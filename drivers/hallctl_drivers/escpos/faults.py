"""From status bits to fault reports: the same codes whether a printer was asked or spoke by itself."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hallctl.model import FaultReport, Severity

FAULTS: Mapping[str, str] = {
    "paper.near_end": "keep a fresh roll at hand",
    "paper.end": "put in a fresh roll, thermal side towards the head, and close the cover",
    "cover.open": "close the cover until it clicks",
    "cutter.error": "switch off, open the cover, free the cutter of paper, switch on",
    "printer.unrecoverable": "switch off and on; if it comes back, the printer needs repair",
    "printer.recoverable": "let the print head cool down, open and close the cover, then press the feed button",
    "printer.unsettled": "look at the printer; switch it off and on if it stands still",
    "printer.offline": "is the feed button held, or the printer set off-line on its panel?",
}
_MESSAGES = {
    "paper.near_end": "the roll is nearly used up",
    "paper.end": "there is no paper",
    "cover.open": "the cover is open",
    "cutter.error": "the cutter is stuck",
    "printer.unrecoverable": "the printer reports an error that it can't recover from",
    "printer.recoverable": "the printer reports an error that goes away by itself or with the feed button",
    "printer.unsettled": "the printer has not finished the ticket before",
    "printer.offline": "the printer is off-line and does not say why",
}


@dataclass(frozen=True, slots=True)
class PrinterStatus:
    """What the printer's bits say, in words. ``paper``: ok, near_end, end, unknown."""

    offline: bool = False
    cover_open: bool = False
    near_end: bool = False
    paper_end: bool = False
    recoverable: bool = False
    cutter: bool = False
    unrecoverable: bool = False
    paper_known: bool = True

    @property
    def paper(self) -> str:
        """The roll in one word."""
        if self.paper_end:
            return "end"
        if not self.paper_known:
            return "unknown"
        return "near_end" if self.near_end else "ok"

    def with_paper_of(self, other: "PrinterStatus") -> "PrinterStatus":
        """The same with what ``other`` knows of the roll."""
        paper_end = self.paper_end or other.paper_end
        return replace(self, near_end=other.near_end, paper_end=paper_end, paper_known=other.paper_known)

    @property
    def codes(self) -> tuple[str, ...]:
        """Fault codes; off-line only where nothing else explains it."""
        errors = (
            ("paper.end", self.paper_end),
            ("cover.open", self.cover_open),
            ("cutter.error", self.cutter),
            ("printer.unrecoverable", self.unrecoverable),
            ("printer.recoverable", self.recoverable),
        )
        codes = [code for code, there in errors if there]
        if self.offline and not codes:
            codes.append("printer.offline")
        if self.near_end and not self.paper_end:
            codes.append("paper.near_end")
        return tuple(codes)

    @property
    def reports(self) -> tuple[FaultReport, ...]:
        """The faults as the house reports them."""
        return tuple(report(code) for code in self.codes)

    @property
    def error(self) -> FaultReport | None:
        """The first fault that keeps the printer from printing."""
        return next((found for found in self.reports if found.severity is Severity.ERROR), None)


def from_real_time(answers: Mapping[int, int]) -> PrinterStatus:
    """From the answers to ``DLE EOT n``, n to byte; an n that was not answered says nothing."""
    printer, offline, error, paper = (answers.get(n, 0) for n in (1, 2, 3, 4))
    return PrinterStatus(
        offline=bool(printer & 0x08),
        cover_open=bool(offline & 0x04),
        near_end=bool(paper & 0x0C),
        paper_end=bool(paper & 0x60 or offline & 0x20),
        recoverable=bool(error & 0x44),
        cutter=bool(error & 0x08),
        unrecoverable=bool(error & 0x20),
        paper_known=4 in answers,
    )


def from_auto_status(data: bytes) -> PrinterStatus:
    """From the four bytes of Automatic Status Back."""
    first, error, paper, _ = data
    return PrinterStatus(
        offline=bool(first & 0x08),
        cover_open=bool(first & 0x20),
        near_end=bool(paper & 0x03),
        paper_end=bool(paper & 0x0C),
        recoverable=bool(error & 0x44),
        cutter=bool(error & 0x08),
        unrecoverable=bool(error & 0x20),
    )


def from_queued(value: int) -> PrinterStatus:
    """From the answer to ``GS r 1``: the paper only."""
    return PrinterStatus(near_end=bool(value & 0x03), paper_end=bool(value & 0x0C))


def report(code: str) -> FaultReport:
    """One fault, with the technician's remedy."""
    severity = Severity.WARNING if code == "paper.near_end" else Severity.ERROR
    return FaultReport(code, severity, _MESSAGES[code], hint=FAULTS[code])
