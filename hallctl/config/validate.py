"""From a tree to a model, with every mistake found at once."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hallctl.config.problem import Loc, Problem
from hallctl.config.tree import Complaint, Node, Scalar, find, line_of
from hallctl.config.words import describe

M = TypeVar("M", bound=BaseModel)


def validate(model: type[M], value: Any, root: Node, path: str, base: Loc = ()) -> tuple[M | None, list[Problem]]:
    """The model of a value that stands at ``base`` in a tree, or what is wrong with it.

    ``value`` may be changed: where text belongs and a number or truth value was written without quotes, what was
    written is the text (a label 07, a staff number 1.10).
    """
    try:
        return model.model_validate(value), []
    except ValidationError as exc:
        if _restore_texts(exc, value, root, base):
            return validate(model, value, root, path, base)
        return None, problems_of(exc, model, root, path, base)


def problems_of(exc: ValidationError, model: type[BaseModel], root: Node, path: str, base: Loc = ()) -> list[Problem]:
    """pydantic's errors, placed."""
    problems = []
    for error in exc.errors(include_url=False):
        message, hint, code = describe(error, model)
        loc = (*base, *error["loc"])
        problems.append(Problem(message, path=path, line=line_of(root, loc), loc=loc, code=code, hint=hint))
    return problems


def problem_of(complaint: Complaint, path: str) -> Problem:
    """A complaint about the document's form, as a problem of its file."""
    return Problem(
        complaint.message,
        path=path,
        line=complaint.line,
        loc=complaint.loc,
        code=complaint.code,
        hint=complaint.hint,
    )


def _restore_texts(exc: ValidationError, value: Any, root: Node, base: Loc) -> bool:
    restored = False
    for error in exc.errors(include_url=False):
        node = find(root, (*base, *error["loc"]))
        if isinstance(node, Scalar) and isinstance(error["input"], bool | int | float) and _wants(error, node.text):
            _put(value, error["loc"], node.text)
            restored = True
    return restored


def _wants(error: ErrorDetails, text: str) -> bool:
    """Whether the text, as it was written, may be what the model asks for."""
    expected = str(error.get("ctx", {}).get("expected", ""))
    return error["type"] == "string_type" or (error["type"] == "literal_error" and repr(text) in expected)


def _put(value: Any, loc: Loc, text: str) -> None:
    for part in loc[:-1]:
        value = value[part]
    value[loc[-1]] = text
