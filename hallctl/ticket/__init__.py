"""Tickets as documents: layout is pure, a printer's driver renders it."""

from hallctl.ticket.document import Align, Columns, Element, Feed, QrCode, Rule, TextLine, Ticket

__all__ = ["Align", "Columns", "Element", "Feed", "QrCode", "Rule", "TextLine", "Ticket"]
