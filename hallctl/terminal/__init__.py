"""Terminals at work: the supervisor (one task a terminal) and the bus (one owner a shared port)."""

from hallctl.terminal.backoff import BackOff
from hallctl.terminal.bus import Bus
from hallctl.terminal.supervisor import TerminalSupervisor

__all__ = ["BackOff", "Bus", "TerminalSupervisor"]
