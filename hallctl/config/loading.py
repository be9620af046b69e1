"""Loads the two documents: all mistakes at once, each with its file and line."""

import re
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from hallctl.config.base import Section
from hallctl.config.check import check_references
from hallctl.config.controller import ControllerConfig
from hallctl.config.hall import HallDocument
from hallctl.config.problem import ConfigErrors, Loc, Problem
from hallctl.config.result import SECTIONS, LoadedHall, in_order
from hallctl.config.source import full_width_hint, read
from hallctl.config.tree import Complaint, MapNode, Node, Scalar, from_value, value_of
from hallctl.config.validate import problem_of, validate
from hallctl.model import IDENTIFIER

_NOTHING = HallDocument.model_validate({})
S = TypeVar("S", bound=Section)
M = TypeVar("M", bound=BaseModel)


def load_controller(path: Path) -> ControllerConfig:
    """Read controller.yaml; relative paths in it become absolute, seen from its folder. Raises ``ConfigErrors``."""
    config = read_document(path, ControllerConfig)
    return _absolute(config, path.absolute().parent)


def read_document(path: Path, model: type[M]) -> M:
    """Read any YAML document into a model. Raises ``ConfigErrors`` with file and line of every mistake."""
    try:
        root = read(path)
    except Problem as exc:
        raise ConfigErrors([exc]) from exc
    if not isinstance(root, MapNode):
        raise ConfigErrors([_not_a_map(root, str(path))])
    complaints: list[Complaint] = []
    value = value_of(root, complaints)
    problems = [problem_of(complaint, str(path)) for complaint in complaints]
    document, wrong = validate(model, value, root, str(path))
    if problems or wrong or document is None:
        raise ConfigErrors(in_order([*problems, *_beyond(wrong, problems)]))
    return document


def load_hall(path: Path) -> LoadedHall:
    """Read hall.yaml. Never raises for what stands in it: see ``problems`` and ``raise_if_fatal``."""
    try:
        return hall_of(read(path), str(path))
    except Problem as exc:
        return LoadedHall(str(path), _NOTHING, (exc,), places=dict.fromkeys(SECTIONS, ()))


def parse_hall(value: object, path: str = "hall document") -> LoadedHall:
    """Judge a document that came as JSON and was decoded already; its problems have pointers and no lines."""
    return hall_of(from_value(value), path)


def hall_of(root: Node, path: str) -> LoadedHall:
    """Judge the tree of a hall document."""
    if not isinstance(root, MapNode):
        problem = _not_a_map(root, path)
        return LoadedHall(path, _NOTHING, (problem,), places=dict.fromkeys(SECTIONS, ()), tree=root)
    complaints: list[Complaint] = []
    value = value_of(root, complaints)
    problems = [problem_of(c, path) for c in complaints if not _empty_section(c)]
    value = {key: [] if item is None and key in SECTIONS else item for key, item in _mapping(value).items()}
    document, wrong = validate(HallDocument, value, root, path)
    problems += _beyond(wrong, problems)
    return check_references(_without_wrong_items(value, document, problems, root, path))


def _without_wrong_items(
    value: dict[str, Any], document: HallDocument | None, problems: list[Problem], root: Node, path: str
) -> LoadedHall:
    """Leave out the items that are wrong by themselves; what is wrong outside of an item is fatal."""
    for problem in problems:
        problem.fatal = problem.fatal or not _in_item(problem.loc)
    ordered = in_order(problems)
    wrong = {problem.loc[:2]: problem for problem in reversed(ordered) if not problem.fatal}
    if any(problem.fatal for problem in ordered):
        return LoadedHall(path, _NOTHING, ordered, places=dict.fromkeys(SECTIONS, ()), tree=root, value=value)
    places = {
        section: tuple(i for i, _ in enumerate(value.get(section, ())) if (section, i) not in wrong)
        for section in SECTIONS
    }
    if wrong or document is None:
        reduced = {**value, **{section: [value[section][i] for i in kept] for section, kept in places.items() if kept}}
        reduced |= {section: [] for section, kept in places.items() if not kept}
        document = HallDocument.model_validate(reduced)
    running = {terminal.id for terminal in document.terminals}
    quarantined = {
        name: problem
        for loc, problem in wrong.items()
        if (name := _id_of(value, loc)) is not None and name not in running
    }
    return LoadedHall(path, document, ordered, quarantined, places, tree=root, value=value)


def _id_of(value: dict[str, Any], loc: Loc) -> str | None:
    """The id of a wrong terminal, where it has one that can be spoken of."""
    item = value[loc[0]][loc[1]] if loc[0] == "terminals" else None
    name = item.get("id") if isinstance(item, dict) else None
    return name if isinstance(name, str) and re.match(IDENTIFIER, name) else None


def _in_item(loc: Loc) -> bool:
    return len(loc) >= 2 and loc[0] in SECTIONS and isinstance(loc[1], int)


def _beyond(wrong: list[Problem], known: list[Problem]) -> list[Problem]:
    """What the model says beyond what was said of the form already (an empty value is not two mistakes)."""
    told = {problem.loc for problem in known}
    return [problem for problem in wrong if problem.loc not in told]


def _empty_section(complaint: Complaint) -> bool:
    """``windows:`` with every item commented out is an empty list, not a mistake."""
    return complaint.code == "empty" and len(complaint.loc) == 1 and complaint.loc[0] in SECTIONS


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _not_a_map(root: Node, path: str) -> Problem:
    written = root.text if isinstance(root, Scalar) else ""
    hint = full_width_hint(written) or "the document is a map: lines like `key: value`"
    kind = "a list" if not isinstance(root, Scalar) else "a single text"
    return Problem(f"the document is {kind}", path=path, line=root.line, code="type", fatal=True, hint=hint)


def _absolute(section: S, folder: Path) -> S:
    """The same section with every relative path in it seen from ``folder``."""
    update: dict[str, object] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Path):
            update[name] = folder / value
        elif isinstance(value, Section):
            update[name] = _absolute(value, folder)
    return section.model_copy(update=update)
