"""Why a terminal or a box does not work, from what was found out about it. Pure: finding it out is the controller's."""

from hallctl.diagnose.box_rules import judge_box
from hallctl.diagnose.evidence import (
    Attempt,
    BoxFacts,
    BusFacts,
    Holder,
    PortFacts,
    TerminalFacts,
    Trial,
)
from hallctl.diagnose.finding import Finding, Weight
from hallctl.diagnose.line_rules import judge_line
from hallctl.diagnose.terminal_rules import judge_terminal

__all__ = [
    "Attempt",
    "BoxFacts",
    "BusFacts",
    "Finding",
    "Holder",
    "PortFacts",
    "TerminalFacts",
    "Trial",
    "Weight",
    "judge_box",
    "judge_line",
    "judge_terminal",
]
