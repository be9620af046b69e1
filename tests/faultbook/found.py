"""Walks the source for stable codes: what a program can put into a state, fault, reply, alert or report."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hallctl.controller.requests import REQUESTS
from hallctl.model import AlertKind, EventType

ROOT = Path(__file__).resolve().parents[2]
DOTTED = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_FIRST = {"Fault", "RequestRefused", "FaultReport", "mistake", "_offline"}  # calls whose first argument is a code
_KEYWORD = "code"
_FILES = (".yaml", ".json", ".db", ".before")
# Dotted words that begin like a code and are none: keys of the boxes' own memory.
NO_CODES = {"apply.done", "twin.told", "layout.least", "layout.writer", "outbox.boot"}


@dataclass(frozen=True)
class Found:
    """A code, and where it stands."""

    code: str
    place: str


def source_files() -> list[Path]:
    return [path for folder in ("hallctl", "drivers/hallctl_drivers") for path in sorted((ROOT / folder).rglob("*.py"))]


def used_as_codes() -> Iterator[Found]:
    """Literals that stand where only a code can stand."""
    for path in source_files():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            for literal in _codes_of(node):
                for text in _texts(literal):
                    yield Found(text, f"{path.relative_to(ROOT)}:{node.lineno}")  # type: ignore[attr-defined]


def dotted_words() -> Iterator[Found]:
    """Every dotted literal; tables of codes have no other mark."""
    for path in source_files():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or node.value.endswith(_FILES):
                continue
            if DOTTED.fullmatch(node.value):
                yield Found(node.value, f"{path.relative_to(ROOT)}:{node.lineno}")


def no_codes() -> set[str]:
    """Dotted words of other vocabularies of the contract."""
    return {*EventType, *REQUESTS, *NO_CODES} - {*AlertKind, "ticket.unknown"}


def all_words() -> set[str]:
    """Every literal of the source, for codes without a dot."""
    trees = (ast.parse(path.read_text("utf-8")) for path in source_files())
    return {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _codes_of(node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.Call(func=func, args=args, keywords=keywords):
            name = getattr(func, "id", getattr(func, "attr", ""))
            yield from (keyword.value for keyword in keywords if keyword.arg == _KEYWORD)
            if name in _FIRST and args:
                yield args[0]
            if name == "Reply" and len(args) > 2:
                yield args[2]
            if name == "getattr" and len(args) > 2 and getattr(args[1], "value", "") == _KEYWORD:
                yield args[2]
        case ast.ClassDef(body=body):
            for line in body:
                match line:
                    case ast.Assign(targets=[ast.Name(id="code")], value=value):
                        yield value
                    case ast.AnnAssign(target=ast.Name(id="code"), value=ast.expr() as value):
                        yield value
        case ast.FunctionDef(args=arguments) | ast.AsyncFunctionDef(args=arguments):
            named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
            yield from (value for one, value in named if one.arg == _KEYWORD and value is not None)
        case ast.DictComp() | ast.Dict():
            yield from _of_dict(node)


def _of_dict(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == _KEYWORD:
                yield value


def _texts(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)) if text:
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from (*_texts(body), *_texts(orelse))
        case ast.BoolOp(values=values):
            for value in values:
                yield from _texts(value)
