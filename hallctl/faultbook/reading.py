"""Reads a chapter strictly: a wrong entry names its file and code, so that a vendor finds it without asking us."""

import re

import yaml

from hallctl.errors import ConfigError
from hallctl.faultbook.entry import LANGUAGES, Entry, Wording

CODE = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*")
FIELDS = ("title", "cause", "remedy")


def read_entries(text: str, path: str, domain: str) -> tuple[Entry, ...]:
    """The entries of one YAML chapter ``{code: {language: {title, cause, remedy}}}``, in its order.

    Raises ``ConfigError`` that names ``path``, and the line or the code that is wrong.
    """
    try:
        chapter = yaml.load(text, Loader=_StrictLoader)  # noqa: S506  # a SafeLoader that refuses doubled keys
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 0
        raise ConfigError(exc.problem or "this is no YAML", path=path, line=line) from exc
    if not isinstance(chapter, dict) or not chapter:
        raise ConfigError("a chapter is a map from codes to languages", path=path, hint="paper.end: {en: ..., zh: ...}")
    return tuple(_entry(code, languages, path, domain) for code, languages in chapter.items())


def _entry(code: object, languages: object, path: str, domain: str) -> Entry:
    if not isinstance(code, str) or not CODE.fullmatch(code):
        hint = "small letters, digits, '_' and '-', in parts with dots between: paper.near_end"
        raise ConfigError(f"{code!r} is no code", path=path, hint=hint)
    _same(languages, tuple(LANGUAGES), f"{code}: the languages", path)
    assert isinstance(languages, dict)  # noqa: S101  # _same has seen to it
    return Entry(code, domain, {name: _wording(words, f"{code}/{name}", path) for name, words in languages.items()})


def _wording(words: object, place: str, path: str) -> Wording:
    _same(words, FIELDS, place, path)
    assert isinstance(words, dict)  # noqa: S101  # _same has seen to it
    for field, text in words.items():
        if not isinstance(text, str) or not text.strip():
            raise ConfigError(f"{place}: {field} is no text", path=path, hint="write a sentence, in quotes if need be")
    return Wording(**{field: " ".join(words[field].split()) for field in FIELDS})


def _same(found: object, wanted: tuple[str, ...], place: str, path: str) -> None:
    keys = set(found) if isinstance(found, dict) else set()
    if keys != set(wanted):
        missing = ", ".join(sorted(set(wanted) - keys)) or "nothing"
        more = ", ".join(sorted(map(str, keys - set(wanted)))) or "nothing"
        hint = f"missing: {missing}; too much: {more}"
        raise ConfigError(f"{place} must have exactly {', '.join(wanted)}", path=path, hint=hint)


class _StrictLoader(yaml.SafeLoader):
    """YAML itself would let the second of two entries win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        seen: dict[object, int] = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.MarkedYAMLError(problem=f"the key {key!r} is no text", problem_mark=key_node.start_mark)
            if key in seen:
                message = f"{key!r} stands in it twice, first in line {seen[key]}"
                raise yaml.MarkedYAMLError(problem=message, problem_mark=key_node.start_mark)
            seen[key] = key_node.start_mark.line + 1
        return super().construct_mapping(node, deep)
