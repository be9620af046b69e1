"""From a layout in hall.yaml and the fields of one request to a ticket: pure, and the same for every printer."""

import re
from collections.abc import Iterator, Mapping

from hallctl.config.hall import TicketLayout, TicketText
from hallctl.errors import ConfigError
from hallctl.ticket.document import Align, Columns, Element, Feed, QrCode, Rule, TextLine, Ticket

_FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


def lay_out(layout: TicketLayout, fields: Mapping[str, str]) -> Ticket:
    """Fill ``{name}`` in texts, columns and QR codes; ``{{`` and ``}}`` are braces themselves.

    What stands in a field's value is never interpreted, whatever braces it has. A value with line breaks makes several
    lines. Raises ``ConfigError`` that names the layout, the line and the field that was not given.
    """
    return Ticket(tuple(element for number in range(len(layout.lines)) for element in _line(layout, number, fields)))


def _line(layout: TicketLayout, number: int, fields: Mapping[str, str]) -> Iterator[Element]:
    line = layout.lines[number]

    def fill(text: str) -> str:
        return _FIELD.sub(value, text)

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name is None:
            return found.group()[0]
        if name not in fields:
            raise _unknown_field(layout, number, name, fields)
        return fields[name]

    if line.text is not None:
        yield from (_text(line, part) for part in fill(line.text).splitlines() or [""])
    elif line.columns is not None:
        yield Columns(fill(line.columns[0]), fill(line.columns[1]))
    elif line.qr is not None:
        yield QrCode(fill(line.qr), align=_qr_align(line))
    elif line.rule:
        yield Rule()
    else:
        yield Feed(line.feed or 1)


def _text(line: TicketText, text: str) -> TextLine:
    width, height = line.size
    return TextLine(text, Align(line.align), width, height, line.bold)


def _qr_align(line: TicketText) -> Align:
    """A QR code stands in the middle unless the layout says where."""
    return Align(line.align) if "align" in line.model_fields_set else Align.CENTER


def _unknown_field(layout: TicketLayout, number: int, name: str, fields: Mapping[str, str]) -> ConfigError:
    known = ", ".join(sorted(fields)) or "none"
    return ConfigError(
        f"ticket layout {layout.id!r}, line {number + 1}: the field {name!r} is not given",
        pointer=f"/tickets/{layout.id}/lines/{number}",
        hint=f"fields of this request: {known}; write {{{{ and }}}} for braces that are no field",
    )
