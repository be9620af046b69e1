"""Tickets as documents: layout is pure, a printer's driver renders it."""

from hallctl.ticket.document import Align, Columns, Element, Feed, QrCode, Rule, TextLine, Ticket
from hallctl.ticket.layout import lay_out
from hallctl.ticket.width import display_width, pad, spread, wrap

__all__ = [
    "Align",
    "Columns",
    "Element",
    "Feed",
    "QrCode",
    "Rule",
    "TextLine",
    "Ticket",
    "display_width",
    "lay_out",
    "pad",
    "spread",
    "wrap",
]
