"""The centre's reading side: what controllers say, folded into what is true now, and requests to them."""

from hallctl.fleet.evidence import fetch_evidence
from hallctl.fleet.feed import Arrived, EventFeed, Gap
from hallctl.fleet.reader import (
    AlertChanged,
    Change,
    ControllerChanged,
    HallBook,
    HallReader,
    ReportChanged,
    TerminalChanged,
)
from hallctl.fleet.request import send_command
from hallctl.fleet.view import ControllerStatus, ControllerView, TerminalStatusNow

__all__ = [
    "AlertChanged",
    "Arrived",
    "Change",
    "ControllerChanged",
    "ControllerStatus",
    "ControllerView",
    "EventFeed",
    "Gap",
    "HallBook",
    "HallReader",
    "ReportChanged",
    "TerminalChanged",
    "TerminalStatusNow",
    "fetch_evidence",
    "send_command",
]
