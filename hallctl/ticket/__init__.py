"""Tickets as documents: layout is pure, a printer's driver renders it."""

from hallctl.ticket.document import Align, Columns, Element, Feed, Picture, QrCode, Rule, TextLine, Ticket
from hallctl.ticket.layout import fields_of, lay_out
from hallctl.ticket.logo import load_logo, load_logos, narrowed
from hallctl.ticket.selftest import SAMPLES, self_test_ticket
from hallctl.ticket.width import display_width, pad, spread, wrap

__all__ = [
    "SAMPLES",
    "Align",
    "Columns",
    "Element",
    "Feed",
    "Picture",
    "QrCode",
    "Rule",
    "TextLine",
    "Ticket",
    "display_width",
    "fields_of",
    "lay_out",
    "load_logo",
    "load_logos",
    "narrowed",
    "pad",
    "self_test_ticket",
    "spread",
    "wrap",
]
