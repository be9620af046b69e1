"""From a layout in hall.yaml and the fields of one request to a ticket: pure, and the same for every printer."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from urllib.parse import quote

from hallctl.config.hall import TicketLayout, TicketText
from hallctl.errors import ConfigError
from hallctl.ticket.document import Align, Columns, Element, Feed, Picture, QrCode, Rule, TextLine, Ticket

_FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


def lay_out(
    layout: TicketLayout, fields: Mapping[str, str], pictures: Mapping[str, Picture] = MappingProxyType({})
) -> Ticket:
    """Fill ``{name}`` in texts, columns and QR codes; ``{{`` and ``}}`` are braces themselves.

    What stands in a field's value is never interpreted, whatever braces it has. A value with line breaks makes several
    lines; in the address of a QR code it is quoted. ``pictures`` holds the logos that could be read, by what the
    layout calls them; a ticket without its logo is better than none. Raises ``ConfigError`` that names the layout, the
    line and the field that was not given.
    """
    numbers = range(len(layout.lines))
    return Ticket(tuple(element for number in numbers for element in _line(layout, number, fields, pictures)))


def fields_of(layout: TicketLayout) -> tuple[str, ...]:
    """The names of all fields that a layout uses, in their order."""
    texts = [text for line in layout.lines for text in (line.text, *(line.columns or ()), line.qr) if text]
    names = [found.group(1) for text in texts for found in _FIELD.finditer(text) if found.group(1) is not None]
    return tuple(dict.fromkeys(names))


def _line(
    layout: TicketLayout, number: int, fields: Mapping[str, str], pictures: Mapping[str, Picture]
) -> Iterator[Element]:
    line = layout.lines[number]
    if line.optional and not all(fields.get(name) for name in fields_of(_only(line))):
        return

    def fill(text: str) -> str:
        return _FIELD.sub(value, text)

    def fill_address(text: str) -> str:
        web = text.startswith(("http://", "https://"))
        return _FIELD.sub(lambda found: quote(value(found), safe="") if web and found.group(1) else value(found), text)

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
        yield QrCode(fill_address(line.qr), line.module, _in_the_middle(line))
    elif line.logo is not None:
        if (picture := pictures.get(line.logo)) is not None:
            yield replace(picture, align=_in_the_middle(line))
    elif line.rule:
        yield Rule()
    else:
        yield Feed(line.feed or 1)


def _text(line: TicketText, text: str) -> TextLine:
    width, height = line.size
    return TextLine(text, Align(line.align), width, height, line.bold)


def _only(line: TicketText) -> TicketLayout:
    return TicketLayout(id="line", lines=[line])


def _in_the_middle(line: TicketText) -> Align:
    """QR codes and logos stand in the middle unless the layout says where."""
    return Align(line.align) if "align" in line.model_fields_set else Align.CENTER


def _unknown_field(layout: TicketLayout, number: int, name: str, fields: Mapping[str, str]) -> ConfigError:
    known = ", ".join(sorted(fields)) or "none"
    return ConfigError(
        f"ticket layout {layout.id!r}, line {number + 1}: the field {name!r} is not given",
        pointer=f"/tickets/{layout.id}/lines/{number}",
        hint=f"fields of this request: {known}; write {{{{ and }}}} for braces that are no field",
    )
