"""pydantic's errors in a technician's words."""

from collections.abc import Callable, Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from hallctl.config.problem import Loc
from hallctl.config.source import full_width_hint
from hallctl.config.suggest import did_you_mean, one_of
from hallctl.model import IDENTIFIER

Words = tuple[str, str, str]
"""Message, hint, stable code."""

_KINDS = {
    "string_type": "text",
    "list_type": "a list (lines that begin with '- ', or [a, b])",
    "tuple_type": "a list such as [a, b]",
    "dict_type": "a map (lines like key: value)",
    "model_type": "a map (lines like key: value)",
    "model_attributes_type": "a map (lines like key: value)",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "path_type": "the path of a file",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def describe(error: ErrorDetails, model: type[BaseModel]) -> Words:
    """What an error of ``model`` means."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"{shown(error['input'])} is out of range: {words} {context[name]}", "", "range"
    if kind in _KINDS:
        return _wrong_kind(error["input"], _KINDS[kind])
    explain = _EXPLAIN.get(kind)
    return explain(error, model) if explain else (error["msg"][:1].lower() + error["msg"][1:], "", "invalid")


def shown(value: object) -> str:
    """A value as a message shows it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict():
            return "a map"
        case list() | tuple():
            return "a list"
        case str():
            return repr(value if len(value) <= 40 else value[:40] + "...")
    return str(value)


def _unknown_key(error: ErrorDetails, model: type[BaseModel]) -> Words:
    key, known = str(error["loc"][-1]), _fields(model, error["loc"][:-1])
    suggestion = did_you_mean(key, known)
    hint = full_width_hint(key) or ("" if suggestion else f"known keys: {one_of(known, limit=30)}")
    return f"unknown key {key!r}{suggestion}", hint, "unknown-key"


def _missing(error: ErrorDetails, _model: type[BaseModel]) -> Words:
    last = error["loc"][-1]
    if isinstance(last, int):
        return "the list is too short", f"value number {last + 1} is missing", "missing"
    return f"the key {last!r} is missing", "", "missing"


def _not_one_of(error: ErrorDetails, model: type[BaseModel]) -> Words:
    value, known = error["input"], _choices(model, error["loc"])
    hint = f"one of: {', '.join(known) or error.get('ctx', {}).get('expected', '')}"
    return f"{shown(value)} is not possible{did_you_mean(str(value), known)}", hint, "choice"


def _pattern(error: ErrorDetails, _model: type[BaseModel]) -> Words:
    pattern = error.get("ctx", {}).get("pattern", "")
    if pattern == IDENTIFIER:
        hint = "use small letters, digits and '-', not more than 63, a letter or digit first"
        return f"{shown(error['input'])} can't be an id", hint, "identifier"
    return f"{shown(error['input'])} does not have the right form", f"it has to match {pattern}", "form"


def _too_few(error: ErrorDetails, _model: type[BaseModel]) -> Words:
    context = error.get("ctx", {})
    return f"at least {context['min_length']} values are needed, {context['actual_length']} given", "", "length"


def _too_many(error: ErrorDetails, _model: type[BaseModel]) -> Words:
    return f"more than {error.get('ctx', {})['max_length']} values are given", "", "length"


def _too_little_text(error: ErrorDetails, _model: type[BaseModel]) -> Words:
    return "the text is empty" if error["input"] == "" else "the text is too short", "", "length"


def _too_much_text(error: ErrorDetails, _model: type[BaseModel]) -> Words:
    return f"the text is longer than {error.get('ctx', {})['max_length']} characters", "", "length"


def _own_words(error: ErrorDetails, _model: type[BaseModel]) -> Words:
    message, _, hint = str(error.get("ctx", {}).get("error", error["msg"])).partition(" | ")
    return message, hint, "invalid"


_EXPLAIN: Mapping[str, Callable[[ErrorDetails, type[BaseModel]], Words]] = {
    "extra_forbidden": _unknown_key,
    "missing": _missing,
    "literal_error": _not_one_of,
    "enum": _not_one_of,
    "string_pattern_mismatch": _pattern,
    "too_short": _too_few,
    "too_long": _too_many,
    "string_too_short": _too_little_text,
    "string_too_long": _too_much_text,
    "value_error": _own_words,
    "assertion_error": _own_words,
}


def _wrong_kind(value: object, wanted: str) -> Words:
    hint = full_width_hint(value) if isinstance(value, str) else ""
    return f"{shown(value)} stands where {wanted} belongs", hint, "type"


def _fields(model: type[BaseModel], loc: Loc) -> list[str]:
    """The keys that the model at a place knows."""
    found = _annotation(model, loc)
    return list(found.model_fields) if isinstance(found, type) and issubclass(found, BaseModel) else []


def _choices(model: type[BaseModel], loc: Loc) -> list[str]:
    """The values of the Literal or enum at a place."""
    found = _annotation(model, loc)
    if isinstance(found, type) and hasattr(found, "__members__"):
        return [str(member.value) for member in found.__members__.values()]
    return [str(value) for value in get_args(found)]


def _annotation(model: Any, loc: Loc) -> Any:
    """What the annotations say of a place: steps into models by key, into lists by index, through ``X | None``."""
    found: Any = model
    for part in loc:
        if isinstance(part, int):
            found = _bare((get_args(found) or (None,))[0])
        elif isinstance(found, type) and issubclass(found, BaseModel) and part in found.model_fields:
            found = _bare(found.model_fields[part].annotation)
        else:
            return None
    return found


def _bare(annotation: Any) -> Any:
    inner = [arg for arg in get_args(annotation) if arg is not type(None)]
    return inner[0] if len(inner) == 1 and type(None) in get_args(annotation) else annotation
