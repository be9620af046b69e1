"""A command in the person's language: a copy whose help texts are translated, made when the command is asked for.

A copy, since commands are values of their modules and the language is that of one call. Every command and option takes
part without a word in its module, also those of a later release that nobody has translated yet.
"""

import copy
import inspect
from collections.abc import Iterable
from typing import Any, TypeVar

import click

from hallctl.cli.language import _, language
from hallctl.faultbook import ENGLISH
from hallctl.ticket.width import display_width, wrap

C = TypeVar("C", bound=click.Command)
_LEAST = 20  # columns of text, however narrow the terminal is


def localised(command: C) -> C:
    """``command`` with translated help, and its subcommands alike."""
    twin = copy.copy(command)
    twin.help = translated(command.help)
    twin.short_help = translated(command.short_help)
    twin.epilog = translated(command.epilog)
    twin.params = [_parameter(parameter) for parameter in command.params]
    twin._help_option = None  # click keeps the one that it has made, in the language of then
    if language() != ENGLISH:
        twin.context_class = _WideContext
        twin.short_help = twin.short_help or _first_sentence(twin.help or "")
    if isinstance(twin, click.Group):
        twin.commands = {name: localised(one) for name, one in twin.commands.items()}
    return twin


def translated(text: str | None) -> str | None:
    """A help text; a docstring's indentation is no part of it."""
    return _(inspect.cleandoc(text)) if text else text


def _parameter(parameter: click.Parameter) -> click.Parameter:
    twin = copy.copy(parameter)
    if isinstance(twin.type, click.Path):  # click named it when its module was imported, in the language of then
        twin.type = copy.copy(twin.type)
        twin.type.name = _(_kind_of(parameter.type))
    if isinstance(twin, click.Option):
        twin.help = translated(twin.help)
        if isinstance(twin.show_default, str):
            twin.show_default = _(twin.show_default)
    return twin


def _kind_of(path: Any) -> str:
    """As click calls it."""
    if path.file_okay and path.dir_okay:
        return "path"
    return "file" if path.file_okay else "directory"


class WideFormatter(click.HelpFormatter):
    """Help in which a Chinese character takes the two columns that a terminal gives it."""

    def write_text(self, text: str) -> None:
        """Paragraphs, each wrapped by its width."""
        for number, paragraph in enumerate(text.split("\n\n")):
            if number:
                self.write_paragraph()
            for line in wrap(_one_line(paragraph), max(self.width - self.current_indent, _LEAST)):
                self.write(f"{'':>{self.current_indent}}{line}\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Terms, and what they mean beside them; below a term that is too long."""
        listed = list(rows)
        column = min(max((display_width(term) for term, _meaning in listed), default=0), col_max) + col_spacing
        for term, meaning in listed:
            self.write(f"{'':>{self.current_indent}}{term}")
            fits = display_width(term) <= column - col_spacing
            indent = " " * (column - display_width(term)) if fits else "\n" + " " * (column + self.current_indent)
            for line in wrap(_one_line(meaning), max(self.width - column - self.current_indent, _LEAST)):
                self.write(f"{indent if line else ''}{line}\n")
                indent = " " * (column + self.current_indent)


class _WideContext(click.Context):
    formatter_class = WideFormatter


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _first_sentence(text: str) -> str:
    """What a list of commands says of one: its first sentence, which click finds in English only."""
    return text.partition("\n\n")[0].partition("。")[0]
