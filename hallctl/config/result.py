"""A hall document as far as it is right, and everything that is wrong with the rest."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hallctl.config.hall import Bus, HallDocument, MainBoards, Terminal, TicketLayout, Window
from hallctl.config.problem import ConfigErrors, Loc, Problem
from hallctl.config.tree import Node, Scalar, line_of

SECTIONS = ("buses", "terminals", "windows", "tickets")
"""The lists whose items are judged one by one: a wrong one is left out and the others run."""

Item = Bus | Terminal | Window | TicketLayout


@dataclass(frozen=True)
class LoadedHall:
    """``document`` holds only what is valid; ``quarantined`` says why a terminal is not in it.

    ``places`` keeps, for each section, where the items of ``document`` stand in the file; ``set_aside`` holds terminals
    that are right in themselves and were left out all the same, so that every mistake in them can be told at once.
    ``value`` is the whole document as JSON has it, with what is wrong, and with texts where texts were meant.
    """

    path: str
    document: HallDocument
    problems: tuple[Problem, ...] = ()
    quarantined: Mapping[str, Problem] = field(default_factory=dict)
    places: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    set_aside: tuple[tuple[Loc, Terminal], ...] = ()
    tree: Node = field(default_factory=lambda: Scalar(0, ""), repr=False)
    value: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def fatal(self) -> bool:
        """Whether nothing of the document can run."""
        return any(problem.fatal for problem in self.problems)

    def raise_if_fatal(self) -> None:
        """Raise ``ConfigErrors`` with every mistake when nothing of the document can run."""
        if self.fatal:
            raise ConfigErrors(self.problems)

    def items(self, section: str) -> Iterator[tuple[Loc, Item]]:
        """The valid items of a section, each with its place in the file."""
        for index, item in zip(self.places[section], getattr(self.document, section), strict=True):
            yield (section, index), item

    def terminals(self) -> Iterator[tuple[Loc, Terminal]]:
        """The valid terminals, each with its place in the file."""
        for loc, item in self.items("terminals"):
            if isinstance(item, Terminal):
                yield loc, item

    def windows(self) -> Iterator[tuple[Loc, Window]]:
        """The valid windows, each with its place in the file."""
        for loc, item in self.items("windows"):
            if isinstance(item, Window):
                yield loc, item

    def line(self, loc: Loc) -> int:
        """The line of a place; 0 where the document has no lines."""
        return line_of(self.tree, loc)

    def problem(self, message: str, loc: Loc, *, code: str, hint: str = "") -> Problem:
        """A mistake at a place of this document."""
        return Problem(message, path=self.path, line=self.line(loc), loc=loc, code=code, hint=hint)

    def without(self, problems: Iterable[Problem]) -> "LoadedHall":
        """The same without the items (and main boards, and fallbacks) that these problems are about."""
        found = list(problems)
        if not found:
            return self
        wrong = {problem.loc[:2]: problem for problem in reversed(found) if not _of_fallback(problem)}
        lonely = {problem.loc[:2] for problem in found if _of_fallback(problem)}
        kept = {section: [pair for pair in self.items(section) if pair[0] not in wrong] for section in SECTIONS}
        aside = [(loc, item) for loc, item in self.terminals() if loc in wrong]
        update = {section: [item for _, item in pairs] for section, pairs in kept.items()}
        left_out = {terminal.id: terminal.fallback for _, terminal in (*self.set_aside, *aside)}
        update["terminals"] = [
            _standing_in(item, None if loc in lonely else item.fallback, left_out)
            if isinstance(item, Terminal)
            else item
            for loc, item in kept["terminals"]
        ]
        document = self.document.model_copy(update={**update, "main_boards": self._boards(found)})
        running = {terminal.id for terminal in document.terminals}
        fresh = {terminal.id: wrong[loc] for loc, terminal in aside if terminal.id not in running}
        return replace(
            self,
            document=document,
            problems=in_order([*self.problems, *found]),
            quarantined={**fresh, **self.quarantined},
            places={section: tuple(int(loc[1]) for loc, _ in pairs) for section, pairs in kept.items()},
            set_aside=(*self.set_aside, *aside),
        )

    def with_options(self, options: Mapping[str, Mapping[str, Any]]) -> "LoadedHall":
        """The same with these options in the named terminals."""
        terminals = [
            terminal.model_copy(update={"options": options[terminal.id]}) if terminal.id in options else terminal
            for terminal in self.document.terminals
        ]
        if not options:
            return self
        written = [
            {**one, "options": options[one["id"]]} if isinstance(one, dict) and one.get("id") in options else one
            for one in self.value.get("terminals", ())
        ]
        document = self.document.model_copy(update={"terminals": terminals})
        return replace(self, document=document, value={**self.value, "terminals": written})

    def _boards(self, problems: list[Problem]) -> MainBoards:
        boards = self.document.main_boards
        wrong = {p.loc[2] for p in problems if p.loc[:2] == ("main_boards", "displays") and len(p.loc) > 2}
        displays = [display for index, display in enumerate(boards.displays) if index not in wrong]
        return boards.model_copy(update={"displays": displays})


def _standing_in(terminal: Terminal, fallback: str | None, left_out: Mapping[str, str | None]) -> Terminal:
    """With this fallback; where that one is left out itself, the one that takes over for it."""
    seen = {terminal.id}
    while fallback is not None and fallback in left_out and fallback not in seen:
        seen.add(fallback)
        fallback = left_out[fallback]
    return terminal if fallback == terminal.fallback else terminal.model_copy(update={"fallback": fallback})


def _of_fallback(problem: Problem) -> bool:
    """A printer runs without its fallback rather than not at all."""
    return problem.loc[:1] == ("terminals",) and problem.loc[2:] == ("fallback",)


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """By line."""
    return tuple(sorted(problems, key=lambda problem: problem.line))
